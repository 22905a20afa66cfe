"""What of the model is not translated: refused by name instead of ignored."""

from __future__ import annotations

from typing import Any

__all__ = ["unsupported"]


def unsupported(resource: Any) -> list[tuple[str, str]]:
    """List the fields of an object that have no translation.

    Args:
        resource: any model object.

    Returns:
        Field path and reason for each.
    """
    return []
