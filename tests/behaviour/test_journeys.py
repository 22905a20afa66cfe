"""Journeys of real requests, from our own access log and from one that says no more than Istio's default format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from labsupport.lab.lab import Lab
from labsupport.observe.journey import HopRow, Journey, journey_of, settled
from labsupport.observe.spans import Call, pair
from labsupport.records import AccessRecord, Response

PAGE = "http://productpage:9080/productpage"
REVIEWS = "http://reviews:9080/reviews/0"
FORMATS = ("own", "default")


@pytest.fixture(scope="module")
def book(lab: Lab) -> Iterator[Lab]:
    folders = ("apps/bookinfo", "apps/client-plain", "02-canary-by-weight/bookinfo")
    lab.apply(*folders)
    yield lab
    lab.delete(*folders, missing_ok=True)


@pytest.fixture(autouse=True)
def no_rules(book: Lab) -> Iterator[None]:
    yield
    book.delete(*(f"VirtualService/{rule.name}" for rule in book.get("VirtualService")), missing_ok=True)


def rule(host: str, **http: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": host},
        "spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}], **http}]},
    }


def to(host: str, subset: str) -> list[dict[str, Any]]:
    return [{"destination": {"host": host, "subset": subset}}]


def delay(seconds: str) -> dict[str, Any]:
    return {"delay": {"percentage": {"value": 100}, "fixedDelay": seconds}}


def plain(record: AccessRecord) -> AccessRecord:
    """A line as Istio's default format has it, in milliseconds, with a number that somebody guessed."""
    rounded = {"time_s": int(record.time_s * 1000) / 1000, "duration_s": int(record.duration_s * 1000) / 1000}
    return replace(record, attempt=2, mirrored=record.direction == "inbound", **rounded)


def followed(lab: Lab, response: Response, form: str) -> Journey:
    lines = settled(lambda: lab.access_log(response))
    shown = lines if form == "own" else map(plain, lines)
    return journey_of(shown, pods=lab.pods(), response=response, counted=form == "own")


def shape(journey: Journey) -> list[tuple[int, str]]:
    return [(hop.depth, hop.label) for hop in journey.hops]


def children(journey: Journey, of: HopRow) -> list[HopRow]:
    after = journey.hops[journey.hops.index(of) + 1 :]
    below = [hop.depth > of.depth for hop in after]
    return [hop for hop in after[: below.index(False) if False in below else len(after)]]


def apply(lab: Lab, *rules: dict[str, Any]) -> None:
    import yaml

    lab.apply(yaml.safe_dump_all(rules))


@pytest.mark.parametrize("form", FORMATS)
def test_tries_cut_off_by_their_timeout_each_have_the_call_that_they_made(book: Lab, form: str):
    retries = {"attempts": 2, "perTryTimeout": "200ms", "retryOn": "5xx"}
    apply(book, rule("reviews", route=to("reviews", "v2"), retries=retries), rule("ratings", fault=delay("400ms")))
    # The page asks twice, and each time the proxy tries three times; reviews goes on with what nobody waits for.
    (response,) = book.send(PAGE, source="client")
    book.send("http://ratings:9080/ratings/0", source="client")
    journey = followed(book, response, form)
    calls = [hop for hop in journey.hops if hop.kind == "call" and hop.callee.startswith("reviews")]
    assert [(hop.tries, hop.record.status) for hop in calls] == [(3, 504), (3, 504)]
    assert all("upstream request timeout (UT)" in hop.remark for hop in calls)
    for hop in calls:
        below = [(child.kind, child.callee) for child in children(journey, hop)]
        assert below == [("try", "reviews v2"), ("call", "ratings v1")] * 3
        tries = [child for child in children(journey, hop) if child.kind == "try"]
        assert all(child.record.duration_s > 0.15 for child in tries)


@pytest.mark.parametrize("form", FORMATS)
def test_copies_and_what_they_call_are_told_from_the_original(book: Lab, form: str):
    mirrors = [{"destination": {"host": "reviews", "subset": subset}} for subset in ("v1", "v2")]
    apply(book, rule("reviews", route=to("reviews", "v3"), mirrors=mirrors))
    (response,) = book.send(REVIEWS, source="client")
    journey = followed(book, response, form)
    assert set(shape(journey)[:2]) == {(0, "client v1 → reviews v3"), (1, "reviews v3 → ratings v1")}
    copies = [hop for hop in journey.hops if hop.kind == "copy"]
    assert sorted(hop.callee for hop in copies) == ["reviews v1", "reviews v2"]
    second = next(hop for hop in copies if hop.callee == "reviews v2")
    assert [hop.label for hop in children(journey, second)] == ["reviews v2 → ratings v1"]


@pytest.mark.parametrize("form", FORMATS)
def test_an_injected_delay_is_told_from_the_time_that_the_service_took(book: Lab, form: str):
    apply(book, rule("ratings", fault=delay("300ms")), rule("reviews", route=to("reviews", "v3")))
    (response,) = book.send(REVIEWS, source="client")
    held = [hop for hop in followed(book, response, form).hops if hop.injected_s]
    assert [hop.label for hop in held] == ["reviews v3 → ratings v1"]
    assert 0.25 < held[0].injected_s <= held[0].record.duration_s


@pytest.mark.parametrize("form", FORMATS)
def test_a_client_that_gave_up_is_seen_to_have_done_so(book: Lab, form: str):
    apply(book, rule("reviews", fault=delay("600ms"), route=to("reviews", "v1")))
    (response,) = book.send(REVIEWS, source="client", timeout_s=0.2)
    (hop,) = followed(book, response, form).hops
    assert (hop.label, hop.record.status) == ("client v1 → reviews v1", 0)
    assert "client closed the connection (DC)" in hop.remark


@pytest.mark.parametrize("form", FORMATS)
def test_a_caller_without_sidecar_begins_a_journey_at_the_server(book: Lab, form: str):
    apply(book, rule("reviews", route=to("reviews", "v1")))
    (response,) = book.send("http://details:9080/details/0", source="client-plain")
    assert shape(followed(book, response, form)) == [(0, "client → details v1")]


@pytest.mark.parametrize("form", FORMATS)
def test_equal_requests_that_overlap_keep_their_own_calls(book: Lab, form: str):
    apply(book, rule("ratings", fault=delay("500ms")), rule("reviews", route=to("reviews", "v3")))
    request_id = f"equal-{form}"

    def send(number: int) -> Response:
        # What tells them apart is in the query, and taken out of the log before they are paired.
        (answer,) = book.send(f"{REVIEWS}?n={number}", source="client", headers={"x-request-id": request_id})
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer.outcome for answer in answers} == {"ok"}
    # Six requests with one id: only the test knows how many lines there must be.
    deadline = time.monotonic() + 60
    while len(lines := [*book.access_log(request_id)]) < 4 * 6:
        assert time.monotonic() < deadline, lines
    assert len(lines) == 4 * 6
    truth, began = {}, {}
    for place, line in enumerate(lines):
        path, _, number = line.path.partition("?")
        shown = line if form == "own" else plain(line)
        # Nobody may pair by the id, which is the same for all; here it says which line it is.
        lines[place] = replace(shown, request_id=str(place), path=path, attempt=1, mirrored=False)
        truth[str(place)] = number
        if line.pod.startswith("client"):
            began[number] = lines[place].time_s
    known = {pod.name: pod for pod in book.pods()}
    roots = pair(lines, known)
    assert len(roots) == 6
    for root in roots:
        assert isinstance(root, Call)
        (served,) = root.tries
        (made,) = served.calls
        assert [len(made.tries), made.copies, root.copies] == [1, [], []]
        own = truth[served.record.request_id]
        # What began at almost the same time, and lasted as long, cannot be told apart.
        assert abs(began[own] - root.record.time_s) <= 0.02
        assert made.record.time_s + made.record.duration_s <= served.record.time_s + served.record.duration_s + 0.003
