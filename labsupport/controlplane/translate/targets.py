"""The service ports that a proxy's own pod serves."""

from __future__ import annotations

from dataclasses import dataclass

from labsupport.controlplane.registry.kubernetes import target_port
from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context

__all__ = ["PortTarget", "service_targets"]


@dataclass(frozen=True, slots=True)
class PortTarget:
    """One port of one service, and the pod's own port behind it."""

    service: ServiceRecord
    port: RegistryPort
    target_port: int


def service_targets(context: Context) -> list[PortTarget]:
    """What the proxy's pod serves, oldest service first, ports in their order; equal ports once per service."""
    pod = context.pod
    targets = []
    selecting = context.registry.pod_services(pod)
    for service, resource in selecting:
        seen = set()
        by_name = {port.name: port for port in service.ports}
        for written in resource.spec.ports:
            port = by_name[written.name or ""]
            number = target_port(written, pod)
            if number is None or (number, port.protocol) in seen:
                continue
            seen.add((number, port.protocol))
            targets.append(PortTarget(service, port, number))
    targets += _entry_targets(context) if selecting else _listed_targets(context)
    age = context.registry.age
    return sorted(targets, key=lambda target: (age(target.service), target.service.hostname))


def _listed_targets(context: Context) -> list[PortTarget]:
    """Ports of services without a selector that have the pod's address among their endpoints, and of ServiceEntries."""
    return [
        *_entry_targets(context),
        *(
            PortTarget(service, port, endpoint.port)
            for service in context.registry.services
            if service.kubernetes and service.namespace == context.namespace
            for endpoint in service.endpoints
            for port in service.ports
            if endpoint.address == context.pod.ip and endpoint.port_name == port.name
        ),
    ]


def _entry_targets(context: Context) -> list[PortTarget]:
    """Ports of ServiceEntries that have the pod among their endpoints."""
    return [
        PortTarget(service, port, endpoint.port)
        for service in context.registry.services
        if not service.kubernetes
        for port in service.ports
        for endpoint in service.endpoints_of(port)
        if endpoint.address == context.pod.ip
    ]
