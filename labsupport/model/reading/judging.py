"""The verdict on one document for people: of any kind, with lines and remedies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport.errors import ManifestError, Problem
from labsupport.model.analysis.experimental import experimental_fields
from labsupport.model.analysis.spellings import old_spellings
from labsupport.model.kinds.index import KINDS, closest_kind
from labsupport.model.kinds.otheristio import OtherIstio
from labsupport.model.reading.elsewhere import instead_of
from labsupport.model.reading.parse import parse
from labsupport.model.validation.verdict import NOT_JUDGED, is_judged

if TYPE_CHECKING:
    from labsupport.model.reading.documents import Document

__all__ = ["Judged", "judged"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a cluster says to one document.

    Args:
        name: the object as ``Kind/name (namespace)``, as far as it has them.
        errors: why it is refused; empty if it is not.
        warnings: what it is warned about.
        notes: spellings of earlier times, and fields that not every cluster has.
        note: why nobody judges it here; empty for a verdict.
    """

    name: str
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    note: str = ""

    @property
    def state(self) -> str:
        """The verdict in a word or two."""
        if self.errors:
            return "rejected"
        return self.note or ("accepted with warnings" if self.warnings else "accepted")


def judged(document: Document, *, namespace: str = "default") -> Judged:
    """Judge one document.

    Args:
        document: as it was read.
        namespace: the namespace of an object that names none.

    Returns:
        the verdict; a kind that neither Istio nor this course has is not judged.
    """
    kind, version = document.raw.get("kind"), document.raw.get("apiVersion")
    name = _name(document, namespace)
    if isinstance(kind, str) and isinstance(version, str) and kind and version and _foreign(kind, version, document):
        does, instead = instead_of(version, kind)
        note = f"it {does}. {instead}" if does else "the lab does not know this kind"
        return Judged(name, note=f"not judged: {note}")
    try:
        (resource,) = parse([document], namespace=namespace)
    except ManifestError as error:
        return Judged(name, errors=error.problems)
    note = NOT_JUDGED if isinstance(resource, OtherIstio) else ""
    told = (*old_spellings(resource), *experimental_fields(resource))
    notes = (Problem(text, line=document.origin.line_of(path), path=path) for path, text in told)
    return Judged(name, warnings=tuple(resource.warnings), notes=tuple(notes), note=note)


def _foreign(kind: str, version: str, document: Document) -> bool:
    """Whether it is an object of somebody else, and no misspelt one of ours."""
    if is_judged(document.raw):
        return False
    if instead_of(version, kind)[0]:
        return True
    return kind not in KINDS and not closest_kind(kind, version.rpartition("/")[0])


def _name(document: Document, namespace: str) -> str:
    raw = document.raw
    kind, metadata = raw.get("kind"), raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, space = metadata.get("name"), metadata.get("namespace")
    if not (isinstance(kind, str) and kind):
        return "an object without kind"
    if kind == "Namespace":
        return f"{kind}/{name or ''}"
    return f"{kind}/{name or ''} ({space or namespace})"
