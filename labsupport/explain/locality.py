"""Which endpoints are left to a caller, and which come after others, by labels and by where they and the caller run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport.explain.known import KnownEndpoint
from labsupport.model.kinds.loadbalancer import LoadBalancerSettings, LocalityLoadBalancerSetting

__all__ = ["later_for", "left_to"]

_LABELS = ("topology.istio.io/locality", "istio-locality")


def left_to(
    caller: Mapping[str, str], balancer: LoadBalancerSettings | None, endpoints: tuple[KnownEndpoint, ...]
) -> tuple[KnownEndpoint, ...]:
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
    left = (endpoint for endpoint in endpoints if any(_fits(pattern, _place(endpoint.labels)) for pattern in rule.to))
    return tuple(left)


def later_for(
    caller: Mapping[str, str], balancer: LoadBalancerSettings | None, endpoints: Sequence[KnownEndpoint]
) -> tuple[str, ...]:
    """The endpoints that come after others, where outlier detection tells which of them are sound.

    Args:
        caller: labels of the caller's pod.
        balancer: the settings that count.
        endpoints: those that are left to the caller.

    Returns:
        Their names. Of those that share as many of the leading labels with the caller none comes before another one,
        nor of those that are equally close to it.
    """
    setting = (balancer.locality_lb_setting if balancer is not None else None) or LocalityLoadBalancerSetting()
    if setting.enabled is False or setting.distribute or (balancer is not None and balancer.zone_aware_lb_setting):
        return ()
    wanted = [
        (name, value if equals else caller.get(name, ""))
        for name, equals, value in (entry.partition("=") for entry in setting.failover_priority if caller)
    ]
    near = _place(caller) if setting.failover or not setting.failover_priority else ["", "", ""]
    preferred = next((rule.to for rule in setting.failover if rule.from_ == near[0]), "")

    def order(endpoint: KnownEndpoint) -> tuple[int, int, bool]:
        place = _place(endpoint.labels) if setting.failover or not setting.failover_priority else near
        alike = _leading([endpoint.labels.get(name, "") == value for name, value in wanted])
        close = _leading([one == other for one, other in zip(place, near, strict=True)])
        return -alike, -close, close == 0 and bool(preferred) and place[0] != preferred

    orders = {endpoint.name: order(endpoint) for endpoint in endpoints}
    return tuple(name for name, found in orders.items() if found > min(orders.values()))


def _leading(held: Sequence[bool]) -> int:
    """How many hold before the first that does not."""
    return [*held, False].index(False)


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
