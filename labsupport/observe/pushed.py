"""Who was told of a change of the mesh by the control plane, and who acknowledged it when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labsupport import words
from labsupport.records import ApplyResult, ObjectChange, Pod, ProxyChange

__all__ = ["XDS", "Pushed", "pushed_by"]

XDS = {"LDS": "listeners", "RDS": "routes", "CDS": "clusters", "EDS": "endpoints", "SDS": "certificates"}
"""What the control plane sends to a proxy, by the name of the service that sends it."""


@dataclass(frozen=True, slots=True, repr=False)
class Pushed:
    """One change on its way from the control plane to the proxies.

    Args:
        changes: what was changed.
        proxies: who was told, in the order of acknowledgements.
        untold: proxies that were not, because nothing of theirs changed.
        in_force_s: seconds until all of them had acknowledged it.
    """

    changes: tuple[ObjectChange, ...]
    proxies: tuple[ProxyChange, ...]
    untold: tuple[str, ...]
    in_force_s: float

    @property
    def types(self) -> tuple[str, ...]:
        """What was sent, of all kinds there are."""
        sent = {name for proxy in self.proxies for name in proxy.types}
        return tuple(sorted(sent))

    @property
    def changed(self) -> list[str]:
        """What was changed, such as ``VirtualService/web created``."""
        return [f"{change.ref} {change.action}" for change in self.changes]

    @property
    def left_alone(self) -> list[str]:
        """Who was not told, in words; nothing if all were."""
        return [f"not told, because nothing of theirs changed: {', '.join(self.untold)}"] if self.untold else []

    @words.shown
    def __repr__(self) -> str:
        lines = self.changed
        lines += [
            f"told {proxy.proxy} ({', '.join(proxy.types)}), acknowledged after {words.duration(proxy.in_force_s)}"
            for proxy in self.proxies
        ]
        lines += self.left_alone
        lines.append(f"in force after {words.duration(self.in_force_s)}: the last acknowledgement")
        return "\n".join(lines)


def pushed_by(result: ApplyResult, pods: Iterable[Pod]) -> Pushed:
    """What a change told to whom.

    Args:
        result: of an apply, delete, patch or scale that concerned a proxy.
        pods: all pods there are.
    """
    told = {proxy.proxy for proxy in result.proxies}
    return Pushed(
        tuple(change for change in result.changes if change.action != "unchanged"),
        tuple(sorted(result.proxies, key=lambda proxy: (proxy.in_force_s, proxy.proxy))),
        tuple(pod.name for pod in pods if pod.has_proxy and pod.name not in told),
        max(proxy.in_force_s for proxy in result.proxies),
    )
