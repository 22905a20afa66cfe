"""Who set which fields of an object (``metadata.managedFields``): what server-side apply goes by.

Fields are written as Kubernetes writes them (``FieldsV1``): ``f:name`` for a field, ``k:{...}`` for an entry of a list
that is known by a key. A list without keys is one field.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.judging import BOOKKEEPING
from labsupport.engine.embedded.api.mesh import stamp
from labsupport.engine.embedded.api.patches import list_key
from labsupport.records import Json, JsonObject

__all__ = ["Change", "applied", "owned", "updated", "without"]

_Path = tuple[str, ...]
Fields = frozenset[_Path]
_NOBODYS = frozenset(("name", "namespace", "generateName", *BOOKKEEPING))
# kubectl's two ways of applying are one manager's: the second takes over from the first.
_CLIENT_SIDE, _SERVER_SIDE = "kubectl-client-side-apply", "kubectl"


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes an object.

    Args:
        manager: the client's name for itself.
        api_version: the version that it uses.
        built_in: whether it is a kind of Kubernetes itself, whose lists have keys.
    """

    manager: str
    api_version: str
    built_in: bool


def owned(content: JsonObject, *, built_in: bool) -> dict[_Path, Json]:
    """The fields of an object that somebody can own, with their values.

    Args:
        content: the object.
        built_in: whether its lists have keys.
    """
    collected: dict[_Path, Json] = {}
    for name, value in content.items():
        if name == "metadata" and isinstance(value, Mapping):
            kept = {key: item for key, item in value.items() if key not in _NOBODYS}
            if kept:
                _collect(kept, ("f:metadata",), "metadata", collected, built_in)
        elif name not in ("apiVersion", "kind", "status", "metadata"):
            _collect(value, (f"f:{name}",), name, collected, built_in)
    return collected


def _collect(value: Json, path: _Path, name: str, collected: dict[_Path, Json], built_in: bool) -> None:
    key = list_key(name, value) if built_in and isinstance(value, list) else ""
    if isinstance(value, Mapping) and value:
        for field, item in value.items():
            _collect(item, (*path, f"f:{field}"), field, collected, built_in)
    elif key:
        for entry in value:
            _collect(entry, (*path, _entry(key, entry[key])), "", collected, built_in)
    else:
        collected[path] = value


def _entry(key: str, value: Json) -> str:
    return "k:" + json.dumps({key: value}, separators=(",", ":"))


def updated(change: Change, before: JsonObject | None, after: JsonObject) -> list[JsonObject]:
    """The managers of an object that somebody has changed without applying it.

    Args:
        change: who.
        before: the object as it was; None for a new one.
        after: as it is written now.
    """
    known = owned(before, built_in=change.built_in) if before is not None else {}
    there = owned(after, built_in=change.built_in)
    changed = frozenset(path for path, value in there.items() if path not in known or known[path] != value)
    entries = _entries(before)
    others = [_with(entry, (_fields(entry) & there.keys()) - changed) for entry in entries]
    mine = [entry for entry in others if _is(entry, change.manager, "Update")]
    rest = [entry for entry in others if entry not in mine]
    own = changed.union(*(_fields(entry) for entry in mine))
    return _filled([*rest, _made(change, "Update", own)])


def applied(
    change: Change, wanted: JsonObject, before: JsonObject | None, *, force: bool
) -> tuple[list[JsonObject], Fields]:
    """The managers of an object that somebody applies, and what he no longer wants.

    Args:
        change: who.
        wanted: what he applies.
        before: the object as it is; None for a new one.
        force: whether he takes fields from others.

    Returns:
        The managers, and the fields that are to be removed, as nobody else has them.

    Raises:
        Refused: others set fields to something else.
    """
    fields = owned(wanted, built_in=change.built_in)
    present = owned(before, built_in=change.built_in) if before is not None else {}
    entries = _entries(before)
    mine = [entry for entry in entries if _is(entry, change.manager, "Apply")]
    others = [entry for entry in entries if entry not in mine]
    differing = frozenset(path for path, value in fields.items() if path in present and present[path] != value)
    conflicts = {
        (entry["manager"], entry["apiVersion"]): sorted(_fields(entry) & differing)
        for entry in others
        if _fields(entry) & differing and not (change.manager == _SERVER_SIDE and entry["manager"] == _CLIENT_SIDE)
    }
    if conflicts and not force:
        raise _conflict(conflicts)
    rest = [_with(entry, _fields(entry) - differing) for entry in others]
    former = frozenset[_Path]().union(*(_fields(entry) for entry in mine))
    removed = former - fields.keys() - frozenset[_Path]().union(*(_fields(entry) for entry in rest))
    return _filled([*rest, _made(change, "Apply", frozenset(fields))]), removed


def without(content: JsonObject, fields: Fields) -> JsonObject:
    """An object without some fields.

    Args:
        content: the object.
        fields: which.
    """
    made: Json = content
    for path in sorted(fields, key=len, reverse=True):
        made = _without(made, path)
    kept: JsonObject = made
    return kept


def _without(value: Json, path: Sequence[str]) -> Json:
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, Mapping) and step[2:] in value:
        name = step[2:]
        if not rest:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _without(value[name], rest)}
    if step.startswith("k:") and isinstance(value, list):
        ((key, wanted),) = json.loads(step[2:]).items()
        # The key of an entry goes last, and the entry with it.
        if rest == (f"f:{key}",):
            return [entry for entry in value if entry.get(key) != wanted]
        return [_without(entry, rest) if entry.get(key) == wanted else entry for entry in value]
    return value


def _conflict(conflicts: Mapping[tuple[str, str], Iterable[_Path]]) -> Refused:
    causes, texts, count = [], [], 0
    for (manager, version), paths in conflicts.items():
        shown = [_shown(path) for path in paths]
        count += len(shown)
        who = f'"{manager}" using {version}'
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field} for field in shown
        ]
        listed = f" {shown[0]}" if len(shown) == 1 else "".join(f"\n- {field}" for field in shown)
        texts.append(f"conflict{'' if len(shown) == 1 else 's'} with {who}:{listed}")
    head = f"Apply failed with {count} conflict{'' if count == 1 else 's'}"
    return Refused(409, f"{head}: " + "\n".join(texts), details={"causes": causes})


def _shown(path: Iterable[str]) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        else:
            ((key, value),) = json.loads(step[2:]).items()
            text += f"[{key}={json.dumps(value)}]"
    return text


def _entries(content: JsonObject | None) -> list[JsonObject]:
    return list((content or {}).get("metadata", {}).get("managedFields") or ())


def _is(entry: JsonObject, manager: str, operation: str) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (manager, operation)


def _made(change: Change, operation: Literal["Apply", "Update"], fields: Fields) -> JsonObject:
    entry = {
        "manager": change.manager,
        "operation": operation,
        "apiVersion": change.api_version,
        "time": stamp(time.time()),
        "fieldsType": "FieldsV1",
    }
    return _with(entry, fields)


def _filled(entries: Iterable[JsonObject]) -> list[JsonObject]:
    return [entry for entry in entries if entry["fieldsV1"]]


def _with(entry: JsonObject, fields: Iterable[_Path]) -> JsonObject:
    nested: JsonObject = {}
    for path in sorted(fields):
        place = nested
        for step in path:
            place = place.setdefault(step, {})
    return {**entry, "fieldsV1": nested}


def _fields(entry: JsonObject) -> Fields:
    paths: set[_Path] = set()

    def collect(nested: Json, path: _Path) -> None:
        steps = {step: below for step, below in nested.items() if step != "."} if isinstance(nested, Mapping) else {}
        if not steps and path:
            paths.add(path)
        for step, below in steps.items():
            collect(below, (*path, step))

    collect(entry.get("fieldsV1") or {}, ())
    return frozenset(paths)
