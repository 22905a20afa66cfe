"""What is known of the cell of an exercise: its text, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labsupport.check.result import FAILED, NOT_ATTEMPTED, CheckOutcome
from labsupport.errors import LabError
from labsupport.records import Ref

__all__ = ["Attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the cell of an exercise.

    Args:
        text: its manifest.
        refusal: why nothing of it was applied; None if it was.
        gap: whether it still has ``____`` in it.
        unready: why it was applied and not ready in time, such as a pod that does not start; None if it was.
        applied: the objects that it holds.
    """

    text: str
    refusal: LabError | None = None
    gap: bool = False
    unready: LabError | None = None
    applied: tuple[Ref, ...] = ()

    def changes(self, start: str) -> bool:
        """Whether anything was changed, but for comments and white space at the ends of lines."""
        return _essence(self.text) != _essence(start)

    def owns(self, outcome: CheckOutcome) -> CheckOutcome:
        """An outcome; pods that are not those of the task are no answer, unless the cell itself has brought them."""
        brought = outcome.state is NOT_ATTEMPTED and any(ref.kind == "Deployment" for ref in self.applied)
        return replace(outcome, state=FAILED) if brought else outcome


def _essence(text: str) -> str:
    lines = (line.split(" #")[0].rstrip() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(line for line in lines if line)
