"""The echo: each line comes back with the version before it, and open connections may end when it does."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import pytest
from image_app import App, start, stop


def connect(app: App, *, timeout_s: float = 20.0) -> socket.socket:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return socket.create_connection(("127.0.0.1", app.port), timeout=10)
        except ConnectionRefusedError:
            assert app.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def echo() -> Iterator[App]:
    app = start("echo", SERVICE_VERSION="v1")
    try:
        yield app
    finally:
        stop([app])


def test_each_line_comes_back_with_the_version_before_it(echo: App) -> None:
    with (
        connect(echo) as client,
        connect(echo) as other,
        client.makefile("rwb") as file,
        other.makefile("rwb") as second,
    ):
        for line in (b"hello\n", b"\n", b"two words\n"):
            file.write(line)
            file.flush()
            assert file.readline() == b"v1 " + line
        second.write(b"a\nb\n")
        second.flush()
        assert (second.readline(), second.readline()) == (b"v1 a\n", b"v1 b\n")


def test_the_word_can_be_chosen() -> None:
    app = start("echo", SERVICE_VERSION="v1", PREFIX="one")
    try:
        with connect(app) as client, client.makefile("rwb") as file:
            file.write(b"hello\n")
            file.flush()
            assert file.readline() == b"one hello\n"
    finally:
        stop([app])


def test_a_line_that_never_ends_costs_its_connection_only(echo: App) -> None:
    with connect(echo) as endless, pytest.raises(OSError):
        for _ in range(200):
            endless.sendall(b"x" * 65536)
    with connect(echo) as client, client.makefile("rwb") as file:
        file.write(b"still here\n")
        file.flush()
        assert file.readline() == b"v1 still here\n"


def test_an_open_connection_may_end_when_the_program_is_told_to(echo: App) -> None:
    with connect(echo) as client, client.makefile("rwb") as file:
        file.write(b"before\n")
        file.flush()
        assert file.readline() == b"v1 before\n"
        echo.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", echo.port), timeout=1).close()
            except OSError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        file.write(b"after\n")
        file.flush()
        assert file.readline() == b"v1 after\n"
    assert echo.process.wait(timeout=60) == 0
