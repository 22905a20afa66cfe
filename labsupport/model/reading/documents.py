"""Reading YAML manifests: plain data as kubectl would see it, with the line of every field.

kubectl reads YAML by the rules of its own library (go-yaml 2, a YAML 1.1 dialect: ``yes`` is a boolean, ``1:30`` and
``2024-01-01`` are text), and sends JSON. This module follows those rules, so that a manifest means here what it means
there, and refuses what kubectl refuses, for instance a key that is given twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from labsupport.errors import ManifestError, NotFoundError, Problem
from labsupport.model.reading.elsewhere import list_part_of
from labsupport.model.reading.goyaml import Composer, YamlProblem
from labsupport.model.schema.base import Origin
from labsupport.records import JsonObject

__all__ = ["Document", "of_data", "read"]

MAX_BYTES = 4 * 1024 * 1024
"""Larger files are not manifests; etcd refuses objects over 1.5 MB, and reading takes seconds for each MB."""

_PARTED = "Part it; an object of more than 1.5 MB fits into no cluster."


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest, not yet looked at.

    Args:
        raw: the mapping as it was written.
        origin: file, document number and the lines of the fields.
    """

    raw: JsonObject
    origin: Origin


def read(source: Path | str, *, file: str = "", empty: bool = False, loose: bool = False) -> list[Document]:
    """Read manifests.

    Args:
        source: a file, a folder (its ``*.yaml`` and ``*.yml`` in order of their names) or YAML text.
        file: for text, what to call it in messages.
        empty: whether there may be no object at all.
        loose: read as programs do that do not decode strictly, istiod's own among them: documents are cut at lines with
            three hyphens, of equal keys the last one counts, and any object with ``items`` is a list.

    Returns:
        the objects in order; empty documents are skipped and the items of a ``kind: List`` count one by one.

    Raises:
        ManifestError: something is not YAML, is not a mapping, or there is no object although there has to be one;
            lists every such problem.
        NotFoundError: there is no such file or folder.
    """
    if isinstance(source, str):
        return _finish(_documents(source, file, loose), file, empty=empty)
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
        if not files:
            raise ManifestError([Problem(f"no *.yaml or *.yml file in the folder {source}")])
        return _finish([entry for path in files for entry in _file(path, loose)], str(source), empty=empty)
    if not source.exists():
        raise NotFoundError(f"there is no file or folder {source}")
    return _finish(_file(source, loose), str(source), empty=empty)


def of_data(value: JsonObject, *, file: str = "") -> list[Document]:
    """What a mapping is as a manifest, or each item of a ``kind: List``.

    Args:
        value: plain data.
        file: what to call it in messages, which know no lines of it.

    Raises:
        ManifestError: it is empty, or a list of something else than objects.
    """
    return _finish(_objects(value, {}, 0, 1, file), file, empty=False)


def _file(path: Path, loose: bool) -> list[Document | Problem]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return [Problem(f"the file is larger than {MAX_BYTES >> 20} MiB", file=str(path), remedy=_PARTED)]
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        message = f"the file is not UTF-8 text (byte {error.start})"
        return [Problem(message, file=str(path), line=line, remedy="Save it as UTF-8.")]
    except OSError as error:
        return [Problem(f"the file cannot be read: {error.strerror or error}", file=str(path))]
    return _documents(text, str(path), loose)


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


def _documents(text: str, file: str, loose: bool) -> list[Document | Problem]:
    if len(text) > MAX_BYTES:
        return [Problem(f"the text is larger than {MAX_BYTES >> 20} MiB", file=file, remedy=_PARTED)]
    if loose:
        return _cut_documents(text, file)
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


def _cut_documents(text: str, file: str) -> list[Document | Problem]:
    """The objects of a text that is cut into documents before anything of it is read as YAML."""
    result: list[Document | Problem] = []
    number, start = 0, 0
    lines = text.split("\n")
    for position, line in enumerate([*lines, "---"]):
        if not line.startswith("---"):
            continue
        rest = line[3:].strip()
        if rest and not rest.startswith("#"):
            result.append(
                Problem(f"three hyphens begin a document; {rest[:40]!r} cannot follow", file, line=position + 1)
            )
            return result
        piece = "\n".join(lines[start:position])
        if piece.strip():
            number += 1
            result += _first_document(piece, file, number, start)
        start = position + 1
    return result


def _first_document(piece: str, file: str, number: int, offset: int) -> list[Document | Problem]:
    """The objects of what one document should be; what comes after its end is not looked at."""
    try:
        tree = next(iter(Composer(piece, loose=True).documents()), None)
    except YamlProblem as problem:
        return [Problem(problem.message, file, number, problem.line + offset, remedy=problem.remedy)]
    except (yaml.YAMLError, RecursionError) as error:
        return [Problem(f"this is not YAML: {error}", file, number, offset + 1)]
    if tree is None:
        return []
    if tree.problems:
        return [Problem(what.message, file, number, what.line + offset, remedy=what.remedy) for what in tree.problems]
    lines = {path: line + offset for path, line in tree.lines.items()}
    value = tree.value
    if isinstance(value, dict) and value:
        if not (isinstance(value.get("kind"), str) and value["kind"]) or str(value.get("apiVersion")).count("/") > 1:
            what = "kind is missing" if "kind" not in value else "apiVersion and kind do not name a kind"
            return [Problem(what, file, number, tree.line + offset, remedy="Write for instance kind: VirtualService.")]
        if isinstance(value.get("items"), list) and not value["kind"].endswith("List"):
            value = {**value, "kind": "List"}
    return _objects(value, lines, tree.line + offset, number, file)


def _objects(value: object, lines: dict[str, int], line: int, number: int, file: str) -> list[Document | Problem]:
    if value is None or value == {}:
        return []
    if not isinstance(value, dict):
        what = "a list" if isinstance(value, list) else "a single value"
        message = f"a manifest is a mapping with apiVersion, kind, metadata and spec; this is {what}"
        remedy = "Separate several objects by a line with three hyphens (---)." if isinstance(value, list) else ""
        whole, path = list_part_of(value) if isinstance(value, list) else ("", "")
        if whole:
            message, remedy = f"this is a part of a {whole}", f"Put it below {path}."
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
