"""Which servers of which Gateways a gateway's pod serves on a port, and which of them a connection meets.

Follows the merging of Gateways in istiod: the oldest come first, what does not fit to those before is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from labsupport.explain.catalog import Catalog
from labsupport.explain.known import place_of
from labsupport.explain.records import Ignored
from labsupport.model import Gateway, Server
from labsupport.model.gatewayapi import ConvertedGateway
from labsupport.model.gatewayapi.listeners import MADE
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME
from labsupport.model.protocols import is_http, parse
from labsupport.records import Pod

__all__ = ["GatewayServer", "OpenPort", "gateway_label", "listener_of", "port_of"]

# Target ports of the stock ingress gateway, whose Service may not be among the objects.
_STOCK_PORTS = {80: 8080, 443: 8443}


def gateway_label(name: str) -> str:
    """How people call a Gateway.

    Args:
        name: ``namespace/name``; what stands for a listener of the Gateway API has a name of istiod.
    """
    own = name.partition("/")[2]
    return f"KubernetesGateway/{own.partition('~')[0]}" if listener_of(name) else f"Gateway/{own}"


def listener_of(name: str) -> str:
    """The listener of the Gateway API that a Gateway stands for; empty if it is one of Istio's.

    Args:
        name: ``namespace/name``.
    """
    return name.partition(f"~{MADE}~")[2]


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """One server of one Gateway.

    Args:
        gateway: ``namespace/name`` of its Gateway.
        server: as written.
        owner: its Gateway.
        namespace: of its Gateway.
        index: its number there.
    """

    gateway: str
    server: Server
    owner: Gateway
    namespace: str
    index: int

    @property
    def protocol(self) -> str:
        """Protocol of its port."""
        return parse(self.server.port.protocol)

    @property
    def passes_on(self) -> bool:
        """Whether TLS is passed on as it is."""
        return self.server.tls is not None and self.server.tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def routes_requests(self) -> bool:
        """Whether requests are routed: plain HTTP, or HTTPS that ends here."""
        ends = self.server.tls is not None and self.protocol == "HTTPS" and not self.passes_on
        return is_http(self.protocol) or ends

    @property
    def speaks_tls(self) -> bool:
        """Whether its clients speak TLS; a redirect to HTTPS does not need that."""
        return self.server.tls is not None and not is_http(self.protocol)

    @property
    def asks_certificate(self) -> bool:
        """Whether clients have to show a certificate."""
        return self.speaks_tls and self.server.tls is not None and self.server.tls.mode in ("MUTUAL", "ISTIO_MUTUAL")

    @property
    def spaced_hosts(self) -> tuple[tuple[str, str], ...]:
        """Its hosts, each behind the namespace that its rules have to be in (empty for any)."""
        hosts = []
        for text in self.server.hosts:
            space, slash, host = text.partition("/")
            if not slash:
                hosts.append(("", text))
            elif space == "*" and host == "*":
                return (("", "*"),)
            else:
                hosts.append(({".": self.namespace, "*": ""}.get(space, space), host))
        return tuple(hosts)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The server names (SNI) it is for."""
        return tuple(host for _, host in self.spaced_hosts)

    @property
    def open_hosts(self) -> tuple[str, ...]:
        """Its hosts, in lower case, for which rules of any namespace count."""
        return tuple(host.lower() for space, host in self.spaced_hosts if not space)

    def hosts_for(self, namespace: str) -> list[str]:
        """Its hosts that rules of a namespace may be bound to."""
        return [host for space, host in self.spaced_hosts if space in ("", namespace)]


@dataclass(slots=True)
class OpenPort:
    """What listens on one port of a gateway.

    Args:
        plain: servers whose clients speak no TLS, all HTTP or all of one other protocol.
        secure: servers whose clients speak TLS, told apart by server name.
        ignored: servers that do not fit to those before.
    """

    plain: list[GatewayServer] = field(default_factory=list)
    secure: list[GatewayServer] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)

    @property
    def listens(self) -> bool:
        """Whether anything listens at all."""
        return bool(self.plain or self.secure)


def port_of(catalog: Catalog, gateway: Pod, number: int) -> OpenPort:
    """The servers behind a port of the gateway's Service.

    Args:
        catalog: what there is.
        gateway: the gateway's pod.
        number: the port.
    """
    port = OpenPort()
    taken: set[tuple[str, str]] = set()
    tables: set[tuple[str, ...]] = set()
    for entrance in _selected(catalog, gateway, number):
        server = entrance.server
        if server.tls is not None:
            # Hosts of servers with a tls block, redirects included, are taken once per address.
            names = {(_spaced(space, host), server.bind) for space, host in entrance.spaced_hosts}
            if names & taken:
                _leave_out(port, entrance, "one of its hosts is taken by an older server of this port")
                continue
            taken |= names
        if port.plain:
            first = port.plain[0]
            fits = is_http(entrance.protocol) and is_http(first.protocol)
            if not fits:
                reason = f"an older server makes this port {first.server.port.protocol}"
                _leave_out(port, entrance, reason)
                continue
            port.plain.append(entrance)
        elif not entrance.speaks_tls:
            port.plain.append(entrance)
        else:
            table = (str(server.port.number), server.port.name, entrance.gateway, server.bind)
            if entrance.routes_requests and table in tables:
                _leave_out(port, entrance, "its Gateway has an older server with this port name")
                continue
            tables.add(table)
            port.secure.append(entrance)
    return port


def _leave_out(port: OpenPort, entrance: GatewayServer, reason: str) -> None:
    place = place_of(entrance.owner, f"spec.servers[{entrance.index}]")
    what = f"server {entrance.index + 1} of it"
    if isinstance(entrance.owner, ConvertedGateway):
        what = f"its listener {entrance.owner.section.name}"
    port.ignored.append(Ignored(gateway_label(entrance.gateway), f"{what}: {reason}", place))


def _spaced(space: str, host: str) -> str:
    return f"{space}/{host}" if space else host


def _selected(catalog: Catalog, gateway: Pod, number: int) -> Iterator[GatewayServer]:
    listen = _listen_ports(catalog, gateway)
    wanted = listen.get(number, number)
    for owner in _for_pod(catalog, gateway):
        namespace = catalog.namespace_of(owner)
        for index, server in enumerate(owner.spec.servers):
            # A listener of the Gateway API is reached by its own port, and by no other.
            own = isinstance(owner, ConvertedGateway)
            if server.port.number == number if own else listen.get(server.port.number, server.port.number) == wanted:
                yield GatewayServer(f"{namespace}/{owner.name}", server, owner, namespace, index)


def _for_pod(catalog: Catalog, gateway: Pod) -> list[Gateway]:
    """The Gateways that a pod serves: of Istio's those that select it, of the Gateway API's the one it was made for.

    A pod that was made for one serves none of Istio's from another namespace.
    """
    made_for = gateway.labels.get(GATEWAY_NAME)
    chosen: list[Gateway] = []
    for owner in catalog.gateways:
        if isinstance(owner, ConvertedGateway):
            section = owner.section
            fits = section.managed and (section.gateway, section.namespace) == (made_for, gateway.namespace)
        else:
            fits = owner.spec.selector.items() <= gateway.labels.items()
        chosen += [owner] if fits else []
    strict = any(isinstance(owner, ConvertedGateway) for owner in chosen)
    return [owner for owner in chosen if not strict or catalog.namespace_of(owner) == gateway.namespace]


def _listen_ports(catalog: Catalog, gateway: Pod) -> dict[int, int]:
    """Ports of the gateway's Services, with the ports of its pod behind them."""
    ports: dict[int, int] = {}
    for service in catalog.kubernetes_services:
        selector = service.spec.selector
        same = catalog.namespace_of(service) == gateway.namespace
        if same and selector and selector.items() <= gateway.labels.items():
            for port in service.spec.ports:
                target = port.target_port
                ports.setdefault(port.port, target if isinstance(target, int) and target else port.port)
    # A pod that was made for a Gateway listens on the very ports that its Service has.
    return ports or ({} if GATEWAY_NAME in gateway.labels else _STOCK_PORTS)
