"""Filter chains of ``tcp`` and ``tls`` rules and of services on TCP and TLS ports, for sidecars."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.controlplane.registry.services import UNSPECIFIED, RegistryPort, ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.tables import abbreviations
from labsupport.controlplane.translate.listeners.chains import Chain
from labsupport.controlplane.translate.listeners.network import destination_filters, rule_filters, sni_proxy
from labsupport.controlplane.translate.names import origin_metadata, outbound_cluster
from labsupport.model.hosts import is_wildcard, matches
from labsupport.model.kinds.virtualservice import L4MatchAttributes, TLSMatchAttributes
from labsupport.model.protocols import is_tls

__all__ = ["l4_applies", "l4_chains"]


def l4_applies(match: L4MatchAttributes | TLSMatchAttributes, context: Context, port: int, gateway: str) -> bool:
    """Whether a match of a ``tcp`` or ``tls`` rule can hold for connections through one proxy at all."""
    return (
        (not match.gateways or gateway in match.gateways)
        and match.source_labels.items() <= context.labels.items()
        and match.port in (0, port)
        and match.source_namespace in ("", context.namespace)
    )


def l4_chains(
    context: Context,
    service: ServiceRecord,
    port: RegistryPort,
    rules: Sequence[VirtualServiceRule],
    *,
    bind: str,
    subnets: tuple[str, ...],
) -> list[Chain]:
    """The chains of one service port.

    Args:
        context: the proxy.
        service: the service.
        port: the port that is listened on.
        rules: the VirtualServices the proxy sees.
        bind: address that is listened on.
        subnets: the service's address block, if it has one instead of an address.

    Returns:
        Chains in order of precedence.
    """
    concerned = [rule for rule in rules if any(matches(host, service.hostname) for host in rule.hosts)]
    if is_tls(port.protocol):
        return _tls_chains(context, service, port, concerned, bind=bind, subnets=subnets)
    return _tcp_chains(context, service, port, concerned, subnets)


def _default(
    context: Context, service: ServiceRecord, port: RegistryPort, subnets: tuple[str, ...], names: tuple[str, ...] = ()
) -> Chain:
    number = service.ports[0].number if len(service.ports) == 1 else port.number
    cluster = outbound_cluster(service.hostname, number)
    filters = destination_filters(cluster, cluster, "", port.protocol, context.rule(service.hostname))
    if service.resolution == "DYNAMIC_DNS" and is_wildcard(service.hostname):
        filters = (sni_proxy(service.hostname, port.number), *filters)
    return Chain(filters=filters, server_names=names, subnets=subnets)


def _tls_chains(
    context: Context,
    service: ServiceRecord,
    port: RegistryPort,
    rules: Sequence[VirtualServiceRule],
    *,
    bind: str,
    subnets: tuple[str, ...],
) -> list[Chain]:
    chains: list[Chain] = []
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for rule in rules:
        for item in rule.tls:
            for match in item.match if item.route else ():
                if not l4_applies(match, context, port.number, "mesh"):
                    continue
                if match.destination_subnets and port.number > 0:
                    # As in istiod, the blocks of one match stay in force for those after it.
                    subnets = tuple(match.destination_subnets)
                key = (tuple(match.sni_hosts), tuple(match.destination_subnets))
                if key in seen:
                    continue
                seen.add(key)
                filters = rule_filters(context, item.route, port.number, port.protocol, rule.full_name)
                metadata = origin_metadata("VirtualService", rule.namespace, rule.name)
                chains.append(
                    Chain(
                        filters=filters,
                        server_names=tuple(match.sni_hosts),
                        subnets=subnets,
                        metadata=metadata,
                    )
                )
    if chains:
        return chains
    address = "" if "/" in service.address else service.address
    names: tuple[str, ...] = ()
    dynamic = service.resolution == "DYNAMIC_DNS" and is_wildcard(service.hostname)
    if subnets or not address or (address == UNSPECIFIED and bind == UNSPECIFIED) or dynamic:
        aliases = [name for alias, _ in service.aliases for name in (alias, *abbreviations(alias, context.namespace))]
        names = (service.hostname, *aliases)
    return [_default(context, service, port, subnets, names)]


def _tcp_chains(
    context: Context,
    service: ServiceRecord,
    port: RegistryPort,
    rules: Sequence[VirtualServiceRule],
    subnets: tuple[str, ...],
) -> list[Chain]:
    chains: list[Chain] = []
    covered = False
    for rule in rules:
        metadata = origin_metadata("VirtualService", rule.namespace, rule.name)
        for item in rule.tcp:
            if not item.route:
                continue
            filters = rule_filters(context, item.route, port.number, port.protocol, rule.full_name)
            blocks: list[str] = []
            everything = not item.match
            for match in item.match:
                if not l4_applies(match, context, port.number, "mesh"):
                    continue
                if not match.destination_subnets or not port.number:
                    everything = True
                    break
                blocks += match.destination_subnets
            if everything:
                chains.append(Chain(filters=filters, subnets=subnets, metadata=metadata))
                return chains
            if blocks:
                chains.append(Chain(filters=filters, subnets=tuple(blocks)))
                covered = covered or sorted(blocks) == sorted(subnets)
    if not covered:
        chains.append(_default(context, service, port, subnets))
    return chains
