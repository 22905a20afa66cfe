"""Documents to typed objects: everything that is wrong with a set of manifests, in one error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labsupport.errors import ManifestError, Problem
from labsupport.model.kinds.index import KINDS, api_versions, class_of, closest_kind
from labsupport.model.reading.elsewhere import instead_of, part_of
from labsupport.model.schema.base import Origin, Resource
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.names import label_issues, name_problem
from labsupport.model.schema.shape import meant
from labsupport.model.schema.suggest import closest
from labsupport.model.validation.builtin import builtin_issues
from labsupport.model.validation.values import value_issues
from labsupport.model.validation.verdict import inspect
from labsupport.records import JsonObject

if TYPE_CHECKING:
    from labsupport.model.reading.documents import Document

__all__ = ["parse"]

_PART_ENDS = re.compile(r"[.\[]")


def parse(documents: Iterable[Document], *, namespace: str = "default") -> list[Resource]:
    """Turn documents into typed objects.

    Args:
        documents: as ``labsupport.model.reading.documents.read`` returns them.
        namespace: the namespace that objects without one will get.

    Returns:
        one object per document, in order, each with its origin and its raw mapping.

    Raises:
        ManifestError: at least one is refused, by the rules that kubectl, the API server and istiod go by; lists every
            problem of every document.
    """
    problems: list[Problem] = []
    resources: list[Resource] = []
    seen: dict[tuple[str, str, str], Origin] = {}
    for document in documents:
        resource, issues = _resource(document, namespace)
        problems += issues
        reference = _reference(document.raw, namespace)
        if reference is not None:
            if reference in seen:
                before = seen[reference]
                where = f"line {before.line}" + (f" of {before.file}" if before.file != document.origin.file else "")
                message = f"the same object is given twice (first in {where})"
                problems.append(
                    _problem(document, Issue("object", "metadata.name", message, "Keep one, or rename it."))
                )
            seen.setdefault(reference, document.origin)
        if resource is not None:
            resources.append(resource)
    if problems:
        raise ManifestError(problems)
    return resources


def _reference(raw: JsonObject, default: str) -> tuple[str, str, str] | None:
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace")
    kind, cls = raw.get("kind"), class_of(raw)
    if not (isinstance(kind, str) and isinstance(name, str) and name):
        return None
    if cls is not None and cls.GROUP:
        kind = f"{kind}.{cls.GROUP}"
    return kind, namespace if isinstance(namespace, str) and namespace else default, name


def _label(raw: JsonObject) -> str:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = raw.get("kind")
    shown = kind if isinstance(kind, str) else ""
    return f"{shown}/{name}" if shown and isinstance(name, str) and name else shown


def _problem(document: Document, issue: Issue) -> Problem:
    origin = document.origin
    line = origin.line_of(issue.path)
    label = _label(document.raw)
    return Problem(issue.message, origin.file, origin.document, line, label, issue.path, issue.remedy)


def _resource(document: Document, namespace: str) -> tuple[Resource | None, list[Problem]]:
    cls, issue = _class(document.raw)
    if issue is not None:
        return None, [_problem(document, issue)]
    assert cls is not None
    inspection = inspect(document.raw, namespace=namespace)
    told = _Told(inspection.errors, document.origin)
    issues = [issue for issue in inspection.errors if not told.has(issue)]
    metadata = document.raw.get("metadata")
    if isinstance(metadata, dict) and not any(issue.path.startswith("metadata") for issue in issues):
        problem = name_problem(cls.KIND, metadata.get("name") or "", metadata)
        issues += [problem] if problem else []
        issues += label_issues(cls.KIND, document.raw)
    resource = inspection.resource
    if resource is not None and not issues:
        issues += value_issues(resource)
        issues += builtin_issues(resource)
    if issues or resource is None:
        return None, [_problem(document, issue) for issue in issues]
    resource._origin = document.origin
    resource._raw = inspection.kept
    resource._warnings = tuple(_problem(document, issue) for issue in inspection.warnings)
    return resource, []


class _Told:
    """What follows from misspelt fields only: that the right one is missing, or what istiod says without it."""

    def __init__(self, every: Iterable[Issue], origin: Origin) -> None:
        self._origin = origin
        self._meant: set[tuple[str, str]] = set()
        self._around: set[str] = set()
        for issue in every:
            if issue.by == "strict" and issue.remedy.startswith("Did you mean"):
                self._meant.add((issue.path.rpartition(".")[0], issue.remedy))
                self._around |= {issue.path[: end.start()] for end in _PART_ENDS.finditer(issue.path)}

    def has(self, issue: Issue) -> bool:
        """Whether it need not be told."""
        parent, _, name = issue.path.rpartition(".")
        if (parent, meant(name)) in self._meant and issue.path not in self._origin.lines:
            return True
        return issue.by == "webhook" and issue.path in self._around


def _class(raw: JsonObject) -> tuple[type[Resource] | None, Issue | None]:
    """Find the class for ``apiVersion`` and ``kind``, or say why there is none."""
    for key in ("apiVersion", "kind"):
        value = raw.get(key)
        if not isinstance(value, str) or not value:
            guess = closest(key, [name for name in raw if name != "metadata"]) if key not in raw else ""
            remedy = f"Is {guess!r} meant to be {key}?" if guess else f"Write {_example(key, raw)} at the top level."
            what = "is missing" if value is None or value == "" else "must be text"
            if "kind" not in raw and "apiVersion" not in raw and (part := part_of(raw))[0]:
                return None, _fragment(raw, *part)
            return None, Issue("object", key if key in raw else "", f"{key} {what}", remedy)
    version, kind = raw["apiVersion"], raw["kind"]
    cls = class_of(raw)
    if cls is not None:
        accepted = api_versions(cls)
        if version in accepted:
            return cls, None
        message, remedy = f"there is no {kind} in apiVersion {version[:80]!r}", f"Write apiVersion: {accepted[0]}."
        does, instead = instead_of(version, kind)
        if does:
            message, remedy = f"this {kind} {does}", instead
        return None, Issue("object", "apiVersion", message, remedy)
    does, instead = instead_of(version, kind)
    if does:
        return None, Issue("object", "kind", f"the lab has no {kind}, which {does}", instead)
    guess = closest_kind(kind)
    known = ", ".join(sorted(KINDS))
    remedy = f"Did you mean {guess}?" if guess else f"Known kinds are {known}."
    return None, Issue("object", "kind", f"unknown kind {kind[:80]!r}", remedy)


def _fragment(raw: JsonObject, kind: str, place: str) -> Issue:
    head = f"apiVersion: {api_versions(KINDS[kind])[0]}, kind: {kind} and metadata: {{name: ...}}"
    if place == "spec":
        return Issue(
            "object", next(iter(raw)), f"this is a part of a {kind}", f"Put it below spec, with {head} above it."
        )
    return Issue("object", "spec", f"this is the spec of a {kind} without its head", f"Write {head} above it.")


def _example(key: str, raw: JsonObject) -> str:
    if key == "kind":
        return "kind: VirtualService"
    model = class_of(raw)
    return f"apiVersion: {api_versions(model)[0] if model is not None else 'networking.istio.io/v1'}"
