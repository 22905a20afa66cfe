"""What a learner has done, kept in one small file that may be deleted at any time.

Progress is a convenience: when it cannot be read or written, exercises work all the same and ``Kept.problem`` says why.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport import paths, words
from labsupport.check.result import FAILED, PASSED, CheckState
from labsupport.errors import LabError

__all__ = ["Kept", "prediction", "read", "record", "record_prediction", "reset", "whole"]

_FORMAT = 1


def record(number: str, state: CheckState | None, *, hints: int = 0, rungs: int = 0) -> bool:
    """Note the outcome of a check, or that a hint was read.

    Args:
        number: the exercise.
        state: the outcome; None if there was no check.
        hints: how many hints were read in this session.
        rungs: how many rungs of the exercise were reached; the most that ever were are kept.

    Returns:
        Whether it could be kept.
    """

    def change(entry: dict[str, Any]) -> None:
        entry["hints"] = max(whole(entry.get("hints")), hints)
        if rungs:
            entry["rungs"] = max(whole(entry.get("rungs")), rungs)
        if state in (PASSED, FAILED):
            entry["checks"] = whole(entry.get("checks")) + 1
            # Who has solved it once has solved it, also when a later cell breaks it again.
            if entry.get("state") != PASSED:
                entry["state"] = str(state)
                entry |= {"passed_s": time.time()} if state is PASSED else {}

    return _update(number, change)


def record_prediction(
    number: str, question: str, value: float | str | None, *, at_s: float, late: bool | None = None
) -> bool:
    """Note a prediction with its time, or that it was skipped.

    Args:
        number: the exercise.
        question: the name of the question.
        value: the prediction; None if there was none.
        at_s: when it was given, in seconds since the epoch.
        late: whether it came after the first response that it was held against; None if it was not held against any.

    Returns:
        Whether it could be kept.
    """

    def change(entry: dict[str, Any]) -> None:
        kept = entry.get("predictions")
        said = {"skipped": True} if value is None else {"value": value}
        compared = {} if late is None else {"late": late}
        entry["predictions"] = (kept if isinstance(kept, dict) else {}) | {question: {**said, "at_s": at_s, **compared}}

    return _update(number, change)


def prediction(number: str, question: str) -> tuple[object, float, bool | None] | None:
    """What was predicted, perhaps in an earlier kernel, when, and whether it was late; None for nothing, or damage."""
    entry = read().entries.get(number, {}).get("predictions")
    kept = entry.get(question) if isinstance(entry, dict) else None
    if not isinstance(kept, dict) or not isinstance(kept.get("at_s"), int | float) or "value" not in kept:
        return None
    late = kept.get("late")
    return kept["value"], float(kept["at_s"]), late if isinstance(late, bool) else None


def _update(number: str, change: Callable[[dict[str, Any]], None]) -> bool:
    try:
        file = paths.state_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file):
            kept, _ = _read(file)
            change(kept.setdefault(number, {}))
            _write(file, kept)
    except (OSError, LabError):
        return False
    return True


def reset() -> None:
    """Forget everything."""
    with suppress(OSError, LabError):
        paths.state_file().unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file says.

    Args:
        entries: by number of the exercise, as they were written.
        file: where it is kept; None where no place can be named.
        problem: why it cannot be kept or read; empty if it can.
    """

    entries: Mapping[str, Mapping[str, Any]]
    file: Path | None
    problem: str = ""


def read() -> Kept:
    """What is kept; reads and never writes."""
    try:
        file = paths.state_file()
    except LabError as error:
        return Kept({}, None, str(error))
    entries, problem = _read(file)
    folder = next(folder for folder in (file.parent, *file.parent.parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        problem = f"Progress cannot be kept: {folder} is read-only. Set WORKSHOP_STATE to a file elsewhere."
    return Kept(entries, file, problem)


def whole(value: object) -> int:
    """A count as it was written; what is no count is 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _read(file: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """What is kept, and what is wrong with the file; a broken file counts as empty."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = content["exercises"]
        return {str(number): dict(entry) for number, entry in entries.items()}, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"Progress cannot be read: {words.reason(error)}."
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
