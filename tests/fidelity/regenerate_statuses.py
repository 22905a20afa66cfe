"""Ask real istiod for the statuses of the Gateway API's part of the corpus.

ISTIO_ORACLE=<path of the istio-oracle program> python tests/fidelity/regenerate_statuses.py
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from cases import cases, write_lines
from statuses import STATUSES, THEMES, istiods

__all__: list[str] = []


def main() -> None:
    """Write a line for each case."""
    for theme in THEMES:
        listed = list(cases(theme))
        with ThreadPoolExecutor(max_workers=2) as pool:
            said = list(pool.map(lambda case: istiods(case.text), listed))
        records = [{"case": case.name, "says": lines} for case, lines in zip(listed, said, strict=True)]
        write_lines(STATUSES / f"{theme}.jsonl", records)
        print(f"{theme}: {len(records)} cases")


if __name__ == "__main__":
    main()
