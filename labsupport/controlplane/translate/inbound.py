"""The ports on which a sidecar takes calls for its own pod: of its services, or of a Sidecar's ``ingress``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.controlplane.registry.services import UNSPECIFIED, RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.names import origin_metadata
from labsupport.controlplane.translate.targets import PortTarget, service_targets
from labsupport.model.kinds.sidecar import Sidecar
from labsupport.model.protocols import parse
from labsupport.records import JsonObject

__all__ = ["InboundPort", "inbound_ports"]

_LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class InboundPort:
    """One port that a pod takes calls on.

    Args:
        number: the pod's own port.
        port: the service port in front of it.
        services: the services that lead there with this service port.
        bind: address that is listened on.
        endpoint: where calls go instead of to where they were meant to; None without ``defaultEndpoint``.
        metadata: the Sidecar object it comes from.
        bind_to_port: whether it has a socket of its own, instead of what iptables redirects.
    """

    number: int
    port: RegistryPort
    services: Sequence[ServiceRecord]
    bind: str = UNSPECIFIED
    endpoint: tuple[str, int] | None = None
    metadata: JsonObject | None = None
    bind_to_port: bool = False


def inbound_ports(context: Context) -> list[InboundPort]:
    """The ports of a sidecar's pod, by number."""
    sidecar = context.scope.sidecar
    targets = service_targets(context)
    if sidecar is not None and sidecar.spec.ingress:
        return sorted(_ingress(context, sidecar, targets), key=lambda port: port.number)
    by_number: dict[int, list[PortTarget]] = {}
    for target in targets:
        by_number.setdefault(target.target_port, []).append(target)
    ports = []
    for number, group in sorted(by_number.items()):
        first = group[0]
        services = {
            target.service.hostname: target.service
            for target in reversed(group)
            if target.port.number == first.port.number
        }
        ports.append(InboundPort(number, first.port, list(reversed(services.values()))))
    return ports


def _ingress(context: Context, sidecar: Sidecar, targets: Sequence[PortTarget]) -> list[InboundPort]:
    by_number: dict[int, InboundPort] = {}
    for listener in sidecar.spec.ingress:
        number = listener.port.number
        port = RegistryPort(listener.port.name, number, parse(listener.port.protocol))
        service = next((target.service for target in targets if target.target_port == number), None)
        if number in by_number:
            continue
        by_number[number] = InboundPort(
            number=number,
            port=port,
            services=[service] if service is not None else [],
            bind=listener.bind or context.pod.ip,
            endpoint=_endpoint(context, listener.default_endpoint),
            metadata=origin_metadata("Sidecar", context.namespace, sidecar.name),
            bind_to_port=listener.capture_mode == "NONE",
        )
    return list(by_number.values())


def _endpoint(context: Context, text: str) -> tuple[str, int] | None:
    """``defaultEndpoint``: a port of localhost, of the pod's own address (0.0.0.0, [::]), or a Unix domain socket."""
    if not text:
        return None
    if text.startswith("unix://"):
        return text, 0
    host, _, port = text.rpartition(":")
    # Without a host, calls go where they were meant to.
    if not (host and port.isdigit()):
        return None
    return {UNSPECIFIED: context.pod.ip, "[::]": "::1"}.get(host, _LOCALHOST), int(port)
