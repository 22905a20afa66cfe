"""From files to what a control plane would have read: what admission lets in, and Kubernetes objects as they are.

A control plane does not judge the built-in kinds: it reads of a Service or a pod what it needs, and passes over fields
and kinds that it does not know. So ``workshop translate`` takes them more leniently than ``workshop validate`` would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from labsupport.errors import ManifestError, NotFoundError, Problem
from labsupport.model import CLUSTER_SCOPED, Resource
from labsupport.model.kinds.index import KINDS, api_versions
from labsupport.model.reading.documents import Document, read
from labsupport.model.schema.base import EPOCH
from labsupport.model.schema.protojson import DecodeError, decode
from labsupport.model.validation import is_judged, judge
from labsupport.records import JsonObject

__all__ = ["Input", "documents_of", "files_of", "read_input"]

_SUFFIXES = (".yaml", ".yml", ".json")
_WORKLOADS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"})
_UNMODELLED = frozenset({("v1", "Node"), ("v1", "Endpoints"), ("discovery.k8s.io/v1", "EndpointSlice")})


@dataclass
class Input:
    """What some files hold.

    Args:
        objects: of the kinds that are modelled, oldest first, with namespace and creation time filled in.
        extra: documents of the other kinds that count: Node, Endpoints, EndpointSlice.
        rejected: verdicts about objects of Istio that admission refuses.
        ignored: what a control plane does not read, and why, one line each.
    """

    objects: list[Resource] = field(default_factory=list)
    extra: list[Document] = field(default_factory=list)
    rejected: list[JsonObject] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def files_of(path: Path) -> list[Path]:
    """List the manifests in a folder and the folders below it, by path; a file stands for itself."""
    if not path.is_dir():
        return [path]
    return sorted(
        (file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file()),
        key=lambda file: str(file),
    )


def documents_of(source: Path | str, *, file: str = "") -> list[Document]:
    """Read a file, a folder with all folders below it, or a text, which all may be empty.

    Args:
        source: a path, or YAML text.
        file: for text, what to call it in messages.

    Returns:
        Its objects.

    Raises:
        ManifestError: something in it is no set of objects.
        NotFoundError: there is no such file or folder.
    """
    if isinstance(source, str):
        return read(source, file=file, empty=True, loose=True)
    if not source.exists():
        raise NotFoundError(f"there is no file or folder {source}")
    return [document for path in files_of(source) for document in read(path, empty=True, loose=True)]


def read_input(documents: Sequence[Document]) -> Input:
    """Sort documents into what counts, what is refused and what is passed over.

    Args:
        documents: oldest first; one without a ``creationTimestamp`` is a second younger than the one before it.

    Returns:
        The objects.

    Raises:
        ManifestError: an object is given twice.
    """
    result = Input()
    seen: dict[tuple[str, str, str], Document] = {}
    for position, document in enumerate(documents):
        raw = document.raw
        resource: Resource | None
        if is_judged(raw):
            verdict, resource = judge(raw)
            if verdict.errors or resource is None:
                result.rejected.append(dict(verdict.as_record()))
                continue
        elif (raw.get("apiVersion"), raw.get("kind")) in _UNMODELLED:
            result.extra.append(document)
            continue
        else:
            resource, reason = _kubernetes(raw)
            if resource is None:
                result.ignored.append(f"{document.origin.file or 'input'}:{document.origin.line}: {reason}")
                continue
        resource = _completed(resource, EPOCH + position)
        key = (f"{type(resource).GROUP}/{resource.kind}", resource.namespace, resource.name)
        if key in seen:
            raise _twice(document, seen[key], resource)
        seen[key] = document
        result.objects.append(resource)
    return result


def _twice(document: Document, before: Document, resource: Resource) -> ManifestError:
    origin, first = document.origin, before.origin
    where = f"line {first.line}" + (f" of {first.file}" if first.file != origin.file else "")
    message = f"the same object is given twice (first in {where})"
    label = f"{resource.kind}/{resource.name}"
    remedy = "Keep one, or rename it."
    line = origin.line_of("metadata.name")
    return ManifestError([Problem(message, origin.file, origin.document, line, label, "metadata.name", remedy)])


def _kubernetes(raw: JsonObject) -> tuple[Resource | None, str]:
    """An object of a built-in kind, or why it is passed over."""
    version, kind = raw.get("apiVersion"), raw.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None or version not in api_versions(model):
        return None, f"{kind} of {version} is none of the kinds that are read"
    try:
        return decode(model, _filled(raw, model), ""), ""
    except DecodeError as error:
        return None, f"{kind} cannot be read: {error.path.lstrip('.')} {error}"


def _filled(raw: JsonObject, model: type[Resource]) -> JsonObject:
    """The object with the parts that a Go program finds empty instead of missing."""
    filled = {**raw, "metadata": raw.get("metadata") or {}}
    spec = raw.get("spec") or {}
    if model.KIND in _WORKLOADS:
        template = _mapping(spec, "spec").get("template") or {}
        inner = _mapping(template, "spec.template").get("spec") or {}
        spec = {**spec, "template": {**template, "metadata": template.get("metadata") or {}, "spec": inner}}
    if "spec" in model.model_fields:
        filled["spec"] = spec
    return filled


def _mapping(value: object, path: str) -> JsonObject:
    if not isinstance(value, dict):
        raise DecodeError(path, "must be a mapping with fields")
    return value


def _completed(resource: Resource, age: float) -> Resource:
    """Fill in what the API server would: the namespace, and a creation time by the place among all documents."""
    update: dict[str, object] = {}
    if not resource.namespace and resource.kind not in CLUSTER_SCOPED:
        update["namespace"] = "default"
    created = resource.metadata.creation_timestamp
    if not isinstance(created, datetime):
        update["creation_timestamp"] = _time(created) or datetime.fromtimestamp(age, UTC)
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update=update)})


def _time(text: object) -> datetime | None:
    """A time as lenient decoding leaves it."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or UTC) if time else None
