"""What a learner has done, kept in one small file that may be deleted at any time.

Progress is a convenience: when it cannot be read or written, exercises work all the same and ``summary`` says why.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport import paths, words
from labsupport.errors import LabError
from labsupport.outcome import FAILED, NOT_ATTEMPTED, PASSED, CheckState

__all__ = ["Done", "Summary", "record", "reset", "summary"]

_FORMAT = 1
_MARKS = {PASSED: "✓", FAILED: "✗", NOT_ATTEMPTED: "·"}


@dataclass(frozen=True, slots=True)
class Done:
    """How far one exercise is.

    Args:
        number: such as ``02.1``.
        title: what it is about.
        state: PASSED once it has passed, else what the last check said.
        checks: how often it was checked.
        hints: how many hints were read.
        passed_s: when it first passed, in seconds since the epoch; 0 if it did not.
    """

    number: str
    title: str
    state: CheckState
    checks: int = 0
    hints: int = 0
    passed_s: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """How far all exercises are.

    Args:
        exercises: in the order of the course.
        file: where it is kept.
        problem: why it cannot be kept or read; empty if it can.
    """

    exercises: tuple[Done, ...]
    file: Path | None
    problem: str = ""

    @property
    def passed(self) -> int:
        """How many have passed."""
        return sum(done.state is PASSED for done in self.exercises)

    def __repr__(self) -> str:
        lines = [f"{self.passed} of {words.plural(len(self.exercises), 'exercise')} passed"]
        for done in self.exercises:
            notes = [f"{words.plural(done.checks, 'check')}"] if done.checks else []
            notes += [words.plural(done.hints, "hint")] if done.hints else []
            lines.append(
                f"  {_MARKS[done.state]} {done.number} {done.title}" + (f" ({', '.join(notes)})" if notes else "")
            )
        if self.problem:
            lines.append(self.problem)
        return "\n".join(lines)


def record(number: str, state: CheckState | None, *, hints: int = 0) -> bool:
    """Note the outcome of a check, or that a hint was read.

    Args:
        number: the exercise.
        state: the outcome; None if there was no check.
        hints: how many hints were read in this session.

    Returns:
        Whether it could be kept.
    """
    try:
        file = paths.state_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file):
            kept, _ = _read(file)
            entry = kept.setdefault(number, {})
            entry["hints"] = max(_whole(entry.get("hints")), hints)
            if state in (PASSED, FAILED):
                entry["checks"] = _whole(entry.get("checks")) + 1
                # Who has solved it once has solved it, also when a later cell breaks it again.
                if entry.get("state") != PASSED:
                    entry["state"] = str(state)
                    entry |= {"passed_s": time.time()} if state is PASSED else {}
            _write(file, kept)
    except (OSError, LabError):
        return False
    return True


def reset() -> None:
    """Forget everything."""
    with suppress(OSError, LabError):
        paths.state_file().unlink(missing_ok=True)


def summary() -> Summary:
    """How far all exercises of the course are; reads and never writes."""
    from labsupport import exercises

    kept: dict[str, Any] = {}
    file, problem = None, ""
    try:
        file = paths.state_file()
        kept, problem = _read(file)
        folder = next(folder for folder in (file.parent, *file.parent.parents) if folder.exists())
        if not os.access(folder, os.W_OK):
            problem = f"Progress cannot be kept: {folder} is read-only. Set WORKSHOP_STATE to a file elsewhere."
    except LabError as error:
        problem = str(error)
    done = []
    for number, spec in exercises.every().items():
        entry = kept.get(number, {})
        state = CheckState(entry["state"]) if entry.get("state") in (PASSED, FAILED) else NOT_ATTEMPTED
        passed_s = entry.get("passed_s")
        done.append(
            Done(
                number,
                spec.title,
                state,
                _whole(entry.get("checks")),
                _whole(entry.get("hints")),
                float(passed_s) if isinstance(passed_s, int | float) else 0.0,
            )
        )
    return Summary(tuple(done), file, problem)


def _read(file: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """What is kept, and what is wrong with the file; a broken file counts as empty."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = content["exercises"]
        return {str(number): dict(entry) for number, entry in entries.items()}, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"Progress cannot be read: {error}."
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, f"{file} is damaged and counts as empty; the next check replaces it."


def _write(file: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Replace the file in one step, so that a reader or a crash never meets half of it."""
    text = json.dumps({"format": _FORMAT, "exercises": dict(sorted(entries.items()))}, indent=1) + "\n"
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(text)
        os.replace(name, file)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One writer at a time: several notebooks may check at once, each in a kernel of its own."""
    with open(file.with_name(f".{file.name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
