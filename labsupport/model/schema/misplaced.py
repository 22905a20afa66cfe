"""Fields that exist, and were written on another level: most often the indentation slipped."""

from __future__ import annotations

import re
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
    if nearest is not None and (remedy := _in_a_field(*nearest[1:], key)):
        return replace(issue, remedy=remedy)
    if issue.remedy.startswith(meant("").rstrip("?")):
        return issue
    if remedy := _in_a_field(shape, beside, key):
        return replace(issue, remedy=remedy)
    for path, level, value in reversed(above):
        # A level that has its own already was not meant.
        there = isinstance(value, dict) and key in value
        if isinstance(level, ObjectShape) and key in level.fields and not there:
            return replace(issue, remedy=f"{key} is a field of {path or 'the top level'}: indent it less.")
    return issue


def _in_a_field(shape: Shape, written: Json, key: str) -> str:
    """What to do about a field that belongs into one of those that were written; empty if none has it."""
    for name, child in shape.fields.items() if isinstance(shape, ObjectShape) and isinstance(written, dict) else ():
        inside, entries = (child.item, True) if isinstance(child, ListShape) else (child, False)
        # As below: one that has its own already was not meant.
        own = written.get(name)
        if isinstance(own, dict) and key in own:
            continue
        if isinstance(inside, ObjectShape) and key in inside.fields and name in written:
            place = f"the entries of {name}" if entries else name
            return f"{key} is a field of {place}: write it below {name}, indented."
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
