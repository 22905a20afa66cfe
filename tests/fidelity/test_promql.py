"""Our answers to queries are those that a real Prometheus gave."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from promql_cases import MOMENTS_MS, queries, read_golden, samples, store

from labsupport.errors import UsageError
from labsupport.metrics.promql import evaluate, within
from labsupport.metrics.series import Labels, Store, labels_of

_GOLDEN = read_golden()


def _same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-12)


def _answers(query: str, time_ms: int, asked: Store | None = None) -> dict[Labels, float]:
    value = evaluate(query, asked or store(), time_ms)
    return {(): value} if isinstance(value, float) else {element.labels: element.value for element in value}


@cache
def _shared() -> Store:
    """All series in the namespace ``ada``, and others of the same names, three times as large, in ``bob``."""
    made = Store()
    for time_ms, values in samples():
        both = {labels_of({**dict(labels), "namespace": "ada"}): value for labels, value in values.items()}
        both |= {labels_of({**dict(labels), "namespace": "bob"}): value * 3 + 1 for labels, value in values.items()}
        made.scrape(time_ms, both)
    return made


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


@pytest.mark.parametrize("query", queries())
def test_a_query_of_one_namespace_is_answered_as_if_there_were_no_other(query: str) -> None:
    for time_ms in MOMENTS_MS:
        golden: Any = _GOLDEN[query, time_ms]
        if "error" in golden:
            with pytest.raises(UsageError):
                evaluate(within(query, "ada"), _shared(), time_ms)
            continue
        alone = _answers(query, time_ms)
        found = _answers(within(query, "ada"), time_ms, _shared())
        own = {labels_of({**dict(labels), "namespace": ""}): value for labels, value in found.items()}
        assert own.keys() == alone.keys() and all(_same(own[labels], alone[labels]) for labels in alone), time_ms


def test_without_the_namespace_the_answers_are_others() -> None:
    def differs(query: str) -> bool:
        with suppress(UsageError):
            return _answers(query, MOMENTS_MS[-1]) != _answers(query, MOMENTS_MS[-1], _shared())
        return True

    assert sum(map(differs, queries())) > len(queries()) / 2


def test_the_golden_answers_tell_something_and_are_of_both_kinds() -> None:
    kinds = [answer.get("type", "error") for answer in _GOLDEN.values()]

    assert {"vector", "scalar", "error"} == set(kinds)
    assert sum(bool(answer.get("values")) for answer in _GOLDEN.values()) > len(kinds) / 2
