"""Which VirtualServices a gateway follows for a host, on one of its ports.

Follows the merging of Gateways in istiod: plain HTTP servers of one port share a route table, HTTPS servers have one
each, and a table has a virtual host wherever the hosts of a server and of a VirtualService bound to it meet.
"""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.explain.catalog import Catalog, label_of, meant
from labsupport.explain.known import place_of
from labsupport.explain.matching import Viewpoint
from labsupport.explain.records import Ignored
from labsupport.explain.rules import Candidate, EffectiveRule, effective_rules, survives
from labsupport.explain.scope import bound_rules, rule_hosts
from labsupport.explain.servers import GatewayServer, gateway_label, listener_of
from labsupport.explain.sidecar import Table
from labsupport.model import VirtualService
from labsupport.model.hosts import fqdn, gateway_name, intersection, is_wildcard
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME
from labsupport.records import Pod

__all__ = ["find_gateway_pod", "gateway_table", "is_gateway", "unbound"]


def find_gateway_pod(pods: Sequence[Pod], name: str = "", namespace: str = "") -> Pod | None:
    """The pod of a gateway, a ready one if there is one.

    Args:
        pods: all pods.
        name: of a Gateway of the Gateway API, perhaps with its namespace behind a dot; empty for the ingress gateway, a
            pod labelled ``istio: ingressgateway``.
        namespace: where a Gateway without one is.
    """
    own, _, space = name.rpartition(".")
    gateways = [pod for pod in pods if is_gateway(pod) and bool(name) == (GATEWAY_NAME in pod.labels)]
    if name:
        meant = ((name, namespace), (own, space))
        gateways = [pod for pod in gateways if (pod.labels[GATEWAY_NAME], pod.namespace) in meant]
    return next((pod for pod in gateways if pod.ready), gateways[0] if gateways else None)


def is_gateway(pod: Pod) -> bool:
    """Whether a pod is a gateway."""
    return (
        GATEWAY_NAME in pod.labels
        or pod.labels.get("istio") == "ingressgateway"
        or pod.workload == "istio-ingressgateway"
    )


def gateway_table(catalog: Catalog, gateway: Pod, entrances: Sequence[GatewayServer], host: str) -> Table:
    """Find what decides about a host among servers that share a route table.

    Args:
        catalog: what there is.
        gateway: the gateway's pod.
        entrances: the servers, in order of precedence; at least one.
        host: host of the request, in lower case, without port.

    Returns:
        The rules and routes.
    """
    lost: dict[int, list[Ignored]] = {id(rule): [] for rule in catalog.virtual_services}
    effective = {
        id(rule): effective_rules(catalog, rule, lost[id(rule)]) for rule in catalog.virtual_services if rule.spec.hosts
    }
    hosts: dict[str, list[tuple[VirtualService, Viewpoint]]] = {}
    redirecting: set[str] = set()
    views: dict[tuple[str, int], Viewpoint] = {}
    dropped: dict[int, tuple[VirtualService, str]] = {}
    for entrance in entrances:
        name, server = entrance.gateway, entrance.server
        redirects = server.tls is not None and server.tls.https_redirect
        for rule in bound_rules(catalog, gateway.namespace, name):
            # As in istiod, routes are made once per Gateway and rule: for the first server that both have.
            fresh = Viewpoint(name, server.port.number, gateway.namespace, gateway.labels, server.tls is not None)
            view = views.get((name, id(rule)), fresh)
            owner = catalog.namespace_of(rule)
            meeting = intersection(entrance.hosts_for(owner), rule_hosts(catalog, rule))
            if not meeting:
                dropped[id(rule)] = rule, f"its hosts and those of Gateway {_shown(name)} have nothing in common"
            elif not survives(effective[id(rule)], view):
                dropped[id(rule)] = rule, f"none of its rules is for Gateway {_shown(name)} and port {view.port}"
            else:
                views[name, id(rule)] = view
                for domain in meeting:
                    hosts.setdefault(domain.lower(), []).append((rule, view))
                    if redirects:
                        redirecting.add(domain.lower())
        if redirects:
            # As in istiod, a host that is limited to a namespace gets its redirect only from a rule bound to it.
            for domain in entrance.open_hosts:
                redirecting.add(domain)
                hosts.setdefault(domain, [])
    used = {id(rule) for owners in hosts.values() for rule, _ in owners}
    ignored = [
        Ignored(label_of(rule), reason, place_of(rule, "spec.hosts"))
        for rule, reason in dropped.values()
        if id(rule) not in used
    ]
    ignored += unbound(catalog, {entrance.gateway for entrance in entrances}, host)
    ignored += _completed(catalog, [rule for owners in hosts.values() for rule, _ in owners], host)
    chosen = _domain(hosts, host)
    if chosen is None:
        return Table(known=False, ignored=tuple(ignored))
    ignored += _behind(hosts, chosen, host)
    rules: list[tuple[EffectiveRule, Viewpoint]] = []
    routes: list[Candidate] = []
    for rule, view in hosts[chosen]:
        rules += [(item, view) for item in effective[id(rule)]]
        routes += survives(effective[id(rule)], view)
        ignored += lost[id(rule)]
    # Istiod sorts a merged host: whatever takes every request comes last, however old it is.
    routes.sort(key=lambda route: route.takes_everything)
    return Table(
        known=True,
        rules=tuple(rules),
        routes=tuple(routes),
        ruled=True,
        ignored=tuple(dict.fromkeys(ignored)),
        https_only=chosen in redirecting,
    )


def _shown(name: str) -> str:
    label = gateway_label(name)
    return label if label.startswith("Kubernetes") else name


def _domain(hosts: dict[str, list[tuple[VirtualService, Viewpoint]]], host: str) -> str | None:
    """The virtual host of a request's host: exact, or else the longest wildcard."""
    return max(
        (domain for domain in hosts if _covers(domain, host)), key=lambda name: (name == host, len(name)), default=None
    )


def _covers(domain: str, host: str) -> bool:
    longer = is_wildcard(domain) and host.endswith(domain[1:]) and len(host) >= len(domain)
    return domain in (host, "*") or longer


def _behind(hosts: dict[str, list[tuple[VirtualService, Viewpoint]]], chosen: str, host: str) -> list[Ignored]:
    """Rules with a host that covers the request's, too, but less exactly than the one that decides."""
    ours = {id(rule) for rule, _ in hosts[chosen]}
    behind: dict[int, Ignored] = {}
    for domain, owners in hosts.items():
        for rule, _ in owners if _covers(domain, host) else ():
            if id(rule) not in ours:
                reason = f"its host {domain} is less exact than {chosen}, and only the most exact one decides"
                behind.setdefault(id(rule), Ignored(label_of(rule), reason, place_of(rule, "spec.hosts")))
    return list(behind.values())


def _completed(catalog: Catalog, rules: Sequence[VirtualService], host: str) -> list[Ignored]:
    """Rules with a short host, which a gateway reads as the full name of a Service."""
    ignored: dict[int, Ignored] = {}
    for rule in rules:
        for index, written in enumerate(rule.spec.hosts):
            full = fqdn(written, catalog.namespace_of(rule))
            if written.lower() == host and full != written:
                reason = f"its host {written} is short for {full}; write a name with a dot for requests from outside"
                place = place_of(rule, f"spec.hosts[{index}]")
                ignored.setdefault(id(rule), Ignored(label_of(rule), reason, place))
    return list(ignored.values())


def unbound(catalog: Catalog, names: set[str], host: str) -> list[Ignored]:
    """Rules whose hosts fit the request, but that are not bound to a Gateway of this port.

    Args:
        catalog: what there is.
        names: Gateways with a server on the port, as ``namespace/name``.
        host: host of the request.
    """
    known = {f"{catalog.namespace_of(gateway)}/{gateway.name}" for gateway in catalog.gateways}
    ignored = []
    for rule in catalog.virtual_services:
        owner = catalog.namespace_of(rule)
        bound = {gateway_name(name, owner) for name in rule.spec.gateways} or {"mesh"}
        hosts = [name.lower() for name in rule_hosts(catalog, rule)]
        fits = any(name == host or (is_wildcard(name) and host.endswith(name[1:])) for name in hosts)
        if not fits or bound & names:
            continue
        if bound == {"mesh"}:
            reason = "it is for sidecars only; name the Gateway among its gateways to have it here"
        else:
            reason = f"it is bound to {', '.join(sorted({_shown(name) for name in bound}))}, and "
            missing = sorted(bound - known - {"mesh"})
            listeners = [listener for name in missing if (listener := listener_of(name))]
            hint = next((text for name in missing if (text := meant(name, known))), "")
            if listeners:
                reason += f"nobody listens there for the listener {', '.join(listeners)}"
            elif missing:
                reason += f"there is no Gateway {', '.join(missing)}" + (f"; {hint}" if hint else "")
            else:
                reason += "no such Gateway is served on this port"
        ignored.append(Ignored(label_of(rule), reason, place_of(rule, "spec.gateways")))
    return list(dict.fromkeys(ignored))
