"""Objects as people write them: without what an API server adds, and without the values of a Secret."""

from __future__ import annotations

from labsupport.model.schema.base import Resource
from labsupport.model.writing.redaction import Hidden, redacted
from labsupport.records import Json, JsonObject

__all__ = ["written"]

# What the API server adds to an object, and nobody writes.
_BOOKKEEPING = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"})


def written(resource: Resource) -> JsonObject:
    """An object as it was written, without what an API server added, and of a Secret's values their size only."""
    raw: JsonObject = dict(resource.raw) or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw = _shown(redacted(raw, kind=resource.kind))
    metadata = {key: value for key, value in (raw.get("metadata") or {}).items() if key not in _BOOKKEEPING}
    return {key: value for key, value in raw.items() if key != "status"} | {"metadata": metadata}


def _shown(value: Json) -> Json:
    """The same with a text in place of each hidden value, so that it can be YAML."""
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return repr(value) if isinstance(value, Hidden) else value
