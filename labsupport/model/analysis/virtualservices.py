"""Notes about VirtualServices: what they refer to, and each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labsupport import words
from labsupport.model.analysis.world import DOMAIN, World, full_host
from labsupport.model.gatewayapi import ROUTES
from labsupport.model.kinds.destinationrule import DestinationRule
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.virtualservice import Destination, TCPRoute, TLSRoute, VirtualService
from labsupport.model.schema.suggest import closest
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.reachability import UNREACHABLE, warn_unreachable
from labsupport.model.validation.virtualservice import hosts_overlap

__all__ = ["analyse_virtual_services", "destinations"]


def analyse_virtual_services(world: World) -> None:
    """Add the notes about VirtualServices."""
    subsets = {
        (*world.service_name(rule.spec.host, world.namespace(rule)), subset.name)
        for rule in world.of(DestinationRule)
        for subset in rule.spec.subsets
    }
    gateways = {world.full_name(gateway): gateway for gateway in world.of(Gateway)}
    for rule in world.of(VirtualService):
        _unreachable(rule, world)
        for path, destination in destinations(rule):
            _host(rule, path, destination, world)
            _subset(rule, path, destination, subsets, world)
        _gateways(rule, gateways, world)
        _not_http(rule, world)
        _empty_faults(rule, world)
    _same_host(world)
    _both_notations(world)


def destinations(rule: VirtualService) -> Iterator[tuple[str, Destination]]:
    """Yield every destination of a VirtualService with its field path, mirrors included."""
    for index, http in enumerate(rule.spec.http):
        for number, route in enumerate(http.route):
            yield f"spec.http[{index}].route[{number}].destination", route.destination
        if http.mirror is not None:
            yield f"spec.http[{index}].mirror", http.mirror
        for number, mirror in enumerate(http.mirrors):
            yield f"spec.http[{index}].mirrors[{number}].destination", mirror.destination
    kinds: tuple[tuple[str, Sequence[TCPRoute | TLSRoute]], ...] = (("tcp", rule.spec.tcp), ("tls", rule.spec.tls))
    for name, routes in kinds:
        for index, l4 in enumerate(routes):
            for number, target in enumerate(l4.route):
                yield f"spec.{name}[{index}].route[{number}].destination", target.destination


def _unreachable(rule: VirtualService, world: World) -> None:
    findings = Findings(world.namespace(rule))
    warn_unreachable(rule.spec, findings)
    for warning in findings.warnings:
        text = f"{words.sentence(warning.message)} {warning.remedy}" if warning.remedy else warning.message
        world.note(warning.code, "warning" if warning.code == UNREACHABLE else "info", rule, warning.path, text)


def _host(rule: VirtualService, path: str, destination: Destination, world: World) -> None:
    space = world.namespace(rule)
    host = world.host(destination.host, space, rule.spec.export_to)
    if host is None:
        guess = _guess(destination.host, space, world)
        hint = f"; did you mean {guess}?" if guess else ""
        world.note("IST0101", "error", rule, f"{path}.host", f"there is no host {destination.host}{hint}")
        return
    if destination.port is None:
        if len(host.ports) > 1:
            ports = ", ".join(map(str, host.ports))
            text = f"{destination.host} has several ports ({ports}); say which one by port: {{number: ...}}"
            world.note("IST0112", "error", rule, path, text)
    elif destination.port.number not in host.ports:
        ports = ", ".join(map(str, host.ports)) or "none"
        text = f"{destination.host} has no port {destination.port.number}; its ports are {ports}"
        world.note("IST0101", "error", rule, f"{path}.port.number", text)


def _not_http(rule: VirtualService, world: World) -> None:
    """Note HTTP rules for a host none of whose ports speaks HTTP."""
    if not rule.spec.http or (rule.spec.gateways and "mesh" not in rule.spec.gateways):
        return
    for index, name in enumerate(rule.spec.hosts):
        host = world.host(name, world.namespace(rule), rule.spec.export_to)
        if host is not None and not host.http:
            text = f"no port of {name} speaks HTTP, so the http rules have no effect; name a port http or http-..."
            world.note("PROTOCOL", "warning", rule, f"spec.hosts[{index}]", text)


def _empty_faults(rule: VirtualService, world: World) -> None:
    """Note parts of faults that do not say what they do: istiod accepts them, and Envoy does nothing."""
    for index, http in enumerate(rule.spec.http):
        abort, delay = (http.fault.abort, http.fault.delay) if http.fault is not None else (None, None)
        path = f"spec.http[{index}].fault"
        if abort is not None and abort.http_status is None and abort.grpc_status is None:
            text = "an abort without a status never fires; give it httpStatus or grpcStatus"
            world.note("FAULT", "warning", rule, f"{path}.abort", text)
        if delay is not None and delay.fixed_delay is None:
            world.note("FAULT", "warning", rule, f"{path}.delay", "a delay without fixedDelay never fires; give it one")


def _guess(host: str, namespace: str, world: World) -> str:
    """Find the host that was probably meant, in the shortest form that works from a namespace."""
    known = sorted({name for _, name in world.hosts})
    elsewhere = [name for name in known if name.partition(".")[0] == host.partition(".")[0]]
    if elsewhere:  # the name is right, the namespace is not
        return elsewhere[0]
    suffix = f".{namespace}.{DOMAIN}"
    return closest(host, [name.removesuffix(suffix) for name in known])


def _subset(
    rule: VirtualService, path: str, destination: Destination, subsets: set[tuple[str, str, str]], world: World
) -> None:
    if not destination.subset:
        return
    service = world.service_name(destination.host, world.namespace(rule))
    if (*service, destination.subset) in subsets:
        return
    known = sorted(name for space, host, name in subsets if (space, host) == service)
    hint = f"its subsets are {', '.join(known)}" if known else "no DestinationRule defines any for it"
    follows = "no copies are made" if ".mirror" in path else "requests would get 503 (NC)"
    text = f"{destination.host} has no subset {destination.subset}: {hint}; {follows}"
    world.note("IST0101", "error", rule, f"{path}.subset", text)


def _gateways(rule: VirtualService, gateways: dict[str, Gateway], world: World) -> None:
    space = world.namespace(rule)
    for index, name in enumerate(rule.spec.gateways):
        if name == "mesh":
            continue
        full = name if "/" in name else f"{space}/{name}"
        path = f"spec.gateways[{index}]"
        gateway = gateways.get(full)
        if gateway is None:
            guess = closest(full, gateways)
            hint = f"; did you mean {guess}?" if guess else ""
            world.note("IST0101", "error", rule, path, f"there is no Gateway {full}{hint}")
        served = _served_hosts(gateway, space, world) if gateway is not None else []
        if not any(hosts_overlap(host, own) for host in served for own in rule.spec.hosts):
            shown = ", ".join(rule.spec.hosts)
            text = f"none of the hosts ({shown}) is served by Gateway {full}, so requests there get 404"
            world.note("IST0132", "warning", rule, path, text)


def _served_hosts(gateway: Gateway, namespace: str, world: World) -> list[str]:
    """List the hosts that a Gateway serves for VirtualServices of a namespace."""
    hosts: list[str] = []
    for server in gateway.spec.servers:
        if any(host == "*/*" for host in server.hosts):
            hosts.append("*")
            continue
        for text in server.hosts:
            space, slash, host = text.partition("/")
            if not slash:
                hosts.append(text)
            elif space == "*" or (world.namespace(gateway) if space == "." else space) == namespace:
                hosts.append(host)
    return hosts


def _same_host(world: World) -> None:
    scoped: dict[tuple[str, str], list[VirtualService]] = {}
    for rule in world.of(VirtualService):
        if rule.spec.gateways and "mesh" not in rule.spec.gateways:
            continue
        space = world.namespace(rule)
        scopes = {space if scope == "." else scope for scope in rule.spec.export_to} or {"*"}
        for scope in ["*"] if "*" in scopes else sorted(scopes):
            for host in rule.spec.hosts:
                scoped.setdefault((scope, full_host(host, space)), []).append(rule)
    told: set[str] = set()
    for (scope, host), rules in scoped.items():
        involved = list(rules)
        if scope != "*":
            for (other_scope, other), more in scoped.items():
                if other_scope == "*" and hosts_overlap(host, other):
                    involved += more
        names = [world.full_name(rule) for rule in involved]
        for rule in involved if len(involved) > 1 else ():
            name = world.full_name(rule)
            if name not in told:
                told.add(name)
                others = ", ".join(sorted(set(names) - {name})) or "itself, twice"
                text = f"host {host} is also ruled by {others}; sidecars use only the oldest: put the rules into one"
                world.note("IST0109", "error", rule, "spec.hosts", text)


def _both_notations(world: World) -> None:
    """Note hosts of the mesh that both a VirtualService and a route of the Gateway API rule."""
    for route in (route for kind in ROUTES for route in world.of(kind)):
        parents = [parent for parent in route.spec.parent_refs if parent.kind == "Service"]
        hosts = {full_host(parent.name, parent.namespace or world.namespace(route)) for parent in parents}
        for rule in world.of(VirtualService):
            own = {full_host(host, world.namespace(rule)) for host in rule.spec.hosts}
            alike = {"TCPRoute": rule.spec.tcp, "TLSRoute": rule.spec.tls}.get(route.kind, rule.spec.http)
            if not hosts & own or not alike or (rule.spec.gateways and "mesh" not in rule.spec.gateways):
                continue
            # istiod looks at rules that are exported to the caller's namespace alone before it looks at routes.
            private = bool(rule.spec.export_to) and "*" not in rule.spec.export_to
            winner = "the VirtualService, for its exportTo" if private else f"the {route.kind}, whichever is older"
            for entry, other, path in ((route, rule, "spec.parentRefs"), (rule, route, "spec.hosts")):
                who = f"{other.kind}/{other.name}"
                text = f"host {min(hosts & own)} is also ruled by {who}; sidecars use only {winner}: keep one"
                world.note("NOTATIONS", "warning", entry, path, text)
