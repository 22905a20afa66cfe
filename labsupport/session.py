"""The lab of this kernel: one at a time, opened again by a learner who runs the first cell again, closed at the end."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import inspect
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from labsupport.errors import EngineError, LabError, UsageError
from labsupport.keywords import refuse_unknown

if TYPE_CHECKING:
    from labsupport.engine.base import Engine
    from labsupport.lab import Lab

__all__ = ["current", "forget", "install_in_notebook", "prepare_engine", "replace"]

_ENGINE_VARIABLE = "WORKSHOP_ENGINE"
_ENGINES = {
    "embedded": ("labsupport.engine.embedded", "EmbeddedEngine"),
    "cluster": ("labsupport.engine.cluster", "ClusterEngine"),
}

_lock = threading.RLock()
_current: Lab | None = None


def prepare_engine(engine: str | Engine | None, options: dict[str, Any]) -> Callable[[], Engine]:
    """Check what is asked for, and leave the start of the engine for later.

    Args:
        engine: ``embedded``, ``cluster``, an engine that runs already, or None for ``WORKSHOP_ENGINE`` (else embedded).
        options: keyword arguments of the engine's class.

    Returns:
        What starts the engine; it raises an ``EngineError`` if the engine cannot start.

    Raises:
        UsageError: no such engine, or an option that it does not have.
    """
    if engine is not None and not isinstance(engine, str):
        if options:
            raise UsageError(f"An engine that runs already takes no options: {', '.join(options)}.")
        running = engine
        return lambda: running
    origin = "engine" if engine is not None else _ENGINE_VARIABLE
    name = engine if engine is not None else os.environ.get(_ENGINE_VARIABLE) or "embedded"
    here = [known for known, (module, _) in _ENGINES.items() if importlib.util.find_spec(module)]
    if name not in here:
        raise UsageError(f"{origin}={name!r}: this installation has the engines {', '.join(map(repr, here))}.")
    module, class_name = _ENGINES[name]
    make = getattr(importlib.import_module(module), class_name)
    refuse_unknown(f"Lab(engine={name!r})", options, inspect.signature(make))

    def start() -> Engine:
        started: Engine = make(**options)
        return started

    return start


def replace(lab: Lab | None) -> None:
    """Make ``lab`` the kernel's lab, after closing the one before it."""
    global _current
    with _lock:
        former, _current = _current, lab
    if former is not None and former is not lab:
        # A learner whose engine was lost opens a new lab; what is left of the old one is swept by the new engine.
        with suppress(EngineError):
            former.close()


def forget(lab: Lab) -> None:
    """``lab`` is closed: ``%%manifest`` must not use it any more."""
    global _current
    with _lock:
        if _current is lab:
            _current = None


def current() -> Lab:
    """The lab that ``%%manifest`` applies to.

    Raises:
        UsageError: none is open.
    """
    if _current is None:
        raise UsageError("No lab is open. Run the cell with 'lab = Lab()' first.")
    return _current


def install_in_notebook() -> None:
    """Make the kernel know ``%%manifest`` and the pictures of our records; nothing outside IPython."""
    # IPython is never imported for this: a script or a test that does not run in it has no use for it.
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    if shell is not None:
        from labsupport import display, magic

        magic.register(shell)
        display.install(shell)


@atexit.register
def _close_at_exit() -> None:
    if _current is not None:
        # Nobody can be shown anything any more.
        _current._last_wishes.clear()
    try:
        replace(None)
    except LabError as error:
        # The process ends anyway, and the supervisor notices by its closed socket; say what could not be done.
        print(f"labsupport: closing the lab: {error}", file=sys.stderr)
