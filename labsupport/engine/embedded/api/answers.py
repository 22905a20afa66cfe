"""What a request can fail with, in the form of the API server: a ``Status``."""

from __future__ import annotations

from labsupport.engine.embedded.api.kinds import ApiKind
from labsupport.records import JsonObject

__all__ = ["Refused", "about", "already_exists", "conflict", "not_found", "status", "unsupported"]

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    500: "InternalError",
}


class Refused(Exception):
    """A request is refused.

    Args:
        code: HTTP status.
        message: why.
        reason: one word for programs; that of the HTTP status by default.
        details: what the message is about.
    """

    def __init__(
        self, code: int, message: str, *, reason: str | None = None, details: JsonObject | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = _REASONS.get(code, "") if reason is None else reason
        self.details = details or {}

    @property
    def answer(self) -> JsonObject:
        """The ``Status`` that a client gets."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def about(kind: ApiKind, name: str) -> JsonObject:
    """What a refusal is about, for programs."""
    return {"name": name, "group": kind.group, "kind": kind.plural}


def not_found(kind: ApiKind, name: str) -> Refused:
    """There is no such object."""
    return Refused(404, f'{kind.qualified} "{name}" not found', details=about(kind, name))


def already_exists(kind: ApiKind, name: str) -> Refused:
    """An object is to be created that is there."""
    message = f'{kind.qualified} "{name}" already exists'
    return Refused(409, message, reason="AlreadyExists", details=about(kind, name))


def conflict(kind: ApiKind, name: str, why: str = "") -> Refused:
    """An object has changed since the client read it."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return Refused(409, message, details=about(kind, name))


def unsupported(method: str) -> Refused:
    """The resource has no such verb."""
    return Refused(405, f"the server does not allow this method on the requested resource ({method})")


def status(kind: ApiKind, name: str, uid: str) -> JsonObject:
    """What a client gets that has deleted an object."""
    details = {**about(kind, name), "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
