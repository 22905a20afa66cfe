"""Observations: counting, choosing, independence and time."""

from __future__ import annotations

import math

import pytest
from small_mesh import response

from labsupport.errors import UsageError
from labsupport.records import Hop
from labsupport.traffic.observations import Observations


def through(index: int, *hops: Hop, **fields):
    return response(index, path=hops, **fields)


def test_connections_of_two_batches_are_different_connections():
    observations, two = (Observations([response(0, connection=0), response(1, connection=0)]) for _ in range(2))
    assert len((observations + two).independent_choices(per="connection")) == 2
    assert len((observations + observations[:1]).independent_choices(per="connection")) == 1


def test_users_count_once_when_their_session_decides():
    seen = Observations(response(i, user=f"user-{i % 3}") for i in range(12))
    assert len(seen.independent_choices(per="user")) == 3
    assert seen.independent_choices() is seen


def test_version_is_that_of_the_application_that_answered_unless_a_service_is_named():
    page = Hop("productpage", "v1", "p")
    seen = Observations([through(0, page, Hop("reviews", "v2", "r2")), through(1, page, Hop("reviews", "v3", "r3"))])
    assert seen.share().counts == {"v1": 2}
    assert seen.share(service="reviews").counts == {"v2": 1, "v3": 1}


def test_requests_that_did_not_reach_the_service_count_as_none_instead_of_vanishing():
    page = Hop("productpage", "v1", "p")
    seen = Observations([through(0, page, Hop("reviews", "v2", "r2")), through(1, page)])
    assert seen.share(service="reviews").counts == {"v2": 1, "none": 1}
    assert seen.filter(service="reviews").share(service="reviews").counts == {"v2": 1}


def test_keys_are_in_natural_order_with_none_last():
    seen = Observations(response(i, version) for i, version in enumerate(["", "v10", "v2", "v1"]))
    assert list(seen.share().counts) == ["v1", "v2", "v10", "none"]


def test_a_share_answers_for_keys_that_were_never_seen():
    share = Observations([response(0), response(1)]).share()
    assert share["v2"] == 0 and share.count("v2") == 0 and "v2" not in share
    assert share["v1"] == 1
    assert share.interval("v2").low == 0


def test_a_number_finds_its_status():
    share = Observations([response(0), response(1, status=503, outcome="http_error")]).share("status")
    assert share[503] == share["503"] == 0.5 and 503 in share


def test_status_of_a_request_without_reply_is_its_outcome():
    assert Observations([response(0, "", status=0, outcome="timeout")]).share("status").counts == {"timeout": 1}


def test_shares_can_be_counted_by_a_function():
    assert Observations(response(i) for i in range(4)).share(lambda r: r.index % 2).counts == {"0": 2, "1": 2}


def test_several_conditions_hold_together():
    seen = Observations(
        response(i, version, status=status)
        for i, (version, status) in enumerate([("v1", 200), ("v1", 404), ("v2", 404)])
    )
    assert [r.index for r in seen.filter(version="v1", status=404)] == [1]
    assert [r.index for r in seen.filter(lambda r: r.index > 0, version={"v1", "v2"})] == [1, 2]


def test_observations_do_not_change():
    seen = Observations([response(0)])
    with pytest.raises(TypeError):
        seen[0] = response(1)  # type: ignore[index]
    with pytest.raises(TypeError):
        seen.share().counts["v1"] = 3  # type: ignore[index]


def test_known_quantiles():
    seen = Observations(response(i, duration_s=(i + 1) / 1000) for i in range(100))
    assert (seen.p50_s, seen.p90_s, seen.p95_s, seen.p99_s, seen.max_s) == (0.05, 0.09, 0.095, 0.099, 0.1)


def test_time_reaches_from_the_first_start_to_the_last_end():
    seen = Observations([response(1, started_s=11, duration_s=0.5), response(0, started_s=10, duration_s=3)])
    assert (seen.started_s, seen.duration_s, seen.rate) == (10, 3, pytest.approx(2 / 3))


def test_no_responses_have_no_numbers():
    empty = Observations()
    assert math.isnan(empty.p50_s) and empty.rate == 0 and empty.share().n == 0 and not empty.outcomes.counts
    assert repr(empty) == "no responses"
    assert list(empty.to_frame().columns)[:2] == ["index", "time"]


def test_a_table_has_a_row_per_response():
    frame = Observations([response(0), response(1, "", status=0, outcome="timeout", error="gave up")]).to_frame()
    assert list(frame["version"]) == ["v1", ""]
    assert list(frame["error"]) == ["", "gave up"]
    assert str(frame["time"].dtype).endswith("UTC]")


def test_the_plain_text_says_how_many_how_divided_and_what_failed():
    seen = Observations([*(response(i) for i in range(9)), response(9, "", status=503, outcome="http_error")])
    text = repr(seen)
    assert "10 responses" in text and "9 ok, 1 http_error (503: 1)" in text
    assert "v1" in text and "90.0 %" in text and "interval" in text and "p99" in text


@pytest.mark.parametrize(
    "call",
    [
        lambda seen: seen.share("colour"),
        lambda seen: seen.quantile(99),
        lambda seen: seen.independent_choices(per="day"),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(UsageError):
        call(Observations([response(0)]))
