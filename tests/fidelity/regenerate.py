"""Ask real istiod for the golden files of the whole corpus, or of the themes that are named.

    ISTIO_ORACLE=<path of the istio-oracle program> python tests/fidelity/regenerate.py [THEME ...]

The golden file of a theme has a line for every proxy of every case: what the case changes in its base mesh. What istiod
makes of the base meshes themselves is in ``golden/bases``, a line for each resource.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from cases import GOLDEN, Tables, ask_oracle, cases, pack, themes, write_base, write_cases
from normalise import normalise

__all__: list[str] = []


def _answers(questions: set[tuple[str, str]]) -> dict[tuple[str, str], Tables]:
    ordered = sorted(questions)
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = pool.map(lambda question: normalise(ask_oracle(*question)), ordered)
        return dict(zip(ordered, results, strict=True))


def _write_bases() -> dict[str, dict[str, Tables]]:
    """Ask about every base mesh for every proxy that some case wants."""
    every = [case for theme in themes() for case in cases(theme)]
    texts = {case.base: case.base_text for case in every}
    wanted = {base: {proxy for case in every if case.base == base for proxy in case.proxies} for base in texts}
    answers = _answers({(texts[base], proxy) for base, proxies in wanted.items() for proxy in proxies})
    bases = {base: {proxy: answers[texts[base], proxy] for proxy in proxies} for base, proxies in wanted.items()}
    for base, tables in bases.items():
        write_base(base, tables)
    return bases


def main(names: list[str]) -> None:
    """Write the golden files."""
    done = subprocess.run([os.environ["ISTIO_ORACLE"], "version"], capture_output=True, text=True, check=True)
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "versions.json").write_text(json.dumps(json.loads(done.stdout), indent=2, sort_keys=True) + "\n")
    bases = _write_bases()
    for theme in names or themes():
        listed = list(cases(theme))
        answers = _answers({(case.text, proxy) for case in listed for proxy in case.proxies})
        pairs = [(case, proxy) for case in listed for proxy in case.proxies]
        packed = {(case.name, proxy): pack(answers[case.text, proxy], bases[case.base][proxy]) for case, proxy in pairs}
        write_cases(theme, packed)
        print(f"{theme}: {len(listed)} cases, {len(packed)} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
