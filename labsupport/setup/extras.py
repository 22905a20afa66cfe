"""Packages that only some lessons need: an extra of pyproject.toml, installed when it is asked for."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport import paths, progressbar
from labsupport.arguments import checked
from labsupport.errors import EngineError, UsageError
from labsupport.setup.requirements import unsatisfied

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["ensure_extra", "install"]

_STEP = re.compile(r"(Collecting|Progress) (\S+)(?: of (\d+))?")


@checked
def ensure_extra(name: str) -> None:
    """See that the packages of an extra are installed: what is missing is installed now, and a bar shows how far it is.

    Args:
        name: of the extra, such as ``"predict"`` for the prediction APIs.

    Raises:
        UsageError: there is no such extra; the message lists what there is.
        EngineError: the packages cannot be installed; the message says why, and what to do.
    """
    root = paths.root()
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    if name not in extras:
        raise UsageError(f"There is no extra {name!r}. There are: {', '.join(extras)}.")
    missing = unsatisfied(root, extras=(name,))
    if missing:
        install(root, name, missing)


def install(root: Path, name: str, missing: list[Requirement]) -> None:
    """Install what is missing of an extra, in the versions that the tests ran with.

    Args:
        root: the repository.
        name: of the extra.
        missing: its packages.

    Raises:
        EngineError: pip could not do it.
    """
    constraints = root / "constraints.txt"
    pinned = os.environ.get("WORKSHOP_CONSTRAINTS") != "none" and constraints.is_file() and sys.version_info < (3, 15)
    command = [
        *(sys.executable, "-m", "pip", "install", "--prefer-binary", "--no-input", "--disable-pip-version-check"),
        *("--retries", "1", "--progress-bar", "raw" if _tells_bytes() else "off"),
        *(("--constraint", str(constraints)) if pinned else ()),
        *(str(requirement) for requirement in missing),
    ]
    said = ""
    with (
        progressbar.bar(len(missing), label=f"installing the extra {name}", unit="package") as reached,
        subprocess.Popen(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip,
    ):
        assert pip.stdout is not None
        begun = 0
        for line in pip.stdout:
            step = _STEP.match(line)
            if step is None:
                if not said and "Retrying" in line:
                    said = "the package index does not answer"
                elif not said and (line.startswith("ERROR") or "No module named" in line):
                    said = line.strip()
            elif step[1] == "Collecting":
                begun += 1
                reached(min(begun - 1, len(missing)))
            elif step[3]:
                reached(min(begun - 1 + int(step[2]) / max(int(step[3]), 1), len(missing)))
    if pip.returncode:
        raise EngineError(
            f"the packages of the extra {name!r} could not be installed: {said or f'pip ended with {pip.returncode}'}. "
            f"Check the network and try again, in a terminal: workshop extra {name}. In an environment without pip, "
            f"install {', '.join(map(str, missing))} by its own means. All else of the course works without."
        )
    importlib.invalidate_caches()


def _tells_bytes() -> bool:
    """Whether this pip can tell how far a download is."""
    from importlib import metadata

    try:
        first, second = metadata.version("pip").split(".")[:2]
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return (int(first), int(second)) >= (24, 1)
