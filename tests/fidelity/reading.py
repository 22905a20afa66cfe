"""Inputs that are odd as files: what real istiod's tools make of them, and what we do.

    ISTIO_ORACLE=/path/to/istio-oracle python tests/fidelity/reading.py

writes ``reading/golden.jsonl``: for each input of ``reading/inputs.txt`` a line with the objects that were judged, each
with kind, namespace, name and whether it is refused and warned about, or null if the whole input cannot be read.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cases import read_lines, write_lines

from labsupport.model.kinds.index import KINDS
from labsupport.model.kinds.otheristio import OtherIstio

__all__ = ["golden", "inputs", "rows"]

HERE = Path(__file__).parent / "reading"
GOLDEN = HERE / "golden.jsonl"
_MARK = "=== "
_NOT_JUDGED = frozenset(name for name, kind in KINDS.items() if issubclass(kind, OtherIstio))


def inputs() -> dict[str, str]:
    """The inputs by name; line ends are kept as they are."""
    seen: dict[str, str] = {}
    name = ""
    with (HERE / "inputs.txt").open(encoding="utf-8", newline="") as file:
        for line in file:
            if line.startswith(_MARK):
                name = line.removeprefix(_MARK).strip()
                assert name not in seen
                seen[name] = ""
            else:
                seen[name] += line
    return seen


def golden() -> dict[str, list[list[Any]] | None]:
    """istiod's answers by name of the input."""
    return {record["input"]: record["verdicts"] for record in read_lines(GOLDEN)}


def rows(verdicts: list[dict[str, Any]]) -> list[list[Any]]:
    """What of verdicts is compared: who is refused or warned about, of the kinds that are judged here."""
    judged = [verdict for verdict in verdicts if verdict["kind"] not in _NOT_JUDGED]
    return [[v["kind"], v["namespace"], v["name"], bool(v["errors"]), bool(v["warnings"])] for v in judged]


def _ask(text: str) -> list[list[Any]] | None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        command = [os.environ["ISTIO_ORACLE"], "validate", "-f", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return rows([json.loads(line) for line in done.stdout.splitlines()]) if done.returncode in (0, 3) else None


def main() -> None:
    """Write the golden file."""
    texts = inputs()
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = dict(zip(texts, pool.map(_ask, texts.values()), strict=True))
    write_lines(GOLDEN, ({"input": name, "verdicts": answer} for name, answer in answers.items()))
    print(f"{len(answers)} inputs, {sum(answer is None for answer in answers.values())} of them unreadable")


if __name__ == "__main__":
    main()
