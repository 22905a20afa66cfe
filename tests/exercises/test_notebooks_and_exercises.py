"""What the notebooks ask and what the lesson modules judge must be the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from labsupport import paths
from labsupport.course import catalogue
from labsupport.course.spec import ExerciseSpec
from labsupport.statistics import ALPHA

SPECS = catalogue.every()
# A cell may show a start text with the magic in front of it, and nothing else.
MAGIC = re.compile(r"%%manifest +([\d.]+)\n(.*)", re.DOTALL)


def cells() -> Iterator[tuple[str, str]]:
    """Lesson number and source of every code cell."""
    for path in sorted((paths.root() / "notebooks").glob("[0-9][0-9]-*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name[:2], "".join(cell["source"])


def test_every_exercise_is_set_in_its_notebook() -> None:
    source = "\n".join(f"{lesson} {text}" for lesson, text in cells())
    lessons = {lesson for lesson, _ in cells()}
    for number in SPECS:
        if number.split(".")[0] in lessons:
            assert number in source, f"exercise {number} is not in its notebook"


@pytest.mark.parametrize("spec", [pytest.param(spec, id=number) for number, spec in SPECS.items() if spec.start])
def test_the_cell_begins_with_the_text_that_counts_as_untouched(spec: ExerciseSpec) -> None:
    group = [
        match.group(2) for _, text in cells() if (match := MAGIC.fullmatch(text)) and match.group(1) == spec.number
    ]
    assert [text.strip() for text in group] == [spec.start.strip()]


def test_a_correct_mesh_fails_the_course_in_less_than_one_of_a_thousand_runs() -> None:
    """Every random check has at most ``ALPHA``; that a judge makes only one is held by the test of its solution."""
    in_notebooks = sum(len(re.findall(r"check\.(?:share|same_share)\(", text)) for _, text in cells())
    judged = sum(spec.judge is not None for spec in SPECS.values())
    assert in_notebooks and judged
    assert (in_notebooks + judged) * ALPHA < 1e-3
