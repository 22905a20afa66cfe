"""Copies are waited for as long as rules promise them, or as long as any more come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from labsupport.lab import copies
from labsupport.lab.copies import copies_arrived
from labsupport.observe.tables import AccessLog
from labsupport.records import AccessRecord

CLIENT, V1, V2 = "client-ab12-cd34", "web-v1-ab12-cd34", "web-v2-ab12-cd34"
CALL = AccessRecord("id-1", 1.0, CLIENT, "outbound", "GET", "web:8080", "/", 200, upstream_pod=V1)
COPY = AccessRecord("id-1", 1.1, V2, "inbound", mirrored=True)


class Growing:
    """A log to which the copy is added at the fifth look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> AccessLog:
        self.looks += 1
        return AccessLog([CALL, COPY] if self.looks >= 5 else [CALL])


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only sleeping moves."""
    now = [0.0]

    def sleep(for_s: float) -> None:
        now[0] += for_s

    monkeypatch.setattr(copies, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return now


def why(share: float | None) -> Any:
    mirrors = () if share is None else (SimpleNamespace(share=share, pods=(V2,)),)
    return lambda call: SimpleNamespace(mirrors=mirrors)


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.usefixtures("now")
def test_a_copy_that_may_come_is_waited_for(share: float) -> None:
    log = Growing()
    assert COPY in copies_arrived(log, AccessLog([CALL]), why(share), lambda: [V1, V2])


def test_a_whole_log_is_read_again_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_SETTLED_S", 0.0)
    log = Growing()
    copies_arrived(log, AccessLog([CALL, COPY]), why(1.0), lambda: [V1, V2])
    copies_arrived(log, AccessLog([CALL]), why(1.0), lambda: [V1])
    assert log.looks == 0


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("share", [None, 0.5])
def test_pods_are_listed_only_for_calls_that_are_copied_for_sure(share: float | None) -> None:
    log = AccessLog([CALL])
    assert copies_arrived(lambda: log, log, why(share), pytest.fail) == log


def test_a_copy_that_was_promised_and_never_comes_is_not_waited_for_long(now: list[float]) -> None:
    assert copies_arrived(lambda: AccessLog([CALL]), AccessLog([CALL]), why(1.0), lambda: [V2]) == AccessLog([CALL])
    assert 3.0 <= now[0] < 3.1
