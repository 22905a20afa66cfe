"""Where a Chromium for the browser tests is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["find"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find() -> Path | None:
    """Find Chromium or Chrome: the environment variable ``CHROMIUM``, else in PATH, else among a Mac's applications.

    Returns:
        The program; None if there is none, also when ``CHROMIUM`` names a file that does not exist.
    """
    if given := os.environ.get("CHROMIUM"):
        return Path(given) if Path(given).is_file() else None
    for name in _NAMES:
        if program := shutil.which(name):
            return Path(program)
    return next((Path(path) for path in _APPLICATIONS if Path(path).is_file()), None)
