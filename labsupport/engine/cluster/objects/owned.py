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
        "istio.io/gateway-controller",
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
    content = project(live, fields) if fields else {}
    kept = {key: content.pop("metadata", {}).get(key) for key in ("labels", "annotations")} if content else {}
    identity = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    head = {"apiVersion": live.get("apiVersion"), "kind": live.get("kind")}
    return {**head, "metadata": {**identity, **{key: value for key, value in kept.items() if value}}, **content}


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
        kept = ((element, _item(element, index, fields)) for index, element in enumerate(value))
        return [project(element, chosen) for element, chosen in kept if chosen is not None]
    return value


def _item(element: Any, index: int, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The field set of one item of a list: by its keys, its value, or its place."""
    for name, chosen in fields.items():
        if name.startswith("k:") and isinstance(element, dict):
            keys: dict[str, Any] = json.loads(name[2:])
            if all(element.get(key, _MISSING) == value for key, value in keys.items()):
                return chosen  # type: ignore[no-any-return]
        elif name.startswith("v:") and json.loads(name[2:]) == element:
            return {}
        elif name == f"i:{index}":
            return chosen  # type: ignore[no-any-return]
    return None


def _union(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    union = dict(first)
    for key, value in other.items():
        union[key] = _union(union[key], value) if key in union else value
    return union
