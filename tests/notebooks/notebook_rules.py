"""The rules that every notebook of the course keeps, each a function from a notebook to what breaks it.

A breach reads ``cell 3: what is wrong``; cells count from 1, markdown cells included, as a reader counts them.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from labsupport.course.spec import ExerciseSpec

Notebook = dict[str, Any]
Rule = Callable[[Notebook, str], Iterator[str]]

MOST_PYTHON_LINES = 12
MEDIAN_PYTHON_LINES = 3
MOST_YAML_LINES = 30
# JupyterLab shows about 100 characters of a line in a window of 1280 pixels; beside a wider list of files, fewer.
LONGEST_LINE = 88
MOST_WORDS = 120
MOST_CELLS = 75
FEWEST_EXERCISES = 2
# How long a lesson takes: reading what is not folded away, looking at each cell, and what is to be done, in minutes.
WORDS_READ = 130
CELL, QUESTION, CHECKED, EXPERIMENT = 0.5, 1, 4, 2
STEP_OF_TIME = 5
# What lies between these two may be left out, and has a time of its own.
EXTRAS, AFTER_EXTRAS = "## Extras", "## Recap"
FEWEST_AT_WORK = 5
EXPERIMENTS = range(3, 6)
KEPT_CELL_METADATA = {"tags", "jupyter"}
SECTIONS = {"recap": r"recap", "clean-up": r"clean[- ]?up"}
_OBJECTIVES = re.compile(r"^\*\*You will be able to\*\*\n\n(?:- .+\n(?:  .+\n)*){2,}", re.MULTILINE)

_MANIFEST = re.compile(r"%%manifest\b[ \t]*(?P<argument>\S*)[ \t]*\n?")
_QUERY = "%%promql\n"
_EXERCISE = re.compile(r"\d\d\.\d+")
_WORD = re.compile(r"\w[\w'’.-]*")
_DRAWING = {"matplotlib", "plotly", "bokeh", "altair", "seaborn"}
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def source(cell: dict[str, Any]) -> str:
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def cells(notebook: Notebook, kind: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, cell in enumerate(notebook["cells"], 1):
        if kind is None or cell["cell_type"] == kind:
            yield number, cell


def manifest_cells(notebook: Notebook) -> Iterator[tuple[int, str, str]]:
    """Number, argument and YAML of every ``%%manifest`` cell."""
    for number, cell in cells(notebook, "code"):
        if match := _MANIFEST.match(source(cell)):
            yield number, match["argument"], source(cell)[match.end() :]


def python_cells(notebook: Notebook) -> Iterator[tuple[int, dict[str, Any], str]]:
    for number, cell in cells(notebook, "code"):
        if not source(cell).startswith("%%"):
            yield number, cell, source(cell)


def _lines(text: str) -> int:
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())


def _hidden(cell: dict[str, Any]) -> bool:
    return bool(cell["metadata"].get("jupyter", {}).get("source_hidden"))


def _trees(notebook: Notebook) -> Iterator[tuple[int, ast.Module]]:
    for number, _, text in python_cells(notebook):
        try:
            yield number, ast.parse(text)
        except SyntaxError:
            continue  # told by is_python


def is_a_notebook(notebook: Notebook, name: str) -> Iterator[str]:
    if not re.fullmatch(r"\d\d(-[a-z0-9]+)+\.ipynb", name):
        yield f"the file name {name} is not NN-topic.ipynb"
    try:
        nbformat.validate(nbformat.from_dict(notebook))
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3, which exists everywhere"


def is_stripped(notebook: Notebook, name: str) -> Iterator[str]:
    if "widgets" in notebook["metadata"]:
        yield "the state of widgets is saved"
    for number, cell in cells(notebook):
        if extra := set(cell["metadata"]) - KEPT_CELL_METADATA:
            yield f"cell {number}: metadata {', '.join(sorted(extra))}"
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None):
            yield f"cell {number}: has an output or an execution count"


def has_no_empty_cell(notebook: Notebook, name: str) -> Iterator[str]:
    for number, cell in cells(notebook):
        if not source(cell).strip():
            yield f"cell {number}: is empty"


def is_python(notebook: Notebook, name: str) -> Iterator[str]:
    for number, cell in cells(notebook, "code"):
        text = source(cell)
        if text.startswith("%%"):
            if not _MANIFEST.match(text) and not text.startswith(_QUERY):
                yield f"cell {number}: {text.split()[0]} is no magic of the course"
            continue
        escapes = [line.strip() for line in text.splitlines() if line.lstrip().startswith(("!", "%"))]
        for line in escapes:
            yield f"cell {number}: shell command or magic {line!r}"
        if not escapes:
            try:
                ast.parse(text)
            except SyntaxError as error:
                yield f"cell {number}: not Python: {error.msg}"


def is_short(notebook: Notebook, name: str) -> Iterator[str]:
    lengths = {number: _lines(text) for number, cell, text in python_cells(notebook) if not _hidden(cell)}
    for number, length in lengths.items():
        if length > MOST_PYTHON_LINES:
            yield f"cell {number}: {length} lines of Python, at most {MOST_PYTHON_LINES}"
    if lengths and statistics.median(lengths.values()) > MEDIAN_PYTHON_LINES:
        median = statistics.median(lengths.values())
        yield f"the median Python cell has {median:g} lines, at most {MEDIAN_PYTHON_LINES}"
    for number, cell in cells(notebook, "code"):
        for line in source(cell).splitlines():
            if len(line) > LONGEST_LINE:
                yield f"cell {number}: a line of {len(line)} characters, at most {LONGEST_LINE}: {line.strip()[:30]}"
    for number, _, text in manifest_cells(notebook):
        if len(text.rstrip().splitlines()) > MOST_YAML_LINES:
            yield f"cell {number}: {len(text.rstrip().splitlines())} lines of YAML, at most {MOST_YAML_LINES}"


def has_not_too_many_cells(notebook: Notebook, name: str) -> Iterator[str]:
    if len(notebook["cells"]) > MOST_CELLS:
        yield f"{len(notebook['cells'])} cells, at most {MOST_CELLS}"


def is_prose_in_small_pieces(notebook: Notebook, name: str) -> Iterator[str]:
    for number, cell in cells(notebook, "markdown"):
        text = re.sub(r"```.*?```", " ", source(cell), flags=re.DOTALL)
        text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
        words = _WORD.findall(text)
        if len(words) > MOST_WORDS:
            yield f"cell {number}: {len(words)} words, at most {MOST_WORDS}"


def keeps_programming_out(notebook: Notebook, name: str) -> Iterator[str]:
    for number, tree in _trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, _LOOPS):
                yield f"cell {number}: a loop"
            elif isinstance(node, _DEFINITIONS):
                yield f"cell {number}: defines {node.name}"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                for module in modules:
                    if module.partition(".")[0] in _DRAWING:
                        yield f"cell {number}: plotting code ({module})"


def headings(notebook: Notebook) -> Iterator[tuple[int, int, str]]:
    """Cell, level and text of every heading."""
    for number, cell in cells(notebook, "markdown"):
        text = re.sub(r"```.*?```", "", source(cell), flags=re.DOTALL)
        for hashes, title in re.findall(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", text, flags=re.MULTILINE):
            yield number, len(hashes), title


def has_its_sections(notebook: Notebook, name: str) -> Iterator[str]:
    held = list(headings(notebook))
    if not held or held[0][:2] != (1, 1):
        yield "the first cell does not begin with the title (# ...)"
    if sum(level == 1 for _, level, _ in held) != 1:
        yield "there is not exactly one title (# ...)"
    for (_, before, _), (number, level, title) in itertools.pairwise(held):
        if level > before + 1:
            yield f"cell {number}: heading {title!r} skips a level"
    if not notebook["cells"] or not _OBJECTIVES.search(source(notebook["cells"][0]) + "\n"):
        yield "the first cell does not list at least two objectives under **You will be able to**"
    for section, pattern in SECTIONS.items():
        if not any(re.search(pattern, title, flags=re.IGNORECASE) for _, _, title in held):
            yield f"no heading for {section}"


def _calls(notebook: Notebook) -> Iterator[tuple[int, ast.Call]]:
    for number, tree in _trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield number, node


def _methods(notebook: Notebook) -> dict[str, int]:
    """Names of the methods called on ``lab``, with the last cell that does."""
    return {
        node.func.attr: number
        for number, node in _calls(notebook)
        if isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "lab"
    }


def looks_inside_and_cleans_up(notebook: Notebook, name: str) -> Iterator[str]:
    used = _methods(notebook)
    if "traffic" not in used:
        yield "no live picture: lab.traffic(...) is never called"
    if not {"config", "explain"} & used.keys():
        yield "no look inside the proxy: neither lab.config(...) nor lab.explain(...)"
    code = [number for number, _ in cells(notebook, "code")]
    if code and used.get("close") != code[-1]:
        yield "the last code cell does not clean up with lab.close()"


def exercises_of(notebook: Notebook) -> set[str]:
    """Numbers of the exercises that the notebook sets."""
    seen = {argument for _, argument, _ in manifest_cells(notebook) if _EXERCISE.fullmatch(argument)}
    for _, node in _calls(notebook):
        if isinstance(node.func, ast.Name) and node.func.id == "exercise" and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                seen.add(str(argument.value))
    return seen


def has_exercises(notebook: Notebook, name: str) -> Iterator[str]:
    seen = exercises_of(extras(notebook)[0])
    if len(seen) < FEWEST_EXERCISES:
        yield f"{len(seen)} exercises, at least {FEWEST_EXERCISES}"
    for number in sorted(exercises_of(notebook)):
        if not number.startswith(f"{name[:2]}."):
            yield f"exercise {number} belongs to another notebook"


def keeps_answers_until_they_are_compared(notebook: Notebook, name: str) -> Iterator[str]:
    """No check in a cell before ``exercise(...).compare(seen)`` says what is to be seen."""
    checked: set[str] = set()
    for number, tree in _trees(notebook):
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        checked -= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
        for call in calls:
            if call.func.attr == "compare" and isinstance(call.func.value, ast.Call):
                told = checked & _names([*call.args[:1]])
                yield from (f"cell {number}: a check of {seen} tells the answer first" for seen in sorted(told))
        checked |= _names([call for call in calls if ast.unparse(call.func).startswith("check.")])


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def exercise_headings(notebook: Notebook) -> dict[str, str]:
    """Number of each exercise that has a heading, with that heading."""
    numbers = ((re.match(r"Exercise (\d\d\.\d+)", title), title) for _, _, title in headings(notebook))
    return {number[1]: title for number, title in numbers if number}


def shows_progress(notebook: Notebook, name: str) -> Iterator[str]:
    recap = next((cell for cell, _, title in headings(notebook) if re.search(r"recap", title, re.IGNORECASE)), None)
    shown = [
        number
        for number, node in _calls(notebook)
        if isinstance(node.func, ast.Name) and node.func.id == "progress"
        if [argument.value for argument in node.args if isinstance(argument, ast.Constant)] == [name[:2]]
    ]
    if recap is not None and not any(number > recap for number in shown):
        yield f'after the recap, progress("{name[:2]}") shows what is done'


def says_how_it_is_done_at_work(notebook: Notebook, name: str) -> Iterator[str]:
    at_work = 0
    for number, cell in cells(notebook, "markdown"):
        text = source(cell)
        if "<details>" not in text:
            continue
        # Markdown inside HTML is Markdown only between empty lines.
        if "</summary>\n\n" not in text or not text.rstrip().endswith("\n\n</details>"):
            yield f"cell {number}: a fold needs an empty line after </summary> and one before </details>, its last line"
        if "<b>At work</b>" in text:
            at_work += 1
            if not re.search(r"^(kubectl|istioctl) ", text, re.MULTILINE):
                yield f"cell {number}: the fold At work shows no command of kubectl or istioctl"
            if "CONTAINERS:.spec.containers" in text:
                # Istio makes it an init container that goes on (native sidecars).
                yield f"cell {number}: a sidecar is not among .spec.containers; READY of kubectl get pods tells it"
    if at_work < FEWEST_AT_WORK:
        yield f"{at_work} folds <b>At work</b>, at least {FEWEST_AT_WORK}"


def works_in_a_terminal(notebook: Notebook, name: str) -> Iterator[str]:
    folds = 0
    for number, cell in cells(notebook, "markdown"):
        for fold in re.findall(r"<b>In a terminal</b>(.*?)</details>", source(cell), re.DOTALL):
            folds += 1
            commands = re.findall(r"^kubectl .*", fold, re.MULTILINE)
            if len(commands) not in (2, 3):
                yield f"cell {number}: the fold In a terminal has {len(commands)} commands of kubectl, two to three fit"
    if folds != 1:
        yield f"{folds} folds <b>In a terminal</b>, one is right"


def experiments_told(notebook: Notebook) -> tuple[list[int], list[int]]:
    """Numbers of the strange experiments that are asked for, and of those whose result a fold tells."""
    texts = (source(cell) for _, cell in cells(notebook, "markdown"))
    told = next((text for text in texts if text.startswith("## Strange experiments")), "")
    asked, _, answered = told.partition("<details>")
    asked_for, results = (
        [int(number) for number in re.findall(r"^(\d+)\. ", part, re.MULTILINE)] for part in (asked, answered)
    )
    return asked_for, results


def has_strange_experiments(notebook: Notebook, name: str) -> Iterator[str]:
    asked, answered = experiments_told(notebook)
    if len(asked) not in EXPERIMENTS:
        yield f"{len(asked)} numbered experiments in a cell ## Strange experiments, three to five are right"
    if asked != answered:
        yield f"strange experiments {asked}, and a fold that tells what happens in {answered}"


def extras(notebook: Notebook) -> tuple[Notebook, Notebook]:
    """The notebook without its extras, and the extras alone."""
    starts = [source(cell) for cell in notebook["cells"]]
    first = next((place for place, text in enumerate(starts) if text.startswith(EXTRAS)), len(starts))
    last = next((place for place, text in enumerate(starts) if text.startswith(AFTER_EXTRAS) and place > first), first)
    held = notebook["cells"]
    return {**notebook, "cells": [*held[:first], *held[last:]]}, {**notebook, "cells": held[first:last]}


def minutes(notebook: Notebook) -> int:
    """How long these cells take somebody who does all that they ask for, as CONTRIBUTING.md counts."""
    prose = [
        re.sub(r"<details>.*?</details>|```.*?```", " ", source(cell), flags=re.DOTALL)
        for _, cell in cells(notebook, "markdown")
    ]
    code = [source(cell) for _, cell in cells(notebook, "code")]
    counted = sum(len(_WORD.findall(text)) for text in prose) / WORDS_READ + CELL * len(code)
    for verb, each in (("ask", QUESTION), ("predict", QUESTION), ("check", CHECKED)):
        counted += each * sum(f").{verb}(" in text and not text.startswith("#") for text in code)
    counted += EXPERIMENT * len(experiments_told(notebook)[0])
    return STEP_OF_TIME * math.ceil(counted / STEP_OF_TIME)


def says_how_long_it_takes(notebook: Notebook, name: str) -> Iterator[str]:
    first = source(notebook["cells"][0]) if notebook["cells"] else ""
    said = re.search(r"\*\*Time\*\* \d+ minutes(, and \d+ more with the extras)?", " ".join(first.split()))
    main, more = extras(notebook)
    counted = f"**Time** {minutes(main)} minutes"
    if more["cells"]:
        counted += f", and {minutes(more)} more with the extras"
    if said is None or said[0] != counted:
        yield f"the first cell says {said[0] if said else 'no time'}; counted, it is {counted}"


def leads_to(following: str) -> Rule:
    """That one of the last cells links the next lesson, a file name."""

    def rule(notebook: Notebook, name: str) -> Iterator[str]:
        last = [source(cell) for _, cell in cells(notebook, "markdown")][-3:]
        if not any(text.startswith("**Next:**") and f"]({following})" in text for text in last):
            yield f"none of the last three texts begins with **Next:** and a link to {following}"

    return rule


def sets_exercises(specs: Mapping[str, ExerciseSpec]) -> Rule:
    """That the exercises of a lesson, all that there are, stand in its notebook under the same headings."""

    def rule(notebook: Notebook, name: str) -> Iterator[str]:
        seen = exercises_of(notebook)
        if seen != {*specs}:
            yield f"sets the exercises {sorted(seen)}, and the lesson's folder has {sorted(specs)}"
        for number, title in exercise_headings(notebook).items():
            if number in specs and title != specs[number].heading:
                yield f"the heading {title!r} is {specs[number].heading!r} in exercise.toml"
        if missing := seen - {*exercise_headings(notebook)}:
            yield f"no heading 'Exercise NN.k · title' for {sorted(missing)}"
        may_be_left_out = {*exercise_headings(extras(notebook)[1])}
        if may_be_left_out != {number for number, spec in specs.items() if spec.extra}:
            yield f"{sorted(may_be_left_out)} stand below {EXTRAS}; these and no others say extra = true"
        if not {spec.kind for spec in specs.values() if not spec.extra} & {"write", "diagnose"}:
            yield "at least one exercise is to write or to diagnose something, and is no extra"

    return rule


def asks_for(extras: Iterable[str]) -> Rule:
    """What a lesson's programs need besides a plain installation is asked for in its first cell of code."""

    def rule(notebook: Notebook, name: str) -> Iterator[str]:
        number, first = next(cells(notebook, "code"))
        for extra in extras:
            if f'ensure_extra("{extra}")' not in source(first):
                yield f'cell {number}: programs of this lesson need ensure_extra("{extra}")'

    return rule


def names_only_files_that_exist(root: Path) -> Rule:
    def rule(notebook: Notebook, name: str) -> Iterator[str]:
        for number, node in _calls(notebook):
            if isinstance(node.func, ast.Attribute) and node.func.attr == "apply" and node.args:
                argument = node.args[0]
                text = argument.value if isinstance(argument, ast.Constant) else None
                if isinstance(text, str) and "\n" not in text and not (root / "manifests" / text).exists():
                    yield f"cell {number}: there is no manifests/{text}"
        for number, cell in cells(notebook, "markdown"):
            for target in re.findall(r"\]\(([^)#\s]+)", source(cell)):
                if "://" not in target and not (root / "notebooks" / target).exists():
                    yield f"cell {number}: the link {target} leads nowhere"

    return rule


RULES: tuple[Rule, ...] = (
    is_a_notebook,
    is_stripped,
    has_no_empty_cell,
    is_python,
    is_short,
    has_not_too_many_cells,
    is_prose_in_small_pieces,
    keeps_programming_out,
    has_its_sections,
    looks_inside_and_cleans_up,
    has_exercises,
    keeps_answers_until_they_are_compared,
    shows_progress,
    says_how_it_is_done_at_work,
    works_in_a_terminal,
    has_strange_experiments,
    says_how_long_it_takes,
)
