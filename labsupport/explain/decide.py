"""The explanation of one request: who decides, by which rule, where to, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from labsupport.engine.base import Pod
from labsupport.engine.target import Target, parse_url
from labsupport.errors import UsageError
from labsupport.explain.catalog import Catalog, KnownService
from labsupport.explain.destinations import Client, reach, resolve
from labsupport.explain.gateway import find_gateway_pod, gateway_table, is_gateway
from labsupport.explain.outcomes import https_redirect, predict, rewritten
from labsupport.explain.records import Explanation, Place, PredictedOutcome, RoutedTo
from labsupport.explain.request import Request
from labsupport.explain.rules import Candidate, Choice, choose
from labsupport.explain.sidecar import Table, service_names, sidecar_table
from labsupport.explain.words import rule_policies
from labsupport.model import Resource

__all__ = ["explain"]

GATEWAY_PORT = 80
ProxyKind = Literal["sidecar", "gateway", "none"]


def explain(
    objects: Sequence[Resource],
    pods: Sequence[Pod],
    *,
    url: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    source: Pod | Literal["outside"] = "outside",
    namespace: str = "default",
) -> Explanation:
    """Say why a request goes where it goes, from the manifests alone.

    Nothing of the translation to Envoy is used, so that comparing an explanation with what Envoy did tests both.

    Args:
        objects: all objects, oldest first unless a ``creationTimestamp`` says otherwise.
        pods: all pods, the gateway included.
        url: ``gateway:/path``, ``nodeport:<service>/path`` or ``http://<service>[:port]/path``.
        headers: request headers; a ``Host`` header becomes the request's authority, with the URL's port.
        method: HTTP method.
        source: the pod that sends, a gateway's pod for what arrives there, or ``outside``.
        namespace: the namespace of objects that name none, and the one short names outside are read in.

    Returns:
        Every rule with the first condition that failed, the route, the endpoints, the policies and the outcome.

    Raises:
        UsageError: the URL has none of the three forms, or the source is none.
    """
    if not isinstance(source, Pod) and source != "outside":
        raise UsageError(f"source={source!r}: give a pod, or 'outside'.")
    target = parse_url(url)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    request, port = _request(target, given, method.upper())
    catalog = Catalog(objects, pods, namespace)
    at_gateway = target.via == "gateway" or (isinstance(source, Pod) and is_gateway(source))
    gateway = source if isinstance(source, Pod) and is_gateway(source) else find_gateway_pod(pods)
    caller = "outside" if not isinstance(source, Pod) or source is gateway else source.name
    base = _Base(url, method.upper(), dict(headers or {}), caller, request, port)
    if at_gateway:
        if gateway is None:
            reason = "there is no ingress gateway"
            return base.end(f"Nothing listens: {reason}.", "connection", reason)
        table = gateway_table(catalog, gateway, request.host, port)
        if not table.listening:
            reason = f"no Gateway that selects {gateway.name} has an HTTP server on port {port}"
            return base.end(f"The gateway does not listen: {reason}.", "connection", reason, table=table)
        client = Client(gateway.namespace, gateway.labels, True, port)
        return _decided(base, catalog, client, table, gateway, "gateway")
    if isinstance(source, Pod) and source.injected and target.via == "service":
        table = sidecar_table(catalog, source, request.host, port)
        client = Client(source.namespace, source.labels, False, port)
        return _decided(base, catalog, client, table, source, "sidecar")
    return _plain(base, catalog, target, source)


class _Base:
    """What is the same in every explanation of one request."""

    def __init__(
        self, url: str, method: str, headers: dict[str, str], caller: str, request: Request, port: int
    ) -> None:
        self.url, self.method, self.headers, self.caller = url, method, headers, caller
        self.request, self.port = request, port

    def explanation(
        self,
        decision: str,
        outcomes: Sequence[PredictedOutcome],
        *,
        table: Table | None = None,
        choice: Choice | None = None,
        proxy: str = "",
        kind: ProxyKind = "none",
        destinations: Sequence[RoutedTo] = (),
        hops: Sequence[str] = (),
        with_policies: bool = False,
    ) -> Explanation:
        """Put an explanation together."""
        route = choice.chosen if choice is not None else None
        path, authority = rewritten(route, self.request)
        return Explanation(
            url=self.url,
            method=self.method,
            headers=self.headers,
            source=self.caller,
            proxy=proxy,
            proxy_kind=kind,
            authority=self.request.authority,
            port=self.port,
            hops=tuple(hops),
            rules=choice.traces if choice is not None else (),
            ignored=table.ignored if table is not None else (),
            decision=decision,
            policies=rule_policies(route.rule if route is not None else None) if with_policies else (),
            destinations=tuple(destinations),
            outcomes=tuple(outcomes),
            upstream_path=path,
            upstream_authority=authority,
        )

    def end(
        self,
        decision: str,
        kind: Literal["connection", "unknown_destination"],
        reason: str,
        *,
        table: Table | None = None,
        proxy: str = "",
        proxy_kind: ProxyKind = "none",
    ) -> Explanation:
        """An explanation that ends before any route."""
        status = 502 if kind == "unknown_destination" else 0
        outcome = PredictedOutcome(kind, 1.0, reason, status=status)
        hops = [self.caller, *([f"{proxy} (sidecar)"] if proxy else [])]
        return self.explanation(decision, [outcome], table=table, proxy=proxy, kind=proxy_kind, hops=hops)


def _decided(
    base: _Base, catalog: Catalog, client: Client, table: Table, pod: Pod, kind: Literal["sidecar", "gateway"]
) -> Explanation:
    """What a proxy's table does with the request."""
    request = base.request
    entry = f"{pod.name} ({kind})"
    way = [base.caller, entry]
    if not table.known and kind == "sidecar":
        reason = f"no service of the mesh that {pod.name} knows has host {request.host} and port {base.port}"
        decision = f"Unknown destination: {reason}."
        return base.end(decision, "unknown_destination", reason, table=table, proxy=pod.name, proxy_kind=kind)
    if table.https_only:
        outcome = https_redirect(request)
        decision = "The Gateway's server has httpsRedirect."
        return base.explanation(decision, [outcome], table=table, proxy=pod.name, kind=kind, hops=way)
    if not table.known:
        reason = f"the gateway has no rule for host {request.host}"
        outcome = PredictedOutcome("no_route", 1.0, f"the gateway answers 404: {reason}", status=404, flags="NR")
        decision = f"No route: {reason}."
        return base.explanation(decision, [outcome], table=table, proxy=pod.name, kind=kind, hops=way)
    choice = choose(table.rules, table.routes, request)
    route = choice.chosen
    if table.ruled and route is None:
        text = "the proxy answers 404: no rule matches, and a host with rules has no other route"
        outcome = PredictedOutcome("no_route", 1.0, text, status=404, flags="NR")
        decision = "No rule matches."
        return base.explanation(decision, [outcome], table=table, choice=choice, proxy=pod.name, kind=kind, hops=way)
    destinations = _destinations(catalog, client, table.service, route, base.port)
    outcomes = predict(route, request, destinations)
    pods = list(dict.fromkeys(name for outcome in outcomes for name in outcome.pods))
    return base.explanation(
        _decision(route, table.service),
        outcomes,
        table=table,
        choice=choice,
        proxy=pod.name,
        kind=kind,
        destinations=destinations,
        hops=[*way, *_arrival(catalog, pods)],
        with_policies=True,
    )


def _destinations(
    catalog: Catalog, client: Client, service: KnownService | None, route: Candidate | None, port: int
) -> list[RoutedTo]:
    if route is None:
        assert service is not None
        return [reach(catalog, client, service, "", port, 1.0, None)]
    # At a gateway, the port of the server that the route belongs to is the default of its destinations.
    client = Client(client.namespace, client.labels, client.gateway, route.view.port)
    rule = route.rule
    if rule.rule.redirect is not None or rule.rule.direct_response is not None:
        return []
    listed = rule.rule.route
    weights = [1] if len(listed) == 1 else [item.weight for item in listed]
    total = sum(weights)
    return [
        resolve(
            catalog, client, item.destination, rule.namespace, weight / total, rule.place(f"route[{index}].destination")
        )
        for index, (item, weight) in enumerate(zip(listed, weights, strict=True))
        if weight > 0
    ]


def _decision(route: Candidate | None, service: KnownService | None) -> str:
    if route is None:
        assert service is not None
        return f"No rule is about {service.hostname} here, so the service itself is the destination."
    rule = route.rule
    name = f" {rule.rule.name!r}" if rule.rule.name else ""
    entry = f", match[{route.entry}]" if route.entry is not None and len(rule.rule.match) > 1 else ""
    place: Place = rule.place()
    return f"Chosen: VirtualService/{rule.written_in.name} http[{rule.index}]{name}{entry} ({place})."


def _arrival(catalog: Catalog, pods: Sequence[str]) -> list[str]:
    """The server's side of the way: its sidecar, if it has one, and its application."""
    if not pods:
        return []
    name = pods[0] if len(pods) == 1 else f"one of {len(pods)} pods"
    injected = [pod.injected for pod in catalog.pods if pod.name in pods]
    if injected and all(injected):
        return [f"{name} (sidecar)", f"{name} (application)"]
    return [f"{name} (application)"]


def _plain(base: _Base, catalog: Catalog, target: Target, source: Pod | str) -> Explanation:
    """The way without a proxy on the caller's side: connections are spread over all ready pods of the service."""
    space = source.namespace if isinstance(source, Pod) else catalog.namespace
    if target.via == "service" and not isinstance(source, Pod):
        reason = f"{target.service} is a name inside the mesh, and the request comes from outside"
        return base.end(f"Unknown destination: {reason}.", "unknown_destination", reason)
    # A node port and kube-proxy know only the address: what the Host header says does not matter to them.
    host = target.service.lower()
    services = [service for service in catalog.services if host in service_names(service, space)]
    service = next((item for item in services if target.via == "nodeport" or target.port in item.ports), None)
    if service is None or not service.ports:
        reason = f"there is no service {target.service}" + (f" with port {target.port}" if target.port else "")
        return base.end(f"Unknown destination: {reason}.", "unknown_destination", reason)
    port = target.port or list(service.ports)[-1]
    names = tuple(endpoint.name for endpoint in service.endpoints)
    why = "from outside no sidecar is on the way" if base.caller == "outside" else f"{base.caller} has no sidecar"
    decision = f"No rule applies: {why}. Each connection goes to one of the ready pods of {service.hostname}."
    if not names:
        destination = RoutedTo(service.hostname, "", port, 1.0, problem="UH", reason="no pod is ready")
        # Where kube-proxy balances, the connection is refused; the embedded mesh's plain balancer answers 503.
        text = f"nobody answers: no pod of {service.hostname} is ready"
        outcome = PredictedOutcome("no_endpoints", 1.0, text, status=503)
        return base.explanation(decision, [outcome], destinations=[destination], hops=[base.caller])
    destination = RoutedTo(service.hostname, "", port, 1.0, pods=names)
    outcomes = predict(None, base.request, [destination])
    hops = [base.caller, *_arrival(catalog, names)]
    return base.explanation(decision, outcomes, destinations=[destination], hops=hops)


def _request(target: Target, headers: Mapping[str, str], method: str) -> tuple[Request, int]:
    """The request as it is sent, and the port it is sent to."""
    port = target.port or GATEWAY_PORT
    written = headers.get("host")
    if written is not None:
        name, colon, number = written.rpartition(":")
        host = name if colon and number.isdigit() else written
        authority = host if port == GATEWAY_PORT else f"{host}:{port}"
    else:
        # From outside, the gateway is called by an address of this machine unless a Host is given.
        authority = target.authority or "localhost"
    rest = {name: value for name, value in headers.items() if name != "host"}
    return Request(method, "http", authority, target.path, rest), port
