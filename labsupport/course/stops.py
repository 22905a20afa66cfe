"""What a notebook says where IPython would show a long stack: an interrupt, and a name that an earlier cell makes."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Container, Mapping
from types import TracebackType
from typing import Any

__all__ = ["install"]

_AGAIN = "Run > Run All Above Selected Cell does it."


def install(shell: Any, first: Container[str]) -> None:
    """Have a kernel say it in one line; doing it again changes nothing.

    Args:
        shell: the IPython shell.
        first: names that the first cell of a notebook makes.
    """
    plain = type(shell).showtraceback

    def showtraceback(exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        # Asked for whatever was at work, a line of the cell or IPython itself between two of them.
        _, error, trace = exc_tuple or sys.exc_info()
        said = _interrupted(trace, shell.user_ns) if isinstance(error, KeyboardInterrupt) else ""
        if isinstance(error, NameError):
            said = _unknown(str(error.name or ""), trace, shell.user_ns, first)
        if said and error is not None:
            # IPython asks the exception itself for its rendering.
            error._render_traceback_ = lambda: [f"{type(error).__name__}: {said}"]  # type: ignore[union-attr]
        plain(shell, exc_tuple, *args, **options)

    shell.showtraceback = showtraceback


def _lines(trace: TracebackType | None, names: Mapping[str, Any]) -> list[int]:
    """Lines of the learner's own code in a stack, from the outside; the last is 0 if the stack ends in other code."""
    lines = []
    step = trace
    while step is not None:
        own = step.tb_frame.f_globals is names
        lines.append(step.tb_lineno if own else 0)
        step = step.tb_next
    return lines


def _interrupted(trace: TracebackType | None, names: Mapping[str, Any]) -> str:
    line = next((line for line in _lines(trace, names) if line), 0)
    place = f"in line {line} of this cell" if line else "in this cell"
    return f"stopped {place}, which may be done in part. Run the cell again to do all of it."


def _unknown(name: str, trace: TracebackType | None, names: Mapping[str, Any], first: Container[str]) -> str:
    """What to say of a name that is not defined; nothing if IPython's own words serve better."""
    if not any(_lines(trace, names)[-1:]):
        return ""
    known = f"name {name!r} is not defined"
    if name in first:
        return f"{known}. Run the first code cell of this notebook, and after a restart all above. {_AGAIN}"
    if "lab" not in names:
        return f"{known}, and no lab is open yet. After a restart, run the cells above first. {_AGAIN}"
    # Python itself suggests a name only where it prints the stack.
    near = difflib.get_close_matches(name, [own for own in names if not own.startswith("_")], n=1, cutoff=0.65)
    hint = f"Did you mean {near[0]}?" if near else f"If a cell above makes it, run that first. {_AGAIN}"
    return f"{known}. {hint}"
