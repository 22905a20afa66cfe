"""What is wrong with a route or a listener, as its status says it."""

from __future__ import annotations

from dataclasses import dataclass

from labsupport.records import JsonObject

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

    def condition(self, name: str, status: str) -> JsonObject:
        """A condition of a status that says this, without times.

        Args:
            name: its type, such as ``Accepted``.
            status: ``True``, ``False`` or ``Unknown``.
        """
        return {"type": name, "status": status, "reason": self.reason, "message": self.message}


class InvalidRouteError(Exception):
    """A fault because of which istiod makes nothing at all of a route.

    Attributes:
        fault: the fault.
    """

    def __init__(self, reason: str, message: str, path: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason, message, path)
