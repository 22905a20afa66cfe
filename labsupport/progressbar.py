"""Progress bars for long work, shown only where a person watches."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["bar", "growing", "is_shown"]

_DELAY_S = 0.7
_FRAME_S = 0.4


def is_shown() -> bool:
    """Whether somebody watches: in a notebook or on a terminal, but not in CI or under pytest.

    ``WORKSHOP_PROGRESS=0`` turns bars off and ``WORKSHOP_PROGRESS=1`` on, wherever this runs.
    """
    wish = os.environ.get("WORKSHOP_PROGRESS", "")
    if wish:
        return wish != "0"
    # The kernels that nbval starts inherit pytest's environment: their outputs must not depend on timing.
    if os.environ.get("CI") or os.environ.get("PYTEST_CURRENT_TEST"):
        return False
    return _in_notebook() or sys.stderr.isatty()


@contextmanager
def bar(total: float, *, label: str, unit: str = "request") -> Iterator[Callable[[float], None]]:
    """Show how far a piece of work is; nothing is drawn when it takes less than a moment.

    Args:
        total: what ``reached`` counts up to.
        label: what is under way.
        unit: what is counted; ``s`` for seconds.

    Yields:
        A function to call with the amount reached so far.
    """
    if not is_shown():
        yield lambda reached: None
        return
    from tqdm import tqdm

    begun = time.monotonic()
    shown: tqdm[NoReturn] | None = None

    def advance(reached: float) -> None:
        nonlocal shown
        if shown is None:
            if time.monotonic() - begun < _DELAY_S:
                return
            # A bar that is made late draws nothing for short work, and needs no front-end message either.
            shown = tqdm(
                total=round(total, 1),
                desc=label,
                unit=f" {unit}",
                leave=False,
                smoothing=0,
                mininterval=0.25,
                maxinterval=1e9,
                file=_CellOutput() if _in_notebook() else sys.stderr,
                ncols=90 if _in_notebook() else None,
            )
            shown.start_t -= time.monotonic() - begun
        shown.update(min(round(reached, 1), round(total, 1)) - shown.n)

    try:
        yield advance
    finally:
        if shown is not None:
            shown.close()


@contextmanager
def growing() -> Iterator[Callable[..., None]]:
    """Show a record below the cell that grows while the cell runs; nothing outside a notebook.

    Yields:
        A function to call with one that makes the record as it is now. It is asked a few times a second at most, and
        with ``last=True`` in any case.
    """
    if not _in_notebook():
        yield lambda make, last=False: None
        return
    from IPython.display import DisplayHandle

    # IPython has no type hints.
    kind: Any = DisplayHandle
    handle, shown_at = kind(), -math.inf

    def show(make: Callable[[], object], last: bool = False) -> None:
        nonlocal shown_at
        now = time.monotonic()
        if not last and (not is_shown() or now - shown_at < _FRAME_S):
            return
        (handle.display if shown_at < 0 else handle.update)(make())
        shown_at = now

    yield show


class _CellOutput:
    """A file whose last line is shown below the cell, and nothing once it is blank.

    tqdm's own notebook bar is a widget, which a saved notebook shows as an error when its kernel is gone.
    """

    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        # IPython has no type hints.
        make: Any = DisplayHandle
        self._handle = make()
        self._handle.display({"text/plain": ""}, raw=True)

    def write(self, text: str) -> None:
        if line := text.strip("\r\n"):
            self._handle.update({"text/plain": line.strip()}, raw=True)

    def flush(self) -> None:
        """Nothing is held back."""


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
