"""Which pods a proxy may take out of some traffic: those of which its picture tells when they receive nothing."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.explain.expected_shares import explanation_of
from labsupport.explain.words import HASH
from labsupport.model.schema.base import Resource
from labsupport.records import Pod, TrafficSpec

__all__ = ["ejectable"]


def ejectable(
    objects: Sequence[Resource], pods: Sequence[Pod], spec: TrafficSpec, *, service: str = "", namespace: str
) -> dict[str, float]:
    """The pods that outlier detection may eject, with the share of the requests that each is to get.

    Args:
        objects: all objects of the mesh.
        pods: all pods.
        spec: what is sent.
        service: look at this service on the way of the requests; empty: at whoever answers the client.
        namespace: the lab's namespace.

    Returns:
        Pods of destinations with ``outlierDetection`` to shares from 0 to 1, without those that a hash chooses: there,
        one that receives nothing may be nobody's choice.
    """
    explanation = explanation_of(objects, pods, spec, service=service, namespace=namespace)
    shares: dict[str, float] = {}
    for destination in explanation.destinations if explanation is not None else ():
        policies = {policy.name: policy.text for policy in destination.policies}
        if "outlierDetection" in policies and not policies.get("loadBalancer", "").startswith(HASH):
            for pod in destination.pods if destination.share else ():
                shares[pod] = shares.get(pod, 0.0) + destination.share / len(destination.pods)
    return shares
