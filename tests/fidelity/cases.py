"""The corpus: themed files of small manifest sets, each on top of a base mesh, and what istiod made of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from normalise import TYPES, normalise

__all__ = ["CORPUS", "GOLDEN", "Case", "Tables", "ask_oracle", "cases", "pack", "themes", "unpack"]

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
    for name, manifests in content["cases"].items():
        if isinstance(manifests, str):
            manifests = {"manifests": manifests}
        proxies = tuple(manifests.get("proxies") or content["proxies"])
        assert name not in seen
        seen.add(name)
        yield Case(theme, name, manifests.get("base", content["base"]), manifests["manifests"], proxies)


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


def unpack(packed: dict[str, Any], base: Tables) -> Tables:
    """Undo ``pack``."""
    tables: Tables = {}
    for kind in TYPES:
        kept = {name: value for name, value in base[kind].items() if name not in packed.get(f"no {kind}", ())}
        tables[kind] = {**kept, **packed.get(kind, {})}
    return tables


def golden_of(text: str, proxy: str) -> Tables:
    """Normalised answer of the oracle."""
    return normalise(ask_oracle(text, proxy))
