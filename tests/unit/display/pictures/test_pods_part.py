"""Each pod's requests and latency below the picture of traffic."""

from __future__ import annotations

import re

from display_samples import T0, Page, parsed, response, texts

from labsupport.display.pictures.pods_part import pods_part
from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import LEFT, SPAN, Change, TrafficPicture, traffic_figure
from labsupport.records import Hop, Response


def answered(at_s: float, pod: str, took_s: float = 0.01, version: str = "v1") -> Response:
    return response(at_s, duration_s=took_s, path=(Hop("web", version, f"web-{version}-5c-{pod}"),))


def picture(*responses: Response, bin_s: float = 0.5) -> TrafficPicture:
    timeline = Timeline(origin_s=T0, bin_s=bin_s)
    timeline.add(responses)
    return TrafficPicture(timeline)


def bars(markup: str, fill: str) -> list[tuple[float, float]]:
    """Where each bar of a colour begins, and how far it goes: upward is less than nothing."""
    paths = [node.get("d") or "" for node in parsed(markup).iter() if node.get("fill") == fill]
    return [
        (float(x), float(high)) for path in paths for x, high in re.findall(r"M([\d.]+) [\d.]+h[\d.]+v([-\d.]+)", path)
    ]


def test_each_pod_has_its_requests_upward_and_its_latency_downward_in_the_columns_of_the_plot():
    quick = [answered(place / 10, "a") for place in range(10)]
    slow = [answered(0.7, "b", 0.2, "v2")]
    drawing = picture(*quick, *slow)
    part = pods_part(drawing, (), now_s=T0 + 1)
    assert part is not None
    first, second = bars(part.body, "var(--ws-c0)")
    assert (first[1], second[1]) == (-18.0, -18.0)
    assert bars(part.body, "var(--ws-c1)") == [(second[0], -18.0 / 5)]
    # The column of the bin stands where the plot has it.
    assert abs(second[0] - 1.0 - drawing.x_of(T0 + 0.5)) < 0.1
    assert [high for _, high in bars(part.body, "var(--ws-bar)")] == [1.5, 1.5, 16.0]
    assert "scale to 5 requests and to 200 ms" in texts(part.body)


def test_numbers_are_those_since_the_last_change():
    before = [answered(place / 10, "ab"[place % 2]) for place in range(40)]
    after = [answered(5 + place / 10, "a" if place % 4 else "b", 0.01 if place % 4 else 0.3) for place in range(40)]
    change = Change(T0 + 4.2, "apply DestinationRule/web", 0.1)
    part = pods_part(picture(*before, *after), (change,), now_s=T0 + 9)
    assert part is not None
    assert part.told == "By pod: web-v1 … a 75.0 %, latency p95 10 ms; web-v1 … b 25.0 %, latency p95 300 ms"
    assert "75.0 % of requests · latency p50 10 ms, p95 10 ms" in texts(part.body)
    assert "web-v1-5c-b1025.0 %300 ms300 ms" in Page(part.table).text
    lines = [node.get("d") for node in parsed(part.body).iter() if node.get("stroke-dasharray")]
    assert lines and LEFT < float(re.match(r"M([\d.]+)", lines[0] or "")[1]) < LEFT + SPAN


def test_numbers_are_of_the_last_seconds_however_wide_a_column_is():
    before = [answered(float(place), "b", 3.0) for place in range(1185)]
    last = [answered(1190.5 + place, "a" if place % 3 else "b", 0.01 if place % 3 else 0.3) for place in range(9)]
    for bin_s in (1.0, 7.5, 20.0, 600.0):
        part = pods_part(picture(*before, *last, bin_s=bin_s), (), now_s=T0 + 1200)
        assert part is not None
        assert part.told == "By pod: web-v1 … a 66.7 %, latency p95 10 ms; web-v1 … b 33.3 %, latency p95 300 ms"
        assert "pods in the last 10 s" in Page(part.table).text


def test_a_slow_pod_that_is_seldom_asked_sets_the_scale_of_its_latency():
    quick = [answered(place / 2, "a") for place in range(40)]
    part = pods_part(picture(*quick, answered(9.0, "b", 0.4, "v2")), (), now_s=T0 + 20)
    assert part is not None
    assert "to 500 ms" in texts(part.body) and "torn" not in texts(part.body)
    assert max(high for _, high in bars(part.body, "var(--ws-bar)")) == 16.0 * 0.8


def test_a_bar_that_is_cut_is_torn_and_the_head_says_how_far_it_would_go():
    usual = [answered(place / 2, "a", 0.1) for place in range(40)]
    part = pods_part(picture(*usual, answered(9.0, "a", 2.0)), (), now_s=T0 + 20)
    assert part is not None
    assert "to 100 ms, torn ones to 2.00 s" in texts(part.body)
    tears = [node for node in parsed(part.body).iter() if node.get("stroke") == "var(--ws-bg)"]
    assert [(tear.get("d") or "").count("M") for tear in tears] == [1]


def test_what_left_the_plot_is_not_drawn_and_a_pod_without_recent_requests_says_so():
    old = [answered(0.1, "a"), *(answered(float(place), "b") for place in range(25, 40))]
    part = pods_part(picture(*old), (), now_s=T0 + 40)
    assert part is not None and "web-v1 … a" not in texts(part.body)
    part = pods_part(picture(answered(1.0, "a"), answered(25.0, "b")), (), now_s=T0 + 26)
    assert part is not None
    assert "web-v1 … a 0 % of requests web-v1-5c-b" in texts(part.body)


def test_rows_are_few_and_the_table_has_all():
    part = pods_part(picture(*(answered(place / 10, f"p{place}") for place in range(9))), (), now_s=T0 + 2)
    assert part is not None
    assert "+ 3 more pods" in texts(part.body)
    assert "web-v1-5c-p8" in Page(part.table).text


def test_without_a_pod_there_is_no_such_part():
    assert pods_part(picture(response(0.1, "", status=503)), (), now_s=T0 + 1) is None
    assert pods_part(picture(), (), now_s=T0) is None


def test_parts_stand_below_the_plot_and_make_the_figure_higher():
    drawing = picture(answered(0.1, "a"))
    part = pods_part(drawing, (), now_s=T0 + 1)
    assert part is not None
    plain, more = traffic_figure(drawing, now_s=T0 + 1), traffic_figure(drawing, now_s=T0 + 1, below=[part])
    assert more.height == plain.height + part.height + 8
    assert part.told in more.summary and "By pod" not in plain.summary
