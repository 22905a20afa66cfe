"""``workshop lesson``: begin a lesson, and hold it to what every lesson is held to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from keyword import iskeyword
from pathlib import Path
from typing import Any

import click

from labsupport import paths
from labsupport.cli.testing import install_extras
from labsupport.errors import NotFoundError, UsageError

__all__ = ["lesson"]

_NUMBER = re.compile(r"[0-9]{2}")
_TOPIC = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40

_TOML = """\
kind = "{kind}"
needs = ["apps/client", "apps/web"]
absent = ["VirtualService/web"]

[en]
title = "WRITE a title"
task = "WRITE what is to be done, one sentence per line."
hints = ["WRITE a mild hint", "WRITE another one", "WRITE a concrete one"]
"""
_RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
spec:
  hosts:
    - web
  http:
    - timeout: {timeout}
      route:
        - destination:
            host: web
"""
_MISTAKES = (
    ("without-unit", "2", "timeout: expected a duration, got a number (2)"),
    ("negative", "-2s", "timeout: must be a duration of at least 1ms"),
)
_JUDGES = '''"""Judges of notebook {number}."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.course.judging import judge

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations


@judge("{number}.1")
def answered(lab: Lab) -> Observations:
    """The rule is there, and every request is answered."""
    lab.get("VirtualService", "web")
    return lab.send("http://web:8080/", source="client", count=50)


judge("{number}.2")(answered)
'''


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
    for file, text in _skeleton(number, topic).items():
        place = root / file
        if place.exists():
            raise UsageError(f"{file} is there. Take another topic.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        click.echo(f"made {file}")
    click.echo(f"Now fill in what says WRITE, and run: workshop lesson check {number}")


@lesson.command()
@click.argument("number")
def check(number: str) -> None:
    """Hold lesson NUMBER to the rules: its notebook, its exercises, and that its cells run."""
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
    # Tests of a lesson carry its number in their names: 03.1, or 03-topic.
    suites = [str(root / "tests" / suite) for suite in ("notebooks", "exercises")]
    chosen = ["-k", f"{number}. or {notebook.stem}", *suites]
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


def _skeleton(number: str, topic: str) -> dict[str, str]:
    exercises = f"manifests/{number}-{topic}/exercises"
    files = {
        f"notebooks/{number}-{topic}.ipynb": _notebook(number, topic),
        f"labsupport/course/lessons/{topic.replace('-', '_')}.py": _JUDGES.format(number=number),
    }
    for place, kind in (("1", "write"), ("2", "diagnose")):
        folder = f"{exercises}/{number}.{place}"
        files[f"{folder}/exercise.toml"] = _TOML.format(kind=kind)
        files[f"{folder}/start.yaml"] = _start(place)
        files[f"{folder}/solution.yaml"] = _RULE.format(timeout="2s")
        for name, timeout, told in _MISTAKES:
            files[f"{folder}/wrong/{name}.yaml"] = f"# {told}\n{_RULE.format(timeout=timeout)}"
    return files


def _start(place: str) -> str:
    return _RULE.format(timeout="____" if place == "1" else "two seconds")


def _notebook(number: str, topic: str) -> str:
    title = topic.replace("-", " ").capitalize()
    cells: list[dict[str, Any]] = []

    def add(kind: str, text: str) -> None:
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells) + 1:02}", "metadata": {}}
        cell |= {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append(cell | {"source": text.splitlines(keepends=True)})

    objectives = "**You will be able to**\n\n- WRITE one thing;\n- WRITE another."
    add("markdown", f"# {number} · {title}\n\nWRITE why.\n\n{objectives}")
    add("code", 'from labsupport import Lab, exercise, progress\n\nlab = Lab()\nlab.apply("apps/client", "apps/web")')
    add("markdown", "## Watch\n\nWRITE what is seen.")
    add("code", 'live = lab.traffic("http://web:8080/", source="client", rate=20)\nlive')
    for place in ("1", "2"):
        above = "## Do\n\n" if place == "1" else ""
        add("markdown", f"{above}### Exercise {number}.{place} · WRITE a title\n\nWRITE what is to be done.")
        add("code", f"%%manifest {number}.{place}\n{_start(place).rstrip()}")
        add("code", f'exercise("{number}.{place}").check()')
    add("markdown", "## Look inside the proxy\n\nWRITE what to look for.")
    add("code", 'lab.explain("http://web:8080/", source="client")')
    add("markdown", "## Recap\n\n- WRITE what was learned.")
    add("code", f'progress("{number}")')
    add("markdown", "## Clean up")
    add("code", "lab.close()")
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
