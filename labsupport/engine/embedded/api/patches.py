"""The patches of the API: JSON (RFC 6902), merge (RFC 7386), strategic merge, and server-side apply."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.patching import merge_patch
from labsupport.records import Json, JsonObject

__all__ = ["APPLY", "JSON", "MERGE", "STRATEGIC", "apply_patch", "list_key"]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

# Lists of Kubernetes' own kinds that merge by a key of their entries; the key of ports depends on whose they are.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_SETS = ("finalizers",)
_ORDER, _DELETE_VALUES, _RETAIN, _DIRECTIVE = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def apply_patch(form: str, target: JsonObject, patch: Json, *, built_in: bool) -> JsonObject:
    """An object with a patch.

    Args:
        form: the media type of the patch.
        target: the object; it is left as it is.
        patch: as it was sent.
        built_in: whether it is a kind of Kubernetes itself, whose lists have keys.

    Raises:
        Refused: the patch does not fit, or there is no such form for this kind.
    """
    if form == JSON:
        return _json(target, patch)
    if not isinstance(patch, Mapping):
        raise Refused(400, "error decoding patch: it is no mapping")
    if form == MERGE or (form == APPLY and not built_in):
        merged: JsonObject = merge_patch(target, patch)
        return merged
    if form in (STRATEGIC, APPLY) and built_in:
        return _strategic(target, patch)
    known = ", ".join((JSON, MERGE, APPLY, *((STRATEGIC,) if built_in else ())))
    raise Refused(415, f"the body of the request was in an unknown format - accepted media types include: {known}")


def _strategic(target: Json, patch: Mapping[str, Json]) -> JsonObject:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    merged: JsonObject = dict(target) if isinstance(target, Mapping) else {}
    if _RETAIN in patch:
        merged = {key: value for key, value in merged.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        if key.startswith(_DELETE_VALUES):
            name = key.removeprefix(_DELETE_VALUES)
            merged[name] = [entry for entry in merged.get(name) or [] if entry not in value]
        elif key.startswith((_ORDER, _RETAIN)) or key == _DIRECTIVE:
            continue
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = _strategic(merged.get(key), value)
        elif isinstance(value, list):
            merged[key] = _list(key, merged.get(key), value, patch.get(_ORDER + key))
        else:
            merged[key] = value
    return merged


def list_key(name: str, entries: Json) -> str:
    """The field by which the entries of a list are told apart; empty where there is none.

    Args:
        name: of the list.
        entries: its entries.
    """
    keys = _KEYS.get(name, ())
    return next((key for key in keys if all(isinstance(entry, Mapping) and key in entry for entry in entries)), "")


def _list(name: str, target: Json, patch: list[Json], order: Json) -> list[Json]:
    present = target if isinstance(target, list) else []
    if name in _SETS:
        return [*present, *(value for value in patch if value not in present)]
    key = list_key(name, [*present, *patch])
    if any(isinstance(entry, Mapping) and entry.get(_DIRECTIVE) == "replace" for entry in patch):
        return [entry for entry in patch if _DIRECTIVE not in entry]
    if not key:
        return patch
    merged = {_label(entry[key]): entry for entry in present}
    for entry in patch:
        label = _label(entry[key])
        if entry.get(_DIRECTIVE) == "delete":
            merged.pop(label, None)
        else:
            merged[label] = _strategic(merged.get(label), entry)
    if isinstance(order, list):
        wanted = [_label(entry.get(key)) for entry in order if isinstance(entry, Mapping)]
        places = {label: index for index, label in enumerate(wanted)}
        return [merged[label] for label in sorted(merged, key=lambda label: places.get(label, len(places)))]
    # As the API server puts it: what the patch adds stands before the rest.
    known = {_label(entry[key]) for entry in present}
    return [merged[label] for label in sorted(merged, key=lambda label: label in known)]


def _label(value: Json) -> str:
    return str(value)


def _json(target: JsonObject, patch: Json) -> JsonObject:
    if not isinstance(patch, list):
        raise Refused(400, "error decoding patch: a JSON patch is a list of operations")
    document: Json = copy.deepcopy(target)
    for operation in patch:
        if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
            raise Refused(400, "error decoding patch: each operation is a mapping with op and path")
        try:
            document = _operated(document, operation)
        except (LookupError, ValueError, TypeError) as error:
            what = f"{operation.get('op')} operation does not apply"
            raise Refused(
                422, f"the server rejected our request due to an error in our request: {what}: {error}"
            ) from None
    if not isinstance(document, dict):
        raise Refused(422, "the patch leaves no object")
    return document


def _operated(document: Json, operation: Mapping[str, Any]) -> Json:
    name, path = operation.get("op"), _pointer(operation["path"])
    if name == "test":
        if _at(document, path) != operation.get("value"):
            raise ValueError(f"testing path {operation['path']} failed")
        return document
    if name in ("move", "copy"):
        source = _pointer(str(operation.get("from")))
        value = copy.deepcopy(_at(document, source))
        if name == "move":
            document = _removed(document, source)
        return _added(document, path, value)
    if name == "remove":
        return _removed(document, path)
    if name == "add":
        return _added(document, path, operation.get("value"))
    if name == "replace":
        _at(document, path)
        return _added(_removed(document, path), path, operation.get("value")) if path else operation.get("value")
    raise ValueError(f"there is no operation {name!r}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(entries: list[Json], part: str, *, end: bool = False) -> int:
    if part == "-" and end:
        return len(entries)
    if not (part.isascii() and part.isdigit()) or int(part) > len(entries) - (not end):
        raise LookupError(f"there is no entry {part}")
    return int(part)


def _at(document: Json, path: Sequence[str]) -> Json:
    for part in path:
        if isinstance(document, list):
            document = document[_index(document, part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise LookupError(f"missing path: there is no {part!r}")
    return document


def _added(document: Json, path: Sequence[str], value: Json) -> Json:
    if not path:
        return value
    around, last = _at(document, path[:-1]), path[-1]
    if isinstance(around, list):
        around.insert(_index(around, last, end=True), value)
    elif isinstance(around, dict):
        around[last] = value
    else:
        raise LookupError(f"missing path: {last!r} has nothing around it")
    return document


def _removed(document: Json, path: Sequence[str]) -> Json:
    around, last = _at(document, path[:-1]), path[-1]
    if isinstance(around, list):
        del around[_index(around, last)]
    elif isinstance(around, dict) and last in around:
        del around[last]
    else:
        raise LookupError(f"missing path: there is no {last!r}")
    return document
