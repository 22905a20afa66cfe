"""Reading YAML manifests: plain data as kubectl would see it, with the line of every field.

kubectl reads YAML by the rules of its own library (go-yaml 2, a YAML 1.1 dialect: ``yes`` is a boolean, ``1:30`` and
``2024-01-01`` are text), and sends JSON. This module follows those rules, so that a manifest means here what it means
there, and refuses what kubectl refuses, for instance a key that is given twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labsupport.errors import ManifestError, NotFoundError, Problem
from labsupport.model.base import Origin
from labsupport.yamltree import Composer, YamlProblem

__all__ = ["Document", "read"]

MAX_BYTES = 16 * 1024 * 1024
"""Larger files are not manifests; etcd refuses objects over 1.5 MB."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest, not yet looked at.

    Args:
        raw: the mapping as it was written.
        origin: file, document number and the lines of the fields.
    """

    raw: dict[str, Any]
    origin: Origin


def read(source: Path | str, *, file: str = "", empty: bool = False) -> list[Document]:
    """Read manifests.

    Args:
        source: a file, a folder (its ``*.yaml`` and ``*.yml`` in order of their names) or YAML text.
        file: for text, what to call it in messages.
        empty: whether there may be no object at all.

    Returns:
        the objects in order; empty documents are skipped and the items of a ``kind: List`` count one by one.

    Raises:
        ManifestError: something is not YAML, is not a mapping, or there is no object although there has to be one;
            lists every such problem.
        NotFoundError: there is no such file or folder.
    """
    if isinstance(source, str):
        return _finish(_documents(source, file), file, empty=empty)
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
        if not files:
            raise ManifestError([Problem(f"no *.yaml or *.yml file in the folder {source}")])
        return _finish([entry for path in files for entry in _file(path)], str(source), empty=empty)
    if not source.exists():
        raise NotFoundError(f"there is no file or folder {source}")
    return _finish(_file(source), str(source), empty=empty)


def _file(path: Path) -> list[Document | Problem]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return [Problem(f"the file is larger than {MAX_BYTES >> 20} MiB", file=str(path))]
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        message = f"the file is not UTF-8 text (byte {error.start})"
        return [Problem(message, file=str(path), line=line, remedy="Save it as UTF-8.")]
    except OSError as error:
        return [Problem(f"the file cannot be read: {error.strerror or error}", file=str(path))]
    return _documents(text, str(path))


def _finish(entries: Iterable[Document | Problem], where: str, *, empty: bool) -> list[Document]:
    documents: list[Document] = []
    problems: list[Problem] = []
    for entry in entries:
        if isinstance(entry, Problem):
            problems.append(entry)
        else:
            documents.append(entry)
    if problems:
        raise ManifestError(problems)
    if not documents and not empty:
        remedy = "Write at least apiVersion, kind, metadata and spec."
        raise ManifestError(
            [Problem("there is no object in it: it is empty or has only comments", where, remedy=remedy)]
        )
    return documents


def _documents(text: str, file: str) -> list[Document | Problem]:
    if len(text) > MAX_BYTES:
        return [Problem(f"the text is larger than {MAX_BYTES >> 20} MiB", file=file)]
    result: list[Document | Problem] = []
    number = 0
    composer = Composer(text)
    try:
        for number, tree in enumerate(composer.documents(), 1):
            result += [Problem(what.message, file, number, what.line, remedy=what.remedy) for what in tree.problems]
            if not tree.problems:
                result += _objects(tree.value, tree.lines, tree.line, number, file)
    except YamlProblem as problem:
        result.append(Problem(problem.message, file, number + 1, problem.line, remedy=problem.remedy))
    except (yaml.YAMLError, RecursionError) as error:
        result.append(Problem(f"this is not YAML: {error}", file, number + 1))
    return result


def _objects(value: Any, lines: dict[str, int], line: int, number: int, file: str) -> list[Document | Problem]:
    if value is None or value == {}:
        return []
    if not isinstance(value, dict):
        what = "a list" if isinstance(value, list) else "a single value"
        message = f"a manifest is a mapping with apiVersion, kind, metadata and spec; this is {what}"
        remedy = "Separate several objects by a line with three hyphens (---)." if isinstance(value, list) else ""
        return [Problem(message, file, number, line, remedy=remedy)]
    kind = value.get("kind")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)):
        return [Document(value, Origin(file=file, document=number, line=line, lines=lines))]
    result: list[Document | Problem] = []
    for index, item in enumerate(value["items"]):
        prefix = f"items[{index}]"
        start = lines.get(prefix, line)
        if not isinstance(item, dict):
            message = "an item of a List is an object with apiVersion, kind, metadata and spec"
            result.append(Problem(message, file, number, start, f"{kind}", prefix))
            continue
        inner = {path[len(prefix) + 1 :]: at for path, at in lines.items() if path.startswith(prefix + ".")}
        result.append(Document(item, Origin(file=file, document=number, line=start, lines=inner)))
    return result
