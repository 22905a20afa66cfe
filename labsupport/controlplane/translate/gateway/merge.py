"""Which servers of which Gateways a gateway's pod serves, and which of them share a port.

Follows the rules of the Gateway documentation: the oldest comes first; plain HTTP servers of one port share a listener
and a route table; TLS servers are told apart by server name; what does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.targets import PortTarget, service_targets
from labsupport.model.gatewayapi import ConvertedGateway
from labsupport.model.kinds.gateway import Gateway, Server, ServerTLSSettings
from labsupport.model.protocols import is_http, parse

__all__ = ["Merged", "MergedServer", "ServerPort", "merge_servers"]

_KEEP_PORT = "experimental.istio.io/disable-gateway-port-translation"


@dataclass(frozen=True, eq=False)
class MergedServer:
    """One server of one Gateway.

    Args:
        spec: as written.
        gateway: ``namespace/name`` of its Gateway.
        hosts: with the namespaces in front of them resolved.
    """

    spec: Server
    gateway: str
    hosts: tuple[str, ...]

    @property
    def protocol(self) -> str:
        """Protocol of its port."""
        return parse(self.spec.port.protocol)

    @property
    def tls(self) -> ServerTLSSettings | None:
        """Its ``tls`` block."""
        return self.spec.tls

    @property
    def passthrough(self) -> bool:
        """Whether TLS is passed on as it is."""
        return self.tls is not None and self.tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def terminates_https(self) -> bool:
        """Whether it is an HTTPS server that ends TLS here."""
        return self.tls is not None and self.protocol == "HTTPS" and not self.passthrough

    @property
    def is_http(self) -> bool:
        """Whether requests are routed: plain HTTP, or HTTPS that ends here."""
        return is_http(self.protocol) or self.terminates_https

    @property
    def is_tls(self) -> bool:
        """Whether it is a TLS server; a redirect to HTTPS is none."""
        return self.tls is not None and not is_http(self.protocol)

    @property
    def redirects(self) -> bool:
        """Whether plain HTTP is sent to HTTPS."""
        return self.tls is not None and bool(self.tls.https_redirect)

    @property
    def server_names(self) -> tuple[str, ...]:
        """SNI hosts, sorted."""
        return tuple(sorted({host.rpartition("/")[2] for host in self.hosts})) if self.tls is not None else ()


ServerPort = tuple[int, str, str]
"""Port number, protocol as written, and bind address of a listener."""


@dataclass(slots=True)
class _Port:
    servers: list[MergedServer]
    table: str = ""


@dataclass(slots=True)
class Merged:
    """All servers of a gateway's pod.

    Args:
        ports: listeners in order, with their servers and, for plain HTTP, the route table.
        tables: servers by the name of their route table.
        tls_tables: route table of each server that ends TLS.
    """

    ports: dict[ServerPort, _Port] = field(default_factory=dict)
    tables: dict[str, list[MergedServer]] = field(default_factory=dict)
    tls_tables: dict[int, str] = field(default_factory=dict)
    plain: dict[int, ServerPort] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    tls_hosts: dict[int, dict[str, str]] = field(default_factory=dict)
    tls_binds: dict[int, set[str]] = field(default_factory=dict)

    def add(self, server: MergedServer, number: int, table: str) -> None:
        """Take in one server on one port, unless it conflicts with one that is there."""
        spec = server.spec
        if server.tls is not None:
            known = self.tls_hosts.setdefault(number, {})
            if duplicate_hosts(server.hosts, spec.bind, known):
                return
            self.tls_tables[id(server)] = table
        port: ServerPort = (number, spec.port.protocol, spec.bind)
        if number not in self.seen:
            self.seen.add(number)
            self._start(server, port, table)
        elif number in self.plain:
            self._join(server, port, table)
        elif not server.is_tls:
            self.plain[number] = port
            if server.is_http:
                self.tables[table] = [server]
            self.ports[port] = _Port([server], table)
        else:
            self._join_tls(server, port, table)

    def _start(self, server: MergedServer, port: ServerPort, table: str) -> None:
        if not server.is_tls:
            self.plain[port[0]] = port
        if server.is_http:
            self.tables[table] = [server]
        self.ports[port] = _Port([server], table)

    def _join(self, server: MergedServer, port: ServerPort, table: str) -> None:
        current = self.plain[port[0]]
        same_bind = current[2] == port[2]
        if same_bind:
            running = parse(current[1])
            fits = (is_http(server.protocol) or server.protocol == running) and is_http(running)
            if not fits or not table:
                return
            self.ports[current].servers.append(server)
            self.tables.setdefault(table, []).append(server)
        elif port not in self.ports:
            self._start(server, port, table)
        else:
            self.ports[port].table = table
            self.ports[port].servers.append(server)
            self.tables.setdefault(table, []).append(server)

    def _join_tls(self, server: MergedServer, port: ServerPort, table: str) -> None:
        number = port[0]
        if server.is_http:
            if not table or table in self.tables:
                return
            self.tables[table] = [server]
        self.tls_binds.setdefault(number, set()).add(port[2])
        if port in self.ports:
            self.ports[port].servers.append(server)
        else:
            self.ports[port] = _Port([server])


def duplicate_hosts(hosts: Sequence[str], bind: str, known: dict[str, str]) -> bool:
    """Whether one of the hosts is taken on the same address; if not, all of them are taken from now on."""
    if any(known.get(host) == bind for host in hosts):
        return True
    known.update(dict.fromkeys(hosts, bind))
    return False


def merge_servers(context: Context) -> Merged:
    """Merge the servers of all Gateways that select a gateway's pod, oldest first."""
    merged = Merged()
    targets = service_targets(context)
    chosen = [
        gateway
        for gateway in context.registry.gateways
        if (_own_targets(gateway, targets) if isinstance(gateway, ConvertedGateway) else _selects(gateway, context))
    ]
    for gateway in _strictly(chosen):
        for spec in gateway.spec.servers:
            server = MergedServer(spec, f"{gateway.namespace}/{gateway.name}", _hosts(spec.hosts, gateway.namespace))
            for number in _ports(spec.port.number, gateway, targets):
                merged.add(server, number, _table(server, number, gateway))
    return merged


def _selects(gateway: Gateway, context: Context) -> bool:
    return gateway.spec.selector.items() <= dict(context.labels).items()


def _own_targets(gateway: ConvertedGateway, targets: Sequence[PortTarget]) -> list[PortTarget]:
    """What the pod serves of the Services that a listener is for."""
    services, namespace = gateway.section.services, gateway.namespace
    return [item for item in targets if item.service.hostname in services and item.service.namespace == namespace]


def _strictly(gateways: Sequence[Gateway]) -> list[Gateway]:
    """Pods of the Gateway API serve no Istio Gateway of other namespaces, which could show their certificates."""
    own = {item.namespace for item in gateways if isinstance(item, ConvertedGateway) and item.section.managed}
    return [item for item in gateways if not own or isinstance(item, ConvertedGateway) or item.namespace in own]


def _hosts(hosts: Sequence[str], namespace: str) -> tuple[str, ...]:
    resolved = []
    for text in hosts:
        space, slash, host = text.partition("/")
        if not slash:
            resolved.append(text)
        elif space == ".":
            resolved.append(f"{namespace}/{host}")
        elif space == "*":
            if host == "*":
                return ("*",)
            resolved.append(host)
        else:
            resolved.append(text)
    return tuple(resolved)


def _ports(number: int, gateway: Gateway, targets: Sequence[PortTarget]) -> list[int]:
    """The port the pod listens on: the target port of its Service, or else the number itself.

    A listener of the Gateway API has no port unless its Service has it.
    """
    if isinstance(gateway, ConvertedGateway):
        return sorted({item.target_port for item in _own_targets(gateway, targets) if item.port.number == number})
    for target in targets:
        if _KEEP_PORT not in target.service.labels and target.port.number == number:
            return [target.target_port]
    return [number]


def _table(server: MergedServer, number: int, gateway: Gateway) -> str:
    bind = f".{server.spec.bind}" if server.spec.bind else ""
    if is_http(server.protocol):
        return f"http.{number}{bind}"
    if server.protocol == "HTTPS" and not server.passthrough:
        port = server.spec.port
        return f"https.{port.number}.{port.name}.{gateway.name}.{gateway.namespace}{bind}"
    return ""
