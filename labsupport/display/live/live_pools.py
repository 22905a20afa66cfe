"""The connection pools of a proxy, live: looks once a second, and draws what changed."""

from __future__ import annotations

import time
from typing import Any

from labsupport.display.drawing.figure import svg
from labsupport.display.live.live_view import LiveView, Shown
from labsupport.display.pictures.pool_picture import pools_body, pools_figure
from labsupport.errors import LabError
from labsupport.observe.pools import Pools

__all__ = ["LivePools"]

_LOOK_S = 0.5
# Looking takes at most this part of the time: a cluster answers more slowly than a mesh on this machine.
_SHARE = 0.1
_WIDE = 560.0


class LivePools(LiveView):
    """Places that are taken, limits and refusals as they are now.

    It ends with ``close()`` or with the lab, and then leaves what was to be seen last.

    Args:
        pools: what ``lab.pools(...)`` returned.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._due_s, self._problem = 0.0, ""
        if pools.when_closed is not None:
            pools.when_closed(self.freeze)
        # The page of the overview: sections of markup, each replaced when it changed. This has one.
        super().__init__({"kind": "status", "title": "Connection pools"}, interval_s=_LOOK_S)

    def snapshot(self) -> Shown:
        """The pools as they are now, as a figure that stays in an exported notebook."""
        self._raise_stored()
        self._due_s = 0.0
        self._look()
        return pools_figure(self._pools)

    def __repr__(self) -> str:
        return repr(self._pools)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            # For viewers without widgets (GitHub, an export).
            data["text/html"] = pools_figure(self._pools)._repr_mimebundle_()["text/html"]
        return bundle

    def _is_busy(self) -> bool:
        return True

    def _look(self) -> None:
        begun = time.monotonic()
        if begun < self._due_s or self._pools.again is None:
            return
        try:
            self._pools, self._problem = self._pools.again(), ""
        except LabError as error:
            self._problem = str(error)
        took = time.monotonic() - begun
        self._due_s = begun + took + max(0.5 * _LOOK_S, took / _SHARE)

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        body, high = pools_body(self._pools)
        what = f"in the proxy of {self._pools.pod}"
        picture = svg(body, width=_WIDE, height=high, label=f"Connection pools {what}", description=repr(self._pools))
        return self._compose({"pods": picture}, {"what": what, "error": self._problem}, repr(self._pools), full=full)
