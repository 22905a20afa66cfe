"""Make the cheat sheet from the tables that messages are made of: python docs/cheatsheet.py (a second)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from labsupport.explain.effects import EFFECTS
from labsupport.observe.flags import FLAGS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "notebooks" / "cheat-sheet.md"
_GAP = "____"
_ABOUT = {
    "VirtualService": "**VirtualService**, `spec.http`, for the caller's proxy",
    "DestinationRule": "**DestinationRule**, for the caller's proxy",
    "Gateway": "**Gateway**",
    "ServiceEntry": "**ServiceEntry**",
    "Sidecar": "**Sidecar**",
}


def lessons() -> list[Path]:
    """The notebooks in their order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def _cells(notebook: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]


def _manifests(notebook: Path) -> Iterator[str]:
    """The manifests of a lesson that are right: of its cells, its folder, and the answers to its exercises."""
    yield from (cell.partition("\n")[2] for cell in _cells(notebook) if cell.startswith("%%manifest"))
    folder = ROOT / "manifests" / notebook.stem
    for pattern in ("*.yaml", "exercises/*/solution.yaml"):
        yield from (file.read_text(encoding="utf-8") for file in sorted(folder.glob(pattern)))


def _objects(notebook: Path) -> Iterator[dict[str, Any]]:
    for text in _manifests(notebook):
        if _GAP not in text:
            yield from filter(None, yaml.safe_load_all(text))


def _values(resource: dict[str, Any], field: str) -> Iterator[Any]:
    """What a resource says in a field of the table of effects."""
    spec = resource.get("spec") or {}
    places = [spec, spec.get("trafficPolicy") or {}, *(spec.get("http") or [])]
    for place in places:
        for name in field.split("."):
            place = place.get(name) if isinstance(place, dict) else None
        if place is not None:
            yield place


def used() -> dict[tuple[str, str], Path]:
    """The fields of the table that the course uses, each with the first of the lessons that do most."""
    counted: dict[tuple[str, str], Counter[Path]] = {}
    for notebook in lessons():
        for resource in _objects(notebook):
            for field in EFFECTS.get(resource["kind"], {}):
                times = len(list(_values(resource, field)))
                counted.setdefault((resource["kind"], field), Counter())[notebook] += times
    return {
        key: next(lesson for lesson, times in uses.items() if 2 * times >= max(uses.values()))
        for key, uses in counted.items()
        if uses.total()
    }


def flags_met() -> list[str]:
    """The response flags that lessons speak of, in cells or in the texts of exercises."""
    texts = []
    for notebook in lessons():
        files = sorted((ROOT / "manifests" / notebook.stem).rglob("*.toml"))
        texts += [*_cells(notebook), *(file.read_text(encoding="utf-8") for file in files)]
    words = set(re.findall(r"\b[A-Z]+\b", "\n".join(texts)))
    return [flag for flag in FLAGS if flag in words]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def page() -> str:
    """The whole page."""
    uses = used()
    lines = [
        *("# Cheat sheet", ""),
        "What a rule makes Envoy do, the flag that tells of it in the access log, and where you look. The number is a",
        "lesson's. Made by `docs/cheatsheet.py` from the tables of the lab's own messages.",
        *("", "| rule | Envoy | flag | in the lab | at work |", "|---|---|---|---|---|"),
    ]
    for kind, fields in EFFECTS.items():
        if any((kind, field) in uses for field in fields):
            lines.append(f"| {_ABOUT[kind]} | | | | |")
        for field, told in fields.items():
            if lesson := uses.get((kind, field)):
                rule = f"`{told.example}` [{lesson.name[:2]}]({lesson.name})"
                lines.append(f"| {rule} | {told.does} | {' '.join(told.flags)} | `{told.lab}` | `{told.work}` |")
    lines += ["", "| flag | says | comes from | in the lab | at work |", "|---|---|---|---|---|"]
    for flag in flags_met():
        meant = FLAGS[flag]
        lines.append(f"| **{flag}** | {meant.words} | {meant.cause} | {_code(meant.lab)} | {_code(meant.work)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
