"""Our answers to queries are those that a real Prometheus gave."""

from __future__ import annotations

import math
from typing import Any

import pytest
from promql_cases import MOMENTS_MS, queries, read_golden, store

from labsupport.errors import UsageError
from labsupport.metrics.promql import evaluate
from labsupport.metrics.series import Labels, labels_of

_GOLDEN = read_golden()


def _same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-12)


def _answers(query: str, time_ms: int) -> dict[Labels, float]:
    value = evaluate(query, store(), time_ms)
    return {(): value} if isinstance(value, float) else {element.labels: element.value for element in value}


@pytest.mark.parametrize("query", queries())
def test_a_query_is_answered_as_by_prometheus(query: str) -> None:
    for time_ms in MOMENTS_MS:
        golden: Any = _GOLDEN[query, time_ms]
        if "error" in golden:
            with pytest.raises(UsageError):
                evaluate(query, store(), time_ms)
            continue
        theirs = {labels_of(value["labels"]): float(value["value"]) for value in golden.get("values", ())}
        ours = _answers(query, time_ms)
        assert ours.keys() == theirs.keys(), time_ms
        different = {
            labels: (ours[labels], theirs[labels]) for labels in theirs if not _same(ours[labels], theirs[labels])
        }
        assert not different, time_ms


def test_the_golden_answers_tell_something_and_are_of_both_kinds() -> None:
    kinds = [answer.get("type", "error") for answer in _GOLDEN.values()]

    assert {"vector", "scalar", "error"} == set(kinds)
    assert sum(bool(answer.get("values")) for answer in _GOLDEN.values()) > len(kinds) / 2
