"""``workshop lesson``: begin a lesson, and hold it to what every lesson is held to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from keyword import iskeyword
from pathlib import Path

import click

from labsupport import paths
from labsupport.cli import skeleton
from labsupport.cli.testing import install_extras
from labsupport.errors import NotFoundError, UsageError

__all__ = ["lesson"]

_NUMBER = re.compile(r"[0-9]{2}")
_TOPIC = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


@click.group()
def lesson() -> None:
    """Begin a lesson, or check one."""


@lesson.command()
@click.argument("number")
@click.argument("topic")
def new(number: str, topic: str) -> None:
    """Make the skeleton of lesson NUMBER (such as 03) about TOPIC (such as header-routing).

    It keeps every rule and its exercises run; the places to fill in say WRITE.
    """
    if not _NUMBER.fullmatch(number):
        raise UsageError(f"{number!r} is no number of a lesson: write two digits, such as 03")
    if not _TOPIC.fullmatch(topic) or len(topic) > _LONGEST:
        raise UsageError(
            f"{topic[:60]!r} is no topic: write small letters, digits and single hyphens, a letter first, {_LONGEST} "
            "characters at most, such as header-routing"
        )
    if iskeyword(topic):
        raise UsageError(f"{topic!r} is a word of Python, and no module can have its name. Write {topic}-rules, say.")
    root = paths.root()
    there = sorted(path.name for path in root.glob(f"*/{number}-*"))
    if there:
        raise UsageError(f"lesson {number} is there: {', '.join(there)}. Take the next number.")
    for file, text in skeleton.files(number, topic).items():
        place = root / file
        if place.exists():
            raise UsageError(f"{file} is there. Take another topic.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        click.echo(f"made {file}")
    for before in sorted((root / "notebooks").glob(f"{int(number) - 1:02}-*.ipynb")):
        before.write_text(skeleton.linked(before.read_text(encoding="utf-8"), number, topic), encoding="utf-8")
        click.echo(f"changed notebooks/{before.name}, which leads to the new one")
    click.echo(f"Now fill in what says WRITE, and run: workshop lesson check {number}")


@lesson.command()
@click.argument("number")
def check(number: str) -> None:
    """Do all that CI does with lesson NUMBER.

    Its notebook keeps the rules and its cells run, its exercises take right answers and refuse wrong ones, its strange
    experiments go as told, and its texts are true for a learner who errs and restarts.
    """
    root = paths.root()
    notebooks = sorted((root / "notebooks").glob(f"{number}-*.ipynb"))
    if not _NUMBER.fullmatch(number) or not notebooks:
        raise NotFoundError(f"there is no notebooks/{number}-*.ipynb. Begin one: workshop lesson new {number} topic")
    (notebook,) = notebooks
    left = unwritten(root, number)
    for place in left:
        click.echo(f"left to write: {place}")
    install_extras(root)
    pytest = [sys.executable, "-m", "pytest", f"--rootdir={root}", "-c", str(root / "pyproject.toml"), "-q"]
    # Tests of a lesson carry its number in their names, 03.1 or 03-topic; these files read all lessons at once.
    about_all = ("test_notebooks_keep_the_rules", "test_notebooks_and_exercises", "test_check_course_alpha")
    suites = [
        str(root / "tests" / suite) for suite in ("notebooks", "exercises", "unit/check/test_check_course_alpha.py")
    ]
    chosen = ["-k", " or ".join([f"{number}.", notebook.stem, *about_all]), *(str(root / suite) for suite in suites)]
    runs = [[*pytest, *chosen], [*pytest, "--nbval-lax", str(notebook)]]
    failed = [run for run in runs if subprocess.run(run, cwd=root, check=False, env={**os.environ}).returncode]
    if left or failed:
        sys.exit(1)


def unwritten(root: Path, number: str) -> list[str]:
    """Where the skeleton still says WRITE: file and line."""
    files = [*(root / "notebooks").glob(f"{number}-*.ipynb"), *(root / "manifests").glob(f"{number}-*/**/*.*")]
    return [
        f"{file.relative_to(root)}:{line}"
        for file in sorted(files)
        if file.is_file()
        for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if "WRITE" in text
    ]
