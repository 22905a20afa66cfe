"""The site of ``workshop export``: executed notebooks as pages, made by Sphinx without a server and without a network."""

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
from typing import TYPE_CHECKING, Any

from labsupport.course import catalogue
from labsupport.course.exercise import solution_of
from labsupport.errors import EngineError
from labsupport.setup.jupyter import make_folders, own_folders

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["build", "executed", "shown"]

_WIDGET = "application/vnd.jupyter.widget-view+json"
_CELL_TIMEOUT_S = 300
# What outputs depend on, besides the notebook itself.
_COURSE = ("images", "labsupport", "manifests", "constraints.txt", "pyproject.toml")
_EXERCISE = re.compile(r'exercise\("(\d\d\.\d+)"\)')
_MANIFEST = re.compile(r'(?<=href=")\.\./manifests/([^"]+\.ya?ml)(?=")')
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


def executed(root: Path, notebook: Path) -> NotebookNode:
    """A notebook with the outputs of all its cells, on the embedded mesh; the file itself stays as it is.

    Args:
        root: the repository.
        notebook: its file. Outputs are kept in ``.workshop/export`` until something of the course changes.

    Raises:
        EngineError: a cell failed; the message says which one.
    """
    import nbformat

    kept = root / ".workshop" / "export" / f"{notebook.stem}-{_key(root, notebook)}.ipynb"
    if not kept.exists():
        made = _run(root, notebook)
        kept.parent.mkdir(parents=True, exist_ok=True)
        for former in kept.parent.glob(f"{notebook.stem}-*.ipynb"):
            former.unlink()
        nbformat.write(made, kept)
    return nbformat.read(kept, as_version=4)


def _run(root: Path, notebook: Path) -> NotebookNode:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    make_folders(root)
    made = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        environment = {**os.environ, **own_folders(root, os.environ)}
        # Nobody's progress and nobody's copy of the course play a part.
        environment |= {"WORKSHOP_ENGINE": "embedded", "WORKSHOP_PROGRESS": "0", "WORKSHOP_STATE": f"{folder}/state.json"}
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
            raise EngineError(
                f"{notebook.name} does not run from end to end: {reason}. See which cell it is: "
                f"workshop test notebooks/{notebook.name}"
            ) from error
    return made


def shown(notebook: NotebookNode) -> NotebookNode:
    """An executed notebook as a reader sees it who has no kernel.

    Widgets give way to their static forms, and below the last cell of an exercise stand its hints and an answer.

    Args:
        notebook: executed; it is changed.
    """
    import nbformat

    notebook.metadata.language_info["pygments_lexer"] = "workshop-cell"
    last = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            last |= dict.fromkeys(_EXERCISE.findall(cell.source), cell)
            cell.outputs = [output for output in cell.outputs if _has_a_place(output)]
    for number, cell in last.items():
        place = next(at for at, other in enumerate(notebook.cells) if other is cell)
        notebook.cells.insert(place + 1, nbformat.v4.new_markdown_cell(_answer(number)))
    return notebook


def _has_a_place(output: Any) -> bool:
    data = output.get("data", {})
    if "text/html" in data:
        data["text/html"] = _GONE.sub(r"\1", data["text/html"])
    return _WIDGET not in data and 'class="ws-gone"' not in data.get("text/html", "")


def _answer(number: str) -> str:
    spec = catalogue.find(number)
    solution = solution_of(spec)
    hints = "\n".join(f"1. {' '.join(hint.split())}" for hint in spec.hints)
    text = f"```yaml\n{solution.text.rstrip()}\n```" if solution.path else solution.text
    return f"{_FOLD.format(title='Hints', text=hints)}\n\n{_FOLD.format(title='An answer', text=text)}"


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
    import nbformat

    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        source = Path(folder, "source")
        shutil.copytree(root / "docs" / "site", source)
        for place in ("notebooks", "docs", "files"):
            (source / place).mkdir()
        for number, notebook in enumerate(notebooks, start=1):
            tell(f"{number} of {len(notebooks)}: {notebook.name}")
            page = nbformat.writes(shown(executed(root, notebook)))
            page = _with_manifests(root, page, source / "files" / "manifests")
            (source / "notebooks" / notebook.name).write_text(page, encoding="utf-8")
        for name in ("cheat-sheet.md", "traffic.svg"):
            shutil.copy(root / "docs" / name, source / "docs" / name)
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


def _with_manifests(root: Path, page: str, target: Path) -> str:
    """The page, with copies of the manifests that it links to: as text, which every browser shows."""
    text = json.loads(page)
    for cell in text["cells"]:
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            html = "".join(html)
            for name in _MANIFEST.findall(html):
                place = target / f"{name}.txt"
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / "manifests" / name, place)
            if html:
                output["data"]["text/html"] = _MANIFEST.sub(r"../manifests/\1.txt", html)
    return json.dumps(text)


def _index(root: Path, notebooks: Sequence[Path]) -> str:
    """The first page: the README's picture, and its table of the lessons that are there."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    names = {f"notebooks/{notebook.name}" for notebook in notebooks}
    rows = [row[0] for row in _ROW.finditer(readme) if row[1] in names]
    lines = [
        *("# Istio traffic workshop", ""),
        "A course on service-mesh traffic management, as it looks when all its cells have run. To do it yourself takes",
        "a clone of the repository and one command, `./workshop lab`. [The cheat sheet](docs/cheat-sheet.md) has what",
        *("the rules do on one page.", "", *re.findall(r"^!\[.*\)$", readme, re.MULTILINE)[:1], ""),
        *("| lesson | what you learn |", "|---|---|", *rows, ""),
        *("```{toctree}", ":hidden:", ":titlesonly:", "", *sorted(names), "docs/cheat-sheet.md", "```", ""),
    ]
    return "\n".join(lines)
