"""Live pictures that look at an engine, stepped by a test: no thread of theirs runs, and their clock is the test's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from labsupport.display.live.paced_view import PacedView


def own_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock by which views look; its only item is the time."""
    now = [1000.0]
    monkeypatch.setattr("labsupport.display.live.paced_view.time.monotonic", lambda: now[0])
    return now


@contextmanager
def stepped(make: type[PacedView], of: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A view without its thread; what it sends stands in ``sent``."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    view: Any = make(of)
    view.sent = []
    monkeypatch.setattr(view, "send", lambda message, buffers=None: view.sent.append(message))
    yield view
    view.close()


def step(view: Any, clock: list[float]) -> None:
    """Let two seconds pass, and the view look."""
    clock[0] += 2.0
    view._step()
