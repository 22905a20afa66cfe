"""The overview of a lab, live: looks once a second, and sends the sections that changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from labsupport.display.html.mesh_html import status_html, status_parts, status_title
from labsupport.display.live.live_view import LiveView, Shown
from labsupport.errors import LabError
from labsupport.observe.tables import LabStatus

__all__ = ["LiveStatus", "Overseen"]

_LOOK_S = 1.0
# Looking takes at most this part of the time: a cluster answers more slowly than a mesh on this machine.
_SHARE = 0.1


class Overseen(Protocol):
    """What the overview looks at; a ``Lab`` is one."""

    def status(self) -> LabStatus:
        """What runs now."""
        ...

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when it is about to end."""
        ...


class _Page:
    """A static overview."""

    def __init__(self, status: LabStatus) -> None:
        self._status = status

    def __repr__(self) -> str:
        return repr(self._status)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": status_html(self._status), "text/plain": repr(self._status)}


class LiveStatus(LiveView):
    """Pods, proxies, rules with when each came into force, and the last error, as they are now.

    It ends with ``close()`` or with the lab, and then leaves what was to be seen last.

    Args:
        lab: what to look at.
    """

    def __init__(self, lab: Overseen) -> None:
        self._lab = lab
        self._status = lab.status()
        self._due_s, self._problem = 0.0, ""
        lab.when_closed(self.freeze)
        super().__init__({"kind": "status", "title": "Mesh"}, interval_s=_LOOK_S)

    def snapshot(self) -> Shown:
        """The overview as it is now, as HTML that stays in an exported notebook."""
        self._raise_stored()
        self._due_s = 0.0
        self._look()
        return _Page(self._status)

    def __repr__(self) -> str:
        return repr(self._status)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            # For viewers without widgets (GitHub, an export).
            data["text/html"] = status_html(self._status)
        return bundle

    def _is_busy(self) -> bool:
        return True

    def _look(self) -> None:
        begun = time.monotonic()
        if begun < self._due_s:
            return
        try:
            self._status, self._problem = self._lab.status(), ""
        except LabError as error:
            self._problem = str(error)
        took = time.monotonic() - begun
        self._due_s = begun + took + max(0.5 * _LOOK_S, took / _SHARE)

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        state = {"what": status_title(self._status), "error": self._problem}
        return self._compose(status_parts(self._status), state, f"Mesh: {status_title(self._status)}", full=full)
