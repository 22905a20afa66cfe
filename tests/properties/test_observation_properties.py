"""Counting, choosing and joining, for any responses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_mesh import response

from labsupport.traffic.observations import Observations

VERSIONS = st.sampled_from(["v1", "v2", "v10", "safe", ""])


RESPONSES = st.lists(
    st.tuples(
        VERSIONS, st.sampled_from([200, 404, 503, 0]), st.integers(-1, 5), st.sampled_from(["", "user-0", "user-1"])
    ),
    max_size=60,
).map(
    lambda rows: [
        response(
            index,
            version,
            status=status,
            outcome="ok" if status == 200 else "http_error" if status else "timeout",
            connection=connection,
            user=user,
        )
        for index, (version, status, connection, user) in enumerate(rows)
    ]
)


BYS = st.sampled_from(["version", "pod", "service", "status", "outcome", "user"])


@given(RESPONSES, BYS)
@settings(deadline=None)
def test_every_response_is_counted_exactly_once(responses, by):
    share = Observations(responses).share(by)
    assert share.n == len(responses) == sum(share.counts.values())
    assert not responses or sum(share.proportions.values()) == pytest.approx(1)


@given(RESPONSES, BYS)
@settings(deadline=None)
def test_filtering_by_a_key_finds_as_many_as_were_counted(responses, by):
    observations = Observations(responses)
    for key, count in observations.share(by).counts.items():
        if by != "service":
            assert observations.count(**{by: key}) == count


@given(RESPONSES, st.integers(0, 60))
@settings(deadline=None)
def test_cutting_and_joining_gives_the_same_back(responses, at):
    observations = Observations(responses)
    joined = observations[:at] + observations[at:]
    assert joined == observations
    assert joined.independent_choices(per="connection") == observations.independent_choices(per="connection")


@given(RESPONSES)
@settings(deadline=None)
def test_a_connection_counts_once_and_a_request_without_one_for_itself(responses):
    chosen = Observations(responses).independent_choices(per="connection")
    connections = [r.connection for r in responses if r.connection >= 0]
    assert len(chosen) == len(set(connections)) + len(responses) - len(connections)


@given(st.lists(st.floats(0.0001, 100), min_size=1, max_size=50), st.floats(0, 1))
@settings(deadline=None)
def test_a_quantile_is_a_duration_that_occurred_and_bounds_its_share(durations, q):
    seen = Observations(response(i, duration_s=value) for i, value in enumerate(durations))
    value = seen.quantile(q)
    assert value in durations
    assert sum(d <= value for d in durations) >= q * len(durations) - 1e-6
