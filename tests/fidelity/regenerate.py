"""Ask real istiod for the golden files of the whole corpus, or of the themes that are named.

    ISTIO_ORACLE=<path of the istio-oracle program> python tests/fidelity/regenerate.py [THEME ...]

The golden file of a theme holds, for every proxy of every case, what the case changes in its base mesh, and the base
meshes' own resources once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cases import GOLDEN, Case, Tables, ask_oracle, cases, pack, themes
from normalise import normalise

__all__: list[str] = []


def _answers(wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Tables]:
    ordered = sorted(wanted)
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = pool.map(lambda item: normalise(ask_oracle(*item)), ordered)
        return dict(zip(ordered, results, strict=True))


def _golden(theme: str, listed: list[Case]) -> dict[str, Any]:
    wanted = {(case.text, proxy) for case in listed for proxy in case.proxies}
    wanted |= {(case.base_text, proxy) for case in listed for proxy in case.proxies}
    answers = _answers(wanted)
    bases: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for case in listed:
        for proxy in case.proxies:
            base = answers[case.base_text, proxy]
            bases.setdefault(case.base, {})[proxy] = base
            found.setdefault(case.name, {})[proxy] = pack(answers[case.text, proxy], base)
    return {"bases": bases, "cases": found}


def main(names: list[str]) -> None:
    """Write the golden files."""
    done = subprocess.run([os.environ["ISTIO_ORACLE"], "version"], capture_output=True, text=True, check=True)
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "versions.json").write_text(json.dumps(json.loads(done.stdout), indent=2, sort_keys=True) + "\n")
    for theme in names or themes():
        golden = _golden(theme, list(cases(theme)))
        text = json.dumps(golden, separators=(",", ":"), sort_keys=True)
        (GOLDEN / f"{theme}.json").write_text(text + "\n")
        print(f"{theme}: {len(golden['cases'])} cases, {len(text) // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
