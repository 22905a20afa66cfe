"""Tables as kubectl prints them: the columns that the API server has for each kind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from labsupport.records import Json, JsonObject

__all__ = ["age", "at", "partial", "table"]

_Cell = Callable[[JsonObject], Any]
_Column = tuple[str, int, _Cell]
"""Name, priority (1: with ``-o wide`` only), and what stands in it."""


def age(since: str) -> str:
    """How long ago a time was, as kubectl shows it.

    Args:
        since: the time, as the API writes it.
    """
    if not since:
        return "<unknown>"
    seconds = max(int(time.time() - datetime.fromisoformat(since).timestamp()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if days < 2:
        return f"{hours}h"
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"


def at(content: Json, path: str) -> Json:
    """A field of an object by its path, such as ``spec.type``; None where there is none.

    Args:
        content: the object.
        path: names with dots between them.
    """
    for name in path.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _field(path: str) -> _Cell:
    """A column of a CRD: lists are shown as JSON."""

    def cell(content: JsonObject) -> Json:
        value = at(content, path)
        if value is None:
            return ""
        return json.dumps(value, separators=(",", ":")) if isinstance(value, list | dict) else value

    return cell


def _addresses(gateway: JsonObject) -> str:
    return ",".join(item["value"] for item in at(gateway, "status.addresses") or ())


def _condition(name: str) -> _Cell:
    """The status of a condition."""
    return lambda content: next(
        (item["status"] for item in at(content, "status.conditions") or () if item["type"] == name), ""
    )


def _count(path: str) -> _Cell:
    return lambda content: len(at(content, path) or ())


def _number(path: str) -> _Cell:
    return lambda content: at(content, path) or 0


def _labels(labels: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def _containers(field: str) -> _Cell:
    def cell(content: JsonObject) -> str:
        return ",".join(str(entry.get(field, "")) for entry in at(content, "spec.template.spec.containers") or ())

    return cell


def _statuses(pod: JsonObject) -> list[JsonObject]:
    """What runs: containers, and init containers that go on as sidecars do."""
    status = pod.get("status") or {}
    first = [entry for entry in status.get("initContainerStatuses") or () if "terminated" not in entry["state"]]
    return [*first, *(status.get("containerStatuses") or ())]


def _pod_ready(pod: JsonObject) -> str:
    statuses = _statuses(pod)
    return f"{sum(entry['ready'] for entry in statuses)}/{len(statuses)}"


def _pod_status(pod: JsonObject) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    waiting = [entry["state"]["waiting"]["reason"] for entry in _statuses(pod) if "waiting" in entry["state"]]
    return waiting[0] if waiting else str(at(pod, "status.phase"))


def _service_ports(service: JsonObject) -> str:
    ports = at(service, "spec.ports") or ()
    shown = (
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in ports
    )
    return ",".join(shown) or "<none>"


def _external(service: JsonObject) -> str:
    addresses = [entry.get("ip") or entry.get("hostname") for entry in at(service, "status.loadBalancer.ingress") or ()]
    addresses += at(service, "spec.externalIPs") or []
    if addresses:
        return ",".join(addresses)
    return "<pending>" if at(service, "spec.type") == "LoadBalancer" else "<none>"


def _event_object(event: JsonObject) -> str:
    about = event["involvedObject"]
    return f"{about['kind'].lower()}/{about['name']}"


def _slice_ports(content: JsonObject) -> str:
    return ",".join(str(port["port"]) for port in content["ports"]) or "<unset>"


def _slice_endpoints(content: JsonObject) -> str:
    addresses = [address for endpoint in content["endpoints"] for address in endpoint["addresses"]]
    return ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "") or "<unset>"


_NAME: _Column = ("Name", 0, _field("metadata.name"))
_AGE: _Column = ("Age", 0, lambda content: age(at(content, "metadata.creationTimestamp") or ""))
_TEMPLATE: tuple[_Column, ...] = (
    ("Containers", 1, _containers("name")),
    ("Images", 1, _containers("image")),
    ("Selector", 1, lambda content: _labels(at(content, "spec.selector.matchLabels"))),
)
_COLUMNS: Final[dict[str, tuple[_Column, ...]]] = {
    "ConfigMap": (_NAME, ("Data", 0, _count("data")), _AGE),
    "Deployment": (
        _NAME,
        ("Ready", 0, lambda content: f"{_number('status.readyReplicas')(content)}/{_number('spec.replicas')(content)}"),
        ("Up-to-date", 0, _number("status.updatedReplicas")),
        ("Available", 0, _number("status.availableReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    "DestinationRule": (_NAME, ("Host", 0, _field("spec.host")), _AGE),
    "EndpointSlice": (
        _NAME,
        ("AddressType", 0, _field("addressType")),
        ("Ports", 0, _slice_ports),
        ("Endpoints", 0, _slice_endpoints),
        _AGE,
    ),
    "Event": (
        ("Last Seen", 0, lambda content: age(content.get("lastTimestamp") or "")),
        ("Type", 0, _field("type")),
        ("Reason", 0, _field("reason")),
        ("Object", 0, _event_object),
        ("Subobject", 1, _field("involvedObject.fieldPath")),
        ("Source", 1, lambda content: f"{at(content, 'source.component')}, {at(content, 'source.host')}"),
        ("Message", 0, _field("message")),
        ("First Seen", 1, lambda content: age(content.get("firstTimestamp") or "")),
        ("Count", 1, _number("count")),
        ("Name", 1, _field("metadata.name")),
    ),
    "Namespace": (_NAME, ("Status", 0, _field("status.phase")), _AGE),
    "Pod": (
        _NAME,
        ("Ready", 0, _pod_ready),
        ("Status", 0, _pod_status),
        ("Restarts", 0, lambda content: str(sum(entry["restartCount"] for entry in _statuses(content)))),
        _AGE,
        ("IP", 1, lambda content: at(content, "status.podIP") or "<none>"),
        ("Node", 1, _field("spec.nodeName")),
        ("Nominated Node", 1, lambda content: "<none>"),
        ("Readiness Gates", 1, lambda content: "<none>"),
    ),
    "ReplicaSet": (
        _NAME,
        ("Desired", 0, _number("spec.replicas")),
        ("Current", 0, _number("status.replicas")),
        ("Ready", 0, _number("status.readyReplicas")),
        _AGE,
        *_TEMPLATE,
    ),
    "Secret": (_NAME, ("Type", 0, _field("type")), ("Data", 0, _count("data")), _AGE),
    "Service": (
        _NAME,
        ("Type", 0, _field("spec.type")),
        ("Cluster-IP", 0, lambda content: at(content, "spec.clusterIP") or "<none>"),
        ("External-IP", 0, _external),
        ("Port(s)", 0, _service_ports),
        _AGE,
        ("Selector", 1, lambda content: _labels(at(content, "spec.selector"))),
    ),
    "ServiceAccount": (_NAME, ("Secrets", 0, _count("secrets")), _AGE),
    "ServiceEntry": (
        _NAME,
        ("Hosts", 0, _field("spec.hosts")),
        ("Location", 0, _field("spec.location")),
        ("Resolution", 0, _field("spec.resolution")),
        _AGE,
    ),
    "KubernetesGateway": (
        _NAME,
        ("Class", 0, _field("spec.gatewayClassName")),
        ("Address", 0, _addresses),
        ("Programmed", 0, _condition("Programmed")),
        _AGE,
    ),
    "GatewayClass": (
        _NAME,
        ("Controller", 0, _field("spec.controllerName")),
        ("Accepted", 0, _condition("Accepted")),
        _AGE,
        ("Description", 1, _field("spec.description")),
    ),
    "HTTPRoute": (_NAME, ("Hostnames", 0, _field("spec.hostnames")), _AGE),
    "GRPCRoute": (_NAME, ("Hostnames", 0, _field("spec.hostnames")), _AGE),
    "VirtualService": (_NAME, ("Gateways", 0, _field("spec.gateways")), ("Hosts", 0, _field("spec.hosts")), _AGE),
}


def table(
    kind: str, contents: Iterable[JsonObject], *, version: str, include: str = "Metadata", header: bool = True
) -> JsonObject:
    """Objects as a table.

    Args:
        kind: of the objects.
        contents: the objects.
        version: resource version of the list.
        include: what of each object goes with its row: ``None``, ``Metadata`` or ``Object``.
        header: whether the columns are described; later rows of a watch leave that out.
    """
    columns: Sequence[_Column] = _COLUMNS.get(kind, (_NAME, _AGE))
    described = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" and not priority else "",
            "description": "",
            "priority": priority,
        }
        for name, priority, _ in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": described if header else [],
        "rows": [
            {"cells": [cell(content) for _, _, cell in columns], **_object(content, include)} for content in contents
        ],
    }


def _object(content: JsonObject, include: str) -> JsonObject:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": content}
    return {"object": partial(content)}


def partial(content: JsonObject) -> JsonObject:
    """What lists and tables give of an object that shows itself elsewhere: its metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": content["metadata"]}
