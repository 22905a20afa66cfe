"""Functions that others leave with a lab, to be called when something happens to it."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Callbacks"]


class Callbacks:
    """Functions in the order in which they were left; the object of a bound method is not kept alive."""

    def __init__(self) -> None:
        self._acts: list[Callable[[], Callable[[], None] | None]] = []

    def add(self, act: Callable[[], None]) -> None:
        """Have a function called.

        Args:
            act: what to call.
        """
        self._acts = [known for known in self._acts if known() is not None]
        self._acts.append(weakref.WeakMethod(act) if inspect.ismethod(act) else lambda: act)

    def call(self) -> None:
        """Call all, whatever goes wrong with one: a picture must not keep the mesh from being taken down."""
        for known in list(self._acts):
            with suppress(Exception):
                if (act := known()) is not None:
                    act()

    def clear(self) -> None:
        """Forget all."""
        self._acts.clear()
