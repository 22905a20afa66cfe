"""Collects what istiod objects to and warns about, with field paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.model.schema.duration import GoDuration
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.syntax import duration_problem, label_problems

__all__ = ["Findings"]


@dataclass(slots=True)
class Findings:
    """Errors and warnings about one object.

    Args:
        namespace: namespace of the object.
        annotations: its annotations.
        labels: its labels.
    """

    namespace: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    errors: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)

    def error(self, path: str, message: str, remedy: str = "") -> None:
        """Note an error; an empty message is none, so that checks can be passed in directly."""
        if message:
            self.errors.append(Issue("webhook", path, message, remedy))

    def warn(self, path: str, message: str, remedy: str = "", code: str = "") -> None:
        """Note a warning."""
        self.warnings.append(Issue("webhook", path, message, remedy, code))

    def silent(self) -> Findings:
        """Make a view that shares the errors but drops warnings, as istiod does in some nested blocks."""
        return Findings(self.namespace, self.annotations, self.labels, self.errors, [])

    def duration(self, path: str, duration: GoDuration | None) -> None:
        """Check an optional duration."""
        if duration is not None:
            self.error(path, duration_problem(duration))

    def label_map(self, path: str, labels: Mapping[str, str]) -> None:
        """Check labels."""
        for key, message in label_problems(labels.items()):
            self.error(f"{path}.{key}", message)
