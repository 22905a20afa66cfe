"""Reads what Envoy's admin interface tells: config dumps and Prometheus pages, as the engine's records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labsupport.controlplane.encode import ORDER, TYPE_URLS, XdsType, resource_name
from labsupport.records import EnvoyConfig, Sample

__all__ = ["Update", "proxy_config", "samples", "updates"]

# Part of the config dump, and the field of one resource in it; dumps of scoped routes nest one level deeper.
_PARTS: Mapping[XdsType, tuple[str, str, str]] = {
    "CDS": ("ClustersConfigDump", "dynamic_active_clusters", "cluster"),
    "EDS": ("EndpointsConfigDump", "dynamic_endpoint_configs", "endpoint_config"),
    "LDS": ("ListenersConfigDump", "dynamic_listeners", "listener"),
    "RDS": ("RoutesConfigDump", "dynamic_route_configs", "route_config"),
}
_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def _listed(dump: Mapping[str, Any], kind: XdsType) -> Iterator[Mapping[str, Any]]:
    part, listed, _ = _PARTS[kind]
    for section in dump["configs"]:
        if section["@type"].endswith(f".{part}"):
            yield from section.get(listed, ())


def _entries(dump: Mapping[str, Any], kind: XdsType, *, warming: bool) -> Iterator[tuple[Mapping[str, Any], str]]:
    field = _PARTS[kind][2]
    for entry in _listed(dump, kind):
        if kind == "LDS":
            entry = entry.get("active_state") or (entry.get("warming_state") if warming else None) or {}
        if field in entry:
            yield entry[field], entry.get("version_info", "")


@dataclass(frozen=True, slots=True)
class Update:
    """What a dump says of the last update of one resource.

    Args:
        time_s: when Envoy took it in, in seconds since the epoch by the pod's clock; 0 if it does not say.
        error: why Envoy refused a later one; empty if it did not.
    """

    time_s: float
    error: str = ""


def updates(dump: Mapping[str, Any]) -> dict[tuple[XdsType, str], Update]:
    """The last update of each cluster, listener and route table; endpoints tell none."""
    updates: dict[tuple[XdsType, str], Update] = {}
    for kind, (_, _, field) in _PARTS.items():
        for entry in _listed(dump, kind):
            state = (entry.get("active_state") or entry.get("warming_state") or {}) if kind == "LDS" else entry
            failed = entry.get("error_state") or {}
            name = entry.get("name") or resource_name(state.get(field) or failed.get("failed_configuration") or {})
            time_s = _epoch(state.get("last_updated", ""))
            # A failure that a later update has made good stays in the dump of some versions of Envoy.
            counts = _epoch(failed.get("last_update_attempt", "")) >= time_s
            updates[kind, name] = Update(time_s, str(failed.get("details", "")) if counts else "")
    return updates


def _epoch(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def proxy_config(pod: str, text: str | Mapping[str, Any], *, warming: bool = True) -> EnvoyConfig:
    """Read a config dump with endpoints (``/config_dump?include_eds``).

    Args:
        pod: whose it is.
        text: the dump, as text or parsed.
        warming: count new listeners too that still wait for their route tables.
    """
    dump = json.loads(text) if isinstance(text, str) else text
    held: dict[XdsType, dict[str, Mapping[str, Any]]] = {kind: {} for kind in ORDER}
    versions: dict[str, str] = {}
    for kind in _PARTS:
        for resource, version in _entries(dump, kind, warming=warming):
            plain = {key: value for key, value in resource.items() if key != "@type"}
            name = resource_name(plain)
            if resource.get("@type", TYPE_URLS[kind]) == TYPE_URLS[kind] and name != "xds-grpc":
                held[kind][name] = plain
                # Versions count up; the newest of a type's resources is the one in force.
                if version.isdigit():
                    versions[kind] = str(max(int(version), int(versions.get(kind, "0"))))
        # Istiod sends changes only (delta xDS), with one version for the type as a whole.
        whole = (
            config.get("version_info") for config in dump["configs"] if config["@type"].endswith(f".{_PARTS[kind][0]}")
        )
        if kind not in versions and (common := next(whole, None)):
            versions[kind] = str(common)
    return EnvoyConfig(
        pod,
        clusters=held["CDS"],
        listeners=held["LDS"],
        routes=held["RDS"],
        endpoints=held["EDS"],
        versions=versions,
    )


def samples(pod: str, page: str) -> Iterator[Sample]:
    """Read a Prometheus page.

    Args:
        pod: whose statistics it tells.
        page: text format of Prometheus.
    """
    for line in page.splitlines():
        match = None if line.startswith("#") else _LINE.match(line)
        if match is None:
            continue
        labels = {
            key: re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), value)
            for key, value in _LABEL.findall(match[2] or "")
        }
        yield Sample(pod, match[1], labels, float(match[3]))
