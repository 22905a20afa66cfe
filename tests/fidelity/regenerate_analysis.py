"""Asks the analyzers of ``istioctl analyze`` about the sets in analysis/ and writes their codes down.

    ISTIO_ORACLE=/path/to/istio-oracle python tests/fidelity/regenerate_analysis.py

The oracle must hand Pods, Services and Namespaces to the analyzers too, as ``istioctl analyze`` has them on a cluster;
on files alone istioctl leaves out every analyzer that needs them (in the oracle: AddTestReaderKubeSource).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SETS = Path(__file__).parent / "analysis"
GOLDEN = SETS / "notes.json"
CODES = [
    "IST0101",
    "IST0109",
    "IST0112",
    "IST0118",
    "IST0127",
    "IST0130",
    "IST0131",
    "IST0132",
    "IST0145",
    "IST0173",
    "IST0174",
]


def main() -> int:
    """Write the golden codes."""
    oracle = os.environ.get("ISTIO_ORACLE")
    if not oracle:
        print("set ISTIO_ORACLE to the path of the oracle", file=sys.stderr)
        return 2
    golden: dict[str, list[str]] = {}
    for file in sorted(SETS.glob("*.yaml")):
        run = subprocess.run([oracle, "analyze", "-f", str(file)], capture_output=True, text=True, check=True)
        messages = [json.loads(line) for line in run.stdout.splitlines()]
        golden[file.stem] = sorted(f"{m['code']} {m['origin']}" for m in messages if m["code"] in CODES)
    lacking = set(CODES) - {note.partition(" ")[0] for notes in golden.values() for note in notes}
    if lacking:
        print(f"nothing is written: the oracle never says {', '.join(sorted(lacking))} (docstring)", file=sys.stderr)
        return 1
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"{len(golden)} sets, {sum(map(len, golden.values()))} notes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
