"""Reads ``manifests/NN-topic/lesson.toml``: what a lesson's text says of its cells and of its strange experiments."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from labsupport import paths

NOTEBOOKS = sorted((paths.root() / "notebooks").glob("[0-9][0-9]-*.ipynb"))
# To go through a lesson from end to end takes a minute or two, each time: CI does so with a quarter of them each day.
_CHOSEN = os.environ.get("WORKSHOP_PATHS", "").split()
FROM_END_TO_END = [notebook for notebook in NOTEBOOKS if not _CHOSEN or notebook.name[:2] in _CHOSEN]
_OUTPUT = {"cell", "says"}
_EXPERIMENT = {"begin", "do", "expect", "refused"}


@dataclass(frozen=True, slots=True)
class Output:
    """What the output of a cell must hold; the cell is named by its text, or by a part that no other cell has.

    Where lines are broken does not count.
    """

    cell: str
    says: tuple[str, ...]

    def number(self, cells: list[str]) -> int:
        """Which of the cells is meant."""
        numbers = [number for number, source in enumerate(cells) if source == self.cell]
        numbers = numbers or [number for number, source in enumerate(cells) if self.cell in source]
        part = "".join(self.cell.split())
        numbers = numbers or [number for number, source in enumerate(cells) if part in "".join(source.split())]
        if len(numbers) != 1:
            pytest.fail(f"lesson.toml, [[outputs]]: {len(numbers)} cells hold {self.cell!r}; name one of them")
        return numbers[0]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to apply, what to do then, and what is true after that, or how the last thing done is refused."""

    begin: tuple[str, ...]
    do: tuple[str, ...]
    expect: tuple[str, ...]
    refused: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """One ``lesson.toml``."""

    outputs: tuple[Output, ...]
    experiments: tuple[Experiment, ...]


def cells(notebook: Path, kind: str) -> list[str]:
    every = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in every if cell["cell_type"] == kind]


def read_lesson(notebook: Path) -> Lesson:
    """The ``lesson.toml`` of a notebook; the test fails with what to write if it is not there or not right."""
    file = paths.manifests() / notebook.stem / "lesson.toml"

    def refuse(problem: str) -> NoReturn:
        pytest.fail(f"manifests/{notebook.stem}/lesson.toml: {problem} (CONTRIBUTING.md, Add a lesson)")

    if not file.is_file():
        refuse("there is no such file; write [[outputs]] and [[experiments]]")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        refuse(f"no TOML: {error}")

    def tables(name: str, fields: set[str]) -> list[dict[str, Any]]:
        given = content.pop(name, [])
        if not isinstance(given, list) or not given:
            refuse(f"write [[{name}]], with {', '.join(sorted(fields))}")
        for number, table in enumerate(given, start=1):
            if strange := {*table} - fields:
                refuse(f"[[{name}]] {number}: no such field: {', '.join(sorted(strange))}")
        return given

    def texts(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
        value = table.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
            refuse(f"{where}: {key}: write a list of texts")
        return tuple(value)

    def text(table: dict[str, Any], key: str, where: str) -> str:
        if not isinstance(table.get(key), str) or not table[key]:
            refuse(f"{where}: {key}: write a text")
        return str(table[key])

    outputs = [
        Output(text(table, "cell", f"[[outputs]] {number}"), texts(table, "says", f"[[outputs]] {number}"))
        for number, table in enumerate(tables("outputs", _OUTPUT), start=1)
    ]
    experiments = []
    for number, table in enumerate(tables("experiments", _EXPERIMENT), start=1):
        where = f"[[experiments]] {number}"
        if ("expect" in table) == ("refused" in table):
            refuse(f"{where}: write what to expect, or how it is refused")
        expect = texts(table, "expect", where) if "expect" in table else ()
        refused = text(table, "refused", where) if "refused" in table else ""
        experiments.append(Experiment(texts(table, "begin", where), texts(table, "do", where), expect, refused))
    if content:
        refuse(f"no such table: {', '.join(sorted(content))}")
    return Lesson(tuple(outputs), tuple(experiments))
