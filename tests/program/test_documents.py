"""What the pages for people say is so: paths lead somewhere, what a script makes is up to date, examples are right."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from labsupport.cli import workshop

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "notebooks").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    ]
)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_TOP = {path.name for path in ROOT.iterdir()}
# Made when something runs, or written by who adds a lesson.
_NOT_IN_THE_REPOSITORY = re.compile(r"^(\.venv|test-results)\b|NN|[*<>]")


def made_by(script: str) -> Any:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module(script)
    finally:
        sys.path.remove(str(ROOT / "docs"))


def paths_in(page: Path) -> set[str]:
    """Links, and what stands in code and begins with a folder or file of the repository."""
    text = page.read_text(encoding="utf-8")
    named = {word for code in _CODE.findall(text) for word in code.split() if "/" in word or "." in word}
    return {word for word in named if word.removeprefix("./").split("/")[0] in _TOP and "(" not in word}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    for name in paths_in(page):
        if not _NOT_IN_THE_REPOSITORY.search(name):
            assert (ROOT / name.rstrip(",.;:")).exists(), f"{page.name} names {name}"
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_paths_are_found_in_the_page_on_the_architecture() -> None:
    assert len(paths_in(ROOT / "docs" / "architecture.md")) >= 40


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    rooms = made_by("rooms")
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), "run python docs/rooms.py"


def test_the_page_on_the_api_is_up_to_date() -> None:
    api = made_by("api")
    assert api.PAGE.read_text(encoding="utf-8") == api.page(), "run python docs/api.py"


def test_pictures_of_the_readme_are_readable_by_day_and_by_night() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"^!\[(.+)\]\((docs/.+\.svg)\)$", text, re.MULTILINE)
    made = (ROOT / "docs" / "pictures.py").read_text(encoding="utf-8")
    assert len(pictures) == 4
    for told, name in pictures:
        picture = (ROOT / name).read_text(encoding="utf-8")
        assert ElementTree.fromstring(picture).find("{http://www.w3.org/2000/svg}desc") is not None
        assert "@media(prefers-color-scheme:dark)" in picture and len(told) > 40
        assert f'"{Path(name).name}"' in made, f"python docs/pictures.py makes no {name}"


def test_the_cheat_sheet_is_up_to_date() -> None:
    sheet = made_by("cheatsheet")
    assert sheet.PAGE.read_text(encoding="utf-8") == sheet.page(), "run python docs/cheatsheet.py"


def test_the_cheat_sheet_leaves_out_what_no_lesson_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = made_by("cheatsheet")
    assert {"UO", "URX"} <= {*sheet.flags_met()} and "corsPolicy" not in sheet.page()
    monkeypatch.setattr(sheet, "lessons", lambda: [ROOT / "notebooks" / "01-canary-by-replicas.ipynb"])
    assert "UO" not in sheet.flags_met() and "timeout" not in sheet.page()


def shell_lines() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", "".join(page.read_text(encoding="utf-8") for page in PAGES), re.DOTALL)
    lines = (line.partition(" #")[0] for block in blocks for line in block.splitlines())
    commands = (part.strip().removeprefix("./") for line in lines for part in line.split("&&"))
    return sorted({command for command in commands if command.startswith("workshop ")})


def test_lines_for_the_shell_are_found() -> None:
    assert len(shell_lines()) >= 8


@pytest.mark.parametrize("line", shell_lines())
def test_a_line_for_the_shell_is_a_command_with_its_options(line: str) -> None:
    command: click.Command = workshop
    words = shlex.split(line)[1:]
    context = click.Context(command, info_name="workshop")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        following = command.get_command(context, name)
        assert following is not None, f"{line}: there is no command {name}"
        command, context = following, click.Context(following, context, info_name=name)
    known = {option for parameter in command.params for option in parameter.opts}
    named = {word.partition("=")[0] for word in words if word.startswith("-") and word != "--"}
    assert command.ignore_unknown_options or named <= known, f"{line}: {named - known} are no options"


def test_every_folder_of_the_unit_tests_is_a_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "labsupport").glob("*/__init__.py")}
    folders = {path.parent for path in (ROOT / "tests" / "unit").rglob("test_*.py")}
    for folder in folders - {ROOT / "tests" / "unit"}:
        place = folder.relative_to(ROOT / "tests" / "unit")
        assert place.parts[0] in rooms, f"{folder} is a folder of tests for a room that is not there"
        assert (ROOT / "labsupport" / place / "__init__.py").is_file(), f"{folder} has no counterpart in labsupport"


def test_every_room_is_in_the_picture_with_what_it_is_for() -> None:
    rooms = made_by("rooms")
    drawn = {name for row in rooms.layers() for name in row} - {rooms.FACE, rooms.PLAIN}
    assert drawn == {path.parent.name for path in (ROOT / "labsupport").glob("*/__init__.py")}
    assert drawn <= rooms.ABOUT.keys()


def test_the_list_of_tasks_and_tutorials_names_tests_that_there_are():
    text = (ROOT / "tests" / "tasks" / "README.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("[kt]*/test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    assert not {name for name in named if f"def {name}(" not in sources}
    (total,) = re.findall(r"## Ten tasks: (\d+) steps", text)
    assert sum(map(int, re.findall(r"^\*\*.*\*\* \((\d+)\)", text, re.MULTILINE))) == int(total)


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
