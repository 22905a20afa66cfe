"""Which pods a proxy may take out of some traffic: those of which its picture tells when they receive nothing."""

from __future__ import annotations

from labsupport.explain import Explanation
from labsupport.explain.words import HASH

__all__ = ["ejectable"]


def ejectable(explanation: Explanation | None) -> dict[str, float]:
    """The pods that outlier detection may eject, with the share of the requests that each is to get.

    Args:
        explanation: of the traffic, from ``expected_shares.explanation_of``; None where nothing can be said.

    Returns:
        Pods of destinations with ``outlierDetection`` to shares from 0 to 1, without those that a hash chooses: there,
        one that receives nothing may be nobody's choice. One that others come before receives nothing while they do.
    """
    shares: dict[str, float] = {}
    for destination in explanation.destinations if explanation is not None else ():
        policies = {policy.name: policy.text for policy in destination.policies}
        if "outlierDetection" in policies and not policies.get("loadBalancer", "").startswith(HASH):
            for pod in destination.first if destination.share else ():
                shares[pod] = shares.get(pod, 0.0) + destination.share / len(destination.first)
    return shares
