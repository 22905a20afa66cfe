"""The explanation of one request: who decides, by which rule, where to, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from labsupport import words
from labsupport.errors import UsageError
from labsupport.explain.byconnection import at_gateway_server, from_sidecar
from labsupport.explain.byrequest import decided
from labsupport.explain.catalog import Catalog
from labsupport.explain.destinations import Client, serving
from labsupport.explain.draft import Draft
from labsupport.explain.explanation import Explanation
from labsupport.explain.gateway import find_gateway_pod, gateway_table, is_gateway, unbound
from labsupport.explain.outcomes import predict
from labsupport.explain.records import PredictedOutcome, RoutedTo
from labsupport.explain.request import Request
from labsupport.explain.scope import gateway_scope, sidecar_scope
from labsupport.explain.servers import port_of
from labsupport.explain.sidecar import service_names, sidecar_table, speaks_http
from labsupport.model import Resource
from labsupport.model.kinds.index import exported
from labsupport.records import Pod
from labsupport.urls import Target, parse_url

__all__ = ["explain"]


def explain(
    objects: Sequence[Resource],
    pods: Sequence[Pod],
    *,
    url: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    source: Pod | Literal["outside"] = "outside",
    namespace: str = "default",
    captured: bool = False,
    certificate: bool = False,
    default_export_to: Sequence[str] = (),
) -> Explanation:
    """Say why a request goes where it goes, from the manifests alone.

    Nothing of the translation to Envoy is used, so that comparing an explanation with what Envoy did tests both.

    Args:
        objects: all objects, oldest first unless a ``creationTimestamp`` says otherwise.
        pods: all pods, the gateway included.
        url: one of the forms of ``labsupport.urls``; ``https://`` and ``tls://`` from a pod is what its
            program sends itself, past no gateway.
        headers: request headers; a ``Host`` header becomes the request's authority, with the URL's port.
        method: HTTP method.
        source: the pod that sends, a gateway's pod for what arrives there, or ``outside``.
        namespace: the namespace of objects that name none, and the one short names outside are read in.
        captured: whether sidecars see the addresses that their pods call, as on a cluster, or the names.
        certificate: whether a client outside shows a certificate of its own in TLS.
        default_export_to: ``exportTo`` of rules and ServiceEntries that have none; Istio's default if left out.

    Returns:
        Every rule with the first condition that failed, the route, the endpoints, the policies and the outcome.

    Raises:
        UsageError: the URL has none of the forms, or the source is none.
    """
    if not isinstance(source, Pod) and source != "outside":
        raise UsageError(f"source={source!r}: give a pod, or 'outside'.")
    target = parse_url(url)
    # Blanks around a value are no part of it (RFC 9110, 5.5): the proxy does not see them.
    given = {name.lower(): value.strip(" \t") for name, value in (headers or {}).items()}
    catalog = Catalog([exported(resource, default_export_to) for resource in objects], pods, namespace)
    pod = source if isinstance(source, Pod) else None
    inside = pod is not None and not is_gateway(pod)
    gateway = pod if pod is not None and not inside else find_gateway_pod(pods, target.gateway, namespace)
    request, port = _request(target, given, method.upper())
    caller = pod.name if pod is not None and inside else "outside"
    draft = Draft(url, method.upper(), dict(headers or {}), caller, request, port)
    if pod is not None and inside and target.secure:
        target = Target("service", target.service, target.port, target.path, target.scheme)
    if target.via == "gateway" or (pod is not None and not inside):
        if gateway is None:
            reason = f"there is no Gateway {target.gateway}" if target.gateway else "there is no ingress gateway"
            return draft.end(words.sentence(f"Nothing listens: {reason}"), "connection", reason)
        return _through_gateway(draft, catalog, gateway, target, certificate)
    if pod is not None and pod.injected and target.via == "service":
        return _through_sidecar(draft, catalog, pod, target, captured)
    return _plain(draft, catalog, target, source)


def _through_gateway(draft: Draft, catalog: Catalog, gateway: Pod, target: Target, certificate: bool) -> Explanation:
    port = port_of(catalog, gateway, draft.port)
    client = Client(gateway_scope(catalog, gateway.namespace), gateway.labels, True, draft.port)
    ignored = tuple(port.ignored)
    if not port.listens:
        reason = f"no Gateway that selects {gateway.name} has a server on port {draft.port}"
        ignored += tuple(unbound(catalog, set(), draft.request.host))
        return draft.end(
            words.sentence(f"The gateway does not listen: {reason}"), "connection", reason, ignored=ignored
        )
    plain = [entrance for entrance in port.plain if entrance.routes_requests]
    if target.scheme == "http" and plain:
        table = gateway_table(catalog, gateway, plain, draft.request.host)
        return decided(draft, catalog, client, table, gateway, "gateway", ignored)
    return at_gateway_server(draft, catalog, client, gateway, target, port, certificate)


def _through_sidecar(draft: Draft, catalog: Catalog, pod: Pod, target: Target, captured: bool) -> Explanation:
    scope = sidecar_scope(catalog, pod)
    client = Client(scope, pod.labels, False, draft.port)
    listener = scope.listener_for(draft.port)
    known = {} if listener is None else listener.at(draft.port)
    host = target.service.lower()
    called = next((service for service in known.values() if host in service_names(service, pod.namespace)), None)
    detected = called is not None and called.ports[draft.port] == ""
    other = called is not None and not called.speaks_http(draft.port)
    not_requests = target.secure or target.raw
    if other or (not_requests and (called is None or detected)):
        return from_sidecar(draft, catalog, client, pod, called, captured)
    if not_requests:
        reason = f"port {draft.port} of {target.service} speaks HTTP; write http://{target.service}:{draft.port}/"
        return draft.unknown(catalog, scope, pod, reason, captured=captured)
    asked = draft.request.host
    if captured and called is not None and detected and called.addresses:
        # A port whose protocol is detected has a listener of its own per service, where the Host does not count.
        asked = called.key
    if listener is not None and not speaks_http(listener, draft.port) and not captured:
        return draft.unknown(catalog, scope, pod, f"no service that {pod.name} knows has an HTTP port {draft.port}")
    table = sidecar_table(catalog, scope, pod, asked, draft.port)
    if not table.known:
        reason = f"no service of the mesh that {pod.name} knows has host {draft.request.host} and port {draft.port}"
        return draft.unknown(catalog, scope, pod, reason, captured=captured, ignored=table.ignored)
    return decided(draft, catalog, client, table, pod, "sidecar", ())


def _plain(draft: Draft, catalog: Catalog, target: Target, source: Pod | str) -> Explanation:
    """The way without a proxy on the caller's side: connections are spread over all ready pods of the service."""
    space = source.namespace if isinstance(source, Pod) else catalog.namespace
    if target.via == "service" and not isinstance(source, Pod):
        reason = f"{target.service} is a name inside the mesh, and the request comes from outside"
        return draft.end(words.sentence(f"Unknown destination: {reason}"), "unknown_destination", reason)
    # A node port and kube-proxy know only the address: what the Host header says does not matter to them.
    host = target.service.lower()
    services = [service for service in catalog.services if host in service_names(service, space)]
    service = next((item for item in services if target.via == "nodeport" or target.port in item.ports), None)
    if service is None or not service.ports:
        reason = f"there is no service {target.service}" + (f" with port {target.port}" if target.port else "")
        return draft.end(words.sentence(f"Unknown destination: {reason}"), "unknown_destination", reason)
    port = target.port or list(service.ports)[-1]
    endpoints = service.serving(port, {})
    why = "from outside no sidecar is on the way" if draft.caller == "outside" else f"{draft.caller} has no sidecar"
    decision = f"No rule applies: {why}. Each connection goes to one of the ready pods of {service.hostname}."
    if not endpoints:
        destination = RoutedTo(service.hostname, "", port, 1.0, problem="UH", reason="no pod is ready")
        # Where kube-proxy balances, the connection is refused; the embedded mesh's plain balancer answers 503.
        text = f"nobody answers: no pod of {service.hostname} is ready"
        outcome = PredictedOutcome("no_endpoints", 1.0, text, status=503)
        return draft.explanation(decision, [outcome], destinations=[destination], hops=[draft.caller])
    reached = RoutedTo(service.hostname, "", port, 1.0, authority=draft.request.authority)
    destination = serving(reached, endpoints)
    outcomes = predict(None, draft.request, [(destination, None)])
    if destination.problem and not any(endpoint.injected for endpoint in endpoints):
        # No proxy is on the way that could answer.
        text = f"the connection is refused: {destination.reason}"
        outcomes = [PredictedOutcome("refused", 1.0, text)]
    hops = [draft.caller, *draft.arrival(catalog, outcomes, [destination])]
    return draft.explanation(decision, outcomes, destinations=[destination], hops=hops)


def _request(target: Target, headers: Mapping[str, str], method: str) -> tuple[Request, int]:
    """The request as it is sent, and the port it is sent to."""
    usual = 443 if target.secure else 80
    port = target.port or usual
    written = headers.get("host")
    if written is not None:
        name, colon, number = written.rpartition(":")
        host = name if colon and number.isdigit() else written
        authority = host if port == usual else f"{host}:{port}"
    else:
        # From outside, the gateway is called by an address of this machine unless a Host is given.
        authority = target.authority if target.service else "localhost" if port == usual else f"localhost:{port}"
    rest = {name: value for name, value in headers.items() if name != "host"}
    return Request(method, "https" if target.secure else "http", authority, target.path or "/", rest), port
