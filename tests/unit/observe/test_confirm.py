from __future__ import annotations

from dataclasses import replace

import pytest
from small_engine import SmallEngine

from labsupport.explain import Explanation, Place, Policy, PredictedOutcome, RoutedTo, RuleTrace
from labsupport.observe import confirm
from labsupport.observe.confirm import Explained, compare
from labsupport.records import AccessRecord, Hop, Pod, Response, TrafficSpec

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
        ("forwarded", "timeout", None),
    ],
)
def test_without_a_proxy_the_client_says_what_happened(kind: str, outcome: str, agrees: bool | None) -> None:
    expected = says(PredictedOutcome(kind, 1.0, "x"))  # type: ignore[arg-type]
    response = Response(0, 0.0, 0.01, outcome)  # type: ignore[arg-type]
    assert compare(expected, response, []).agrees is agrees


def test_without_a_proxy_the_pod_that_answered_counts() -> None:
    plain = replace(BASE, proxy="", proxy_kind="none")
    assert compare(plain, OK, []).agrees is True
    assert compare(plain, replace(OK, path=(Hop("web", "risk", "web-risk-1"),)), []).agrees is False


def test_an_explanation_alone_says_nothing_of_agreement() -> None:
    assert Explained(BASE).agrees is None


def over_tcp(outcome: PredictedOutcome) -> Explanation:
    return replace(says(outcome), url="tcp://gateway:9000")


def chosen_of(kind: str) -> Explanation:
    """A rule of a route of the Gateway API is chosen."""
    trace = RuleTrace(f"{kind}/own", 0, "", "chosen", (), Place(f"{kind}/own"), kind="rules")
    return replace(says(FORWARDED), rules=(trace,))


def test_a_request_that_follows_a_route_of_the_gateway_api_is_no_connection() -> None:
    closed = replace(OK, outcome="connection", status=0, path=())
    # Who is reached by a connection may close it; of a request a proxy tells.
    agree = {kind: compare(chosen_of(kind), closed, []).agrees for kind in ("HTTPRoute", "GRPCRoute", "TLSRoute")}
    assert agree == {"HTTPRoute": False, "GRPCRoute": False, "TLSRoute": None}
    at_front = replace(says(FORWARDED), url="gateway/front:tcp://gateway:9000")
    assert compare(at_front, closed, []).agrees is None
    given_up = replace(closed, outcome="timeout")
    assert compare(at_front, given_up, []).agrees is None


def test_a_connection_is_judged_by_who_answered() -> None:
    answered = replace(OK, status=0, path=(Hop("", "v1", ""),))
    assert compare(over_tcp(FORWARDED), answered, []).agrees is True
    elsewhere = replace(answered, path=(Hop("web", "risk", "web-risk-1"),))
    assert compare(over_tcp(FORWARDED), elsewhere, []).agrees is False
    assert "version v1 answered" in repr(compare(over_tcp(FORWARDED), answered, []))


def test_a_closed_connection_proves_only_a_prediction_of_it() -> None:
    closed = replace(OK, outcome="connection", status=0, path=())
    none = PredictedOutcome("no_cluster", 1.0, "closed", flags="NC")
    assert compare(over_tcp(none), closed, []).agrees is True
    # A server that speaks TLS says in its own words that it closes.
    alert = replace(OK, status=0, path=(), body="\x15\x03\x01\x00\x02\x02F")
    by_tls = compare(over_tcp(PredictedOutcome("connection", 1.0, "port 443 speaks TLS")), alert, [])
    assert by_tls.agrees is True and "closed with an alert of TLS" in repr(by_tls)
    # Whoever is reached may close it, too, if it does not speak what the client does.
    unsure = compare(over_tcp(FORWARDED), closed, [])
    assert unsure.agrees is None
    assert "does not tell" in repr(unsure)


def test_bytes_at_an_http_server_are_a_bad_request() -> None:
    bad = PredictedOutcome("direct_response", 1.0, "400", status=400)
    seen = replace(OK, status=0, path=(), body="HTTP/1.1 400 Bad Request")
    assert compare(over_tcp(bad), seen, []).agrees is True
    # Whoever is reached may say so, too.
    assert compare(over_tcp(FORWARDED), seen, []).agrees is None
    assert compare(over_tcp(PredictedOutcome("no_cluster", 1.0, "closed")), seen, []).agrees is False


def test_what_a_sidecar_lets_pass_is_an_unknown_destination() -> None:
    passed = replace(RECORD, cluster="PassthroughCluster", upstream_pod="")
    assert compare(says(PredictedOutcome("unknown_destination", 1.0, "no host")), OK, [passed]).agrees is True
    assert compare(BASE, OK, [passed]).agrees is False


def in_force(name: str, text: str = "...") -> Policy:
    return Policy(name, text, Place("DestinationRule/web", f"spec.trafficPolicy.{name}", "web.yaml", 7))


EJECTS = replace(BASE, destinations=(replace(TO_SAFE, policies=(in_force("outlierDetection"),)),))
POOLED = replace(BASE, destinations=(replace(TO_SAFE, policies=(in_force("connectionPool"),)),))
TIMED = replace(BASE, timeout_s=0.2, policies=(in_force("timeout"),))
TRIED = replace(BASE, per_try_s=0.2, policies=(in_force("retries"),))
ASKED = replace(BASE, headers={"X-Envoy-Upstream-Rq-Timeout-Ms": "200"})


@pytest.mark.parametrize(
    ("explanation", "status", "flags", "reason"),
    [
        (TIMED, 504, "UT", "the timeout of 200 ms was over (web.yaml:7)"),
        (TIMED, 504, "DI,UT", "the timeout of 200 ms was over (web.yaml:7)"),
        (TRIED, 504, "UT,URX", "a try took longer than perTryTimeout, 200 ms (web.yaml:7)"),
        (ASKED, 504, "UT", "the request itself asked for 200 ms at most"),
        (EJECTS, 503, "UH", "its endpoints are ejected by outlierDetection (web.yaml:7)"),
        (POOLED, 503, "UO", "its connection pool is full (web.yaml:7)"),
    ],
)
def test_a_policy_in_force_may_end_a_request(explanation: Explanation, status: int, flags: str, reason: str) -> None:
    record = replace(RECORD, status=status, flags=flags)
    explained = compare(explanation, replace(OK, status=status), [record])
    assert explained.agrees is True and f"itself, because {reason}" in explained.findings[0]
    if flags != "UT" or explanation is not ASKED:
        assert compare(BASE, replace(OK, status=status), [replace(record, upstream_pod="")]).agrees is False


@pytest.mark.parametrize("flags", ["UF", "UC,URX", "DC"])
def test_a_broken_connection_says_nothing_about_rules(flags: str) -> None:
    explained = compare(BASE, replace(OK, status=503), [replace(RECORD, status=503, flags=flags)])
    assert explained.agrees is None and "the connection to web-safe-1 broke" in explained.findings[0]


@pytest.mark.parametrize(("location", "agrees"), [("http://web/two", True), ("http://web/three", False)])
def test_the_place_of_a_redirect_counts(location: str, agrees: bool) -> None:
    outcome = PredictedOutcome("redirect", 1.0, "redirects", status=301, location="http://web/two")
    response = replace(OK, status=301, path=(), headers={"location": location})
    record = replace(RECORD, status=301, cluster="", upstream_pod="")
    assert compare(says(outcome), response, [record]).agrees is agrees


@pytest.mark.parametrize(("restarts", "agrees"), [(0, False), (1, None)])
def test_pods_that_changed_meanwhile_make_no_explanation_wrong(
    restarts: int, agrees: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod("web-safe-1", "default", "web-safe", ready=True)
    engine = SmallEngine(pods=[pod])

    def sent(*_: object) -> list[Response]:
        engine._pods = [replace(pod, restarts=restarts)]
        return [replace(OK, path=(), outcome="http_error", status=599)]

    monkeypatch.setattr(confirm, "send", sent)
    seen = confirm.explained(engine, TrafficSpec("gateway:/", count=1))
    assert seen.agrees is agrees
    assert ("meanwhile web-safe-1 ended" in repr(seen)) is (agrees is None)


@pytest.mark.parametrize(
    ("status", "flags", "upstream", "agrees"),
    [(503, "URX,UF", "", True), (503, "", "web-safe-1", True), (200, "", "web-safe-1", False)],
    ids=["refused", "refused behind its sidecar", "answered"],
)
def test_where_nobody_listens_a_refusal_is_as_explained(status: int, flags: str, upstream: str, agrees: bool) -> None:
    deaf = replace(TO_SAFE, problem="UF", refusing={"web-safe-1": 8081})
    refused = PredictedOutcome("refused", 1.0, "the answer is 503", status=503, flags="UF")
    explanation = replace(BASE, destinations=(deaf,), outcomes=(refused,))
    record = replace(RECORD, status=status, flags=flags, upstream_pod=upstream)
    explained = compare(explanation, replace(OK, status=status), [record])
    assert explained.agrees is agrees
    assert ("nobody listens on port 8081 of web-safe-1: as explained" in explained.findings[0]) is agrees


REFUSED = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"


@pytest.mark.parametrize("doubtful", [{}, {"web-safe-1": 8081}], ids=["no manifest tells", "doubted"])
@pytest.mark.parametrize("sidecar", [True, False])
def test_where_nobody_knew_that_nobody_listens_the_request_tells(sidecar: bool, doubtful: dict[str, int]) -> None:
    explanation = replace(BASE, destinations=(replace(TO_SAFE, doubtful=doubtful),))
    client = replace(
        RECORD, status=503, flags="" if sidecar else "URX,UF", details="via_upstream" if sidecar else REFUSED
    )
    inside = AccessRecord("id", 1.0, "web-safe-1", "inbound", status=503, flags="URX,UF", cluster="inbound|8081||")
    log = [client, replace(inside, details=REFUSED)] if sidecar else [client]
    explained = compare(explanation, replace(OK, status=503), log)
    assert explained.agrees is (True if doubtful else None)
    port = "port 8081" if sidecar or doubtful else "the port behind port 8080"
    assert f"nobody listens on {port} of web-safe-1" in explained.findings[0]
    assert ("which no manifest tells" in explained.findings[0]) is not bool(doubtful)


def test_a_connection_that_broke_otherwise_says_nothing_of_who_listens() -> None:
    broken = replace(RECORD, status=503, flags="UF", details=REFUSED.replace("Connection_refused", "Connection_reset"))
    assert "listens" not in compare(BASE, replace(OK, status=503), [broken]).findings[0]
