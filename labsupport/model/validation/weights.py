"""Destinations with weights, as http, tcp and tls rules have them."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.kinds.virtualservice import HTTPRouteDestination, RouteDestination
from labsupport.model.validation.common import check_destination
from labsupport.model.validation.findings import Findings

__all__ = ["check_weights"]


def check_weights(
    routes: Sequence[HTTPRouteDestination] | Sequence[RouteDestination], path: str, findings: Findings
) -> None:
    """Check the destinations of a rule and their weights.

    Args:
        routes: the destinations.
        path: field path of the list.
        findings: where findings go.
    """
    total = 0
    entries: Sequence[HTTPRouteDestination | RouteDestination] = list(routes)
    for index, route in enumerate(entries):
        place = f"{path}[{index}]"
        if route.destination is None:
            findings.error(f"{place}.destination", "is required")
        elif findings.annotations.get("internal.istio.io/route-semantics") != "gateway":
            check_destination(route.destination, f"{place}.destination", findings)
        if route.weight < 0:
            findings.error(f"{place}.weight", f"a weight must not be negative, got {route.weight}")
        total += route.weight
    if len(routes) > 1 and total % 2**32 == 0:
        findings.error(
            path, "the weights add up to 0, so no destination would get anything", "Give at least one a weight."
        )
