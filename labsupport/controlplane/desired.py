"""The desired state: what was applied, oldest first, and what a change does to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from labsupport import words
from labsupport.errors import NotFoundError, Problem
from labsupport.model import CLUSTER_SCOPED, Resource, Service
from labsupport.model.writing.lines import flow
from labsupport.model.writing.redaction import LAST_APPLIED, redacted
from labsupport.records import Action, JsonObject, ObjectChange, Ref

__all__ = ["Key", "ServiceAddresses", "changed_fields", "homeless", "key_of", "merge", "others_of", "remove"]

Key = tuple[str, str, str]
_MISSING = object()
# Of a text that differs: how much is shown, and how much before the difference.
_LONGEST, _LEAD = 60, 20


def key_of(resource: Resource) -> Key:
    """Kind, namespace and name: what makes two objects the same one."""
    return (resource.called, "" if resource.kind in CLUSTER_SCOPED else resource.namespace, resource.name)


def _content(resource: Resource) -> JsonObject:
    content = redacted(resource.model_dump(mode="json", by_alias=True, exclude_unset=True), kind=resource.kind)
    if not content["metadata"].get("annotations"):
        content["metadata"].pop("annotations", None)
    return content


def _place(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def _differences(before: object, after: object, path: str) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*after, *(key for key in before if key not in after)):
            yield from _differences(before.get(key, _MISSING), after.get(key, _MISSING), _place(path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else _MISSING
            new = after[index] if index < len(after) else _MISSING
            yield from _differences(old, new, _place(path, index))
    else:
        if isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > _LONGEST:
            before, after = _apart(before, after)
        yield f"{path}: {_shown(before)} -> {_shown(after)}"


def _apart(before: str, after: str) -> tuple[str, str]:
    """From where two texts differ, in the first line that does: their beginnings may be the same."""
    lines = zip_longest(before.split("\n"), after.split("\n"), fillvalue="")
    old, new = next(pair for pair in lines if pair[0] != pair[1])
    same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    begin = same - _LEAD if same > _LEAD and max(len(old), len(new)) > _LONGEST else 0
    lead = "..." if begin else ""
    return f"{lead}{old[begin:]}", f"{lead}{new[begin:]}"


def _shown(value: object) -> str:
    if value is _MISSING:
        return "(none)"
    if isinstance(value, str):
        return flow(value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}...")
    text = flow(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def changed_fields(before: Resource, after: Resource) -> tuple[str, ...]:
    """One line per field that differs, such as ``spec.http[0].route[0].weight: 100 -> 90``.

    Values count, not how they are written: ``1s`` and ``1000ms`` are the same.
    """
    fields = type(after).model_fields
    if type(before) is type(after) and all(getattr(before, name) == getattr(after, name) for name in fields):
        return ()
    return tuple(_differences(_content(before), _content(after), ""))


def _kept(resource: Resource) -> bool:
    metadata = resource.metadata
    return LAST_APPLIED in metadata.annotations or bool(metadata.managed_fields)


def merge(
    objects: Sequence[Resource], news: Iterable[Resource]
) -> tuple[tuple[Resource, ...], tuple[ObjectChange, ...]]:
    """Apply objects to a state.

    An object that is equal to what is there stays the very same object; a changed one keeps its place, so its age.

    Returns:
        The new state, and what happened to each object in the order given.
    """
    state = {key_of(resource): resource for resource in objects}
    changes = []
    for new in news:
        key = key_of(new)
        old = state.get(key)
        details = changed_fields(old, new) if old is not None else ()
        action: Action = "created" if old is None else "changed" if details else "unchanged"
        # What kubectl keeps in an object for its next apply is no change of it, and is not lost by an apply without.
        if action != "unchanged" or _kept(new):
            state[key] = new
        origin = new.origin
        source = words.place(origin.file, origin.line) if origin.file else ""
        changes.append(ObjectChange(new.ref, action, details, source))
    return tuple(state.values()), tuple(changes)


def remove(
    objects: Sequence[Resource], refs: Iterable[Ref], *, namespace: str
) -> tuple[tuple[Resource, ...], tuple[ObjectChange, ...]]:
    """Take objects out of a state.

    Raises:
        NotFoundError: one of them is not there; lists what there is of its kind.
    """
    state = {key_of(resource): resource for resource in objects}
    changes = []
    gone: set[Key] = set()
    for ref in refs:
        key = (ref.kind, "" if ref.kind in CLUSTER_SCOPED else ref.namespace or namespace, ref.name)
        if key in gone:
            continue
        if state.pop(key, None) is None:
            known = others_of(objects, ref, namespace)
            raise NotFoundError(f"{ref} does not exist, so nothing was changed. {known}")
        changes.append(ObjectChange(Ref(ref.kind, ref.name, key[1]), "deleted"))
        # As in Kubernetes, a namespace goes with all that is in it.
        for inner in [inner for inner in state if ref.kind == "Namespace" and inner[1] == ref.name]:
            del state[inner]
            gone.add(inner)
            changes.append(ObjectChange(Ref(inner[0], inner[2], inner[1]), "deleted"))
    return tuple(state.values()), tuple(changes)


def others_of(objects: Iterable[Resource], ref: Ref, namespace: str) -> str:
    """What there is of the kind of an object that does not exist, with its namespace where that is another.

    Args:
        objects: all objects.
        ref: what does not exist.
        namespace: of references that name none.
    """
    here = ref.namespace or namespace
    there = [
        resource.name
        if resource.namespace in ("", here) or ref.kind in CLUSTER_SCOPED
        else f"{resource.name}.{resource.namespace}"
        for resource in objects
        if resource.called == ref.kind
    ]
    return f"There are: {', '.join(there)}" if there else f"There is no {ref.kind} at all"


def homeless(objects: Iterable[Resource], news: Iterable[Resource]) -> list[Problem]:
    """Objects for a namespace that does not exist; the lab's own and Istio's always do.

    Args:
        objects: all objects, the new ones included.
        news: those that are applied.
    """
    there = {resource.name for resource in objects if resource.kind in CLUSTER_SCOPED} | {"default", "istio-system"}
    problems = []
    for resource in news:
        if resource.kind in CLUSTER_SCOPED or resource.namespace in there:
            continue
        origin, path = resource.origin, "metadata.namespace"
        message = f"there is no namespace {resource.namespace}"
        remedy = "Apply a Namespace of this name with it, or before."
        place = (origin.file, origin.document, origin.line_of(path))
        problems.append(Problem(message, *place, f"{resource.kind}/{resource.name}", path, remedy))
    return problems


class ServiceAddresses:
    """Cluster IPs of Services: given when a Service is first seen, kept for the life of the lab."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}

    def of(self, objects: Iterable[Resource]) -> Mapping[tuple[str, str], str]:
        """Addresses by namespace and name; headless Services and aliases have none."""
        for resource in objects:
            if not isinstance(resource, Service):
                continue
            key = (resource.namespace, resource.name)
            if key not in self._given and not resource.spec.cluster_ip and resource.spec.type != "ExternalName":
                number = len(self._given) + 10
                self._given[key] = f"10.96.{number >> 8 & 255}.{number & 255}"
        return self._given
