"""What becomes of connections that are not plain HTTP: TLS and TCP at a gateway, and in a sidecar."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport import words
from labsupport.explain.byrequest import decided
from labsupport.explain.catalog import Catalog
from labsupport.explain.certificates import lacking
from labsupport.explain.connections import ConnectionTraits, Followed, about, bound_to, follow, name_rank, written_as
from labsupport.explain.destinations import Client, reach, resolve
from labsupport.explain.draft import Draft, ProxyKind
from labsupport.explain.explanation import Explanation
from labsupport.explain.gateway import gateway_table, unbound
from labsupport.explain.known import KnownService
from labsupport.explain.matching import Viewpoint
from labsupport.explain.outcomes import either, unreached
from labsupport.explain.records import Ignored, PredictedOutcome, RoutedTo, RuleKind
from labsupport.explain.scope import ProxyKnowledge, bound_rules
from labsupport.explain.servers import GatewayServer, OpenPort
from labsupport.explain.sidecar import service_names
from labsupport.model import VirtualService
from labsupport.model.protocols import is_tls
from labsupport.records import Pod
from labsupport.urls import Target

__all__ = ["at_gateway_server", "from_sidecar"]


def at_gateway_server(
    draft: Draft,
    catalog: Catalog,
    client: Client,
    gateway: Pod,
    target: Target,
    port: OpenPort,
    certificate: bool,
) -> Explanation:
    """Explain a connection to a gateway's port that is TLS, or that meets a server which is not HTTP.

    Args:
        draft: the request.
        catalog: what there is.
        client: the gateway.
        gateway: its pod.
        target: where the URL leads.
        port: what listens there.
        certificate: whether the client shows a certificate.
    """
    way = _Gateway(draft, catalog, client, gateway, tuple(port.ignored))
    if not target.secure:
        if not port.plain:
            names = ", ".join(sorted({name for entrance in port.secure for name in entrance.server_names}))
            return way.closed(f"port {draft.port} speaks TLS, for {names}; write https://<host>/ or tls://<host>")
        if port.plain[0].routes_requests:
            return way.no_request(f"port {draft.port} speaks HTTP; write gateway:{draft.port}/")
        return way.tcp(port.plain[0])
    name = target.service
    chain = _meets(way, port.secure, name)
    if chain is None:
        if port.plain and not port.secure:
            return way.closed(f"port {draft.port} speaks no TLS: its server is {port.plain[0].server.port.protocol}")
        names = ", ".join(sorted({host for entrance in port.secure for host in entrance.server_names}))
        return way.closed(f"no server of port {draft.port} is for the server name {name}; there are {names}")
    if chain.passes_on:
        return way.tls(chain, name)
    if reason := lacking(catalog, chain.server, gateway.namespace):
        return way.closed(reason)
    if chain.asks_certificate and not certificate:
        return way.closed("the server asks for the client's certificate (MUTUAL), and the client shows none")
    if not chain.routes_requests:
        return way.tcp(chain)
    if target.scheme == "tls":
        return way.no_request(f"port {draft.port} speaks HTTP in TLS; write https://{target.authority}/")
    table = gateway_table(catalog, gateway, [chain], draft.request.host)
    return decided(draft, catalog, client, table, gateway, "gateway", way.ignored)


def _meets(way: _Gateway, servers: Sequence[GatewayServer], name: str) -> GatewayServer | None:
    """The server whose filter chain a server name leads to: the closest name counts, of equals the oldest server."""
    best: tuple[int, GatewayServer] | None = None
    for entrance in servers:
        if entrance.passes_on:
            # Here the rules name the server names, and a server without a rule for one of them has no chain.
            rank = way.passing(entrance, name)
        elif entrance.routes_requests or way.tcp_rule(entrance).routes:
            rank = max(name_rank(name, host) for host in entrance.server_names)
        else:
            rank = -1
        if rank >= 0 and (best is None or rank > best[0]):
            best = (rank, entrance)
    return best[1] if best else None


class _Gateway:
    """A gateway's port, and the connection that arrives there."""

    def __init__(self, draft: Draft, catalog: Catalog, client: Client, pod: Pod, ignored: tuple[Ignored, ...]) -> None:
        self.draft, self.catalog, self.client, self.pod, self.ignored = draft, catalog, client, pod, ignored

    def closed(self, reason: str, followed: Followed | None = None) -> Explanation:
        """The connection comes to nothing."""
        rules = followed.traces if followed is not None else ()
        return self.draft.end(
            words.sentence(f"The gateway closes the connection: {reason}"),
            "connection",
            reason,
            ignored=self.ignored,
            rules=rules,
            proxy=self.pod.name,
            proxy_kind="gateway",
        )

    def no_request(self, reason: str) -> Explanation:
        """What arrives is no HTTP, and the server speaks nothing else."""
        outcome = PredictedOutcome("direct_response", 1.0, f"the gateway answers 400: {reason}", status=400)
        hops = [self.draft.caller, f"{self.pod.name} (gateway)"]
        decision = words.sentence(f"The gateway takes it for a bad request: {reason}")
        return self.draft.explanation(
            decision, [outcome], ignored=self.ignored, proxy=self.pod.name, kind="gateway", hops=hops
        )

    def tcp(self, entrance: GatewayServer) -> Explanation:
        """By the ``tcp`` rules of a server."""
        return self._end(entrance, "tcp", self.tcp_rule(entrance))

    def tls(self, entrance: GatewayServer, name: str) -> Explanation:
        """By the ``tls`` rules of a server that passes TLS on."""
        return self._end(entrance, "tls", self._follow(entrance, "tls", name))

    def tcp_rule(self, entrance: GatewayServer) -> Followed:
        """What the ``tcp`` rules of a server decide."""
        return self._follow(entrance, "tcp", "")

    def passing(self, entrance: GatewayServer, name: str) -> int:
        """How closely one of the ``tls`` rules of a server fits a server name; -1 if none does."""
        followed = self._follow(entrance, "tls", name)
        if not followed.routes or followed.rule is None:
            return -1
        index = int(followed.path.partition("[")[2].rstrip("]"))
        matches = followed.rule.spec.tls[index].match
        return max(name_rank(name, host) for match in matches for host in match.sni_hosts)

    def _rules(self, entrance: GatewayServer) -> list[VirtualService]:
        bound = bound_rules(self.catalog, self.client.namespace, entrance.gateway)
        return [rule for rule in bound if bound_to(self.catalog, rule, entrance.spaced_hosts)]

    def _follow(self, entrance: GatewayServer, kind: RuleKind, name: str) -> Followed:
        view = Viewpoint(entrance.gateway, entrance.server.port.number, self.pod.namespace, self.pod.labels)
        traits, ended = ConnectionTraits(server_name=name), kind == "tcp"
        return follow(self.catalog, self._rules(entrance), kind, view, traits, ended=ended)

    def _end(self, entrance: GatewayServer, kind: RuleKind, followed: Followed) -> Explanation:
        if not followed.routes:
            names = {entrance.gateway}
            self.ignored += tuple(unbound(self.catalog, names, self.draft.request.host))
            return self.closed(f"Gateway {entrance.gateway} has no {kind} rule for this connection", followed)
        client = Client(self.client.scope, self.client.labels, True, entrance.server.port.number)
        return _connected(self.draft, self.catalog, client, self.pod, "gateway", kind, followed, self.ignored)


def from_sidecar(
    draft: Draft, catalog: Catalog, client: Client, pod: Pod, service: KnownService | None, captured: bool
) -> Explanation:
    """Explain a connection of a pod's program that is not plain HTTP, or that its sidecar does not take for it.

    Args:
        draft: the request.
        catalog: what there is.
        client: the sidecar.
        pod: its pod.
        service: what the URL's host names on that port; None if nothing is known.
        captured: whether what nobody knows may be passed on, as on a cluster.
    """
    scope = client.scope
    if service is None:
        reason = f"no service of the mesh that {pod.name} knows has host {draft.request.host} and port {draft.port}"
        return draft.unknown(catalog, scope, pod, reason, captured=captured)
    secure = draft.request.scheme == "https"
    by_name = is_tls(service.ports[draft.port])
    kind: RuleKind = "tls" if by_name else "tcp"
    rules = about(catalog, _rules(scope, draft.port), service)
    view = Viewpoint("mesh", draft.port, pod.namespace, pod.labels)
    name = draft.request.host if secure else ""
    connection = ConnectionTraits(name, tuple(address for address in service.addresses if "/" not in address))
    followed = follow(catalog, rules, kind, view, connection)
    if followed.routes:
        return _connected(draft, catalog, client, pod, "sidecar", kind, followed, ())
    if by_name and any(trace.verdict == "no match" and trace.entries for trace in followed.traces):
        reason = f"no tls rule for {service.hostname} has the server name {name or '(none: the client sends no TLS)'}"
        return draft.unknown(catalog, scope, pod, reason, captured=captured, rules=followed.traces)
    if by_name and not connection.addresses and name not in service_names(service, pod.namespace):
        reason = f"port {draft.port} of {service.hostname} is TLS, and the client sends none"
        return draft.unknown(catalog, scope, pod, reason, captured=captured)
    port = next(iter(service.ports)) if len(service.ports) == 1 else draft.port
    destination = reach(catalog, client, service, "", port, 1.0, None)
    decision = f"No {kind} rule is about {service.hostname} here, so the service itself is the destination."
    return _ended(draft, catalog, pod, "sidecar", decision, [destination], followed, ())


def _rules(scope: ProxyKnowledge, port: int) -> Sequence[VirtualService]:
    listener = scope.listener_for(port)
    return listener.rules if listener is not None else ()


def _connected(
    draft: Draft,
    catalog: Catalog,
    client: Client,
    pod: Pod,
    proxy_kind: ProxyKind,
    kind: RuleKind,
    followed: Followed,
    ignored: tuple[Ignored, ...],
) -> Explanation:
    rule = followed.rule
    assert rule is not None
    weights = [1] if len(followed.routes) == 1 else [item.weight for item in followed.routes]
    total = sum(weights) or 1
    owner = catalog.namespace_of(rule)
    destinations = [
        resolve(catalog, client, item.destination, owner, weight / total, followed.place(index), by_connection=True)
        for index, (item, weight) in enumerate(zip(followed.routes, weights, strict=True))
        if weight > 0
    ]
    written, listed, number = written_as(rule, kind, int(followed.path.partition("[")[2].rstrip("]")))
    decision = f"Chosen: {written} {listed}[{number}] ({followed.place(0)})."
    return _ended(draft, catalog, pod, proxy_kind, decision, destinations, followed, ignored)


def _ended(
    draft: Draft,
    catalog: Catalog,
    pod: Pod,
    proxy_kind: ProxyKind,
    decision: str,
    destinations: Sequence[RoutedTo],
    followed: Followed,
    ignored: tuple[Ignored, ...],
) -> Explanation:
    outcomes = []
    for item in destinations:
        missed = unreached(item, item.share, closes=True)
        text = f"{either(item.pods)} answers" if item.pods else ""
        outcomes.append(missed or PredictedOutcome("forwarded", item.share, text, pods=item.pods))
    return draft.explanation(
        decision,
        outcomes,
        rules=followed.traces,
        ignored=ignored,
        proxy=pod.name,
        kind=proxy_kind,
        destinations=destinations,
        hops=[draft.caller, f"{pod.name} ({proxy_kind})", *draft.arrival(catalog, outcomes, destinations)],
    )
