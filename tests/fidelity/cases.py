"""The corpus: themed files of small manifest sets, each on top of a base mesh, and what istiod made of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from normalise import TYPES

__all__ = [
    "CORPUS",
    "GOLDEN",
    "Case",
    "Tables",
    "ask_oracle",
    "cases",
    "golden_base",
    "golden_cases",
    "pack",
    "read_lines",
    "themes",
    "unpack",
    "write_base",
    "write_cases",
    "write_lines",
]

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
BASES = HERE / "bases"
GOLDEN = HERE / "golden"

Tables = dict[str, dict[str, Any]]
"""Normalised resources by type and name."""


@dataclass(frozen=True)
class Case:
    """One manifest set and the proxies it is translated for."""

    theme: str
    name: str
    base: str
    manifests: str
    proxies: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of its manifests, the base first."""
        base = (BASES / f"{self.base}.yaml").read_text() if self.base else ""
        return f"{base}\n---\n{self.manifests}"

    @property
    def base_text(self) -> str:
        """The base mesh alone."""
        return (BASES / f"{self.base}.yaml").read_text() if self.base else "{}"


def themes() -> list[str]:
    """Names of the corpus files."""
    return sorted(path.stem for path in CORPUS.glob("*.yaml"))


def cases(theme: str) -> Iterator[Case]:
    """The manifest sets of one corpus file."""
    content = yaml.load((CORPUS / f"{theme}.yaml").read_text(), Loader=yaml.CSafeLoader)
    seen = set()
    for name, manifests in (*content.get("cases", {}).items(), *_rows(content.get("tables", {}))):
        if isinstance(manifests, str):
            manifests = {"manifests": manifests}
        proxies = tuple(manifests.get("proxies") or content["proxies"])
        assert name not in seen
        seen.add(name)
        yield Case(theme, name, manifests.get("base", content["base"]), manifests["manifests"], proxies)


def _rows(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Cases that differ in one place only: each row of a table stands where its manifests have an @."""
    for table, content in tables.items():
        for row, text in content["rows"].items():
            yield f"{table}-{row}", {**content, "manifests": content["manifests"].replace("@", text)}


def ask_oracle(text: str, proxy: str) -> dict[str, Any]:
    """What real istiod makes of some manifests, through the program that ``ISTIO_ORACLE`` names."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        command = [os.environ["ISTIO_ORACLE"], "xds", "-f", file.name, "-proxy", proxy]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the oracle failed: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def pack(tables: Tables, base: Tables) -> dict[str, Any]:
    """Keep only what differs from the base mesh."""
    packed: dict[str, Any] = {}
    for kind in TYPES:
        changed = {name: value for name, value in tables[kind].items() if base[kind].get(name) != value}
        removed = sorted(base[kind].keys() - tables[kind].keys())
        if changed:
            packed[kind] = changed
        if removed:
            packed[f"no {kind}"] = removed
    return packed


def unpack(packed: dict[str, Any], base: Tables | None) -> Tables:
    """Undo ``pack``; a base mesh of which istiod makes nothing has no tables."""
    base = base or {kind: {} for kind in TYPES}
    tables: Tables = {}
    for kind in TYPES:
        kept = {name: value for name, value in base[kind].items() if name not in packed.get(f"no {kind}", ())}
        tables[kind] = {**kept, **packed.get(kind, {})}
    return tables


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The records of a file that has one on each line."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one record on each line, so that a difference between two versions shows which records have changed."""
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _sorted(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


def golden_base(base: str) -> dict[str, Tables]:
    """What istiod makes of a base mesh alone, by proxy."""
    tables: dict[str, Tables] = {}
    for record in read_lines(_base_file(base)):
        of_proxy = tables.setdefault(record["proxy"], {kind: {} for kind in TYPES})
        of_proxy[record["type"]][record["name"]] = record["resource"]
    return tables


def write_base(base: str, tables: Mapping[str, Tables]) -> None:
    """Write what ``golden_base`` reads: a line for each resource of each proxy."""
    records = [
        {"proxy": proxy, "type": kind, "name": name, "resource": _sorted(resource)}
        for proxy, of_proxy in sorted(tables.items())
        for kind in TYPES
        for name, resource in sorted(of_proxy[kind].items())
    ]
    write_lines(_base_file(base), records)


def _base_file(base: str) -> Path:
    return GOLDEN / "bases" / f"{base or 'nothing'}.jsonl"


def golden_cases(theme: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What each case of a theme changes in its base mesh, by case and proxy."""
    records = read_lines(GOLDEN / f"{theme}.jsonl")
    return {(record["case"], record["proxy"]): record["changes"] for record in records}


def write_cases(theme: str, packed: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
    """Write what ``golden_cases`` reads: a line for each proxy of each case."""
    records = [{"case": case, "proxy": proxy, "changes": _sorted(changes)} for (case, proxy), changes in packed.items()]
    write_lines(GOLDEN / f"{theme}.jsonl", records)
