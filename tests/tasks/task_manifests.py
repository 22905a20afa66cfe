"""The manifests of the tasks, written in the shape in which Istio's documentation gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

MANIFESTS = Path(__file__).parent / "manifests"
Apply = Callable[..., None]
"""Applies files by their names, one after the other, as they are."""


def step(name: str) -> str:
    """The manifest of a step of a tutorial."""
    return (MANIFESTS / "tutorials" / f"{name}.yaml").read_text(encoding="utf-8")
