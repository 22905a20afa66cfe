"""Istiod's admission warnings of objects that are applied, as they were found when the objects were read."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.model import Resource

__all__ = ["warnings"]


def warnings(resources: Iterable[Resource]) -> tuple[str, ...]:
    """One line for each warning; nothing is judged again.

    Args:
        resources: as ``labsupport.model.parse`` made them.
    """
    return tuple(
        f"{resource.kind}/{resource.name}: {problem.path}: {problem.message}"
        for resource in resources
        for problem in resource.warnings
    )
