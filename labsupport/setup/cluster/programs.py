"""Running programs: never through a shell, always with a time limit, and with their output kept for those who look."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labsupport.errors import EngineError

__all__ = ["EndedProgram", "ProgramError", "ask", "run"]

_ASK_S = 9.0


@dataclass(frozen=True, slots=True)
class EndedProgram:
    """A program that has ended.

    Args:
        command: its arguments, the program first.
        status: exit status; -1 when it was stopped because it took too long.
        output: what it wrote to standard output; of ``run``, to both outputs.
        errors: what it wrote to standard error; of ``run``, nothing.
    """

    command: tuple[str, ...]
    status: int
    output: str
    errors: str = ""

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return "\n".join(part for part in (self.errors.strip(), self.output.strip()) if part)

    def last_lines(self, count: int = 5) -> str:
        """The end of its output, indented, for a message."""
        lines = [line.rstrip() for line in self.said.splitlines() if line.strip()]
        return "\n".join(f"  | {line[:300]}" for line in lines[-count:])


class ProgramError(EngineError):
    """A program failed; carries what it was and wrote.

    Attributes:
        done: the program's end.
    """

    def __init__(self, text: str, done: EndedProgram) -> None:
        super().__init__(text)
        self.done = done


def ask(
    command: Sequence[str], *, timeout_s: float = _ASK_S, environment: Mapping[str, str] | None = None
) -> EndedProgram:
    """Run a program that answers at once; standard output and standard error are kept apart.

    Args:
        command: the program and its arguments.
        timeout_s: after which it is stopped.
        environment: variables to add to this process's.

    Returns:
        Its end, whatever the status; status 127 if it cannot be started.
    """
    try:
        ended = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return EndedProgram(tuple(command), -1, "", f"no answer within {timeout_s:.0f} s")
    except OSError as error:
        return EndedProgram(tuple(command), 127, "", f"{command[0]} cannot be started: {error.strerror}")
    return EndedProgram(tuple(command), ended.returncode, _text(ended.stdout), _text(ended.stderr))


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    log: Path | None = None,
) -> EndedProgram:
    """Run a program that takes a while.

    Args:
        command: the program and its arguments.
        timeout_s: after which it is stopped.
        environment: variables to add to this process's.
        on_line: is given each line that it writes.
        log: file to which the command and its whole output are added.

    Returns:
        Its end, whatever the status; status 127 if it cannot be started.
    """
    lines: list[str] = []
    with open(log or os.devnull, "a", encoding="utf-8") as kept:
        kept.write(f"$ {' '.join(command)}\n")
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            return EndedProgram(tuple(command), 127, f"{command[0]} cannot be started: {error.strerror}")
        assert process.stdout is not None
        # Reading ends when the last holder of the pipe does; a program that leaves children must not keep us.
        reader = threading.Thread(target=_read, args=(process.stdout, lines, kept, on_line), daemon=True)
        reader.start()
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _stop(process)
            status = -1
            lines.append(f"it was stopped after {timeout_s:.0f} s")
        except BaseException:
            _stop(process)
            raise
        finally:
            reader.join(5)
            process.stdout.close()
        kept.write(f"exit status {status}\n\n")
    return EndedProgram(tuple(command), status, "\n".join(lines))


def _read(stream: IO[str], lines: list[str], kept: IO[str], on_line: Callable[[str], None] | None) -> None:
    for raw in stream:
        line = raw.rstrip()
        lines.append(line)
        kept.write(f"{line}\n")
        if on_line is not None and line:
            on_line(line)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a program: it may tidy up for ten seconds (kind removes a half-made node)."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")
