"""OpenAPI string formats that an API server enforces."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence

__all__ = ["base64_of", "format_problem"]

_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def format_problem(name: str, value: str) -> str:
    """Check text against a format.

    Args:
        name: such as ``date-time``, ``byte`` (base64 as a CRD takes it) or ``base64`` (as a Secret takes it); unknown
            formats accept everything, as in Kubernetes.
        value: the text.

    Returns:
        what is wrong; empty if nothing is.
    """
    if name == "byte" and not (value and _BASE64.fullmatch(value)):
        return "must be base64 in one line" if value else "must be base64, and not empty"
    if name == "base64" and not _BASE64.fullmatch(value.replace("\n", "").replace("\r", "")):
        return "must be base64"
    if name == "date-time" and not _DATE_TIME.fullmatch(value):
        return "must be a time such as 2026-01-31T12:00:00Z"
    return ""


def base64_of(numbers: Sequence[object]) -> str | None:
    """Bytes that are written as a list of numbers, which an API server takes for base64, too; None if they are none."""
    values = [0 if number is None else number for number in numbers]
    octets = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255]
    return b64encode(bytes(octets)).decode() if len(octets) == len(values) else None
