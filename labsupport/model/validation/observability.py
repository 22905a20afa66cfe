"""istiod's verdicts on Telemetry, ProxyConfig, WorkloadGroup, EnvoyFilter and the kinds of extensions.istio.io."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.kinds.extensions import TrafficExtensionSpec, WasmPluginSpec
from labsupport.model.kinds.proxies import EnvoyConfigObjectPatch, EnvoyFilterSpec, ProxyConfigSpec, WorkloadGroupSpec
from labsupport.model.kinds.telemetry import ProviderRef, TelemetrySpec
from labsupport.model.schema.syntax import regex_problem
from labsupport.model.validation.cel import expression_problem
from labsupport.model.validation.common import check_workload_labels, check_workload_selector
from labsupport.model.validation.envoymessage import MESSAGES, read_message
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.security import check_attachment, check_targets

__all__ = [
    "check_envoy_filter",
    "check_extension",
    "check_proxy_config",
    "check_telemetry",
    "check_workload_group",
]

_LISTENER_KINDS = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER")
_ROUTE_KINDS = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_CONNECTION_MANAGERS = ("envoy.filters.network.http_connection_manager", "envoy.http_connection_manager")


def check_telemetry(spec: TelemetrySpec, found: Findings) -> None:
    """Check a Telemetry.

    Args:
        spec: its spec.
        found: where findings go.
    """
    check_attachment(spec, found)
    for index, metrics in enumerate(spec.metrics):
        path = f"spec.metrics[{index}]"
        _providers(metrics.providers, path, found)
        for number, override in enumerate(metrics.overrides):
            place = f"{path}.overrides[{number}].tagOverrides"
            if "" in override.tag_overrides:
                found.warn(place, "a tag has no name")
            for name, change in override.tag_overrides.items():
                if (change.operation == "UPSERT") != bool(change.value):
                    found.error(f"{place}.{name}", "UPSERT needs a value, REMOVE takes none")
    if len(spec.tracing) > 1:
        found.warn("spec.tracing", "only one entry is supported")
    for index, tracing in enumerate(spec.tracing):
        path = f"spec.tracing[{index}]"
        if len(tracing.providers) > 1:
            found.warn(f"{path}.providers", "only one provider is supported")
        _providers(tracing.providers, path, found)
        if "" in tracing.custom_tags:
            found.error(f"{path}.customTags", "a tag has no name")
    for index, logging in enumerate(spec.access_logging):
        path = f"spec.accessLogging[{index}]"
        if logging.filter is not None:
            found.error(f"{path}.filter.expression", expression_problem(logging.filter.expression))
        _providers(logging.providers, path, found)


def _providers(providers: Sequence[ProviderRef], path: str, found: Findings) -> None:
    if any(not provider.name for provider in providers):
        found.error(f"{path}.providers", "a provider has no name")


def check_proxy_config(spec: ProxyConfigSpec, found: Findings) -> None:
    """Check a ProxyConfig.

    Args:
        spec: its spec.
        found: where findings go.
    """
    check_workload_selector(spec.selector, "spec.selector", found)


def check_workload_group(spec: WorkloadGroupSpec, found: Findings) -> None:
    """Check a WorkloadGroup.

    Args:
        spec: its spec.
        found: where findings go.
    """
    if spec.template is None:
        found.error("spec.template", "is required")
        return
    if spec.metadata is not None:
        before = len(found.errors)
        found.label_map("spec.metadata.labels", spec.metadata.labels)
        if len(found.errors) > before:
            return
    probe = spec.probe
    if probe is None:
        return
    if probe.http_get is None and probe.tcp_socket is None and probe.exec is None:
        found.error("spec.probe", "needs httpGet, tcpSocket or exec")
    elif probe.exec is not None and not probe.exec.command:
        found.error("spec.probe.exec.command", "must not be empty")
    elif probe.http_get is not None:
        for index, header in enumerate(probe.http_get.http_headers):
            if not header.name or "_" in header.name:
                place = f"spec.probe.httpGet.httpHeaders[{index}].name"
                found.error(place, "must be letters, digits and hyphens")


def check_extension(spec: WasmPluginSpec | TrafficExtensionSpec, found: Findings) -> None:
    """Check a WasmPlugin or a TrafficExtension.

    Args:
        spec: its spec.
        found: where findings go.
    """
    check_workload_selector(spec.selector, "spec.selector", found)
    check_targets(spec.target_refs, "spec.targetRefs", found)
    if isinstance(spec, WasmPluginSpec):
        check_targets([spec.target_ref], "spec.targetRef", found)


def check_envoy_filter(spec: EnvoyFilterSpec, found: Findings) -> None:
    """Check an EnvoyFilter: that every value is a message of Envoy's API, not what Envoy will say to it.

    Args:
        spec: its spec.
        found: where findings go.
    """
    if not check_workload_labels(spec.workload_selector, "spec.workloadSelector", found):
        return
    found.warn("spec", "an EnvoyFilter depends on inner details of Istio that may change with every version")
    if spec.workload_selector is not None and not spec.workload_selector.labels:
        found.warn("spec.workloadSelector", "has no labels, so it is for every workload of the namespace")
    for index, patch in enumerate(spec.config_patches):
        if patch.match is None or patch.match.context != "WAYPOINT":
            _patch(patch, f"spec.configPatches[{index}]", found)


def _patch(entry: EnvoyConfigObjectPatch, path: str, found: Findings) -> None:
    patch, match = entry.patch, entry.match
    if entry.apply_to == "INVALID":
        found.error(f"{path}.applyTo", "is required")
    elif patch is None:
        found.error(f"{path}.patch", "is required")
    elif patch.operation == "INVALID":
        found.error(f"{path}.patch.operation", "is required")
    elif patch.operation != "REMOVE" and patch.value is None:
        found.error(f"{path}.patch.value", f"is required with operation {patch.operation}")
    elif match is not None:
        version = match.proxy.proxy_version if match.proxy is not None else ""
        if len(version) > 1024:
            found.warn(f"{path}.match.proxy.proxyVersion", "is too long and will be ignored")
        elif version and regex_problem(version):
            found.error(f"{path}.match.proxy.proxyVersion", regex_problem(version))
            return
    if patch is not None and not any(issue.path.startswith(f"{path}.") for issue in found.errors):
        _match(entry, path, found)
        _value(entry, f"{path}.patch.value", found)


def _value(entry: EnvoyConfigObjectPatch, path: str, found: Findings) -> None:
    """Check the value, even of a patch that removes something and does not need it."""
    value = entry.patch.value if entry.patch is not None else None
    if value is None:
        return
    message = MESSAGES.get(entry.apply_to)
    if message is None:
        found.error(path, f"goes with no applyTo {entry.apply_to}")
        return
    reading = read_message(message, value, path)
    for place, problem in reading.errors:
        found.error(place, problem)
    if not reading.errors:
        for place, problem in reading.unknown:
            found.warn(place, problem)
        if reading.untyped:
            found.warn(path, f"has extensions without typed_config: {', '.join(reading.untyped)}")


def _match(entry: EnvoyConfigObjectPatch, path: str, found: Findings) -> None:
    match = entry.match
    if match is None:
        return
    kinds = {"listener": match.listener, "routeConfiguration": match.route_configuration, "cluster": match.cluster}
    given = [name for name, value in kinds.items() if value is not None]
    wanted = ""
    if entry.apply_to in _LISTENER_KINDS:
        wanted = "listener"
    elif entry.apply_to in _ROUTE_KINDS:
        wanted = "routeConfiguration"
    elif entry.apply_to == "CLUSTER":
        wanted = "cluster"
    if wanted and given and wanted not in given:
        found.error(f"{path}.match", f"applyTo {entry.apply_to} takes only a match of {wanted}")
        return
    chain = match.listener.filter_chain if match.listener is not None else None
    if wanted != "listener" or chain is None or chain.filter is None:
        return
    place = f"{path}.match.listener.filterChain.filter"
    if entry.apply_to in ("LISTENER", "FILTER_CHAIN"):
        found.warn(place, f"has no effect with applyTo {entry.apply_to}")
    sub = chain.filter.sub_filter
    if not chain.filter.name:
        found.error(f"{place}.name", "is required")
    elif sub is not None and entry.apply_to != "HTTP_FILTER":
        found.error(f"{place}.subFilter", "goes only with applyTo HTTP_FILTER")
    elif sub is not None and chain.filter.name not in _CONNECTION_MANAGERS:
        found.error(f"{place}.name", f"must be {_CONNECTION_MANAGERS[0]} with a subFilter")
    elif sub is not None and not sub.name:
        found.error(f"{place}.subFilter.name", "is required")
