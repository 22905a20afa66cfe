"""Ask a real Prometheus for the golden file of the queries.

    PROMQL_RIG=<program> python tests/fidelity/regenerate_promql.py

The program is ``promql/main.go``, built with a module of Prometheus; its head tells how.
"""

from __future__ import annotations

import json
import os
import subprocess

from promql_cases import GOLDEN, MOMENTS_MS, queries, samples

__all__: list[str] = []


def main() -> None:
    """Write the golden file: a line for each query and moment."""
    taken: dict[object, list[list[str]]] = {}
    for time_ms, values in samples():
        for labels, value in values.items():
            taken.setdefault(labels, []).append([repr(time_ms / 1000), repr(value)])
    asked = [(query, number) for query in queries() for number in range(len(MOMENTS_MS))]
    question = {
        "series": [{"labels": dict(labels), "samples": rows} for labels, rows in taken.items()],  # type: ignore[call-overload]
        "queries": [{"query": query, "time": MOMENTS_MS[number] / 1000} for query, number in asked],
    }
    done = subprocess.run(
        [os.environ["PROMQL_RIG"]], input=json.dumps(question), capture_output=True, text=True, check=True
    )
    lines = [
        json.dumps([query, number, answer], separators=(",", ":"))
        for (query, number), answer in zip(asked, json.loads(done.stdout), strict=True)
    ]
    GOLDEN.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
