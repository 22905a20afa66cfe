"""Changing an object by a JSON merge patch, for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labsupport.errors import ManifestError, Problem
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import Document
from labsupport.model.schema.base import Origin, around

__all__ = ["merge_patch", "patched"]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, mappings merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _origin(origin: Origin, before: Any, after: Any) -> Origin:
    """The lines of what is still where it was written; a list of another length is another list."""
    places: set[str] = set()
    whole: set[str] = set()
    _unmoved("", before, after, places, whole)

    def is_there(path: str) -> bool:
        if path in places:
            return True
        # What an API server drops, such as a null, has a line and no value: it goes with what it stands in.
        while path and path not in whole:
            path = around(path)
        return bool(path)

    return origin.model_copy(update={"lines": {path: line for path, line in origin.lines.items() if is_there(path)}})


def _unmoved(path: str, before: Any, after: Any, places: set[str], whole: set[str]) -> None:
    places.add(path)
    if before == after:
        whole.add(path)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in before.keys() & after.keys():
            _unmoved(f"{path}.{key}" if path else str(key), before[key], after[key], places, whole)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            _unmoved(f"{path}[{index}]", old, new, places, whole)


def patched(current: Resource, patch: Mapping[str, Any], *, namespace: str) -> list[Resource]:
    """An object with a patch, validated as a whole.

    Args:
        current: the object.
        patch: the fields to change.
        namespace: that of an object without one.

    Raises:
        ManifestError: the result is not valid, or another object.
    """
    raw = current.raw or current.model_dump(mode="json", by_alias=True, exclude_unset=True)
    home = current.namespace or namespace
    merged = merge_patch(raw, patch)
    # What was applied to a namespace does not name it itself.
    parsed = parse([Document(merged, _origin(current.origin, raw, merged))], namespace=home)
    changed = [placed(resource, home) for resource in parsed]
    if [(resource.kind, resource.name) for resource in changed] != [(current.kind, current.name)]:
        problem = Problem("a patch cannot change an object's kind or name", object=str(current.ref))
        raise ManifestError([problem])
    return changed
