"""Traces: which requests a proxy makes spans of, where it sends them, and what the spans are called.

As istiod does (``configureTracing``), with one difference: without a provider istiod still lets Envoy draw which
requests it would trace; nothing is told of them, so that is left out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain

from labsupport.controlplane.registry.meshfields import OpenTelemetry
from labsupport.controlplane.registry.workloads import CLUSTER_ID
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.inbound import inbound_ports
from labsupport.controlplane.translate.listeners.http import CONNECTION_MANAGER
from labsupport.controlplane.translate.names import duration, outbound_cluster
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.pods import CANONICAL_NAME, CANONICAL_REVISION
from labsupport.model.kinds.telemetry import CustomTag, Telemetry, Tracing
from labsupport.records import JsonObject

__all__ = ["traced"]

_TYPE = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"
_DRY_RUN = [
    (f"istio.authorization.dry_run.{action}_policy.{name}", f"istio_dry_run_{action}_shadow_{key}")
    for action in ("allow", "deny")
    for name, key in (("name", "effective_policy_id"), ("result", "engine_result"))
]


@dataclass(frozen=True, slots=True)
class _Spec:
    """What counts for one side of a proxy, after all Telemetry objects."""

    provider: str = ""
    disabled: bool = False
    sampling: float | None = None
    tags: Mapping[str, CustomTag] = field(default_factory=dict)
    by_request_id: bool = True
    istio_tags: bool = True

    def changed(self, rule: Tracing) -> _Spec:
        """The same with what a narrower rule says."""
        given = {
            "provider": rule.providers[0].name if rule.providers else None,
            "disabled": rule.disable_span_reporting,
            "sampling": rule.random_sampling_percentage,
            "tags": rule.custom_tags or None,
            "by_request_id": rule.use_request_id_for_trace_sampling,
            "istio_tags": rule.enable_istio_tags,
        }
        return replace(self, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def traced(
    context: Context, listeners: dict[str, JsonObject], routes: dict[str, JsonObject]
) -> tuple[dict[str, JsonObject], dict[str, JsonObject]]:
    """Put tracers into connection managers, and the names of spans into routes.

    Args:
        context: the proxy.
        listeners: by name; they are shared, so copies are changed.
        routes: its route tables by name, likewise.

    Returns:
        Listeners and route tables; the same ones if the proxy makes no spans.
    """
    client, server = _specs(context)
    tracers = {False: _tracing(context, client), True: _tracing(context, server)}
    if not any(tracers.values()):
        return listeners, routes
    hosts = {} if context.is_gateway else _inbound_hosts(context)
    made = {}
    for name, listener in listeners.items():
        inbound = listener.get("traffic_direction") == "INBOUND"
        made[name] = _with_tracer(deepcopy(listener), tracers[inbound], server if inbound else client, hosts)
    return made, {name: _named(deepcopy(table)) for name, table in routes.items()}


def _specs(context: Context) -> tuple[_Spec, _Spec]:
    """What counts for calls that the pod makes (and for a gateway), and for calls that it gets."""
    client = server = _Spec(context.mesh.default_tracer)
    for telemetry in _concerning(context):
        for rule in telemetry.spec.tracing:
            mode = rule.match.mode if rule.match is not None else "CLIENT_AND_SERVER"
            client = client.changed(rule) if mode != "SERVER" else client
            server = server.changed(rule) if mode != "CLIENT" else server
    return client, server


def _concerning(context: Context) -> Iterable[Telemetry]:
    """The oldest Telemetry of the mesh and of the namespace, and all that select the pod."""
    known, own = context.registry.telemetries, context.namespace
    for namespace in dict.fromkeys((context.mesh.root_namespace, own)):
        yield from [item for item in known if item.namespace == namespace and not item.match_labels][:1]
    for telemetry in known:
        labels = telemetry.match_labels or {}
        if telemetry.namespace == own and labels and labels.items() <= context.labels.items():
            yield telemetry


def _tracing(context: Context, spec: _Spec) -> JsonObject | None:
    """``HttpConnectionManager.Tracing``; None where no spans are made."""
    provider = dict(context.mesh.tracers).get(spec.provider)
    host = _host(context, provider) if provider is not None else ""
    if provider is None or spec.disabled or not host:
        return None
    sampling = context.mesh.sampling if spec.sampling is None else spec.sampling
    made: JsonObject = {
        "client_sampling": {"value": 100},
        "overall_sampling": {"value": 100},
        "random_sampling": {"value": sampling} if sampling else {},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": _collector(provider, host)},
    }
    if context.proxy.service_cluster:
        made["provider"]["typed_config"]["service_name"] = context.proxy.service_cluster
    if context.is_gateway:
        made["spawn_upstream_span"] = True
    if longest := provider.max_tag_length or context.mesh.max_path_tag_length:
        made["max_path_tag_length"] = longest
    if tags := sorted(_tags(context, spec), key=lambda tag: str(tag["tag"])):
        made["custom_tags"] = tags
    return made


def _host(context: Context, provider: OpenTelemetry) -> str:
    """The host of the provider's Service; empty if there is none of this full name: then istiod makes no tracer."""
    namespace, _, host = provider.service.rpartition("/")
    known = context.registry.by_host_and_namespace
    return host if host in known and (not namespace or namespace in known[host]) else ""


def _collector(provider: OpenTelemetry, host: str) -> JsonObject:
    cluster = outbound_cluster(host, provider.port)
    if provider.http is None:
        return {"@type": _TYPE, "grpc_service": {"envoy_grpc": {"authority": host, "cluster_name": cluster}}}
    uri: JsonObject = {"cluster": cluster, "uri": f"{host}{provider.http.path}"}
    if provider.http.timeout is not None:
        uri["timeout"] = duration(provider.http.timeout)
    service: JsonObject = {"http_uri": uri}
    headers = [
        {
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            "header": {"key": header.name, "value": header.value},
        }
        for header in provider.http.headers
    ]
    return {"@type": _TYPE, "http_service": service | ({"request_headers_to_add": headers} if headers else {})}


def _tags(context: Context, spec: _Spec) -> Iterable[JsonObject]:
    if spec.istio_tags:
        for tag, key in _DRY_RUN:
            place = {"key": "envoy.filters.http.rbac", "path": [{"key": key}]}
            yield {"tag": tag, "metadata": {"kind": {"request": {}}, "metadata_key": place}}
        service, revision = (_canonical(context, labels) for labels in (CANONICAL_NAME, CANONICAL_REVISION))
        literals = {
            "istio.canonical_service": service or "unknown",
            "istio.canonical_revision": revision or "latest",
            "istio.cluster_id": CLUSTER_ID,
            "istio.mesh_id": CLUSTER_DOMAIN,
            "istio.namespace": context.namespace,
        }
        yield from ({"tag": tag, "literal": {"value": value}} for tag, value in literals.items())
    for name, custom in spec.tags.items():
        if custom.literal is not None:
            yield {"tag": name, "literal": {"value": custom.literal.value}}
        for kind, named in (("environment", custom.environment), ("request_header", custom.header)):
            if named is not None:
                default = {"default_value": named.default_value} if named.default_value else {}
                yield {"tag": name, kind: {"name": named.name, **default}}


def _canonical(context: Context, labels: tuple[str, ...]) -> str:
    """The first label, which the sidecar injector leaves behind, or what it would make of the pod's other ones."""
    read = labels if context.pod.injected else labels[:1]
    found = next((context.labels[key] for key in read if context.labels.get(key)), "")
    of_workload = context.pod.injected and labels is CANONICAL_NAME
    return found or (context.pod.workload if of_workload else "")


def _with_tracer(listener: JsonObject, tracing: JsonObject | None, spec: _Spec, hosts: Mapping[str, str]) -> JsonObject:
    chains = (*listener.get("filter_chains", ()), *filter(None, [listener.get("default_filter_chain")]))
    for network_filter in chain.from_iterable(filter_chain["filters"] for filter_chain in chains):
        if network_filter["name"] != CONNECTION_MANAGER:
            continue
        manager = network_filter["typed_config"]
        if tracing is not None:
            manager["tracing"] = tracing
            identity = manager["request_id_extension"]["typed_config"]
            identity["use_request_id_for_trace_sampling"] = spec.by_request_id
        for table in filter(None, [manager.get("route_config")]):
            _name_inbound(table, hosts)
    return listener


def _inbound_hosts(context: Context) -> dict[str, str]:
    """The service that a port of the pod is called by, by the name of its cluster."""
    return {f"inbound|{port.number}||": port.services[0].hostname for port in inbound_ports(context) if port.services}


def _name_inbound(table: JsonObject, hosts: Mapping[str, str]) -> None:
    for host in table["virtual_hosts"]:
        port = str(host["name"]).rpartition("|")[2]
        for route in host["routes"]:
            operation = f"{hosts.get(route['route']['cluster'], '')}:{port}/*"
            route["decorator"] = {"operation": operation}


def _named(table: JsonObject) -> JsonObject:
    """A route table whose routes say what spans are called: ``host:port/path``, of several hosts the rule's name."""
    for host in table.get("virtual_hosts", ()):
        for route in host.get("routes", ()):
            cluster = str(route.get("route", {}).get("cluster", "")).split("|")
            if len(cluster) == 4:
                route["decorator"] = {"operation": f"{cluster[3]}:{cluster[1]}{_path(route['match'])}"}
            elif rule := _rule(route):
                port = host["name"].rpartition(":")[2]
                route["decorator"] = {"operation": f"{rule}:{port}{_path(route['match'])}"}
    return table


def _rule(route: JsonObject) -> str:
    config = route.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    return str(config).rpartition("/")[2]


def _path(match: JsonObject) -> str:
    if "prefix" in match:
        return f"{match['prefix']}*"
    if "path" in match:
        return str(match["path"])
    return str(match.get("safe_regex", {}).get("regex", "/*"))
