"""From what a client sends to an object of the lab, refused in the API server's words where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from labsupport.engine.embedded.api.answers import Refused, about
from labsupport.engine.embedded.api.kinds import ApiKind
from labsupport.errors import ManifestError, Problem
from labsupport.model import Origin, Resource, parse
from labsupport.model.reading.documents import Document
from labsupport.model.schema.issues import Issue, Report
from labsupport.model.schema.shape import shape_of
from labsupport.model.validation.verdict import inspect
from labsupport.records import JsonObject

__all__ = ["BOOKKEEPING", "forbidden", "invalid", "judged"]

_UNKNOWN_WORD = re.compile(r"'(.*)' is not one of (.*)")

BOOKKEEPING: Final = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
"""What only the server writes into ``metadata``."""


def judged(
    entry: ApiKind,
    content: JsonObject,
    *,
    namespace: str,
    validation: str,
    patched: bool,
    warnings: list[str],
    managed: list[JsonObject],
) -> Resource:
    """An object as it will be in the lab.

    Args:
        entry: its kind.
        content: as the client sent it.
        namespace: where it is to be.
        validation: what to do about unknown fields: ``Strict``, ``Warn`` or ``Ignore``.
        patched: whether it came of a patch.
        warnings: what there is to warn of is added.
        managed: who set its fields.

    Raises:
        Refused: something is wrong with it.
    """
    if entry.built_in:
        # What the path says need not be said again.
        content = {"apiVersion": entry.api_version(), "kind": entry.manifest_kind, **content}
    kind, version = content.get("kind"), content.get("apiVersion")
    if kind != entry.manifest_kind:
        raise Refused(400, f"the object provided is unrecognized: its kind is {kind!r}, and not {entry.manifest_kind}")
    model = entry.model
    assert model is not None
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        kept = {key: value for key, value in metadata.items() if key not in BOOKKEEPING}
        metadata = {**kept, "managedFields": managed} if managed else kept
    raw = {key: value for key, value in content.items() if key != "status"} | {"metadata": metadata}
    report = Report()
    cleaned = shape_of(model).check(raw, "", report)
    unknown = [f'unknown field "{issue.path}"' for issue in report.issues if issue.message.startswith("unknown field")]
    name = str((metadata or {}).get("name") or "") if isinstance(metadata, dict) else ""
    if unknown and validation == "Strict":
        what = f"strict decoding error: {', '.join(unknown)}"
        if patched:
            raise Refused(422, f"patch: Invalid value: {what}", details={"causes": [_cause("patch", what)]})
        head = f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a {kind}'
        raise Refused(400, f"{head}: {what}")
    if unknown:
        raw = cleaned
        warnings += unknown if validation == "Warn" else []
    _refuse(entry, name, inspect(raw, namespace=namespace).errors)
    try:
        (resource,) = parse([Document(raw, Origin())], namespace=namespace)
    except ManifestError as error:
        raise invalid(entry, name, [_cause(problem.path, problem.message) for problem in error.problems]) from None
    warnings += [f"{problem.path}: {problem.message}" for problem in resource.warnings]
    return resource


def _refuse(entry: ApiKind, name: str, issues: Sequence[Issue]) -> None:
    denied = [issue for issue in issues if issue.by == "webhook"]
    wrong = [_cause(issue.path, issue.message) for issue in issues if issue.by != "webhook"]
    if wrong:
        raise invalid(entry, name, wrong)
    if denied:
        texts = "; ".join(f"{issue.path}: {issue.message}" if issue.path else issue.message for issue in denied)
        head = 'admission webhook "validation.istio.io" denied the request: configuration is invalid'
        raise Refused(400, f"{head}: {texts}", reason="")


def _cause(path: str, message: str) -> JsonObject:
    """A refusal of a value, in the API server's words where it has a word for it."""
    if message == "is required":
        return {"reason": "FieldValueRequired", "message": "Required value", "field": path}
    if match := _UNKNOWN_WORD.fullmatch(message):
        words = ", ".join(f'"{word}"' for word in sorted(match[2].split(", ")))
        said = f'Unsupported value: "{match[1]}": supported values: {words}'
        return {"reason": "FieldValueNotSupported", "message": said, "field": path}
    return {"reason": "FieldValueInvalid", "message": f"Invalid value: {message}", "field": path}


def invalid(entry: ApiKind, name: str, causes: Sequence[JsonObject]) -> Refused:
    """Values of an object are wrong.

    Args:
        entry: the kind.
        name: of the object.
        causes: reason, message and field of each.
    """
    texts = [f"{cause['field']}: {cause['message']}" for cause in causes]
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{entry.manifest_kind}.{entry.group}" if entry.group else entry.manifest_kind
    details = {"name": name, "group": entry.group, "kind": entry.manifest_kind, "causes": list(causes)}
    return Refused(422, f'{kind} "{name}" is invalid: {shown}', details=details)


def forbidden(entry: ApiKind, name: str, problems: Sequence[Problem]) -> Refused:
    """What the embedded mesh cannot do.

    Args:
        entry: the kind.
        name: of the object.
        problems: why.
    """
    texts = [str(replace(problem, file="", line=0, document=0, object="")) for problem in problems]
    message = f'{entry.qualified} "{name}" is forbidden: {"; ".join(texts)}'
    return Refused(403, message, details=about(entry, name))
