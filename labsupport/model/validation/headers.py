"""Names and values of HTTP headers in rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from labsupport.model.kinds.virtualservice import Headers
from labsupport.model.validation.findings import Findings

__all__ = ["check_headers", "cors_header_problem", "is_authority", "is_jwt_claim", "match_header_problem"]

# The comma is inside because Istio's class has the range from + to the full stop.
_NAME = re.compile(r"[!#$%&'*+,\-.^_`|~A-Za-z0-9]+")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_CLAIMS = "@request.auth.claims"


def is_jwt_claim(name: str) -> bool:
    """Tell whether a header match is on a claim of a JWT, such as ``@request.auth.claims.group``."""
    if not name.lower().startswith(_CLAIMS):
        return False
    rest = name[len(_CLAIMS) :]
    return (rest.startswith(".") and len(rest) > 1) or (rest[:1] == "[" and rest[-1:] == "]" and len(rest) > 2)


def match_header_problem(name: str) -> str:
    """Check the name of a header in a match."""
    if not name:
        return "a header name must not be empty"
    if is_jwt_claim(name) or name in _PSEUDO or _NAME.fullmatch(name):
        return ""
    return f"{name[:80]!r} is not a header name"


def cors_header_problem(name: str) -> str:
    """Check a header name in a CORS policy."""
    if not name:
        return "a header name must not be empty"
    return "" if _NAME.fullmatch(name) else f"{name[:80]!r} is not a header name"


def is_authority(name: str) -> bool:
    """Tell whether a header is the request's host."""
    return name.lower() in (":authority", "host")


def _operation_problem(name: str, host_allowed: bool) -> str:
    if not name:
        return "a header name must not be empty"
    if host_allowed and is_authority(name):
        return ""
    if name.lower() == "host":
        return "the host can only be set, and only on requests; here it must not be changed"
    if name.startswith(":"):
        return f"{name[:80]!r} is a pseudo header, which must not be changed"
    return ""


def _value_problem(value: str) -> str:
    if _CONTROL.search(value):
        return f"{value[:80]!r} has control characters"
    what = _format_problem(value)
    return f"{value[:80]!r}: {what}; write %% for a literal percent sign" if what else ""


def _format_problem(value: str) -> str:
    """Walk through Envoy's ``%COMMAND(arguments)%`` syntax (header formatter)."""
    state = "literal"
    position = 0
    while position < len(value):
        char = value[position]
        last = position + 1 >= len(value)
        if state == "literal":
            if char == "%":
                if last:
                    return "a single % at the end"
                if value[position + 1] == "%":
                    position += 1
                else:
                    state = "command"
        elif state == "command":
            state = {"%": "literal", "(": "arguments"}.get(char, state)
        elif state == "arguments":
            if char == "[":
                state = "quote"
            elif char != " ":
                state = "string"
        elif state == "string":
            if char == "\\":
                if last:
                    return "a backslash at the end"
                position += 1
            else:
                state = {")": "end", '"': "next"}.get(char, state)
        else:
            follow = {"next": {",": "quote", "]": "close"}, "quote": {'"': "string"}}
            follow |= {"close": {")": "end"}, "end": {"%": "literal"}}
            if char in follow[state]:
                state = follow[state][char]
            elif char != " ":
                return f"unexpected {char!r} in a % command"
        position += 1
    return "" if state == "literal" else "a % command that does not end"


def check_headers(headers: Headers | None, path: str, findings: Findings) -> None:
    """Check header operations.

    Args:
        headers: the operations.
        path: their field path.
        findings: where findings go.
    """
    if headers is None:
        return
    for side, operations in (("request", headers.request), ("response", headers.response)):
        if operations is None:
            continue
        changes: tuple[tuple[str, Mapping[str, str]], ...] = (("add", operations.add), ("set", operations.set))
        for verb, entries in changes:
            for name, value in entries.items():
                place = f"{path}.{side}.{verb}.{name}"
                findings.error(place, _operation_problem(name, side == "request"))
                findings.error(place, _value_problem(value))
        for index, name in enumerate(operations.remove):
            findings.error(f"{path}.{side}.remove[{index}]", _operation_problem(name, False))
