"""The site of ``workshop export``: executed notebooks as pages, made by Sphinx, that need no server and no network."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from labsupport import words
from labsupport.course import catalogue
from labsupport.course.exercise import solution_of
from labsupport.errors import EngineError
from labsupport.setup.jupyter import make_folders, own_folders

__all__ = ["CHEAT_SHEET", "build", "executed", "shown"]

CHEAT_SHEET = "notebooks/cheat-sheet.md"

Notebook = dict[str, Any]
"""The JSON of a notebook, or of a part of it."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_CELL_TIMEOUT_S = 300
# What outputs depend on, besides the notebook itself.
_COURSE = ("images", "labsupport", "manifests", "constraints.txt", "pyproject.toml")
_EXERCISE = re.compile(r'exercise\("(\d\d\.\d+)"\)')
_MANIFEST = re.compile(r'(?<=href=")\.\./manifests/([^"]+\.ya?ml)(?=")')
_MANIFEST_TEXT = re.compile(r"(?<=\.\./manifests/)([\w./-]+?)\.txt")
# An address of the mesh that made the page is gone with it.
_GONE = re.compile(r'<a [^>]*href="http://127\.0\.0\.1[^>]*>(.*?)</a>', re.DOTALL)
_ROW = re.compile(r"^\|.*\]\((notebooks/[^)]+\.ipynb)\).*$", re.MULTILINE)
_FOLD = "<details><summary><b>{title}</b></summary>\n\n{text}\n\n</details>"


def _files(root: Path) -> Iterator[Path]:
    for name in _COURSE:
        place = root / name
        yield from sorted(place.rglob("*")) if place.is_dir() else [place]


def _key(root: Path, notebook: Path) -> str:
    """The same for the same notebook, run by the same course."""
    digest = hashlib.sha256(sys.version.encode())
    for file in (notebook, *_files(root)):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def executed(root: Path, notebook: Path) -> Notebook:
    """A notebook with the outputs of all its cells, on the embedded mesh; the file itself stays as it is.

    Args:
        root: the repository.
        notebook: its file. Outputs are kept in ``.workshop/export`` until something of the course changes.

    Raises:
        EngineError: a cell failed; the message says which one.
    """
    kept = root / ".workshop" / "export" / f"{notebook.stem}-{_key(root, notebook)}.ipynb"
    if not kept.exists():
        made = _run(root, notebook)
        kept.parent.mkdir(parents=True, exist_ok=True)
        for former in kept.parent.glob(f"{notebook.stem}-*.ipynb"):
            former.unlink()
        kept.write_text(json.dumps(made), encoding="utf-8")
    read: Notebook = json.loads(kept.read_text(encoding="utf-8"))
    return read


def _run(root: Path, notebook: Path) -> Notebook:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    make_folders(root)
    made: Any = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        environment = {**os.environ, **own_folders(root, os.environ)}
        # Nobody's progress and nobody's copy of the course play a part.
        environment |= {
            "WORKSHOP_ENGINE": "embedded",
            "WORKSHOP_PROGRESS": "0",
            "WORKSHOP_STATE": f"{folder}/state.json",
        }
        environment.pop("WORKSHOP_WORK", None)
        # By sockets: a port that Jupyter picks for a kernel may be somebody else's by the time the kernel binds it.
        sockets = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})
        client = NotebookClient(
            made,
            config=sockets,
            timeout=_CELL_TIMEOUT_S,
            store_widget_state=False,
            resources={"metadata": {"path": str(notebook.parent)}},
        )
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            reason = str(error).strip().splitlines()[-1]
            told = words.sentence(f"{notebook.name} does not run from end to end: {reason}")
            raise EngineError(f"{told} See which cell it is: workshop test notebooks/{notebook.name}") from error
    done: Notebook = made
    return done


def shown(notebook: Notebook) -> Notebook:
    """An executed notebook as a reader sees it who has no kernel.

    Widgets give way to their static forms, and below the last cell of an exercise stand its hints and an answer.

    Args:
        notebook: executed.
    """
    last = {
        number: at
        for at, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
        for number in _EXERCISE.findall("".join(cell["source"]))
    }
    cells = []
    for at, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell = {**cell, "outputs": [_bare(output) for output in cell["outputs"] if _has_a_place(output)]}
        cells.append(cell)
        cells += [_answer(number) for number, place in last.items() if place == at]
    language = {**notebook["metadata"]["language_info"], "pygments_lexer": "workshop-cell"}
    return {**notebook, "cells": cells, "metadata": {**notebook["metadata"], "language_info": language}}


def _html(output: Notebook) -> str:
    return "".join(output.get("data", {}).get("text/html", ""))


def _has_a_place(output: Notebook) -> bool:
    return _WIDGET not in output.get("data", {}) and 'class="ws-gone"' not in _html(output)


def _bare(output: Notebook) -> Notebook:
    """An output without addresses of a mesh that is gone, and with manifests as text, which every browser shows."""
    if not (html := _html(output)):
        return output
    html = _MANIFEST.sub(r"../manifests/\1.txt", _GONE.sub(r"\1", html))
    return {**output, "data": {**output["data"], "text/html": html}}


def _answer(number: str) -> Notebook:
    spec = catalogue.find(number)
    solution = solution_of(spec)
    hints = "\n".join(f"1. {' '.join(hint.split())}" for hint in spec.hints)
    text = f"```yaml\n{solution.text.rstrip()}\n```" if solution.path else solution.text
    folds = "\n\n".join(_FOLD.format(title=title, text=body) for title, body in (("Hints", hints), ("An answer", text)))
    return {"cell_type": "markdown", "id": f"answer-{number.replace('.', '-')}", "metadata": {}, "source": folds}


def build(root: Path, notebooks: Sequence[Path], target: Path, tell: Callable[[str], None]) -> None:
    """Make the site.

    Args:
        root: the repository.
        notebooks: which of its lessons, in order.
        target: a folder, made anew.
        tell: is told what begins.

    Raises:
        EngineError: a notebook does not run, or Sphinx could not do it.
    """
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        source = Path(folder, "source")
        shutil.copytree(root / "docs" / "site", source)
        for place in ("notebooks", "docs", "files"):
            (source / place).mkdir()
        for page in ("docs/traffic.svg", CHEAT_SHEET):
            shutil.copy(root / page, source / page)
        for number, notebook in enumerate(notebooks, start=1):
            tell(f"{number} of {len(notebooks)}: {notebook.name}")
            text = json.dumps(shown(executed(root, notebook)))
            _copy_manifests(root, text, source / "files" / "manifests")
            (source / "notebooks" / notebook.name).write_text(text, encoding="utf-8")
        (source / "index.md").write_text(_index(root, notebooks), encoding="utf-8")
        tell("the pages")
        made = Path(folder, "site")
        options = ["-b", "html", "-q", "-W", "--keep-going", "-d", f"{folder}/doctrees"]
        sphinx = [sys.executable, "-m", "sphinx", *options, str(source), str(made)]
        done = subprocess.run(sphinx, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"Sphinx could not make the site: {done.stderr.strip().replace(folder, '')}")
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(made, target)


def _copy_manifests(root: Path, page: str, target: Path) -> None:
    """Put the manifests that a page links to beside it."""
    for name in set(_MANIFEST_TEXT.findall(page)):
        place = target / f"{name}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "manifests" / name, place)


def _index(root: Path, notebooks: Sequence[Path]) -> str:
    """The first page: the README's picture, and its table of the lessons that are there."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    names = {f"notebooks/{notebook.name}" for notebook in notebooks}
    rows = [row[0] for row in _ROW.finditer(readme) if row[1] in names]
    lines = [
        *("# Istio traffic workshop", ""),
        "A course on service-mesh traffic management, as it looks when all its cells have run. To do it yourself takes",
        "a clone of the repository and one command, `./workshop lab`.",
        *(
            f"What rules do, and where one looks, is on one page: [cheat sheet]({CHEAT_SHEET}).",
            "",
            *re.findall(r"^!\[.*\)$", readme, re.MULTILINE)[:1],
            "",
        ),
        *("| lesson | what you learn |", "|---|---|", *rows, ""),
        *("```{toctree}", ":hidden:", ":titlesonly:", "", *sorted(names), CHEAT_SHEET, "```", ""),
    ]
    return "\n".join(lines)
