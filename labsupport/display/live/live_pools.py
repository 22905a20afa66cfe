"""The connection pools of a proxy, live: looks twice a second at most, and draws what changed."""

from __future__ import annotations

from typing import Any

from labsupport.display.drawing.figure import svg
from labsupport.display.live.live_view import Shown
from labsupport.display.live.paced_view import PacedView
from labsupport.display.pictures.pool_picture import pools_body, pools_figure
from labsupport.observe.pools import Pools

__all__ = ["LivePools"]

_WIDE = 560.0


class LivePools(PacedView):
    """Places that are taken, limits and refusals as they are now.

    It ends with ``close()`` or with the lab, and then leaves what was to be seen last.

    Args:
        pools: what ``lab.pools(...)`` returned.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        # The page of the overview: sections of markup, each replaced when it changed. This has one.
        super().__init__({"kind": "status", "title": "Connection pools"}, look_s=0.5)
        if pools.when_closed is not None:
            pools.when_closed(self.freeze)

    def __repr__(self) -> str:
        return repr(self._pools)

    def _read(self) -> None:
        if self._pools.again is not None:
            self._pools = self._pools.again()

    def _now(self) -> Shown:
        return pools_figure(self._pools)

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        body, high = pools_body(self._pools)
        what = f"in the proxy of {self._pools.pod}"
        picture = svg(body, width=_WIDE, height=high, label=f"Connection pools {what}", description=repr(self._pools))
        return self._compose({"pods": picture}, {"what": what, "error": self._problem}, repr(self._pools), full=full)
