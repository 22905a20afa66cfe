"""Reads what Envoy's admin interface tells: config dumps and Prometheus pages, as the engine's records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from labsupport.engine.base import ProxyConfig, Sample
from labsupport.mesh.encode import ORDER, TYPE_URLS, XdsType, resource_name

__all__ = ["proxy_config", "samples"]

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


def _entries(dump: Mapping[str, Any], kind: XdsType) -> Iterator[tuple[Mapping[str, Any], str]]:
    part, listed, field = _PARTS[kind]
    for section in dump["configs"]:
        if not section["@type"].endswith(f".{part}"):
            continue
        for entry in section.get(listed, ()):
            if kind == "LDS":
                entry = entry.get("active_state") or entry.get("warming_state") or {}
            if field in entry:
                yield entry[field], entry.get("version_info", "")


def proxy_config(pod: str, text: str) -> ProxyConfig:
    """Read a config dump with endpoints (``/config_dump?include_eds``).

    Args:
        pod: whose it is.
        text: the dump.
    """
    dump = json.loads(text)
    held: dict[XdsType, dict[str, Mapping[str, Any]]] = {kind: {} for kind in ORDER}
    versions: dict[str, str] = {}
    for kind in _PARTS:
        for resource, version in _entries(dump, kind):
            plain = {key: value for key, value in resource.items() if key != "@type"}
            name = resource_name(plain)
            if resource.get("@type", TYPE_URLS[kind]) == TYPE_URLS[kind] and name != "xds-grpc":
                held[kind][name] = plain
                # Versions count up; the newest of a type's resources is the one in force.
                if version.isdigit():
                    versions[kind] = str(max(int(version), int(versions.get(kind, "0"))))
        # Istiod sends changes only (delta xDS), with one version for the type as a whole.
        whole = (one.get("version_info") for one in dump["configs"] if one["@type"].endswith(f".{_PARTS[kind][0]}"))
        if kind not in versions and (version := next(whole, None)):
            versions[kind] = str(version)
    return ProxyConfig(
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
            key: re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), value)
            for key, value in _LABEL.findall(match[2] or "")
        }
        yield Sample(pod, match[1], labels, float(match[3]))
