"""``headers`` of a rule or destination: header changes, and the authority that hides among them."""

from __future__ import annotations

from collections.abc import Mapping

from labsupport.model.kinds.virtualservice import HeaderOperations, Headers
from labsupport.records import JsonObject

__all__ = ["HEADER_FIELDS", "header_operations"]

HEADER_FIELDS = (
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
)


def header_operations(headers: Headers | None) -> tuple[JsonObject, str]:
    """Translate header changes.

    Args:
        headers: ``headers`` of a rule or destination; None without any.

    Returns:
        Fields of an Envoy route, without the empty ones, and the authority that replaces the request's.
    """
    if headers is None:
        return {}, ""
    request, response = headers.request, headers.response
    operations = {
        "request_headers_to_add": _additions(request),
        "request_headers_to_remove": _removals(request),
        "response_headers_to_add": _additions(response),
        "response_headers_to_remove": _removals(response),
    }
    authority = (_authority(request.set) or _authority(request.add)) if request is not None else ""
    return {field: value for field, value in operations.items() if value}, authority


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _authority(values: Mapping[str, str]) -> str:
    return next((value for name, value in values.items() if name.lower() in (":authority", "host")), "")


def _additions(changes: HeaderOperations | None) -> list[JsonObject]:
    if changes is None:
        return []
    return [
        {"header": {"key": name, **({"value": value} if value else {})}, **action}
        for values, action in (
            (changes.set, {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}),
            (changes.add, {}),
        )
        for name, value in sorted(values.items())
        if not _is_internal(name)
    ]


def _removals(changes: HeaderOperations | None) -> list[str]:
    return [name for name in changes.remove if not _is_internal(name)] if changes is not None else []
