"""Every error that the workshop raises on purpose.

::

    LabError
    ├── ManifestError           a manifest is refused; nothing was changed
    ├── UsageError              an argument of a call makes no sense
    ├── NotFoundError           no such object, pod, service, image or file
    ├── CheckFailed             an expectation about observations does not hold (also an AssertionError)
    ├── TrafficError            background traffic stopped with an error
    └── EngineError             the mesh itself could not do what it was asked to
        ├── EnvoyMissingError   no Envoy for this platform
        ├── ConfigRejectedError a proxy refused a configuration (NACK)
        ├── WaitTimeoutError    something is not in force or not ready in time; says what was seen last
        ├── StorageError        the run folder cannot be written (read-only, full)
        └── EngineLostError     the supervisor or the cluster is gone

In a notebook these are shown as their message, without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labsupport import words

__all__ = [
    "MOST_SHOWN",
    "CheckFailed",
    "ConfigRejectedError",
    "EngineError",
    "EngineLostError",
    "EnvoyMissingError",
    "LabError",
    "ManifestError",
    "NotFoundError",
    "Problem",
    "StorageError",
    "TrafficError",
    "UsageError",
    "WaitTimeoutError",
]

MOST_SHOWN = 50
"""Problems that are shown of a set of manifests; who has more reads no further."""


class LabError(Exception):
    """Root of the tree; the message says what happened, where, and what to do next."""

    @words.shown
    def __str__(self) -> str:
        return super().__str__()

    def _render_traceback_(self) -> list[str]:
        # IPython asks the exception itself for its rendering; a learner needs the message, not our stack.
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one manifest.

    Args:
        message: what is wrong, in a full sentence without a final full stop.
        file: file name or the name of the cell it came from; empty if unknown.
        document: number of the YAML document in the file, from 1; 0 if unknown.
        line: line in the file, from 1; 0 if unknown.
        object: ``Kind/name`` as far as known.
        path: field path such as ``spec.http[0].route[1].weight``.
        remedy: what to do next.
    """

    message: str
    file: str = ""
    document: int = 0
    line: int = 0
    object: str = ""
    path: str = ""
    remedy: str = field(default="")

    @words.shown
    def __str__(self) -> str:
        place = words.place(self.file, self.line)
        if not self.line and self.document > 1:
            place += f" (document {self.document})"
        where = ", ".join(part for part in (place, self.object, self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{words.sentence(text)} {self.remedy}" if self.remedy else text


class ManifestError(LabError):
    """A set of manifests is refused as a whole; nothing was changed.

    Attributes:
        problems: every problem found, in the order of the files.
        outcome: what that means for what was asked.
    """

    def __init__(self, problems: Iterable[Problem], *, outcome: str = "nothing was changed") -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.outcome = outcome
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"  - {problem}" for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"  ... and {len(self.problems) - MOST_SHOWN:,} more")
        return "\n".join((f"{len(self.problems):,} problems, {self.outcome}:", *lines))


class UsageError(LabError, ValueError):
    """An argument of a call makes no sense; the message names the accepted forms."""


class NotFoundError(LabError, LookupError):
    """There is no such object, pod, service, image or file; the message lists what there is."""


class CheckFailed(LabError, AssertionError):
    """An expectation about observations does not hold."""


class TrafficError(LabError):
    """Background traffic stopped with an error; raised by the next call on its handle."""


class EngineError(LabError):
    """The mesh could not do what it was asked to."""


class EnvoyMissingError(EngineError):
    """There is no Envoy binary for this platform; the message says which platforms have one."""


class ConfigRejectedError(EngineError):
    """A proxy refused a configuration; carries Envoy's own reason."""


class WaitTimeoutError(EngineError, TimeoutError):
    """Something was not in force or not ready in time; the message says what was seen last."""


class StorageError(EngineError, OSError):
    """The run folder cannot be written, for instance because it is read-only or the disk is full."""


class EngineLostError(EngineError, ConnectionError):
    """The supervisor process or the cluster does not answer any more."""
