"""Which endpoints a ``distribute`` rule leaves to a caller, by where they and the caller run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport.explain.known import KnownEndpoint
from labsupport.model.kinds.loadbalancer import LoadBalancerSettings

__all__ = ["left_to"]

_LABELS = ("topology.istio.io/locality", "istio-locality")


def left_to(
    caller: Mapping[str, str], balancer: LoadBalancerSettings | None, endpoints: Sequence[KnownEndpoint]
) -> Sequence[KnownEndpoint]:
    """The endpoints that get anything of a caller's requests.

    Args:
        caller: labels of the caller's pod.
        balancer: the settings that count.
        endpoints: all pods of the destination.
    """
    setting = balancer.locality_lb_setting if balancer is not None else None
    if setting is None or setting.enabled is False:
        return endpoints
    own = _place(caller)
    rule = next((rule for rule in setting.distribute if _fits(rule.from_, own)), None)
    if rule is None:
        return endpoints
    return [endpoint for endpoint in endpoints if any(_fits(pattern, _place(endpoint.labels)) for pattern in rule.to)]


def _place(labels: Mapping[str, str]) -> list[str]:
    """Region, zone and subzone as a label says them, with dots or with slashes."""
    text = next((labels[name] for name in _LABELS if labels.get(name)), "")
    parts = text.split("/" if "/" in text else ".", 2)
    return [*parts, "", ""][:3]


def _fits(pattern: str, place: Sequence[str]) -> bool:
    region, *inner = [*pattern.split("/", 2), "", ""][:3]
    return region in ("*", place[0]) and all(
        wanted in ("", "*", part) for wanted, part in zip(inner, place[1:], strict=True)
    )
