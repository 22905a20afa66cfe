"""What is chosen at a time on the way of some traffic: each request, where a proxy reads it, or each connection."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.engine.protocol import Engine
from labsupport.explain.catalog import Catalog
from labsupport.explain.connections import name_rank
from labsupport.explain.gateway import find_gateway_pod
from labsupport.explain.servers import port_of
from labsupport.explain.sidecar import service_names
from labsupport.model import Gateway, Resource, Service, ServiceEntry
from labsupport.records import Pod, TrafficSpec
from labsupport.traffic.share import Choice
from labsupport.urls import Target, parse_url

__all__ = ["chosen_per"]


def chosen_per(engine: Engine, spec: TrafficSpec) -> Choice:
    """Whether a proxy decides for each request, or somebody (kube-proxy, a proxy that reads none) for each connection.

    Args:
        engine: where it is sent.
        spec: what is sent.

    Returns:
        ``request`` where the gateway or the caller's sidecar reads HTTP, else ``connection``.
    """
    target = parse_url(spec.url)
    if target.via == "nodeport" or target.raw:
        return "connection"
    pods = engine.pods()
    callers = [pod for pod in pods if spec.source in (pod.name, pod.workload)]
    if target.via == "gateway" and not (callers and target.secure):
        passed = _passed_by_gateway(engine, pods, target)
    elif callers and not any(pod.injected for pod in callers):
        return "connection"
    else:
        passed = bool(callers) and _passed_by_sidecar(engine, callers[0], target)
    return "connection" if passed else "request"


def _passed_by_gateway(engine: Engine, pods: Sequence[Pod], target: Target) -> bool:
    """Whether the gateway's server passes bytes on, TLS or plain, without reading requests."""
    gateway = find_gateway_pod(pods, target.gateway, engine.namespace)
    if gateway is None:
        return False
    objects = engine.get("*", namespace="*") if target.gateway else _of(engine, Gateway, Service)
    port = port_of(Catalog(objects, pods, engine.namespace), gateway, target.gateway_port)
    if not target.secure:
        return bool(port.plain) and not port.plain[0].routes_requests
    ranks = [max((name_rank(target.service, name) for name in it.server_names), default=-1) for it in port.secure]
    closest = max(ranks, default=-1)
    return closest >= 0 and not port.secure[ranks.index(closest)].routes_requests


def _passed_by_sidecar(engine: Engine, caller: Pod, target: Target) -> bool:
    """Whether the port that is called carries a protocol that a sidecar passes on by connection."""
    host, port = target.service.lower(), target.port
    called = (
        service
        for service in Catalog(_of(engine, Service, ServiceEntry), (), engine.namespace).services
        if port in service.ports and host in service_names(service, caller.namespace)
    )
    service = next(called, None)
    return service is not None and not service.speaks_http(port)


def _of(engine: Engine, *kinds: type[Resource]) -> list[Resource]:
    """The objects of some kinds in every namespace; all are fetched, whatever is asked for."""
    return [resource for resource in engine.get("*", namespace="*") if isinstance(resource, kinds)]
