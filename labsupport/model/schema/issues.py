"""What is wrong with an object, and who says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from labsupport.model.schema.types import Rule

__all__ = ["Issue", "Report"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong with an object.

    Args:
        by: who objects on a cluster: ``strict`` (kubectl), ``crd`` (API server), ``webhook`` (istiod) or ``object``
            (kubectl and API server, for what all kinds have in common: names, metadata).
        path: field path.
        message: what is wrong.
        remedy: what to do.
        code: the code under which ``istioctl analyze`` reports it, such as ``IST0130``; empty for the general one.
    """

    by: Literal["strict", "crd", "webhook", "object"]
    path: str
    message: str
    remedy: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{self.by}: {self.path}: {self.message}" if self.path else f"{self.by}: {self.message}"


@dataclass(slots=True)
class Report:
    """Collects what a check finds, and the rules that are still to run."""

    issues: list[Issue] = field(default_factory=list)
    rules: list[tuple[Rule, object, str]] = field(default_factory=list)

    def crd(self, path: str, message: str, remedy: str = "") -> None:
        """Note a violation of the schema."""
        self.issues.append(Issue("crd", path, message, remedy))

    def finish(self) -> None:
        """Run the rules, if the plain schema is satisfied; those that belong to it come first."""
        for plain in (True, False):
            if any(issue.by == "crd" for issue in self.issues):
                return
            for rule, value, path in self.rules:
                if rule.plain == plain and not rule.holds(value):
                    self.crd(path + rule.at, rule.message)
