"""Statuses of objects of the Gateway API: ours and istiod's, as lines that can be compared."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labsupport.controlplane.offline.admission import documents_of, read_input
from labsupport.controlplane.offline.made_up_cluster import make_up
from labsupport.model.gatewayapi import ROUTES, Facts, status_of
from labsupport.model.gatewayapi.doorstatus import gateway_status
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway

__all__ = ["STATUSES", "THEMES", "istiods", "ours"]

STATUSES = Path(__file__).parent / "statuses"
THEMES = (
    "gatewayapi-connections",
    "gatewayapi-doors",
    "gatewayapi-grpc",
    "gatewayapi-listeners",
    "gatewayapi-mesh",
    "gatewayapi-other-doors",
    "gatewayapi-tls",
)


def istiods(text: str) -> list[str]:
    """What istiod says, through the program that ``ISTIO_ORACLE`` names."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        command = [os.environ["ISTIO_ORACLE"], "status", "-f", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return _lines((record["kind"], record["namespace"], record["name"], record["status"]) for record in records)


def ours(text: str) -> list[str]:
    """What we say, of the same objects."""
    given = read_input(documents_of(text))
    registry = make_up(given.objects, given.extra, "sidecar:nobody.nowhere").registry
    facts = Facts.of(given.objects)
    opened = {
        service.hostname: [port.number for port in service.ports if service.endpoints_of(port)]
        for service in registry.services
    }
    statuses = []
    for item in given.objects:
        if isinstance(item, ROUTES):
            parents = [
                {
                    "parentRef": entry.parent.model_dump(by_alias=True, exclude_defaults=True),
                    "conditions": entry.conditions,
                }
                for entry in status_of(item, facts)
            ]
            statuses.append((item.kind, item.namespace, item.name, {"parents": parents}))
        elif isinstance(item, KubernetesGateway):
            said = gateway_status(item, given.objects, facts, opened=opened)
            statuses.append((item.kind, item.namespace, item.name, said))
    return _lines(sorted(statuses))


def _lines(statuses: Any) -> list[str]:
    return [
        f"{kind}/{name}.{namespace} {line}"
        for kind, namespace, name, status in statuses
        if kind in ("Gateway", "HTTPRoute")
        for line in _of_status(status)
    ]


def _of_status(status: dict[str, Any]) -> Iterator[str]:
    for address in status.get("addresses", ()):
        yield f"address {address['type']} {address.get('value', '')}"
    yield from _conditions("", status)
    for listener in status.get("listeners") or ():
        kinds = ",".join(kind["kind"] for kind in listener.get("supportedKinds") or ())
        name = f"listener {listener['name']}"
        yield f"{name} takes {kinds}: {listener['attachedRoutes']}"
        yield from _conditions(f"{name} ", listener)
    for parent in status.get("parents") or ():
        reference = parent["parentRef"]
        shown = [str(reference.get(key, "")) for key in ("name", "namespace", "sectionName", "port")]
        yield from _conditions(f"parent {'/'.join(shown)} ", parent)


def _conditions(before: str, said: dict[str, Any]) -> Iterator[str]:
    for item in said.get("conditions") or ():
        # What several listeners say is joined in the order of a hash map.
        message = "; ".join(sorted(item["message"].split("; ")))
        # Go has words of its own for a certificate that it cannot read.
        message = message.partition("is malformed")[0] if "is malformed" in message else message
        yield f"{before}{item['type']} {item['status']} {item['reason']}: {message}"
