"""What the first cell of a lesson's notebook says: its title, how long it takes, and which lessons it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labsupport import paths

__all__ = ["Outline", "outlines"]

_TITLE = re.compile(r"# \d\d · (.+)")
_TIME = re.compile(r"\*\*Time\*\* (\d+) minutes")
_LINK = re.compile(r"\((\d\d)-[a-z0-9-]+\.ipynb\)")


@dataclass(frozen=True, slots=True)
class Outline:
    """What a lesson takes, and what it builds on.

    Args:
        title: as in its heading; empty if unknown.
        minutes: how long it takes, without its extras.
        needs: numbers of the lessons that come before it.
    """

    title: str = ""
    minutes: int = 0
    needs: tuple[str, ...] = ()


def outlines() -> Mapping[str, Outline]:
    """Each lesson by its number; what cannot be read is left out, as a map of the course goes without it."""
    return _read(paths.root() / "notebooks")


@cache
def _read(folder: Path) -> dict[str, Outline]:
    found = {}
    for file in sorted(folder.glob("[0-9][0-9]-*.ipynb")):
        try:
            first = "".join(json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"])
        except (OSError, ValueError, LookupError, TypeError):
            continue
        title, text = _TITLE.match(first), " ".join(first.split())
        said = _TIME.search(text)
        needs = tuple(dict.fromkeys(_LINK.findall(text.partition("**You need**")[2])))
        minutes = int(said[1]) if said else 0
        found[file.name[:2]] = Outline(title[1].strip() if title else "", minutes, needs)
    return found
