"""Changing an object by a JSON merge patch, for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labsupport.errors import ManifestError, Problem
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import Document
from labsupport.records import Ref

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
    # What was applied to a namespace does not name it itself.
    parsed = parse([Document(merge_patch(raw, patch), current.origin)], namespace=home)
    changed = [placed(resource, home) for resource in parsed]
    if [(resource.kind, resource.name) for resource in changed] != [(current.kind, current.name)]:
        problem = Problem("a patch cannot change an object's kind or name", object=str(Ref(current.kind, current.name)))
        raise ManifestError([problem])
    return changed
