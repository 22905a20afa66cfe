"""The kernel's end of the supervisor: several callers, interruptions, and a supervisor that is gone or silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from labsupport.engine.embedded.processes import wire
from labsupport.engine.embedded.processes.link import Link
from labsupport.errors import EngineLostError, NotFoundError


class Supervisor:
    """The other end, by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def call(self) -> tuple[int, str]:
        number, method, _, _ = wire.receive(self.sock)
        return number, method

    def answer(self, number: int, value: object, *, succeeded: bool = True) -> None:
        wire.send(self.sock, (number, succeeded, value))


@pytest.fixture
def ends() -> Iterator[tuple[Link, Supervisor]]:
    ours, theirs = socket.socketpair()
    link = Link(ours, lambda: "its last words")
    yield link, Supervisor(theirs)
    theirs.close()
    link.close()


def test_answers_find_their_callers_in_any_order(ends: tuple[Link, Supervisor]) -> None:
    link, supervisor = ends
    got: dict[str, object] = {}

    def ask(method: str) -> None:
        got[method] = link.call(method, (), {}, timeout_s=60.0)

    callers = [threading.Thread(target=ask, args=(method,)) for method in ("a", "b", "c")]
    for caller in callers:
        caller.start()
    calls = [supervisor.call() for _ in callers]
    for number, method in reversed(calls):
        supervisor.answer(number, method.upper())
    for caller in callers:
        caller.join(60.0)
    assert got == {"a": "A", "b": "B", "c": "C"}


def test_an_error_of_the_supervisor_is_raised_here(ends: tuple[Link, Supervisor]) -> None:
    link, supervisor = ends
    threading.Thread(
        target=lambda: supervisor.answer(supervisor.call()[0], NotFoundError("no such pod"), succeeded=False)
    ).start()
    with pytest.raises(NotFoundError, match="no such pod"):
        link.call("a", (), {}, timeout_s=60.0)


def test_the_answer_to_an_abandoned_call_is_dropped(ends: tuple[Link, Supervisor]) -> None:
    link, supervisor = ends
    with pytest.raises(EngineLostError, match="did not answer 'slow'"):
        link.call("slow", (), {}, timeout_s=0.01)
    number, _ = supervisor.call()
    supervisor.answer(number, "too late")
    threading.Thread(target=lambda: supervisor.answer(supervisor.call()[0], "in time")).start()
    assert link.call("next", (), {}, timeout_s=60.0) == "in time"


def test_a_supervisor_that_ends_fails_calls_under_way_and_all_later_ones(ends: tuple[Link, Supervisor]) -> None:
    link, supervisor = ends
    threading.Thread(target=lambda: (supervisor.call(), supervisor.sock.close())).start()
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"its last words.*Lab\(\)"):
        link.call("a", (), {}, timeout_s=600.0)
    with pytest.raises(EngineLostError, match=r"Lab\(\)"):
        link.call("b", (), {}, timeout_s=600.0)
    assert time.monotonic() - began < 300.0


def test_opening_waits_for_the_supervisors_first_word(ends: tuple[Link, Supervisor]) -> None:
    link, supervisor = ends
    supervisor.answer(0, NotFoundError("no images"), succeeded=False)
    with pytest.raises(NotFoundError, match="no images"):
        link.opened(5.0)
