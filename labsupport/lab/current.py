"""The lab of this kernel: one at a time, opened again by a learner who runs the first cell again, closed at the end."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from labsupport import words
from labsupport.arguments import check_options, shown
from labsupport.engine.protocol import Engine
from labsupport.errors import EngineError, LabError, UsageError
from labsupport.lab.sources import Source
from labsupport.records import ApplyResult, Leftovers

if TYPE_CHECKING:
    from labsupport.metrics.watching import Metrics

__all__ = ["OpenLab", "current", "forget", "prepare_engine", "replace"]

_ENGINE_VARIABLE = "WORKSHOP_ENGINE"
_ENGINES = {
    "embedded": ("labsupport.engine.embedded.engine", "EmbeddedEngine"),
    "cluster": ("labsupport.engine.cluster", "ClusterEngine"),
}

_lock = threading.RLock()


class OpenLab(Protocol):
    """What a kernel does with its lab."""

    def apply(self, *sources: Source, timeout_s: float | None = None, name: str = "manifest") -> ApplyResult:
        """Create or change objects."""
        ...

    def metrics(self) -> Metrics:
        """What the proxies counted."""
        ...

    def close(self) -> Leftovers:
        """Stop everything."""
        ...


_current: OpenLab | None = None
_at_exit: Callable[[], None] | None = None


def prepare_engine(engine: str | Engine | None, options: dict[str, Any]) -> Callable[[], Engine]:
    """Check what is asked for, and leave the start of the engine for later.

    Args:
        engine: ``embedded``, ``cluster``, an engine that runs already, or None for ``WORKSHOP_ENGINE`` (else embedded).
        options: keyword arguments of the engine's class.

    Returns:
        What starts the engine; it raises an ``EngineError`` if the engine cannot start.

    Raises:
        UsageError: no such engine, or an option that it does not have or that is of a wrong kind.
    """
    if engine is not None and not isinstance(engine, str):
        if options:
            raise UsageError(f"An engine that runs already takes no options: {', '.join(options)}.")
        if isinstance(engine, type) or not isinstance(engine, Engine):
            names = words.join(map(repr, _ENGINES), "or")
            raise UsageError(f"{shown('engine', engine)}: give {names}, or an Engine that runs.")
        running = engine
        return lambda: running
    origin = "engine" if engine is not None else _ENGINE_VARIABLE
    name = engine if engine is not None else os.environ.get(_ENGINE_VARIABLE) or "embedded"
    here = [known for known, (module, _) in _ENGINES.items() if importlib.util.find_spec(module)]
    if name not in here:
        raise UsageError(f"{origin}={name!r}: this installation has the engines {', '.join(map(repr, here))}.")
    module, class_name = _ENGINES[name]
    make = getattr(importlib.import_module(module), class_name)
    options = check_options(f"Lab(engine={name!r})", make, options)
    make.check_options(**options)

    def start() -> Engine:
        started: Engine = make(**options)
        return started

    return start


def replace(lab: OpenLab | None, *, at_exit: Callable[[], None] | None = None) -> None:
    """Make ``lab`` the kernel's lab, after closing the one before it.

    Args:
        lab: the new one; None leaves none.
        at_exit: called before the lab is closed because the kernel ends.
    """
    global _current, _at_exit
    with _lock:
        former, _current = _current, lab
        former_at_exit, _at_exit = _at_exit, at_exit
    if former is not None and former is not lab:
        try:
            # A learner whose engine was lost opens a new lab; what is left of the old one is swept by the new engine.
            with suppress(EngineError):
                former.close()
        except KeyboardInterrupt:
            # Not closed yet: the next Lab(), or the end of the kernel, goes on with it.
            with _lock:
                _current, _at_exit = former, former_at_exit
            raise


def forget(lab: OpenLab) -> None:
    """``lab`` is closed: ``%%manifest`` must not use it any more."""
    global _current, _at_exit
    with _lock:
        if _current is lab:
            _current = _at_exit = None


def current() -> OpenLab:
    """The lab that ``%%manifest`` applies to.

    Raises:
        UsageError: none is open.
    """
    if _current is None:
        raise UsageError("No lab is open. Run the cell with 'lab = Lab()' first.")
    return _current


@atexit.register
def _close_at_exit() -> None:
    if _at_exit is not None:
        _at_exit()
    try:
        replace(None)
    except LabError as error:
        # The process ends anyway, and the supervisor notices by its closed socket; say what could not be done.
        print(f"labsupport: closing the lab: {error}", file=sys.stderr)
