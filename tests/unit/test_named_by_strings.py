"""What the code reaches by a quoted name, no tool follows: every such name is imported, or looked for, one by one."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.display import formatters

ROOT = Path(__file__).resolve().parents[2]
_DOTTED = re.compile(r"\blabsupport(?:\.[A-Za-z_]\w*)+")
_FILE = re.compile(r"\blabsupport/[\w/.-]*\w")
# Imports fail by themselves, also those of programs that tests run.
_IMPORT = re.compile(r"^\s*(?:from|import) labsupport.*$", re.MULTILINE)
_TEXTS = (
    "workshop",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "RATIONALE.md",
    ".ci/run",
    ".ci/cluster",
    "docs/*.md",
)
# Made up by the tests of the face.
_NOT_THERE = {"labsupport.nothing_of_this_name"}


def _texts() -> Iterator[str]:
    for folder in ("labsupport", "tests", "docs", "images"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            # Comments stay, and what they name is to be there, too.
            yield _IMPORT.sub("", file.read_text(encoding="utf-8"))
    for pattern in _TEXTS:
        for file in sorted(ROOT.glob(pattern)):
            yield file.read_text(encoding="utf-8")
    for file in sorted((ROOT / "tests" / "browser" / "js").glob("*.*")):
        yield file.read_text(encoding="utf-8")


TEXTS = list(_texts())
DOTTED = sorted({name for text in TEXTS for name in _DOTTED.findall(text)} - _NOT_THERE)
FILES = sorted({name for text in TEXTS for name in _FILE.findall(text)})


@pytest.mark.parametrize("name", DOTTED)
def test_a_dotted_name_can_be_imported(name: str) -> None:
    module, attributes = name, []
    while True:
        try:
            seen: object = importlib.import_module(module)
            break
        except ModuleNotFoundError as error:
            assert error.name is not None and module.startswith(error.name), f"{name}: {error}"
            module, _, last = module.rpartition(".")
            attributes.insert(0, last)
    for attribute in attributes:
        seen = getattr(seen, attribute)


@pytest.mark.parametrize("name", FILES)
def test_a_path_leads_to_a_file_or_folder(name: str) -> None:
    assert (ROOT / name).exists()


SHOWN = (formatters.HTML, formatters.MARKDOWN, formatters.BUNDLES, formatters.DISPLAYS)


@pytest.mark.parametrize("record", [record for form in SHOWN for record in form], ids=".".join)
def test_what_is_shown_is_a_class_of_ours(record: tuple[str, str]) -> None:
    module, name = record
    assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize(("module", "function"), sorted({*formatters.HTML.values(), *formatters.MARKDOWN.values()}))
def test_what_shows_it_can_be_called(module: str, function: str) -> None:
    assert callable(getattr(importlib.import_module(f"labsupport.display.{module}"), function))


def test_the_list_is_not_empty_by_mistake() -> None:
    assert len(DOTTED) + len(FILES) >= 60
