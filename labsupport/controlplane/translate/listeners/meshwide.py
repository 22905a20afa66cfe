"""What the mesh configuration says of all listeners: access logs, path normalization, protocol detection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta

from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.controlplane.translate.listeners.chains import HTTP_INSPECTOR
from labsupport.controlplane.translate.listeners.http import CONNECTION_MANAGER
from labsupport.controlplane.translate.listeners.network import TCP_PROXY
from labsupport.controlplane.translate.names import duration
from labsupport.records import JsonObject

__all__ = ["apply_mesh_config"]

_FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_FIELDS = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}
_REQUEST_LINE = ("method", "path", "protocol")
_QUOTED = frozenset(
    {
        "upstream_transport_failure_reason",
        "x_forwarded_for",
        "user_agent",
        "request_id",
        "authority",
        "upstream_host",
    }
)
_ESCAPED_SLASHES = {"DECODE_AND_MERGE_SLASHES": "UNESCAPE_AND_FORWARD"}


def apply_mesh_config(listeners: Mapping[str, JsonObject], mesh: MeshConfig, *, gateway: bool) -> dict[str, JsonObject]:
    """Put what differs from Istio's defaults into listeners.

    Args:
        listeners: by name; they are shared, so copies are changed.
        mesh: the mesh configuration.
        gateway: whether they are those of a gateway.

    Returns:
        The listeners, the same ones if the mesh has the defaults.
    """
    log = _access_log(mesh)
    usual = mesh.path_normalization in ("DEFAULT", "BASE") and not mesh.detection_timeout
    if log is None and usual:
        return dict(listeners)
    return {name: _changed(deepcopy(listener), mesh, log, gateway) for name, listener in listeners.items()}


def _changed(listener: JsonObject, mesh: MeshConfig, log: JsonObject | None, gateway: bool) -> JsonObject:
    if mesh.detection_timeout > timedelta() and _detects(listener):
        listener["listener_filters_timeout"] = duration(mesh.detection_timeout)
    if log is not None and (gateway or listener["name"].startswith("virtual")):
        # Connections that no chain takes are told of nowhere else.
        listener["access_log"] = [{**log, "filter": {"response_flag_filter": {"flags": ["NR"]}}}]
    chains = [*listener.get("filter_chains", ()), *filter(None, [listener.get("default_filter_chain")])]
    for chain in chains:
        if chain.get("name", "").endswith("-blackhole"):
            continue
        for network_filter in chain["filters"]:
            config = network_filter["typed_config"]
            if network_filter["name"] == CONNECTION_MANAGER:
                _normalize_paths(config, mesh.path_normalization)
            if log is not None and network_filter["name"] in (CONNECTION_MANAGER, TCP_PROXY):
                config["access_log"] = [log]
    return listener


def _detects(listener: JsonObject) -> bool:
    """Whether the listener looks at the first bytes of a connection to see if they are HTTP."""
    return "listener_filters_timeout" in listener and HTTP_INSPECTOR["name"] in {
        listener_filter["name"] for listener_filter in listener.get("listener_filters", ())
    }


def _normalize_paths(manager: JsonObject, normalization: str) -> None:
    manager["normalize_path"] = normalization != "NONE"
    if normalization in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"):
        manager["merge_slashes"] = True
    manager["path_with_escaped_slashes_action"] = _ESCAPED_SLASHES.get(normalization, "KEEP_UNCHANGED")


def _access_log(mesh: MeshConfig) -> JsonObject | None:
    """The access log of ``accessLogFile`` in Istio's default format or the given one; None without a file."""
    path, encoding, written = mesh.access_log
    if not path:
        return None
    if encoding == "JSON":
        form: JsonObject = {"json_format": _json_format(written), "json_format_options": {}}
    else:
        text = written if written.endswith("\n") else f"{written}\n"
        form = {"text_format_source": {"inline_string": text if written else _default_text()}}
    config = {"@type": _FILE_LOG, "path": path, "log_format": form}
    return {"name": "envoy.access_loggers.file", "typed_config": config}


def _json_format(written: str) -> JsonObject:
    try:
        fields = json.loads(written) if written else None
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else _FIELDS


def _default_text() -> str:
    parts = []
    for name, command in _FIELDS.items():
        if name == "start_time":
            parts.append(f"[{command}]")
        elif name == "method":
            parts.append('"' + " ".join(_FIELDS[part] for part in _REQUEST_LINE) + '"')
        elif name not in _REQUEST_LINE:
            parts.append(f'"{command}"' if name in _QUOTED else command)
    return " ".join(parts) + "\n"
