"""What does not fit together in the whole mesh, as ``istioctl analyze`` tells it, told once when it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labsupport import words
from labsupport.engine.protocol import Engine
from labsupport.model.analysis import Note, PodLabels, analyse
from labsupport.model.kinds.index import exported
from labsupport.model.schema.base import Resource
from labsupport.records import Pod

__all__ = ["Analysis"]

_SHOWN = 3


class Analysis:
    """The notes about the objects of a mesh, and which of them were told already."""

    def __init__(self) -> None:
        self._notes: list[Note] = []

    def renew(self, engine: Engine, objects: Sequence[Resource], pods: Sequence[Pod]) -> tuple[str, ...]:
        """Look at everything again.

        Args:
            engine: the mesh.
            objects: all that it has, in every namespace.
            pods: all its pods.

        Returns:
            what was not so before, in words.
        """
        before = {_key(note) for note in self._notes}
        labels = [PodLabels(pod.namespace, pod.labels, pod.injected) for pod in pods]
        # Rules are shown to whom this mesh shows those that do not say it.
        seen = [exported(resource, engine.default_export_to) for resource in objects]
        self._notes = analyse(seen, pods=labels, namespace=engine.namespace)
        return _told(note for note in self._notes if _key(note) not in before)

    def serious(self) -> tuple[str, ...]:
        """What makes requests fail or rules void, in words."""
        return _told(note for note in self._notes if note.level != "info")

    def forget(self) -> None:
        """There is nothing any more."""
        self._notes = []


def _key(note: Note) -> tuple[str, ...]:
    return note.code, note.kind, note.namespace, note.name, note.path, note.text


def _told(notes: Iterable[Note]) -> tuple[str, ...]:
    """A line for each text, however many objects it is about; a host that is missing need not miss its subset, too."""
    listed = list(notes)
    missing = {(note.ref, note.namespace, note.path) for note in listed}
    by_text: dict[tuple[str, str], dict[tuple[str, str], Note]] = {}
    for note in listed:
        host = note.path.removesuffix(".subset") + ".host"
        if (note.ref, note.namespace, host) not in missing or note.path == host:
            by_text.setdefault((note.code, _text(note)), {}).setdefault((note.ref, note.namespace), note)
    lines = []
    for (code, text), objects in by_text.items():
        shown = [_place(note) for note in objects.values()]
        if len(shown) > _SHOWN:
            shown[_SHOWN:] = [f"{len(shown) - _SHOWN} more"]
        number = f" ({code})" if code.startswith("IST") else ""
        lines.append(f"{words.join(shown)}: {text}{number}")
    return tuple(lines)


def _text(note: Note) -> str:
    """The text, with the field where it is the one that is spoken of: a rule that is never reached, say."""
    return f"{note.path}: {note.text}" if note.text.startswith(("is ", "never ")) else note.text


def _place(note: Note) -> str:
    return f"{note.ref} ({words.place(note.file, note.line)})" if note.file and note.line else note.ref
