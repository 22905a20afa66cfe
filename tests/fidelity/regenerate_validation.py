"""Asks real istiod for the verdicts on the corpus and writes them down.

    ISTIO_ORACLE=/path/to/istio-oracle python tests/fidelity/regenerate_validation.py

The result, ``validation/verdicts.json``, holds for each object who refuses it (kubectl's ``strict`` decoding, the
``crd`` schema, the ``webhook``) and whether it is warned about; an object that is simply accepted has an empty entry.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "validation"
GOLDEN = CORPUS / "verdicts.json"


def run(oracle: str, *arguments: str) -> str:
    """Run the oracle; 3 is its exit status when it refuses something."""
    result = subprocess.run([oracle, *arguments], capture_output=True, text=True, check=False)
    if result.returncode not in (0, 3):
        raise SystemExit(f"{oracle} {' '.join(arguments)}: {result.stderr}")
    return result.stdout


def main() -> int:
    """Write the golden verdicts."""
    oracle = os.environ.get("ISTIO_ORACLE")
    if not oracle:
        print("set ISTIO_ORACLE to the path of the oracle", file=sys.stderr)
        return 2
    verdicts: dict[str, dict[str, str]] = {}
    for file in sorted(CORPUS.glob("*.yaml")):
        entries: dict[str, str] = {}
        for line in run(oracle, "validate", "-f", str(file)).splitlines():
            verdict: dict[str, Any] = json.loads(line)
            by = sorted({error.partition(":")[0] for error in verdict["errors"]})
            words = [*by, *(["warned"] if verdict["warnings"] else [])]
            entries[f"{verdict['kind']}/{verdict['namespace']}/{verdict['name']}"] = " ".join(words)
        verdicts[file.name] = entries
    version = json.loads(run(oracle, "version"))
    golden = {"versions": {"istio": version["istio"], "module": version["istio.io/istio"]}, "verdicts": verdicts}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    count = sum(len(entries) for entries in verdicts.values())
    refused = sum(any(word != "warned" for word in words.split()) for e in verdicts.values() for words in e.values())
    warned = sum("warned" in words for entries in verdicts.values() for words in entries.values())
    print(f"{count} objects: {refused} refused, {warned} warned about; Istio {version['istio']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
