"""OpenAPI string formats that an API server enforces."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

__all__ = ["format_problem"]

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def format_problem(name: str, value: str) -> str:
    """Check text against a format.

    Args:
        name: such as ``byte`` or ``date-time``; unknown formats accept everything, as in Kubernetes.
        value: the text.

    Returns:
        what is wrong; empty if nothing is.
    """
    if name == "byte":
        try:
            b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError):
            return "must be base64"
    if name == "date-time" and not _DATE_TIME.fullmatch(value):
        return "must be a time such as 2026-01-31T12:00:00Z"
    return ""
