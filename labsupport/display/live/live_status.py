"""The overview of a lab, live: looks once a second at most, and sends the sections that changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from labsupport.display.html.mesh_html import status_html, status_parts, status_title
from labsupport.display.live.live_view import Shown
from labsupport.display.live.paced_view import PacedView
from labsupport.observe.tables import LabStatus

__all__ = ["LiveStatus", "Overseen"]


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


class LiveStatus(PacedView):
    """Pods, proxies, rules with when each came into force, and the last error, as they are now.

    It ends with ``close()`` or with the lab, and then leaves what was to be seen last.

    Args:
        lab: what to look at.
    """

    def __init__(self, lab: Overseen) -> None:
        self._lab = lab
        self._status = lab.status()
        super().__init__({"kind": "status", "title": "Mesh"}, look_s=1.0)
        lab.when_closed(self.freeze)

    def __repr__(self) -> str:
        return repr(self._status)

    def _read(self) -> None:
        self._status = self._lab.status()

    def _now(self) -> Shown:
        return _Page(self._status)

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        state = {"what": status_title(self._status), "error": self._problem}
        return self._compose(status_parts(self._status), state, f"Mesh: {status_title(self._status)}", full=full)
