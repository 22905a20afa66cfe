"""A live picture of what an engine is asked for, as often as its answers are fast."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from labsupport.display.live.live_view import LiveView, Shown
from labsupport.errors import LabError

__all__ = ["PacedView"]

# Looking takes at most this part of the time: a cluster answers more slowly than a mesh on this machine.
_SHARE = 0.1


class PacedView(LiveView):
    """Looks again and again, and keeps what was to be seen last where nothing answers.

    Args:
        size: as for ``LiveView``.
        look_s: seconds between two looks, where the answers are fast.
    """

    def __init__(self, size: Mapping[str, Any], *, look_s: float) -> None:
        self._look_s = look_s
        self._due_s, self._problem = 0.0, ""
        super().__init__(size, interval_s=look_s)

    # --- for the pictures -----------------------------------------------------------------------------------------

    @abstractmethod
    def _read(self) -> None:
        """Read what there is now; a ``LabError`` is shown."""

    @abstractmethod
    def _now(self) -> Shown:
        """What was read last, as a static picture."""

    def _look(self) -> None:
        """Read what there is, if it is time to."""
        begun = time.monotonic()
        if begun < self._due_s:
            return
        try:
            self._read()
            self._problem = ""
        except LabError as error:
            self._problem = str(error)
        took = time.monotonic() - begun
        self._due_s = begun + took + max(0.5 * self._look_s, took / _SHARE)

    # --- what a person asks for -----------------------------------------------------------------------------------

    def snapshot(self) -> Shown:
        """What there is now, as a picture that stays in an exported notebook."""
        self._raise_stored()
        self._due_s = 0.0
        self._look()
        return self._now()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            # For viewers without widgets (GitHub, an export).
            data["text/html"] = self._now()._repr_mimebundle_()["text/html"]
        return bundle

    def _is_busy(self) -> bool:
        return True
