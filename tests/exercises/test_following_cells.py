"""Whatever right answer a learner gives, the cells after it run, and what their checks require holds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lesson_file import FROM_END_TO_END, cells

from labsupport import paths
from labsupport.check.result import PASSED
from labsupport.course import catalogue
from labsupport.course.magic import manifest, promql
from labsupport.lab import current
from labsupport.lab.lab import Lab

QUERY = "%%promql\n"
MAGIC = re.compile(r"%%manifest *([\d.]*)\n(.*)", re.DOTALL)
CHECK = re.compile(r'exercise\("([\d.]+)"\)\.check\(\)')


def rounds() -> Iterator[object]:
    """Each notebook, once for each right answer of the exercise that has most of them."""
    for notebook in FROM_END_TO_END:
        specs = [
            spec for spec in catalogue.every().values() if spec.number.startswith(notebook.name[:2]) and spec.judge
        ]
        answers = [[spec.solution, *spec.right] for spec in specs]
        for number, given in enumerate(itertools.zip_longest(*answers)):
            chosen = {spec.number: path or spec.solution for spec, path in zip(specs, given, strict=True)}
            yield pytest.param(notebook, chosen, id=f"{notebook.stem}-{number}")


@pytest.mark.parametrize(("notebook", "chosen"), [*rounds()])
def test_the_cells_after_an_accepted_answer_run(notebook: Path, chosen: Mapping[str, str]) -> None:
    texts = {number: (paths.manifests() / path).read_text(encoding="utf-8") for number, path in chosen.items()}
    in_cells = {number for number in chosen if catalogue.find(number).start}
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        for source in cells(notebook, "code"):
            run(source, names, texts, in_cells)
    finally:
        current.replace(None)


def run(source: str, names: dict[str, Any], texts: Mapping[str, str], in_cells: set[str]) -> None:
    """Run one cell, with a right answer in place of the learner's."""
    magic, check = MAGIC.fullmatch(source), CHECK.search(source)
    if magic:
        manifest(magic[1], texts.get(magic[1], magic[2]))
        return
    if source.startswith(QUERY):
        promql("", source.removeprefix(QUERY))
        return
    if check and check[1] in texts and check[1] not in in_cells:
        lab = current.current()
        assert isinstance(lab, Lab)
        lab.apply(texts[check[1]])
    if check and check[1] in texts:
        for number, question in enumerate(catalogue.find(check[1]).questions, start=1):
            catalogue.exercise(check[1]).predict(question.right_answer(), question=number)
        outcome = catalogue.exercise(check[1]).check()
        assert outcome.state is PASSED, outcome
        return
    exec(compile(source, "cell", "exec"), names)
