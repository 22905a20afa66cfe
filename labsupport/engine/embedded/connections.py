"""What a pod's program calls by a name and a port where its sidecar passes connections on instead of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from labsupport.controlplane.proxies import ProxyResources
from labsupport.controlplane.registry.services import UNSPECIFIED, RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.tables import catch_all, route_config, service_names
from labsupport.engine.embedded.envoy import captured
from labsupport.engine.embedded.envoy.captured import Address
from labsupport.model.protocols import is_http
from labsupport.records import JsonObject

__all__ = ["Called", "called", "called_by_name", "with_requests"]


@dataclass(frozen=True, slots=True)
class Called:
    """A port of a service on which a sidecar passes connections on.

    Args:
        address: what a program connects to that has looked the service's name up.
        names: all names of the service.
        detected: whether requests are told from other connections, so that they have a route table.
    """

    address: Address
    names: Sequence[str]
    detected: bool


def called(context: Context, known: frozenset[Address]) -> list[Called]:
    """The ports of services on which a sidecar passes connections on, oldest first.

    Args:
        context: the sidecar.
        known: the addresses for which it has chains.
    """
    ports = []
    for service, port in _ports(context):
        if is_http(port.protocol) or port.protocol == "UDP":
            continue
        own = (service.address.partition("/")[0] or UNSPECIFIED, port.number)
        address = own if own in known else (UNSPECIFIED, port.number)
        if address in known:
            ports.append(Called(address, service_names(context, service), not port.protocol))
    return ports


def _ports(context: Context) -> Iterator[tuple[ServiceRecord, RegistryPort]]:
    for listener in context.scope.listeners:
        for service in listener.services:
            if listener.port:
                protocol = "" if listener.protocol == "AUTO" else listener.protocol
                yield service, RegistryPort(listener.port_name, listener.port, protocol)
            else:
                yield from ((service, port) for port in service.ports)


def called_by_name(ports: Sequence[Called]) -> Mapping[Address, Called]:
    """The same by every name and port; of two services with one name the older counts."""
    by_name: dict[Address, Called] = {}
    for port in ports:
        for name in port.names:
            by_name.setdefault((name.lower(), port.address[1]), port)
    return by_name


def with_requests(resources: ProxyResources, context: Context, ports: Sequence[Called]) -> ProxyResources:
    """Let the requests that a program gives its HTTP proxy enter connections where Istio would see nothing else.

    Args:
        resources: of the sidecar.
        context: the sidecar.
        ports: where it passes connections on.
    """
    tables = dict(resources.routes)
    for port in ports:
        if port.detected:
            continue
        number = str(port.address[1])
        table = tables.get(number) or route_config(number, [catch_all(context)])
        taken = {domain.lower() for host in table["virtual_hosts"] for domain in host["domains"]}
        domains = [name for name in port.names if name.lower() not in taken]
        if domains:
            hosts = [*table["virtual_hosts"], _host(port, domains)]
            tables[number] = {**table, "virtual_hosts": hosts}
    return replace(resources, routes=tables)


def _host(port: Called, domains: Sequence[str]) -> JsonObject:
    action = {"cluster": captured.cluster_name(port.address), "timeout": "0s"}
    route = {"name": captured.NOT_LOGGED, "match": {"prefix": "/"}, "route": action}
    return {"name": f"{domains[0]}:{port.address[1]}", "domains": list(domains), "routes": [route]}
