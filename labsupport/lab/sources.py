"""What ``lab.apply`` and ``lab.delete`` take: files, folders, YAML text and objects, read as one set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from labsupport import paths
from labsupport.arguments import plain, shown
from labsupport.engine.additions import WORKLOADS
from labsupport.errors import ManifestError, Problem, UsageError
from labsupport.lab.stand_ins import let_play
from labsupport.model.schema.base import Resource

__all__ = ["Source", "has_gap", "is_text", "read"]

Source: TypeAlias = str | Path | Resource | Mapping[str, Any] | Iterable["Source"]

GAP = "____"
"""What a start text has where the learner is to write something."""

_YAML_KEY = re.compile(r"""^\s*(- +)?["']?[\w./-]+["']?\s*:(\s|$)""")
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


def is_text(source: str) -> bool:
    """Whether a string is YAML rather than a path: it has several lines, or one that reads as a mapping."""
    return "\n" in source or source.lstrip().startswith(("{", "[", "---")) or bool(_YAML_KEY.match(source))


def has_gap(text: str) -> bool:
    """Whether a manifest still has ``____`` to be filled in, comments aside."""
    return GAP in _COMMENT.sub("", text)


def read(sources: Iterable[Source], *, name: str = "", images: Mapping[str, str] | None = None) -> list[Resource]:
    """Read everything that was given as one set of manifests.

    Args:
        sources: paths (resolved by ``labsupport.paths``), YAML texts, objects, mappings, or lists of these.
        name: what messages call a YAML text or a mapping.
        images: names of images, and what takes the place of each.

    Returns:
        Objects in the order given.

    Raises:
        ManifestError: a text or file is not what it should be; all problems of the whole set.
        NotFoundError: there is no such file or folder.
        UsageError: nothing was given, or something else than the above; or no container has one of the images.
    """
    # Imported here, because pydantic's models take longer to build than a notebook should wait at its first line.
    from labsupport import model
    from labsupport.model.reading import documents

    try:
        flat = list(_flatten(sources))
    except RecursionError:
        raise UsageError("A list of manifests holds itself.") from None
    if not flat:
        raise UsageError("Nothing was given. Pass a file, a folder, YAML text or an object, such as 'apps/web'.")
    parts: list[Resource | list[documents.Document]] = []
    problems: list[Problem] = []
    for source in flat:
        if isinstance(source, Resource) and (not images or source.kind not in WORKLOADS):
            parts.append(source)
            continue
        try:
            if isinstance(source, Resource):
                parts.append(documents.of_data(deepcopy(source.raw), file=source.origin.file))
            elif isinstance(source, Mapping):
                parts.append(documents.of_data(plain(name or "manifest", source), file=name))
            elif isinstance(source, str) and is_text(source):
                parts.append(documents.read(source, file=name))
            elif isinstance(source, str) and not source.strip():
                raise UsageError("The text is empty. Pass a file, a folder or YAML text, such as 'apps/web'.")
            else:
                from_files = documents.read(paths.resolve(source))
                for document in from_files:
                    document.origin.file = paths.display_name(Path(document.origin.file))
                parts.append(from_files)
        except ManifestError as error:
            problems += [_shortened(problem) for problem in error.problems]
    every = [document for part in parts if isinstance(part, list) for document in part]
    if images and not problems:
        let_play(images, every)
    parsed: list[Resource] = []
    try:
        # One call for the whole set, so that a name used in two files is seen and all problems are told at once.
        parsed = model.parse(every) if every else []
    except ManifestError as error:
        problems += error.problems
    if problems:
        raise ManifestError(problems)
    from_text = iter(parsed)
    resources: list[Resource] = []
    for part in parts:
        resources += [part] if isinstance(part, Resource) else [next(from_text) for _ in part]
    return resources


def _flatten(sources: Iterable[Source]) -> Iterable[str | Path | Resource | Mapping[str, Any]]:
    for source in sources:
        if isinstance(source, str | Path | Resource | Mapping):
            yield source
        elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
            yield from _flatten(source)
        else:
            raise UsageError(f"{shown('manifest', source)}: pass a file, a folder, YAML text or an object.")


def _shortened(problem: Problem) -> Problem:
    absolute = Path(problem.file).is_absolute()
    return replace(problem, file=paths.display_name(Path(problem.file))) if absolute else problem
