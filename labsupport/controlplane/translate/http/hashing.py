"""``consistentHash`` of DestinationRules, seen from routes: what of a request is hashed."""

from __future__ import annotations

from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.names import duration
from labsupport.model.kinds.loadbalancer import ConsistentHashLB
from labsupport.model.kinds.trafficpolicy import PortTrafficPolicy, TrafficPolicy
from labsupport.model.kinds.virtualservice import Destination
from labsupport.records import JsonObject

__all__ = ["destination_hash", "hash_policy", "service_hash"]


def _hash_of(policy: TrafficPolicy | PortTrafficPolicy | None) -> ConsistentHashLB | None:
    balancer = policy.load_balancer if policy is not None else None
    return balancer.consistent_hash if balancer is not None else None


def _port_hash(policy: TrafficPolicy | None, port: int) -> ConsistentHashLB | None:
    for setting in policy.port_level_settings if policy is not None else ():
        if setting.port is not None and setting.port.number == port:
            return _hash_of(setting)
    return None


def service_hash(context: Context, service: ServiceRecord, port: RegistryPort) -> ConsistentHashLB | None:
    """The consistentHash for a service that no rule routes; None without one."""
    rule = context.rule(service.hostname)
    if rule is None or rule.traffic_policy is None:
        return None
    own = _port_hash(rule.traffic_policy, port.number)
    return own if own is not None else _hash_of(rule.traffic_policy)


def destination_hash(context: Context, destination: Destination) -> ConsistentHashLB | None:
    """The consistentHash for a destination of a rule: that of its subset and port, if the port is given, first."""
    rule = context.rule(destination.host)
    if rule is None:
        return None
    port = destination.port.number if destination.port is not None else None
    subset = next((subset for subset in rule.subsets if subset.name == destination.subset), None)
    candidates = []
    for policy in ((subset.traffic_policy if subset is not None else None), rule.traffic_policy):
        if port is not None:
            candidates.append(_port_hash(policy, port))
        candidates.append(_hash_of(policy))
    return next((candidate for candidate in candidates if candidate is not None), None)


def hash_policy(consistent: ConsistentHashLB | None) -> JsonObject | None:
    """What of a request is hashed, as Envoy's HashPolicy; None if it names nothing."""
    if consistent is None:
        return None
    if consistent.http_header_name is not None:
        return {"header": {"header_name": consistent.http_header_name} if consistent.http_header_name else {}}
    cookie = consistent.http_cookie
    if cookie is not None:
        result: JsonObject = {"name": cookie.name} if cookie.name else {}
        if cookie.ttl is not None:
            result["ttl"] = duration(cookie.ttl)
        if cookie.path:
            result["path"] = cookie.path
        if cookie.attributes:
            result["attributes"] = [
                {key: text for key, text in (("name", item.name), ("value", item.value)) if text}
                for item in cookie.attributes
            ]
        return {"cookie": result}
    if consistent.use_source_ip is not None:
        return {"connection_properties": {"source_ip": True} if consistent.use_source_ip else {}}
    if consistent.http_query_parameter_name is not None:
        name = consistent.http_query_parameter_name
        return {"query_parameter": {"name": name} if name else {}}
    return None
