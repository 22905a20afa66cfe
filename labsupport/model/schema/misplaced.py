"""Fields that exist, and were written on another level: most often the indentation slipped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from labsupport.model.schema.issues import Issue
from labsupport.model.schema.shape import ListShape, MapShape, ObjectShape, Shape, meant
from labsupport.records import Json, JsonObject

__all__ = ["placed"]

_STEPS = re.compile(r"[^.\[\]]+|\[\d+\]")


def placed(issue: Issue, root: ObjectShape, raw: JsonObject) -> Issue:
    """Say where an unknown field belongs, if a level around it or a field beside it has one of that name.

    Args:
        issue: what is wrong.
        root: the shape of the whole object.
        raw: the object as it was written.

    Returns:
        The issue, where that is known with another remedy.
    """
    parent, _, key = issue.path.rpartition(".")
    if not issue.message.startswith("unknown field"):
        return issue
    around = _levels(parent, root, raw)
    *above, (_, shape, beside) = around or [("", root, None)]
    nearest = next((level for level in reversed(above) if isinstance(level[1], ObjectShape)), None)
    # The same name in a field beside is meant rather than another name that is like it.
    if nearest is not None and (remedy := _below(key, *nearest[1:], deep=False)):
        return replace(issue, remedy=remedy)
    if remedy := _below(key, shape, beside):
        return replace(issue, remedy=remedy)
    if issue.remedy.startswith(meant("").rstrip("?")):
        return issue
    remedy = _above(key, above)
    if not remedy and above and isinstance(above[-1][1], MapShape):
        # A field of a level above that was taken for a free key, such as withoutHeaders among the headers.
        remedy = _above(parent.removeprefix(f"{above[-1][0]}."), above[:-1])
    return replace(issue, remedy=remedy) if remedy else issue


def _below(key: str, shape: Shape, written: Json, way: str = "", *, deep: bool = True) -> str:
    """The nearest field that was written below and has a field of this name, as a remedy; empty if none has."""
    if not isinstance(shape, ObjectShape) or not isinstance(written, dict):
        return ""
    children = [(f"{way}{name}", child, written[name]) for name, child in shape.fields.items() if name in written]
    for place, child, inner in children:
        inside, entries = (child.item, "the entries of ") if isinstance(child, ListShape) else (child, "")
        # One that has its own already was not meant.
        own = isinstance(inner, dict) and key in inner
        if isinstance(inside, ObjectShape) and key in inside.fields and not own:
            return f"{key} is a field of {entries}{place}: write it below {place}, indented."
    deeper = (_below(key, child, inner, f"{place}.") for place, child, inner in children if deep)
    return next(filter(None, deeper), "")


def _above(key: str, levels: Sequence[tuple[str, Shape, Json]]) -> str:
    """The nearest of these levels that a field belongs to, as a remedy; empty if none has such a field."""
    for path, level, value in reversed(levels):
        # As below: one that has its own already was not meant.
        there = isinstance(value, dict) and key in value
        if isinstance(level, ObjectShape) and key in level.fields and not there:
            return f"{key} is a field of {path or 'the top level'}: indent it less."
    return ""


def _levels(path: str, root: ObjectShape, raw: JsonObject) -> list[tuple[str, Shape, Json]]:
    """The levels from the top to a path: where each is, its shape, and what was written; empty if it leads nowhere."""
    levels: list[tuple[str, Shape, Json]] = [("", root, raw)]
    for step in _STEPS.findall(path):
        place, shape, value = levels[-1]
        if isinstance(shape, ListShape) and isinstance(value, list):
            levels.append((place + step, shape.item, value[int(step[1:-1])]))
        elif isinstance(shape, ObjectShape) and isinstance(value, dict) and step in shape.fields:
            levels.append((f"{place}.{step}" if place else step, shape.fields[step], value.get(step)))
        elif isinstance(shape, MapShape) and isinstance(value, dict) and step in value:
            levels.append((f"{place}.{step}", shape.item, value[step]))
        else:
            return []
    return levels
