"""What a lesson says of its strange experiments is so: each of them is tried, by the lines of its ``lesson.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lesson_file import NOTEBOOKS, cells, read_lesson

from labsupport import paths
from labsupport.errors import LabError
from labsupport.lab.lab import Lab

MOST = 5
"""As many experiments as a lesson has at most: the rules of notebooks say so."""


def places() -> Iterator[object]:
    for notebook in NOTEBOOKS:
        for number in range(1, MOST + 1):
            # A file that cannot be read is told by the test below, and not while tests are gathered.
            file = paths.manifests() / notebook.stem / "lesson.toml"
            if file.is_file() and file.read_text(encoding="utf-8").count("[[experiments]]") >= number:
                yield pytest.param(notebook, number, id=f"{notebook.stem}-{number}")


@pytest.mark.parametrize(("notebook", "number"), [*places()])
def test_a_strange_experiment_goes_as_told(lab: Lab, notebook: Path, number: int) -> None:
    experiment = read_lesson(notebook).experiments[number - 1]

    def cell(start: str) -> str:
        """What follows these words in the only cell that begins with them."""
        (source,) = (source for source in cells(notebook, "code") if source.startswith(start))
        return source.removeprefix(start)

    def manifest(path: str) -> str:
        return (paths.manifests() / path).read_text(encoding="utf-8")

    names: dict[str, Any] = {"lab": lab, "cell": cell, "manifest": manifest}
    lab.apply(*experiment.begin)
    *before, last = experiment.do
    for line in before:
        exec(line, names)
    if experiment.refused:
        with pytest.raises(LabError, match=experiment.refused):
            exec(last, names)
    else:
        exec(last, names)
    for line in experiment.expect:
        assert eval(line, names), line


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_strange_experiment_is_tried(notebook: Path) -> None:
    texts = [text for text in cells(notebook, "markdown") if text.startswith("## Strange experiments")]
    asked = len(re.findall(r"^\d+\. ", "".join(texts).partition("<details>")[0], re.MULTILINE))
    tried = len(read_lesson(notebook).experiments)
    assert asked == tried, f"the notebook asks for {asked} experiments, lesson.toml tries {tried}"
