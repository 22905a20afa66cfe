"""Which VirtualServices a gateway follows for a host, on one of its plain HTTP ports.

Follows the merging of Gateways in istiod: servers of one port share a route table, with a virtual host wherever the
hosts of a server and of a VirtualService bound to it meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.engine.base import Pod
from labsupport.explain.catalog import Catalog, exported, place_of
from labsupport.explain.matching import Viewpoint
from labsupport.explain.records import Ignored
from labsupport.explain.rules import Candidate, EffectiveRule, effective_rules, survives
from labsupport.explain.sidecar import Table
from labsupport.mesh.index.hosts import fqdn, gateway_name, intersection, is_wildcard
from labsupport.mesh.index.protocols import is_http, parse
from labsupport.model import Gateway, Server, VirtualService

__all__ = ["find_gateway_pod", "gateway_table", "is_gateway"]

# Target ports of the stock ingress gateway, whose Service may not be among the objects.
_STOCK_PORTS = {80: 8080, 443: 8443}


def find_gateway_pod(pods: Sequence[Pod]) -> Pod | None:
    """The ingress gateway: a pod labelled ``istio: ingressgateway``."""
    return next((pod for pod in pods if is_gateway(pod)), None)


def is_gateway(pod: Pod) -> bool:
    """Whether a pod is an ingress gateway."""
    return pod.labels.get("istio") == "ingressgateway" or pod.workload == "istio-ingressgateway"


def gateway_table(catalog: Catalog, gateway: Pod, host: str, port: int) -> Table:
    """Find what decides about a host on a port of a gateway.

    Args:
        catalog: what there is.
        gateway: the gateway's pod.
        host: host of the request, in lower case, without port.
        port: port of the gateway's Service.

    Returns:
        The rules and routes; not listening if no Gateway has a server there.
    """
    servers = _servers(catalog, gateway, port)
    if not servers:
        return Table(known=False, listening=False, ignored=tuple(_unbound(catalog, set(), host)))
    effective = {id(rule): effective_rules(catalog, rule) for rule in catalog.virtual_services if rule.spec.hosts}
    hosts: dict[str, list[tuple[VirtualService, Viewpoint]]] = {}
    redirecting: set[str] = set()
    views: dict[tuple[str, int], Viewpoint] = {}
    dropped: dict[int, tuple[VirtualService, str]] = {}
    for name, server, owner in servers:
        for rule in _bound(catalog, name, gateway.namespace):
            # As in istiod, routes are made once per Gateway and rule: for the first server that both have.
            view = views.get((name, id(rule)), Viewpoint(name, server.port.number, gateway.namespace, gateway.labels))
            meeting = _meeting(catalog, server, owner, rule)
            if not meeting:
                dropped[id(rule)] = rule, f"its hosts and those of Gateway {name} have nothing in common"
            elif not survives(effective[id(rule)], view):
                dropped[id(rule)] = rule, f"none of its rules is for Gateway {name} and port {view.port}"
            else:
                views[name, id(rule)] = view
                for domain in meeting:
                    hosts.setdefault(domain.lower(), []).append((rule, view))
                    if server.tls is not None and server.tls.https_redirect:
                        redirecting.add(domain.lower())
        if server.tls is not None and server.tls.https_redirect:
            # As in istiod, a host that is limited to a namespace gets its redirect only from a rule bound to it.
            own = {text.removeprefix("*/").lower() for text in server.hosts if "/" not in text.removeprefix("*/")}
            redirecting |= own
            for domain in own:
                hosts.setdefault(domain, [])
    used = {id(rule) for owners in hosts.values() for rule, _ in owners}
    ignored = [
        Ignored(f"VirtualService/{rule.name}", reason, place_of(rule, "spec.hosts"))
        for rule, reason in dropped.values()
        if id(rule) not in used
    ]
    ignored += _unbound(catalog, {name for name, _, _ in servers}, host)
    chosen = _domain(hosts, host)
    if chosen is None:
        return Table(known=False, ignored=tuple(ignored))
    rules: list[tuple[EffectiveRule, Viewpoint]] = []
    routes: list[Candidate] = []
    for rule, view in hosts[chosen]:
        rules += [(item, view) for item in effective[id(rule)]]
        routes += survives(effective[id(rule)], view)
    # Istiod sorts a merged host: whatever takes every request comes last, however old it is.
    routes.sort(key=lambda route: route.takes_everything)
    return Table(
        known=True,
        rules=tuple(rules),
        routes=tuple(routes),
        ruled=True,
        ignored=tuple(ignored),
        https_only=chosen in redirecting,
    )


def _servers(catalog: Catalog, gateway: Pod, port: int) -> list[tuple[str, Server, Gateway]]:
    """Plain HTTP servers behind a port of the gateway's Service, with the names of their Gateways."""
    listen = _listen_ports(catalog, gateway)
    wanted = listen.get(port, port)
    found = []
    first = ""
    for owner in catalog.gateways:
        if not owner.spec.selector.items() <= gateway.labels.items():
            continue
        for server in owner.spec.servers:
            if listen.get(server.port.number, server.port.number) != wanted:
                continue
            protocol = parse(server.port.protocol)
            first = first or ("http" if is_http(protocol) else "other")
            # The first server of a port decides what it speaks; one that does not fit is left out.
            if is_http(protocol) and first == "http":
                found.append((f"{catalog.namespace_of(owner)}/{owner.name}", server, owner))
    return found


def _listen_ports(catalog: Catalog, gateway: Pod) -> dict[int, int]:
    for service in catalog.kubernetes_services:
        selector = service.spec.selector
        same = catalog.namespace_of(service) == gateway.namespace
        if same and selector and selector.items() <= gateway.labels.items():
            ports = {}
            for port in service.spec.ports:
                target = port.target_port
                ports[port.port] = target if isinstance(target, int) and target else port.port
            return ports
    return _STOCK_PORTS


def _bound(catalog: Catalog, name: str, namespace: str) -> list[VirtualService]:
    """VirtualServices bound to a Gateway that its proxy sees: as in istiod, private ones come before public ones."""

    def bound(rule: VirtualService) -> bool:
        owner = catalog.namespace_of(rule)
        names = (gateway_name(item, owner) for item in rule.spec.gateways)
        return bool(rule.spec.hosts) and name in names and exported(rule, owner, namespace)

    def rank(rule: VirtualService) -> int:
        owner = catalog.namespace_of(rule)
        return 2 if "*" in (rule.spec.export_to or ["*"]) else 0 if owner == namespace else 1

    return sorted((rule for rule in catalog.virtual_services if bound(rule)), key=rank)


def _meeting(catalog: Catalog, server: Server, gateway: Gateway, rule: VirtualService) -> list[str]:
    """Hosts that a server and a rule have in common, the more specific of each pair."""
    owner = catalog.namespace_of(rule)
    own = []
    for text in server.hosts:
        space, slash, host = text.rpartition("/")
        if space == ".":
            space = catalog.namespace_of(gateway)
        if not slash or space in ("*", owner):
            own.append(host)
    return intersection(own, [fqdn(host, owner) for host in rule.spec.hosts])


def _domain(hosts: dict[str, list[tuple[VirtualService, Viewpoint]]], host: str) -> str | None:
    """The virtual host of a request's host: exact, or else the longest wildcard."""
    if host in hosts:
        return host
    covering = [domain for domain in hosts if is_wildcard(domain) and host.endswith(domain[1:])]
    return max(covering, key=len) if covering else None


def _unbound(catalog: Catalog, names: set[str], host: str) -> list[Ignored]:
    """Rules whose hosts fit the request, but that are not bound to a Gateway of this port."""
    found = []
    for rule in catalog.virtual_services:
        owner = catalog.namespace_of(rule)
        bound = {gateway_name(name, owner) for name in rule.spec.gateways} or {"mesh"}
        hosts = [fqdn(name, owner).lower() for name in rule.spec.hosts]
        fits = any(name == host or (is_wildcard(name) and host.endswith(name[1:])) for name in hosts)
        if fits and not bound & names:
            reason = (
                "it is for sidecars only; name the Gateway among its gateways to have it here"
                if bound == {"mesh"}
                else f"it is bound to {', '.join(sorted(bound))}, and no such Gateway is served on this port"
            )
            found.append(Ignored(f"VirtualService/{rule.name}", reason, place_of(rule, "spec.gateways")))
    return found
