"""What the API server says when it says no, in words."""

from __future__ import annotations

import json

from labsupport.errors import EngineError

__all__ = ["ApiError", "first_line", "refusal"]


class ApiError(EngineError):
    """The API server said no.

    Attributes:
        status: HTTP status, such as 404.
        reason: Kubernetes' own word for it, such as ``AlreadyExists`` or ``Invalid``.
        server_text: the server's message, as it was sent.
        causes: ``(field path, message)`` of each field that is wrong.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        reason: str = "",
        server_text: str = "",
        causes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.server_text = server_text
        self.causes = causes

    @property
    def forbidden(self) -> bool:
        """Whether a right is missing."""
        return self.status == 403

    @property
    def missing(self) -> bool:
        """Whether there is no such object."""
        return self.status == 404


def refusal(status: int, text: str, reason: str, context: str) -> ApiError:
    """The error for an answer of the API server, from its ``Status`` object where it sent one."""
    message = ""
    causes: tuple[tuple[str, str], ...] = ()
    try:
        body = json.loads(text)
        # What stands behind a proxied Service may have a word of its own for it, as Prometheus has.
        message = str(body.get("message") or body.get("error") or "")
        reason = str(body.get("reason") or reason)
        details = (body.get("details") or {}).get("causes") or []
        causes = tuple((str(cause.get("field") or ""), str(cause.get("message") or "")) for cause in details)
    except (ValueError, AttributeError):
        message = text.strip()[:500]
    said = message or reason or f"HTTP {status}"
    if status == 401:
        shown = (
            f"the cluster of context {context!r} does not accept your credentials ({said}). "
            "Log in again, or ask whoever runs the cluster for a new kubeconfig."
        )
    elif status == 403 and reason == "Forbidden" and " cannot " in said:
        shown = (
            f"a right is missing: {said}. Ask whoever runs the cluster for it; "
            "workshop doctor --engine cluster lists everything that is needed."
        )
    else:
        shown = said
    return ApiError(shown, status=status, reason=reason, server_text=said, causes=causes)


def first_line(error: BaseException) -> str:
    """The first line of an error, without a final full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
