"""The packages of npm that lint our JavaScript and look at our pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["packages", "unable"]

_FOLDER = Path(__file__).parent / "js"


def unable(reason: str) -> NoReturn:
    """A green CI that looked at nothing would say nothing; elsewhere, what is missing is skipped."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def packages() -> Path:
    """The folder of packages in the versions of the lock file, installed if they are not there."""
    folder = _FOLDER / "node_modules"
    wanted = json.loads((_FOLDER / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    if all(_version(folder / name) == version for name, version in wanted.items()):
        return folder
    npm = shutil.which("npm") or unable("no npm, which installs what lints and looks at the pictures")
    command = [npm, "ci", "--prefix", str(_FOLDER), "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        unable(f"npm could not install what lints and looks at the pictures:\n{done.stderr[-2000:]}")
    return folder


def _version(package: Path) -> str:
    manifest = package / "package.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["version"]) if manifest.is_file() else ""
