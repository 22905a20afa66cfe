"""Messages between processes, reserved ports, and the spawner itself."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from labsupport.engine.embedded.processes import ports, rundir, spawner, wire
from labsupport.engine.embedded.processes.spawner_client import Spawner, last_words
from labsupport.errors import StorageError


def test_messages_survive_being_cut_anywhere() -> None:
    messages = [{"a": 1}, "x" * 100_000, [1, 2, 3]]
    data = b"".join(wire.encode(message) for message in messages)
    for size in (1, 3, 7, 4096, len(data)):
        if size == 1:
            chunks = [data[:1], data[1:2], data[2:]]
        else:
            chunks = [data[start : start + size] for start in range(0, len(data), size)]
        decoder = wire.Decoder()
        assert [message for chunk in chunks for message in decoder.feed(chunk)] == messages


def test_a_closed_end_is_told_apart_from_a_message() -> None:
    ours, theirs = socket.socketpair()
    wire.send(theirs, "last")
    theirs.close()
    assert wire.receive(ours) == "last"
    with pytest.raises(EOFError):
        wire.receive(ours)
    ours.close()


def test_reserved_ports_differ_refuse_and_can_be_listened_on_again() -> None:
    reserved_port = [ports.reserve() for _ in range(50)]
    try:
        assert len({port.number for port in reserved_port}) == 50
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", reserved_port[0].number)) == errno.ECONNREFUSED
        for _ in range(2):
            with (
                ports.listen(reserved_port[0].number),
                socket.create_connection(("127.0.0.1", reserved_port[0].number), 2.0),
            ):
                pass
    finally:
        for port in reserved_port:
            port.close()


def test_a_number_is_given_that_is_wanted_and_that_nobody_has() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        wanted = probe.getsockname()[1]
        other = ports.reserve(wanted)
        assert other.number != wanted
    first = ports.reserve(wanted)
    # A second lab would share it if it asked the way that a listener of the first one does.
    second = ports.reserve(wanted)
    assert first.number == wanted != second.number
    for port in (other, first, second):
        port.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps a reserved port")
def test_nobody_else_gets_a_reserved_port() -> None:
    kept = ports.reserve()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", kept.number))
    kept.close()


def test_a_process_is_known_by_pid_and_start() -> None:
    start = rundir.process_start(os.getpid())
    assert rundir.alive(os.getpid(), start)
    assert not rundir.alive(os.getpid(), f"{start}0")
    assert not rundir.alive(os.getpid(), "")


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "cannot be written")])
def test_a_disk_problem_is_explained(number: int, words: str) -> None:
    with pytest.raises(StorageError, match=f"{words}.*TMPDIR"), rundir.explained("/somewhere"):
        raise OSError(number, os.strerror(number))


def test_last_words_are_the_last_line_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("first\nlast of all\n\n  \n")
    assert last_words(log) == "last of all"


def test_an_envoy_that_crashed_is_told_by_its_cause(tmp_path: Path) -> None:
    log = tmp_path / "log"
    head = "[2026-01-01 00:00:00.000][7][critical]"
    traced = "".join(f"{head}[backtrace] [backtrace.h:167] #{number}: [0x55c9f5cac016]\n" for number in range(60))
    log.write_text(
        f"{head}[backtrace] [b.h:173] Caught Floating point exception, suspect faulting address 0x5\n{traced}"
    )
    assert last_words(log, crashed=True) == "Floating point exception"
    log.write_text(f"{head}[assert] [ring.cc:9] assert failure: size > 0. Details: none\n{traced}")
    assert last_words(log, crashed=True) == "assert failure: size > 0. Details: none"
    assert "#59" in last_words(log)


APP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    # As when a client is gone before its answer is written: an error, and not the end of the program.
    reading, writing = os.pipe()
    os.close(reading)
    try:
        os.write(writing, b"too late")
    except BrokenPipeError:
        os.close(writing)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": NAME.encode()})

def create_app(env):
    global NAME
    NAME = env["NAME"]
    return app
"""


def test_the_spawner_starts_reports_and_takes_everything_along(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "app.py").write_text(APP)
    ours, theirs = socket.socketpair()
    # A process of its own, as the supervisor's: this one has threads.
    code = "import socket, sys; from pathlib import Path; from labsupport.engine.embedded.processes import spawner\n"
    code += "spawner.serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))"
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", code, str(theirs.fileno()), str(folder)], os.environ
    ) if not os.set_inheritable(theirs.fileno(), True) else 0  # fmt: skip
    theirs.close()
    port = ports.reserve()

    async def scenario() -> int:
        client = Spawner(ours)
        await client.open()
        log = folder / "log"
        app = await client.start_app(
            tmp_path / "app.py", env={"NAME": "ledger"}, port=port.number, log=log, grace_s=1.0
        )
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                break
            except OSError:
                await asyncio.sleep(0.01)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b"ledger" in await reader.read()
        writer.close()
        failing = await client.start_program(("/bin/sh", "-c", "echo lost; exit 7"), cwd=folder, log=log)
        assert await asyncio.wait_for(failing.ended, 60.0) == 7
        assert last_words(log) == "lost"
        missing = await client.start_program(("/no/such/program",), cwd=folder, log=log)
        assert await asyncio.wait_for(missing.ended, 60.0) == 1
        stopped = await client.start_program(("/bin/sleep", "60"), cwd=folder, log=log)
        await stopped.stop(grace_s=60.0)
        assert stopped.ended.result() == -signal.SIGTERM
        client.kill(os.getpid(), signal.SIGKILL)  # Not one of its own: must not be obeyed.
        client.close()
        return app.pid

    app_pid = asyncio.run(asyncio.wait_for(scenario(), 120.0))
    assert os.waitpid(pid, 0)[1] == 0
    assert rundir.process_start(app_pid) == ""
    assert not folder.exists()
    port.close()


def test_a_spawner_tells_why_a_log_cannot_be_written(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        first = spawner._Spawner(theirs, tmp_path)
        first._obey(spawner.StartProgram(1, ("/bin/true",), str(tmp_path), str(tmp_path / "no" / "log")))
        answer = wire.receive(ours)
        assert (answer.pid, answer.errno) == (0, errno.ENOENT)
        os.close(first._wake_read)
        os.close(first._wake_write)
    ours.close()
