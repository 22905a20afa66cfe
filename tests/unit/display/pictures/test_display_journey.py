"""One request over all hops: the call tree, and its picture."""

import re
from dataclasses import replace

import pytest
from display_samples import T0, Page, parsed, texts

from labsupport.display import show
from labsupport.display.pictures.fan_picture import fan
from labsupport.observe.fan_out import FanOut, Received
from labsupport.observe.flags import flag_words
from labsupport.observe.journey import hop_rows, journey_of
from labsupport.observe.limits import Limit
from labsupport.records import AccessRecord, Pod

GATEWAY, PAGE, REVIEWS, RATINGS = (
    "istio-ingressgateway",
    "productpage-v1-ab12-cd34",
    "reviews-v2-ab12-ef56",
    "ratings-v1-ab12-aa11",
)


def cluster(service, subset=""):
    return f"outbound|9080|{subset}|{service}.default.svc.cluster.local"


def line(at, pod, direction, duration, status=200, **more):
    fields = {"method": "GET", "authority": "x:9080", "path": "/x", **more}
    return AccessRecord("id-1", T0 + at, pod, direction, status=status, duration_s=duration, **fields)


def call(at, pod, service, duration, status=200, *, to="", subset="", direction="outbound", **more):
    return line(at, pod, direction, duration, status, cluster=cluster(service, subset), upstream_pod=to, **more)


CHAIN = [
    call(0, GATEWAY, "productpage", 0.5, to=PAGE, direction="gateway"),
    line(0.001, PAGE, "inbound", 0.498),
    call(0.01, PAGE, "reviews", 0.4, to=REVIEWS),
    line(0.012, REVIEWS, "inbound", 0.39),
    call(0.02, REVIEWS, "ratings", 0.3, to=RATINGS, flags="DI"),
    line(0.27, RATINGS, "inbound", 0.04),
]


def journey(records, **options):
    return show(journey_of(records, **options))


def shape(records, pods=()):
    return [(row.depth, row.caller, row.callee, row.kind) for row in hop_rows(records, pods)]


def test_calls_are_nested_as_they_were_made_whatever_the_order_of_the_log():
    expected = [
        (0, "gateway", "productpage v1", "call"),
        (1, "productpage v1", "reviews v2", "call"),
        (2, "reviews v2", "ratings v1", "call"),
    ]
    assert shape(CHAIN) == expected
    assert shape(list(reversed(CHAIN))) == expected


def test_pods_give_names_where_the_pods_name_does_not():
    records = [call(0, "p-1", "reviews", 0.1, to="odd"), line(0.001, "odd", "inbound", 0.09)]
    pods = [Pod("odd", "default", "w", {"app": "reviews", "version": "blue"})]
    assert shape(records, pods)[0][2] == "reviews blue"


def test_retries_by_the_proxy_are_tries_of_one_call():
    records = [
        call(0, PAGE, "reviews", 0.3, to=REVIEWS),
        line(0.01, REVIEWS, "inbound", 0.02, 503),
        line(0.05, REVIEWS, "inbound", 0.2, attempt=2),
        call(0.06, REVIEWS, "ratings", 0.1, to=RATINGS),
        line(0.061, RATINGS, "inbound", 0.09),
    ]
    rows = hop_rows(records)
    assert [(row.kind, row.number, row.record.status) for row in rows] == [
        ("call", 1, 200),
        ("try", 1, 503),
        ("try", 2, 200),
        ("call", 1, 200),
    ]
    assert rows[0].tries == 2


def test_a_call_made_by_a_late_try_is_not_given_to_one_that_was_abandoned():
    records = [
        call(0.0, PAGE, "reviews", 0.3, 504, to=REVIEWS, flags="UT"),
        line(0.01, REVIEWS, "inbound", 0.9, 0, flags="DC"),
        call(0.31, PAGE, "reviews", 0.2, to=REVIEWS),
        line(0.32, REVIEWS, "inbound", 0.18),
        call(0.33, REVIEWS, "ratings", 0.1, to=RATINGS),
        line(0.331, RATINGS, "inbound", 0.09),
    ]
    assert [row.callee for row in hop_rows(records)] == ["reviews v2", "reviews v2", "ratings v1"]


def test_mirror_copies_are_marked_as_such():
    copy = line(0.02, "reviews-v3-ab12-zz99", "inbound", 0.1, mirrored=True)
    rows = hop_rows([call(0, PAGE, "reviews", 0.3, to=REVIEWS), line(0.01, REVIEWS, "inbound", 0.2), copy])
    assert [(row.kind, row.callee) for row in rows] == [("call", "reviews v2"), ("copy", "reviews v3")]
    assert "mirror copy → reviews v3" in texts(journey([*CHAIN, copy]).body)


def test_a_call_that_reached_nobody_is_shown_by_what_it_asked_for():
    rows = hop_rows([call(0, PAGE, "reviews", 0.001, 503, subset="v9", flags="UH")])
    assert rows[0].callee == "reviews v9"
    assert rows[0].failed
    assert "no healthy upstream (UH)" in texts(journey([rows[0].record]).body)


def test_a_request_from_a_client_without_proxy_begins_at_its_server():
    assert shape([line(0, REVIEWS, "inbound", 0.1)]) == [(0, "client", "reviews v2", "call")]


def test_no_line_is_lost_or_shown_twice():
    strange = [*CHAIN, call(3.0, PAGE, "details", 0.1), line(5.0, "x-v1-ab12-cd99", "inbound", 0.1)]
    rows = hop_rows(strange)
    outbound = [row.record for row in rows if row.record.direction != "inbound"]
    assert len(outbound) == len(set(map(id, outbound))) == 4


def test_bars_lie_on_the_time_axis_and_say_what_was_injected():
    figure = journey(CHAIN)
    bars = [n for n in parsed(figure.body).iter() if n.tag.endswith("}rect") and "ws-c" in (n.get("class") or "")]
    starts = [float(bar.get("x")) for bar in bars]
    scale = float(bars[0].get("width")) / 0.5
    assert starts == pytest.approx([starts[0], starts[0] + 0.01 * scale, starts[0] + 0.02 * scale], abs=0.2)
    assert "delay 250 ms injected (DI)" in texts(figure.body)


def test_long_names_are_shortened_and_the_arrow_between_them_stays():
    proxy, model = "proxy-server-proxy-pod-version1-ab12-cd34", "predict-server1-v1-ab12-ef56"
    pods = [
        Pod("c-1", "default", "client", {"app": "client", "version": "v1"}),
        Pod(proxy, "default", "proxy", {"app": "proxy-server", "version": "proxy-pod-version1"}),
        Pod(model, "default", "predict", {"app": "predict-server1", "version": "v1"}),
    ]
    records = [
        call(0, "c-1", "proxy-server", 0.1, to=proxy),
        line(0.001, proxy, "inbound", 0.09),
        call(0.01, proxy, "predict-server1", 0.05, to=model),
        line(0.011, model, "inbound", 0.04),
    ]
    said = texts(journey(records, pods=pods).body)
    assert "client v1 → proxy-server p…-pod-version1 " in said
    assert " → predict-server1 v1 " in said


def test_a_limit_is_a_line_below_its_call_that_ends_in_a_mark():
    reviews = Limit("productpage waits", 0.4, "DC")
    ratings = Limit("reviews waits", 10.0, "DC")
    told = {"reviews": (reviews,), "ratings": (ratings,)}
    cut = [replace(line, status=0, flags="DC") if "reviews" in line.cluster else line for line in CHAIN]
    limited = journey_of(cut, limits=lambda call: told.get(call.cluster.rpartition("|")[2].partition(".")[0], ()))
    figure = show(limited)
    assert "productpage waits 400 ms" in texts(figure.body)
    assert "reviews waits 10 s" in texts(figure.body)
    marks = [
        node.get("d")
        for node in parsed(figure.body).iter()
        if node.get("stroke") == "var(--ws-ce)" and "V" in (node.get("d") or "")
    ]
    scale = 610.0 / 0.5
    assert [float(mark[1:].split()[0]) for mark in marks] == pytest.approx([270.0 + 0.41 * scale], abs=0.2)
    assert "productpage waits 400 ms (over)" in figure.summary
    assert "reviews waits 10 s (over)" not in figure.summary
    assert figure.height == journey(CHAIN).height + 2 * 17.0


def test_the_picture_has_words_and_a_table():
    figure = journey(CHAIN)
    page = Page(figure._repr_html_())
    assert len(page.all("table")) == 1
    assert "reviews v2 → ratings v1: 200, at 20 ms for 300 ms, delay 250 ms injected (DI)" in figure.summary
    assert re.search(r"x-request-id id-1", figure.subtitle)


def test_only_one_request_is_drawn():
    other = AccessRecord("id-2", T0, PAGE, "outbound", status=200, duration_s=0.1, cluster=cluster("details"))
    assert "details" not in journey([*CHAIN, other]).summary
    assert "details" in journey([*CHAIN, other], request_id="id-2").summary


def test_without_lines_the_picture_says_why():
    assert "no sidecar" in journey([]).summary


def test_flags_are_words():
    assert flag_words("UT,URX") == "upstream request timeout (UT), retry limit reached (URX)"
    assert flag_words("-") == flag_words("") == ""
    assert flag_words("XX") == "XX"


def tried(at, caller, service, pod, behind=lambda at, number: [], *, tries=3):
    """A call that fails with every try, 0.1 s apart, and what each try makes."""
    lines = [call(at, caller, service, 0.1 * tries, 503, to=pod, flags="URX")]
    for number in range(1, tries + 1):
        began = at + 0.01 + 0.1 * (number - 1)
        lines += [line(began, pod, "inbound", 0.04, 503, attempt=number), *behind(began, number)]
    return lines


STORM = tried(0, PAGE, "reviews", REVIEWS, lambda at, number: tried(at + 0.001, REVIEWS, "ratings", RATINGS, tries=1))


def test_a_try_tells_how_long_nothing_was_under_way_before_it_and_the_picture_draws_it():
    records = tried(0, PAGE, "reviews", REVIEWS)
    assert [row.waited_s for row in hop_rows(records)[:2]] == [None, None]
    assert [row.waited_s for row in hop_rows(records)[2:]] == pytest.approx([0.06, 0.06], abs=1e-5)
    figure = journey(records)
    assert "after a wait of 60 ms" in texts(figure.body)
    assert figure.body.count('stroke-dasharray="1.5 3"') == 2


def test_the_words_of_a_late_try_leave_the_line_of_its_wait_free():
    begins = 0.0, 0.5, 0.9
    records = [call(0, PAGE, "reviews", 1.0, 503, to=REVIEWS, flags="URX")]
    records += [line(at, REVIEWS, "inbound", 0.04, 503, attempt=n) for n, at in enumerate(begins, start=1)]
    body = journey(records).body
    wait = re.findall(r'd="M([\d.]+) [\d.]+H[\d.]+"[^>]*stroke-dasharray="1.5 3"', body)[-1]
    ends = re.search(r'<text x="([\d.]+)"[^>]*text-anchor="end"[^>]*>after a wait of 360 ms', body)
    assert ends and float(ends[1]) < float(wait)


@pytest.mark.parametrize("begin", [0.0, 0.2, 0.3])
def test_where_there_is_little_room_flags_are_letters_and_none_is_cut_off(begin):
    records = [
        call(0, GATEWAY, "productpage", 1.2, 504, to=PAGE, direction="gateway"),
        line(0.001, PAGE, "inbound", 1.19, 504),
        call(begin, PAGE, "reviews", 0.6, 0, flags="DI,DC"),
    ]
    figure = journey(records)
    assert "DI 600 ms, client closed the connection (DC)" in texts(figure.body)
    assert "DI 600 ms, DC" in texts(figure.narrow[0])
    assert "…" not in texts(figure.body + figure.narrow[0])


def test_a_failed_try_that_was_not_read_to_its_end_does_not_blame_its_caller():
    records = tried(0, PAGE, "reviews", REVIEWS)
    records[1] = line(0.01, REVIEWS, "inbound", 0.04, 503, flags="DC")
    records[2] = line(0.11, REVIEWS, "inbound", 0.04, 0, flags="DC", attempt=2)
    shown = [row.remark for row in hop_rows(records)]
    assert shown[1] == "its caller went on (DC)" and "its caller gave up (DC)" in shown[2]


def test_the_requests_that_each_service_received_are_counted_and_drawn():
    made = journey_of(STORM)
    counts = [len(level) for level in made.fan_out.levels]
    assert counts == [1, 3, 3] and all(received.failed for received in made.fan_out.levels[2])
    assert "reviews v2 received 3 requests, ratings v1 received 3 requests." in repr(made)
    figure = show(made)
    assert figure.body.count("<circle") == sum(counts) and "received 3" in texts(figure.body)
    assert "reviews v2 received 3 requests" in figure.summary


@pytest.mark.parametrize("records", [CHAIN, tried(0, PAGE, "reviews", REVIEWS), []])
def test_where_nothing_is_multiplied_over_hops_nothing_is_fanned_out(records):
    made = journey_of(records)
    assert made.fan_out is None or not made.fan_out.multiplied
    assert "<circle" not in show(made).body and "received" not in repr(made)


def test_names_that_do_not_fit_above_their_column_are_counted() -> None:
    made = [Received(name) for name in ("user v1", "carts v1", "payment v1", "shipping v1")]
    root = Received("client", made=made)
    tree = FanOut(root, ((root,), tuple(made)))
    assert ">user v1, carts v1, payment v1 and shipping v1<" in fan(tree, 1000, 0)[0]
    assert ">4 workloads<" in fan(tree, 300, 0)[0]
    alone = FanOut(root, ((root,), (Received("a-name-that-is-too-long v1"),)))
    drawn, _ = fan(replace(alone, root=Received("client", made=list(alone.levels[1]))), 200, 0)
    assert "workloads" not in drawn and ">a-nam" in drawn
