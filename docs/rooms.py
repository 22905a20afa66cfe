"""Draw the rooms of the package and what imports what: python docs/rooms.py (a second; from the imports themselves)."""

from __future__ import annotations

import tomllib
from html import escape
from itertools import product
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = Path(__file__).with_name("rooms.svg")
FACE, PLAIN = "labsupport", "plain modules"
WIDTH, BOX, HEIGHT, ROW, MARGIN = 760, 300, 40, 78, 14
ABOUT = {
    FACE: "the names that a notebook imports",
    "cli": "the commands of workshop",
    "display": "pictures of records; knows no engine",
    "course": "lessons, exercises, progress",
    "lab": "what a notebook holds",
    "metrics": "what proxies counted, asked in PromQL",
    "observe": "what proxies tell: journeys, graphs, tables",
    "check": "expectations, with their error probability",
    "setup": "what this machine has and needs",
    "traffic": "send requests, record responses",
    "engine": "two meshes: embedded and cluster",
    "controlplane": "istiod's part: manifests to Envoy",
    "explain": "why a request goes where it goes",
    "model": "manifests: read, judge, write",
    PLAIN: "",
}


def layers() -> list[list[str]]:
    """The rows of the picture: the face, and the layers of the import contract in ``pyproject.toml``."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (contract,) = (item for item in tools["importlinter"]["contracts"] if item["type"] == "layers")
    rows = [[name.strip() for name in row.split("|")] for row in contract["layers"][:-1]]
    return [[FACE], *rows, [PLAIN]]


def imports() -> dict[str, set[str]]:
    """Which room imports which, without those that another room on the way stands for."""
    graph = grimp.build_graph("labsupport", cache_dir=None)
    rooms = {name for row in layers() for name in row}

    def room(module: str) -> str:
        first = module.partition(".")[2].partition(".")[0]
        return first if first in rooms else PLAIN if first else FACE

    direct: dict[str, set[str]] = {name: set() for name in rooms}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if room(module) != room(imported):
                direct[room(module)].add(room(imported))
    reached = {name: set(others) for name, others in direct.items()}
    for middle, name in product(rooms, rooms):
        if middle in reached[name]:
            reached[name] |= reached[middle]
    return {
        name: {to for to in others if not any(to in reached[other] for other in others - {to})}
        for name, others in direct.items()
    }


def picture() -> str:
    """The SVG, the same for the same imports."""
    rows = layers()
    height = MARGIN * 2 + ROW * (len(rows) - 1) + HEIGHT
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        step = WIDTH / len(row)
        places |= {name: (step * (at + 0.5), MARGIN + number * ROW) for at, name in enumerate(row)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" text-anchor="middle">',
        "<title>The rooms of labsupport: imports lead from top to bottom</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for name, others in sorted(imports().items()):
        x, y = places[name]
        for other in sorted(others):
            to_x, to_y = places[other]
            bend = f"{x:.0f} {y + HEIGHT + 26:.0f} {to_x:.0f} {to_y - 26:.0f}"
            way = f"M{x:.0f} {y + HEIGHT:.0f}C{bend} {to_x:.0f} {to_y:.0f}"
            if to_y - y > ROW:
                # Past the rooms between, not behind one of them: from side to side, along the edge of the picture.
                side, edge = (-1, 0) if to_x < WIDTH / 2 else (1, WIDTH)
                start, end = x + side * BOX / 2, to_x + side * BOX / 2
                middle, to_middle = y + HEIGHT / 2, to_y + HEIGHT / 2
                way = f"M{start:.0f} {middle:.0f}C{edge} {middle:.0f} {edge} {to_middle:.0f} {end:.0f} {to_middle:.0f}"
            parts.append(f'<path d="{way}" fill="none" stroke="#57606a" marker-end="url(#tip)"/>')
    for name, (x, y) in places.items():
        about = ABOUT[name] or ", ".join(plain_modules())
        width = BOX if name != PLAIN else WIDTH - 2 * MARGIN
        parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="6" fill="#eaf2fb" '
            f'stroke="#0550ae"/><text x="{x:.0f}" y="{y + 17:.0f}" font-size="14" font-weight="600" fill="#1f2328">'
            f'{escape(name)}</text><text x="{x:.0f}" y="{y + 33:.0f}" font-size="12" '
            f'fill="#1f2328">{escape(about)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def plain_modules() -> list[str]:
    """The modules at the root of the package, which import no room."""
    return sorted(file.stem for file in (ROOT / "labsupport").glob("*.py") if file.stem != "__init__")


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
