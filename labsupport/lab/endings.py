"""Programs and proxies that ended without being asked, which the next verb tells."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.records import Pod

__all__ = ["Endings"]


class Endings:
    """How often the pods of a lab were started again, and what of it was told."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def untold(self, pods: Iterable[Pod]) -> tuple[str, ...]:
        """What ended since it was last told, in words; of pods that are new nothing is known before.

        Args:
            pods: all pods, as they are now.
        """
        return tuple(
            f"{pod.name} ended unasked since the last change, and was started again"
            + (f"; its last words: {pod.last_words}" if pod.last_words else "")
            for pod in pods
            if pod.restarts > self._told.get(pod.name, pod.restarts)
        )

    def tell(self, pods: Iterable[Pod]) -> tuple[str, ...]:
        """The same, told herewith.

        Args:
            pods: all pods, as they are now.
        """
        listed = list(pods)
        texts = self.untold(listed)
        self._told = {pod.name: pod.restarts for pod in listed}
        return texts
