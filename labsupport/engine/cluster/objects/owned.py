"""What people wrote of a live object: the fields that a person's tool owns, and not what a cluster filled in.

Follows ``metadata.managedFields`` (``fieldsV1``) of Kubernetes' server-side apply: defaults belong to nobody, the
status and some fields to controllers, the rest to whoever applied, created or edited the object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["project", "written"]

# Their fields are the cluster's own work.
_CONTROLLERS = frozenset(
    {
        "kube-controller-manager",
        "kubelet",
        "kube-scheduler",
        "kube-apiserver",
        "pilot-discovery",
        "cloud-controller-manager",
    }
)
_MISSING = object()


def written(live: Mapping[str, Any]) -> dict[str, Any]:
    """An object with only the fields that people own; ``metadata`` keeps name and namespace.

    Args:
        live: the object as the API server sends it, with ``managedFields``.

    Returns:
        the part that somebody wrote; without ``spec`` or ``data`` if nobody wrote any of it.
    """
    fields: dict[str, Any] = {}
    metadata = live.get("metadata") or {}
    for entry in metadata.get("managedFields") or ():
        if not entry.get("subresource") and entry.get("manager") not in _CONTROLLERS:
            fields = _union(fields, entry.get("fieldsV1") or {})
    fields.pop("f:status", None)
    found = project(live, fields) if fields else {}
    kept = {key: found.pop("metadata", {}).get(key) for key in ("labels", "annotations")} if found else {}
    identity = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    head = {"apiVersion": live.get("apiVersion"), "kind": live.get("kind")}
    return {**head, "metadata": {**identity, **{key: value for key, value in kept.items() if value}}, **found}


def project(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that a field set names; an empty set names all of it."""
    if not fields:
        return value
    if isinstance(value, dict):
        return {
            key: project(inner, chosen)
            for key, inner in value.items()
            if (chosen := fields.get(f"f:{key}")) is not None
        }
    if isinstance(value, list):
        kept = ((one, _item(one, index, fields)) for index, one in enumerate(value))
        return [project(one, chosen) for one, chosen in kept if chosen is not None]
    return value


def _item(one: Any, index: int, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The field set of one item of a list: by its keys, its value, or its place."""
    for name, chosen in fields.items():
        if name.startswith("k:") and isinstance(one, dict):
            keys: dict[str, Any] = json.loads(name[2:])
            if all(one.get(key, _MISSING) == value for key, value in keys.items()):
                return chosen  # type: ignore[no-any-return]
        elif name.startswith("v:") and json.loads(name[2:]) == one:
            return {}
        elif name == f"i:{index}":
            return chosen  # type: ignore[no-any-return]
    return None


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        found[key] = _union(found[key], value) if key in found else value
    return found
