from __future__ import annotations

from dataclasses import replace

import pytest

from labsupport.confirm import Explained, compare
from labsupport.engine.base import AccessRecord, Hop, Response
from labsupport.explain import Explanation, PredictedOutcome, RoutedTo

HOST = "web.default.svc.cluster.local"
TO_SAFE = RoutedTo(HOST, "safe", 8080, 1.0, ("web-safe-1",))
FORWARDED = PredictedOutcome("forwarded", 1.0, "web-safe-1 answers", pods=("web-safe-1",))
BASE = Explanation(
    *("http://web:8080/", "GET", {}, "client-1", "client-1", "sidecar", "web", 8080),
    destinations=(TO_SAFE,),
    outcomes=(FORWARDED,),
)
OK = Response(0, 0.0, 0.01, "ok", 200, "id", (Hop("web", "safe", "web-safe-1"),))
RECORD = AccessRecord(
    "id", 1.0, "client-1", "outbound", status=200, cluster=f"outbound|8080|safe|{HOST}", upstream_pod="web-safe-1"
)


def says(outcome: PredictedOutcome) -> Explanation:
    return replace(BASE, outcomes=(outcome,), destinations=())


def test_a_request_that_went_where_it_was_to_go_agrees() -> None:
    explained = compare(BASE, OK, [RECORD])
    assert explained.agrees is True
    assert "to web-safe-1 through cluster outbound|8080|safe|" in repr(explained)
    assert repr(BASE) in repr(explained)


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, upstream_pod="web-risk-1"),
        replace(RECORD, cluster=f"outbound|8080|risk|{HOST}"),
        replace(RECORD, status=503, flags="UH", upstream_pod="", cluster=""),
    ],
    ids=["pod", "cluster", "own answer"],
)
def test_a_request_that_went_elsewhere_does_not_agree(record: AccessRecord) -> None:
    explained = compare(BASE, OK, [record])
    assert explained.agrees is False
    assert "NOT as explained" in repr(explained)


@pytest.mark.parametrize(
    ("flags", "agrees"),
    [("NC", True), ("DI,NC", True), ("UH", False), ("", False)],
    ids=["same", "with", "other", "none"],
)
def test_what_the_proxy_answers_itself_is_told_by_status_and_flag(flags: str, agrees: bool) -> None:
    outcome = PredictedOutcome("no_cluster", 1.0, "503", status=503, flags="NC")
    record = replace(RECORD, status=503, flags=flags, cluster="", upstream_pod="")
    assert compare(says(outcome), replace(OK, status=503), [record]).agrees is agrees


def test_only_the_proxy_that_decides_is_looked_at() -> None:
    other = replace(RECORD, pod="web-safe-1", direction="inbound", upstream_pod="web-risk-1")
    copy = replace(RECORD, mirrored=True, upstream_pod="web-risk-1")
    assert compare(BASE, OK, [copy, other, RECORD]).agrees is True


@pytest.mark.parametrize(
    ("kind", "outcome", "agrees"),
    [
        ("connection", "connection", True),
        ("no_endpoints", "connection", True),
        ("unknown_destination", "unknown_destination", True),
        ("forwarded", "connection", False),
        ("forwarded", "timeout", False),
    ],
)
def test_without_a_proxy_the_client_says_what_happened(kind: str, outcome: str, agrees: bool) -> None:
    expected = says(PredictedOutcome(kind, 1.0, "x"))  # type: ignore[arg-type]
    response = Response(0, 0.0, 0.01, outcome)  # type: ignore[arg-type]
    assert compare(expected, response, []).agrees is agrees


def test_without_a_proxy_the_pod_that_answered_counts() -> None:
    plain = replace(BASE, proxy="", proxy_kind="none")
    assert compare(plain, OK, []).agrees is True
    assert compare(plain, replace(OK, path=(Hop("web", "risk", "web-risk-1"),)), []).agrees is False


def test_an_explanation_alone_says_nothing_of_agreement() -> None:
    assert Explained(BASE).agrees is None
