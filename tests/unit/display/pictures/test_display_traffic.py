"""The traffic picture: fragments, scales, changes, shares."""

import itertools
import re
from dataclasses import replace

import pytest
from display_samples import T0, parsed, response, texts

from labsupport.display.drawing.figure import Figure
from labsupport.display.pictures.phases import phases_of
from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import LEFT, SPAN, Change, TrafficPicture, traffic_figure
from labsupport.traffic.recording import Mark


def picture(responses=(), **options):
    timeline = Timeline(origin_s=T0, **options)
    timeline.add(responses)
    return TrafficPicture(timeline)


def marks_in(fragment, key):
    """Number of marks with the look ``key``: every mark but the first is one ``m`` command further."""
    paths = [node for node in parsed(fragment).iter() if node.get("class") == f"ws-c{key}"]
    return sum(len(re.findall(r"h0?\.01|h-?[\d.]+z|z", path.get("d"))) for path in paths)


def test_one_mark_per_request_in_the_colour_of_its_version():
    fragments = picture([response(0.1), response(0.2), response(0.3, "v2")]).fragments(T0 + 1)
    assert marks_in(fragments["b0"], "0") == 2
    assert marks_in(fragments["b0"], "1") == 1


def test_only_bins_with_new_requests_are_drawn_again():
    drawing = picture([response(i / 20) for i in range(100)])
    drawing.fragments(T0 + 5)
    drawing.timeline.add([response(5.1), response(4.9)])
    fragments = drawing.fragments(T0 + 5.2)
    assert {name for name in fragments if name.startswith("b")} == {"b9", "b10"}


def test_the_same_counts_are_drawn_the_same_wherever_they_stand_in_time():
    drawing = picture([response(0.1)])
    early = drawing.fragments(T0 + 1, full=True)["b0"]
    shift = drawing.shift
    late = drawing.fragments(T0 + 8, full=True)["b0"]
    assert early == late
    assert drawing.shift < shift


@pytest.mark.parametrize(("service", "said"), [("ratings", "without ratings"), ("", "without a version")])
def test_a_ring_is_told_what_it_stands_for_where_there_is_one(service, said):
    drawing = picture([response(0.1)], service=service and "reviews")
    assert "without" not in texts(drawing.notes(drawing.timeline.shares(T0 + 1), None, 140.0))
    drawing = picture([replace(response(0.1), path=())], service=service)
    for now_s in (T0 + 1, T0 + 100):
        assert said in texts(drawing.notes(drawing.timeline.shares(now_s), None, 140.0))


def test_a_column_never_grows_out_of_the_plot_and_the_legend_says_what_a_mark_is():
    drawing = picture([response(i / 1000) for i in range(2000)])
    fragments = drawing.fragments(T0 + 2)
    assert drawing.per_mark == 30
    assert marks_in(fragments["b1"], "0") <= 24
    shares = drawing.timeline.shares(T0 + 2)
    assert "one mark = 30 requests" in texts(drawing.notes(shares, None, 140.0))


def test_the_scale_stays_while_the_rate_only_wavers():
    drawing = picture([response(i / 50) for i in range(100)])
    drawing.fragments(T0 + 2)
    scale = drawing.per_mark
    for step in range(2, 40):
        drawing.timeline.add([response(step + i / (46 + step % 7)) for i in range(46 + step % 7)])
        drawing.fragments(T0 + step + 1)
        assert drawing.per_mark == scale


def test_a_change_is_a_line_with_its_name_and_the_time_it_took():
    drawing = picture([response(float(i)) for i in range(30)])
    fragments = drawing.fragments(T0 + 29.9, [Change(T0 + 10, "apply 90/10", 0.004)])
    assert "apply 90/10 · in force after 4.0 ms" in texts(fragments["marks"])
    lines = [n.get("d") for n in parsed(fragments["marks"]).iter() if n.get("stroke-dasharray")]
    assert len(lines) == 1
    x = float(re.match(r"M([\d.]+)", lines[0])[1])
    assert abs(x - (LEFT + SPAN * 10 / 30)) < 1


def test_labels_of_changes_close_together_do_not_overlap():
    drawing = picture([response(float(i)) for i in range(30)])
    changes = [Change(T0 + 12 + i * 0.7, f"apply number {i}", 0.003) for i in range(4)]
    nodes = [n for n in parsed(drawing.fragments(T0 + 29.9, changes)["marks"]).iter() if n.tag.endswith("}text")]
    places = [(float(n.get("y")), float(n.get("x")), float(n.get("x")) + 6 * len("".join(n.itertext()))) for n in nodes]
    assert len(nodes) >= 2
    for row in {place[0] for place in places}:
        ordered = sorted(place for place in places if place[0] == row)
        assert all(left[2] <= right[1] for left, right in itertools.pairwise(ordered))


def test_a_change_that_has_left_the_picture_is_not_drawn():
    drawing = picture([response(float(i)) for i in range(60)])
    assert drawing.fragments(T0 + 59, [Change(T0 + 1, "apply long ago", 0.1)])["marks"] == ""


def test_shares_are_shown_against_the_wanted_ones():
    drawing = picture([response(i / 10, "v2" if i % 10 == 0 else "v1") for i in range(100)])
    shares = drawing.timeline.shares(T0 + 10)
    body, height = drawing.shares(shares, {"v1": 90, "v2": 10}, now_s=T0 + 10)
    shown = texts(body)
    assert "90.0 % expected 90, interval" in shown
    assert "10.0 % expected 10, interval" in shown
    assert height <= 230


def test_a_wanted_version_that_nobody_reached_is_a_row_of_its_own():
    drawing = picture([response(i / 10) for i in range(100)])
    body, _ = drawing.shares(drawing.timeline.shares(T0 + 10), {"v1": 50, "v2": 50}, now_s=T0 + 10)
    assert "0 % expected 50, interval 0" in texts(body)


def test_errors_are_named_with_their_cause_and_everything_from_outside_is_escaped():
    evil = "<script>alert(1)</script>"
    drawing = picture([response(0.1, evil), response(0.2, "", status=503, body="no healthy upstream")])
    figure = traffic_figure(drawing, now_s=T0 + 1, changes=[Change(T0 + 0.05, evil, 0.01)], subtitle=evil)
    html = figure._repr_html_()
    assert "<script" not in html
    assert "503 no healthy upstream: 1" in texts(figure.body)
    assert "503 no healthy upstream: 1" in figure.summary


def test_an_empty_picture_is_drawn_too():
    figure = traffic_figure(picture(), now_s=T0 + 1)
    assert isinstance(figure, Figure)
    assert "−5 s end" in texts(figure.body)
    assert figure.summary == "No requests yet."


def test_many_versions_and_causes_stay_within_the_panel():
    responses = [response(i / 100, f"build-{i % 9}", status=500 + i % 7) for i in range(500)]
    drawing = picture(responses)
    shares = drawing.timeline.shares(T0 + 5)
    body, height = drawing.shares(shares, None, now_s=T0 + 5)
    notes = drawing.notes(shares, None, 310 - height)
    for markup, bound in ((body, height + 14), (notes, 310 - height)):
        for node in parsed(markup).iter():
            if node.get("y") and node.tag.endswith("}text"):
                assert 0 <= float(node.get("y")) <= bound


def test_old_stands_below_new_whatever_they_are_called():
    drawing = picture([response(0.1, "risk"), response(0.2, "safe"), response(0.3, "other")])
    assert [version for version, _ in drawing.timeline.columns(1)[0].served] == ["safe", "risk", "other"]


def test_at_the_usual_rate_of_50_a_second_one_mark_is_one_request():
    drawing = picture([response(i / 50) for i in range(300)])
    fragments = drawing.fragments(T0 + 6)
    assert drawing.per_mark == 1
    assert marks_in(fragments["b1"], "0") == 25


def test_a_label_uses_the_room_that_there_is_and_gives_way_to_older_ones():
    drawing = picture([response(29.5)])
    long = "scale web-safe to 9 of all those that were there before the weekend"
    changes = [Change(T0 + place, long, 0.1) for place in (5, 12, 20, 25)]
    alone = texts(drawing.fragments(T0 + 30, changes[-1:])["marks"])
    assert long in alone and "…" not in alone
    crowded = texts(drawing.fragments(T0 + 30, changes)["marks"])
    assert "scale" in crowded and "…" in crowded


def test_the_newest_changes_are_labelled_and_the_others_counted():
    drawing = picture([response(29.5)])
    changes = [Change(T0 + place, f"apply {place} of many", 0.1) for place in range(1, 29)]
    drawn = drawing.fragments(T0 + 30, changes)["marks"]
    said = texts(drawn)
    named = {int(number) for number in re.findall(r"<text [^>]*>apply (\d+) of many", drawn)}
    assert said.count("in force after") == 1, "the newest says more than its name"
    assert 28 in named and 1 not in named
    assert f"+ {28 - len(named)} more changes" in said
    # Each keeps its line, whether there is room for its name or not.
    assert drawing.fragments(T0 + 30, changes)["marks"].count("stroke-dasharray") == 28


@pytest.mark.parametrize("bin_s", [0.2, 0.25, 0.3, 0.75, 1.25, 2.5, 7.5, 20, 120, 300, 600, 1800])
def test_there_are_ticks_however_long_the_time_axis_is(bin_s):
    drawing = picture([response(1)], bin_s=bin_s, bins=60)
    frame = drawing.frame("end")
    said = [node.text for node in parsed(frame).iter() if node.tag.endswith("text")]
    assert 4 <= len(said) <= 10
    places = sorted(float(node.get("x")) for node in parsed(frame).iter() if node.tag.endswith("text"))
    assert min(later - earlier for earlier, later in itertools.pairwise(places)) > 50
    assert places[0] >= LEFT and places[-1] <= LEFT + SPAN


def test_what_was_seen_between_changes_is_kept_as_numbers():
    sent = [response(at, "v1") for at in (0, 1, 2)] + [response(at, "v2") for at in (11, 12)] + [response(5.5, "v2")]
    phases = phases_of(sent, [Mark("apply 0/100", T0 + 6, 1.0)])
    assert [(phase.label, phase.requests, dict(phase.versions)) for phase in phases] == [
        ("", 3, {"v1": 3}),
        ("apply 0/100", 2, {"v2": 2}),
    ]
    figure = traffic_figure(picture(sent), now_s=T0 + 13, phases=phases)
    assert "before: 3 requests, v1 100 %; apply 0/100: 2 requests, v2 100 %" in repr(figure)
    assert "apply 0/100" in figure.table


def test_mirror_copies_stand_beside_the_answers_of_users():
    drawing = picture([replace(response(i / 20, "v3"), request_id=str(i)) for i in range(40)])
    drawing.timeline.add_copies((str(i), "v1") for i in range(30))
    figure = traffic_figure(drawing, now_s=T0 + 2)
    assert "mirror copies" in texts(figure.body) and "75.0 %" in texts(figure.body)
    assert "v3 100 %" in figure.summary and "mirror copies of 40 requests: v1 75.0 %" in figure.summary
    assert "mirror copies of 40 requests" in figure.table
    drawing.timeline.add_copies([])
    shares = replace(drawing.timeline.shares(T0 + 2), copies={})
    assert "no mirror copies" in texts(drawing.shares(shares, None, now_s=T0 + 2)[0])


def test_copies_without_room_for_rows_are_told_in_a_line():
    drawing = picture([replace(response(i / 20, f"v{i % 4}"), request_id=str(i)) for i in range(40)])
    plain, low = drawing.shares(drawing.timeline.shares(T0 + 2), None, now_s=T0 + 2)
    drawing.timeline.add_copies((str(i), "v9") for i in range(40))
    markup, high = drawing.shares(drawing.timeline.shares(T0 + 2), None, now_s=T0 + 2)
    assert "v9 100 %" in texts(markup) and high == low + 18 and "copies" not in texts(plain)
