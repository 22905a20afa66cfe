"""Verdict, interval and p-value agree, and a correct mesh fails no more often than stated."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_mesh import response

from labsupport import check
from labsupport.traffic.observations import Observations


def seen(counts: dict[str, int], **fields) -> Observations:
    """So many responses of each version; the version ``""`` is a request that nobody answered."""
    versions = itertools.chain.from_iterable([version] * count for version, count in counts.items())
    return Observations(
        response(i, version, status=200 if version else 503, outcome="ok" if version else "http_error", **fields)
        for i, version in enumerate(versions)
    )


@given(n=st.integers(60, 600), data=st.data(), percent=st.integers(5, 95))
@settings(max_examples=40, deadline=None)
def test_verdict_interval_and_p_value_agree(n, data, percent):
    hits = data.draw(st.integers(0, n))
    outcome = check.share(seen({"v1": n - hits, "v2": hits}), {"v1": 100 - percent, "v2": percent})
    consistent = outcome.interval["v2"].holds(percent / 100)
    assert consistent == ("not consistent" not in repr(outcome))
    assert consistent == (outcome.p_value > outcome.alpha)
    assert not outcome or consistent


@pytest.mark.parametrize("weights", [{"v1": 90, "v2": 10}, {"v1": 50, "v2": 50}, {"v1": 99, "v2": 1}])
def test_a_correct_mesh_fails_no_more_often_than_stated(weights):
    n, alpha, share = 150, 1e-3, weights["v2"] / 100
    failing = [
        hits for hits in range(n + 1) if not check.share(seen({"v1": n - hits, "v2": hits}), weights, alpha=alpha)
    ]
    chance = math.fsum(math.comb(n, hits) * share**hits * (1 - share) ** (n - hits) for hits in failing)
    assert 0 < chance <= alpha


def test_three_correct_versions_fail_no_more_often_than_stated():
    n, alpha, shares = 40, 0.01, (0.1, 0.3, 0.6)
    chance = 0.0
    for a in range(n + 1):
        for b in range(n + 1 - a):
            c = n - a - b
            if not check.share(seen({"a": a, "b": b, "c": c}), {"a": 1, "b": 3, "c": 6}, alpha=alpha):
                ways = math.comb(n, a) * math.comb(n - a, b)
                chance += ways * shares[0] ** a * shares[1] ** b * shares[2] ** c
    assert 0 < chance <= alpha
