"""What the notebooks ask and what the lesson modules judge must be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lesson_file import NOTEBOOKS, cells, read_lesson

from labsupport.course import catalogue
from labsupport.course.spec import ExerciseSpec
from labsupport.statistics import ALPHA

SPECS = catalogue.every()
# A cell may show a start text with the magic in front of it, and nothing else.
MAGIC = re.compile(r"%%manifest +([\d.]+)\n(.*)", re.DOTALL)


def sources() -> Iterator[tuple[str, str]]:
    """Lesson number and source of every code cell."""
    return ((path.name[:2], text) for path in NOTEBOOKS for text in cells(path, "code"))


def test_every_exercise_is_set_in_its_notebook() -> None:
    source = "\n".join(f"{lesson} {text}" for lesson, text in sources())
    lessons = {lesson for lesson, _ in sources()}
    for number in SPECS:
        if number.split(".")[0] in lessons:
            assert number in source, f"exercise {number} is not in its notebook"


@pytest.mark.parametrize("spec", [pytest.param(spec, id=number) for number, spec in SPECS.items() if spec.start])
def test_the_cell_begins_with_the_text_that_counts_as_untouched(spec: ExerciseSpec) -> None:
    group = [
        match.group(2) for _, text in sources() if (match := MAGIC.fullmatch(text)) and match.group(1) == spec.number
    ]
    assert [text.strip() for text in group] == [spec.start.strip()]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_output_that_is_told_belongs_to_one_cell(notebook: Path) -> None:
    of_code = cells(notebook, "code")
    for output in read_lesson(notebook).outputs:
        output.number(of_code)


def test_a_correct_mesh_fails_the_course_in_less_than_one_of_a_thousand_runs() -> None:
    """Every random check has at most ``ALPHA``; that a judge makes only one is held by the test of its solution."""
    in_notebooks = sum(len(re.findall(r"check\.(?:share|same_share)\(", text)) for _, text in sources())
    judged = sum(spec.judge is not None for spec in SPECS.values())
    assert in_notebooks and judged
    assert (in_notebooks + judged) * ALPHA < 1e-3
