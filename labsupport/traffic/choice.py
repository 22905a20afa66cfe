"""What is chosen at a time on the way of some traffic: each request, where a proxy decides, or each connection."""

from __future__ import annotations

from labsupport.engine.protocol import Engine
from labsupport.records import TrafficSpec
from labsupport.traffic.share import Choice
from labsupport.urls import parse_url

__all__ = ["chosen_per"]


def chosen_per(engine: Engine, spec: TrafficSpec) -> Choice:
    """Whether a proxy decides for each request, or kube-proxy for each connection.

    Args:
        engine: where it is sent.
        spec: what is sent.

    Returns:
        ``request`` through the gateway or from a pod with a sidecar, else ``connection``.
    """
    target = parse_url(spec.url)
    if target.via == "gateway":
        return "request"
    if target.via == "nodeport":
        return "connection"
    callers = [pod for pod in engine.pods() if spec.source in (pod.name, pod.workload)]
    return "connection" if callers and not any(pod.injected for pod in callers) else "request"
