"""The kinds of incidents: folders ``manifests/20-incident-game/incidents/<kind>``, and the normal state beside them.

A folder holds ``incident.toml``; ``broken/*.yaml``, applied over the normal state; ``short-cuts/*.yaml``, which must
not help; and ``repair/*.yaml``, answers other than the normal state. ``$NAME`` in them stands for what is drawn.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from labsupport import paths
from labsupport.course.reading import FALLBACK, language
from labsupport.errors import UsageError

__all__ = ["BASE", "HINTS", "Kind", "every", "normal"]

BASE = "20-incident-game/base"
"""What every incident begins with, and does not draw."""

HINTS = ("which part of the way to look at", "which command shows it", "which object to read")
"""What the hints of every kind tell, one after the other."""

_FILE = "incident.toml"
_LISTS = ("touches", "promises", "absent", "deletes")
_TEXTS = {"title", "brief", "hints", "wrong", "model", "command"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Args:
        name: of its folder.
        folder: where its manifests are.
        touches: the objects that are not as they should be, as ``Kind/name``; those of a pair differ.
        promises: names of the promises that it breaks.
        absent: objects of the normal state that are taken away before the broken ones come.
        deletes: short cuts: objects each of which may be deleted without any use.
        shows: a pattern that the output of its command holds while it is there, and not in the normal state.
        draw: name to what it may stand for.
        title: what it is called afterwards.
        brief: what users see, and nothing of what causes it.
        hints: one for each of ``HINTS``.
        wrong: what was wrong.
        model: how to think of it.
        command: what would have shown it.
    """

    name: str
    folder: Path
    touches: tuple[str, ...]
    promises: tuple[str, ...]
    absent: tuple[str, ...]
    deletes: tuple[str, ...]
    shows: str
    draw: Mapping[str, tuple[str, ...]]
    title: str
    brief: str
    hints: tuple[str, ...]
    wrong: str
    model: str
    command: str

    def templates(self, part: str) -> dict[str, str]:
        """The manifests of ``broken``, ``repair`` or ``short-cuts`` by name, in order, as they are written.

        Args:
            part: the folder.
        """
        return {path.stem: path.read_text(encoding="utf-8") for path in sorted((self.folder / part).glob("*.yaml"))}


def every() -> dict[str, Kind]:
    """All kinds by name, in order.

    Raises:
        UsageError: a file is not what it should be.
    """
    return _read(_lesson(), language())


def normal() -> Mapping[str, str]:
    """Each object of the normal state, as ``Kind/name``, with its manifest as it is written."""
    return _normal(_lesson())


def _lesson() -> Path:
    return (paths.manifests() / BASE).parent


@cache
def _normal(lesson: Path) -> Mapping[str, str]:
    files = [*sorted((paths.manifests() / BASE).glob("*.yaml")), *sorted((lesson / "drawn").glob("*.yaml"))]
    texts = (file.read_text(encoding="utf-8") for file in files)
    return {f"{found['kind']}/{found['metadata']['name']}": text for text in texts for found in [yaml.safe_load(text)]}


@cache
def _read(lesson: Path, code: str) -> dict[str, Kind]:
    return {file.parent.name: _kind(file, code) for file in sorted(lesson.glob(f"incidents/*/{_FILE}"))}


def _kind(file: Path, code: str) -> Kind:
    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        # A translation may lack a text that was added since; English then stands in.
        texts = content[FALLBACK] | content.get(code, {})
        given: dict[str, Any] = {key: tuple(content.get(key, ())) for key in _LISTS}
        given["shows"] = content["shows"]
        given["draw"] = {name: tuple(choices) for name, choices in content.get("draw", {}).items()}
        kind = Kind(file.parent.name, file.parent, **given, **texts | {"hints": tuple(texts["hints"])})
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file.parent.name}/{_FILE}: {error}; it has [en] with {', '.join(sorted(_TEXTS))}."
        ) from None
    if len(kind.hints) != len(HINTS) or not kind.touches or not kind.promises:
        raise UsageError(f"{file.parent.name}/{_FILE}: write touches, promises and {len(HINTS)} hints.")
    return kind
