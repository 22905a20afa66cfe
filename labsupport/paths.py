"""Where the course's files are: the repository root, its manifests, and what a learner's path means."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from pathlib import Path

from labsupport.errors import NotFoundError

__all__ = [
    "KUBECONFIG_VARIABLE",
    "MANIFEST_SUFFIXES",
    "display_name",
    "images",
    "manifests",
    "resolve",
    "root",
    "state",
    "state_file",
    "work",
]

MANIFEST_SUFFIXES = (".yaml", ".yml")
_ROOT_VARIABLE = "WORKSHOP_ROOT"
_STATE_VARIABLE = "WORKSHOP_STATE"
_WORK_VARIABLE = "WORKSHOP_WORK"
_STATE = ".workshop"
KUBECONFIG_VARIABLE = "WORKSHOP_KUBECONFIG"
"""Names the file that terminals of JupyterLab take as kubeconfig: a link to that of the lab opened last."""


def root() -> Path:
    """The repository: ``WORKSHOP_ROOT``, or the nearest folder with ``manifests`` around this package or the notebook.

    Returns:
        An absolute path.

    Raises:
        NotFoundError: there is no such folder; the message says how to name it.
    """
    given = os.environ.get(_ROOT_VARIABLE)
    if given:
        folder = Path(given).expanduser().resolve()
        if not (folder / "manifests").is_dir():
            raise NotFoundError(
                f"{_ROOT_VARIABLE} is {given!r}, but there is no folder {folder / 'manifests'}. "
                "Set it to the folder of the workshop's repository, or unset it."
            )
        return folder
    # The package's own place first: with an editable install it is right whatever the working folder is.
    for start in (Path(__file__).resolve().parent.parent, Path.cwd().resolve()):
        for folder in (start, *start.parents):
            if (folder / "manifests").is_dir() and (folder / "images").is_dir():
                return folder
    raise NotFoundError(
        f"The workshop's repository was not found around {Path.cwd()}. "
        f"Start the notebook inside it, or set {_ROOT_VARIABLE} to its folder."
    )


def manifests() -> Path:
    """The folder of all given manifests."""
    return root() / "manifests"


def images() -> Path:
    """The folder of the course's own images."""
    return root() / "images"


def state(course: Path) -> Path:
    """The folder of what is kept of a learner: ``.workshop`` in the repository, or beside the copy of who shares one.

    Args:
        course: the repository.
    """
    return (course if _is_own(course) else work()) / _STATE


def state_file() -> Path:
    """The file of a learner's progress: ``WORKSHOP_STATE``, or ``progress.json`` in the folder of what is kept."""
    given = os.environ.get(_STATE_VARIABLE)
    return Path(given).expanduser() if given else state(root()) / "progress.json"


def work() -> Path:
    """The folder of the learner's copy of notebooks and manifests.

    Returns:
        ``WORKSHOP_WORK``, or ``work`` in the repository; in the home folder where a class shares the repository.
    """
    given = os.environ.get(_WORK_VARIABLE)
    if given:
        return Path(given).expanduser().resolve()
    course = root()
    return course / "work" if _is_own(course) else Path.home() / "istio-workshop"


def resolve(path: str | Path) -> Path:
    """Find a manifest file or folder by a path relative to the working folder, or else to ``manifests``.

    In a learner's copy of the course, the manifests of the copy come before those of the course.

    Args:
        path: such as ``apps/web``, ``02-canary-by-weight/solution`` or an absolute path.

    Returns:
        An absolute path that exists.

    Raises:
        NotFoundError: nothing is there; the message lists near matches.
    """
    wanted = Path(path)
    # A name with a tilde may be that of nobody's home.
    with suppress(RuntimeError):
        wanted = wanted.expanduser()
    places = [Path.cwd()] if wanted.is_absolute() else [Path.cwd(), *_own(), manifests(), root()]
    for place in places:
        # What is too long for a name, or has a null character in it, is no file.
        with suppress(OSError, ValueError):
            candidate = place / wanted
            if candidate.exists():
                return candidate.resolve()
    near = _near(wanted)
    looked = "" if wanted.is_absolute() else " here or in the folder manifests"
    remedy = f"Did you mean {' or '.join(near)}?" if near else "Name a file or a folder, or pass YAML text."
    raise NotFoundError(f"There is no manifest {str(path)!r}{looked}. {remedy}")


def display_name(path: Path) -> str:
    """A path as a learner knows it: relative to ``manifests``, the repository or the working folder where possible."""
    absolute = path.resolve()
    bases: list[Path] = []
    # Outside the repository a path relative to the working folder is the best name there is.
    with suppress(NotFoundError):
        bases = [*_own(), manifests(), root()]
    for base in (*bases, Path.cwd()):
        if absolute.is_relative_to(base):
            return str(absolute.relative_to(base))
    return str(absolute)


def _is_own(course: Path) -> bool:
    """Whether a repository is this user's to write."""
    kept = course / _STATE
    return os.access(kept if kept.exists() else course, os.W_OK)


def _own() -> list[Path]:
    """The learner's manifests and the folder around them, where this is a program that works on the copy."""
    return [work() / "manifests", work()] if os.environ.get(_WORK_VARIABLE) else []


def _near(wanted: Path) -> list[str]:
    """Manifests with a similar path or name, best first."""
    base = manifests()
    known: list[str] = []
    for path in sorted(base.rglob("*")):
        if path.is_dir() or path.suffix in MANIFEST_SUFFIXES:
            known.append(str(path.relative_to(base)))
    text = str(wanted)
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.6)
    names = {name: Path(name).name for name in known}
    for close in difflib.get_close_matches(wanted.name, list(names.values()), n=3, cutoff=0.75):
        near += [name for name, last in names.items() if last == close and name not in near]
    return near[:3]
