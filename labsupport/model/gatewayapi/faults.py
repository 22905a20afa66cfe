"""What is wrong with a route or a listener, as its status says it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fault", "InvalidRouteError"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as a status says it.

    Args:
        reason: istiod's word for it.
        message: istiod's words.
        path: where, below the rule.
    """

    reason: str
    message: str
    path: str = ""


class InvalidRouteError(Exception):
    """A fault because of which istiod makes nothing at all of a route.

    Attributes:
        fault: the fault.
    """

    def __init__(self, reason: str, message: str, path: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason, message, path)
