"""The one way up to the pictures: what is below ``display`` asks for its picture by name, when it is to be seen."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["picture"]


def picture(function: str, *arguments: Any, **options: Any) -> Any:
    """Call a function of ``labsupport.display``.

    Args:
        function: its name, such as ``watch``.
        *arguments: its arguments.
        **options: its keyword arguments.

    Returns:
        What it returns: a figure or a widget.
    """
    return getattr(importlib.import_module("labsupport.display"), function)(*arguments, **options)
