"""Counting per half second, free of drawing."""

from dataclasses import replace

import pytest
from display_samples import T0, response

from labsupport.display.pictures.timeline import Timeline, nice_scale, quantile
from labsupport.records import Hop


def line(**options):
    return Timeline(origin_s=T0, **options)


def test_a_request_belongs_to_the_half_second_in_which_it_was_sent():
    timeline = line()
    timeline.add([response(0.1), response(0.49), response(0.5, "v2"), response(1.7)])
    assert {index: kept.served for index, kept in timeline.bins()} == {0: {"v1": 2}, 1: {"v2": 1}, 3: {"v1": 1}}


def test_an_answer_that_comes_late_changes_the_bin_of_its_request():
    timeline = line()
    timeline.add([response(0.1), response(5.0)])
    timeline.take_changed()
    timeline.add([response(0.2, "v2", duration_s=5.0)])
    assert timeline.take_changed() == {0}
    assert timeline.bin(0).served == {"v1": 1, "v2": 1}


def test_memory_does_not_grow_with_time():
    timeline = line(bins=20)
    for second in range(500):
        timeline.add([response(second + part / 10) for part in range(10)])
    assert len(list(timeline.bins())) <= 20
    assert len(timeline._recent) <= 2 * 10 * 10 + 10
    assert timeline.last - timeline.first == 19


def test_requests_older_than_the_picture_do_not_come_back():
    timeline = line(bins=4)
    timeline.add([response(10.0), response(1.0)])
    assert [index for index, _ in timeline.bins()] == [20]


def test_the_version_counted_is_that_of_the_service_asked_for():
    path = (Hop("productpage", "v1", "p"), Hop("reviews", "v3", "r"))
    timeline = line(service="reviews")
    timeline.add([response(0.0, path=path), response(0.1, path=path[:1])])
    assert timeline.bin(0).served == {"v3": 1, "": 1}


def test_causes_of_errors_are_counted_apart_from_versions():
    timeline = line()
    timeline.add(
        [response(0, "", status=503, body="no healthy upstream"), response(0, "risk", status=404), response(0)]
    )
    kept = timeline.bin(0)
    assert kept.served == {"v1": 1}
    assert kept.failed == {"503 no healthy upstream": 1, "404 from reviews risk": 1}
    shares = timeline.shares(T0 + 1)
    assert (shares.requests, shares.errors, shares.versions) == (3, 2, {"v1": 1, "risk": 1})


def test_shares_look_back_ten_seconds_but_not_before_the_last_change():
    timeline = line()
    timeline.add([response(second, "v1" if second < 15 else "v2") for second in range(20)])
    assert timeline.shares(T0 + 19).versions == {"v1": 6, "v2": 5}
    assert timeline.shares(T0 + 19, since_s=T0 + 15).versions == {"v1": 0, "v2": 5}


@pytest.mark.parametrize("per_mark", [1, 2, 3, 5, 10])
def test_marks_that_stand_for_several_requests_lose_none_in_the_long_run(per_mark):
    timeline = line(bins=60)
    timeline.add([response(i / 40, "v2" if i % 11 == 0 else "v1") for i in range(1000)])
    marks = {"v1": 0, "v2": 0}
    for column in timeline.columns(per_mark).values():
        for version, count in column.served:
            marks[version] += count
    assert marks["v1"] == 909 // per_mark
    assert marks["v2"] == 91 // per_mark


def test_marks_do_not_move_when_old_bins_go():
    timeline = line(bins=10)
    timeline.add([response(i / 7) for i in range(30)])
    before = timeline.columns(3)
    timeline.advance(T0 + 6.0)
    after = timeline.columns(3)
    assert after
    assert all(before[index] == marks for index, marks in after.items())


def test_a_single_error_is_seen_at_any_scale():
    timeline = line()
    timeline.add([response(i / 100) for i in range(300)] + [response(1.2, "", status=503)])
    assert sum(column.failed for column in timeline.columns(50).values()) == 1


def test_scales_are_round_numbers():
    assert [nice_scale(value) for value in (0.1, 1, 1.1, 4, 6, 11, 51, 300)] == [1, 1, 2, 5, 10, 20, 100, 500]


def test_a_quantile_is_a_value_that_occurred():
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(1, 101), 0.95) == 95
    assert quantile([], 0.95) == 0


def test_copies_are_those_of_the_recent_requests_whose_lines_have_had_time():
    timeline = line()
    sent = [replace(response(second / 2, "v3"), request_id=f"id-{second}") for second in range(10)]
    timeline.add(sent)
    assert timeline.shares(T0 + 5).copied_of == 0
    timeline.add_copies([("id-0", "v1"), ("id-2", "v1"), ("id-2", "v2"), ("id-9", "v1"), ("somebody-else", "v1")])
    seen = timeline.shares(T0 + 5, logged_s=T0 + 4)
    assert (dict(seen.copies), seen.copied_of) == ({"v1": 2, "v2": 1}, 8)
    timeline.add_copies([("id-5", "v1")])
    assert timeline.shares(T0 + 5).copies["v1"] == 4, "what was read before is kept"
