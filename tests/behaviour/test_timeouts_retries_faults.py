"""Timeouts, retries, injected faults and mirrors: what the client sees, and how often the server is asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from behaviour_mesh import WEB, Json, Mesh, to, versions, virtual_service

from labsupport import check, statistics

V2 = to(subset="v2")
ALWAYS = {"percentage": {"value": 100}}
# Envoy's clock starts when it has the request and counts whole milliseconds; the client's, when it has written it.
EARLY = 0.9


def apply(mesh: Mesh, **rule: Any) -> None:
    mesh.apply(versions(), virtual_service({"route": [V2], **rule}))


def tries(mesh: Mesh, path: str) -> tuple[int, list[int]]:
    """Status that the client got, and the number of each try as servers saw it."""
    seen = mesh.request(f"{WEB}{path}")
    arrivals = mesh.arrivals(seen)
    assert not any(record.mirrored for record in arrivals)
    return seen.status, sorted(record.attempt for record in arrivals)


# --- timeouts ---------------------------------------------------------------------------------------------------


def test_a_timeout_of_the_rule(mesh: Mesh) -> None:
    apply(mesh, timeout="0.2s")
    seen = mesh.request(f"{WEB}/slow?seconds=5")
    status, flags, details = mesh.verdict(seen)
    assert (status, flags, seen.body) == (504, "UT", "upstream request timeout")
    assert details in ("response_timeout", "upstream_response_timeout")
    assert seen.duration_s >= 0.2 * EARLY
    assert mesh.request(f"{WEB}/slow?seconds=0.01").status == 200


def test_there_is_no_timeout_by_default(mesh: Mesh) -> None:
    apply(mesh)
    assert mesh.request(f"{WEB}/slow?seconds=1").status == 200


def test_a_server_without_a_sidecar_is_told_how_much_time_there_is(mesh: Mesh) -> None:
    name = "x-envoy-expected-rq-timeout-ms"
    mesh.apply(virtual_service({"route": [to("bare")], "timeout": "3s"}, hosts=["bare"]))
    assert mesh.echo("http://bare:8080/headers")["headers"][name] == "3000"
    # A server's sidecar trusts no caller with such headers.
    apply(mesh, timeout="3s")
    assert name not in mesh.echo(f"{WEB}/headers")["headers"]


def test_a_try_that_takes_too_long_is_not_tried_again_by_default(mesh: Mesh) -> None:
    apply(mesh, retries={"attempts": 3, "perTryTimeout": "0.2s"})
    seen = mesh.request(f"{WEB}/slow?seconds=5")
    status, flags, _ = mesh.verdict(seen)
    assert (status, flags) == (504, "UT")
    assert len(mesh.arrivals(seen)) == 1


@pytest.mark.parametrize("retry_on", ["5xx", "gateway-error"])
def test_a_try_that_takes_too_long_is_tried_again_if_the_rule_says_so(mesh: Mesh, retry_on: str) -> None:
    apply(mesh, retries={"attempts": 2, "perTryTimeout": "0.1s", "retryOn": retry_on})
    status, attempts = tries(mesh, "/slow?seconds=5")
    assert (status, attempts) == (504, [1, 2, 3])


def test_the_timeout_of_the_rule_covers_all_tries(mesh: Mesh) -> None:
    apply(mesh, timeout="2s", retries={"attempts": 9, "perTryTimeout": "0.8s", "retryOn": "5xx", "backoff": "1ms"})
    seen = mesh.request(f"{WEB}/slow?seconds=5")
    assert seen.status == 504
    # Three tries have the time; a machine that is busy makes it two.
    assert 2 <= len(mesh.arrivals(seen)) <= 3


def test_a_bare_status_stands_for_a_reply_not_for_a_try_that_took_too_long(mesh: Mesh) -> None:
    apply(mesh, retries={"attempts": 2, "perTryTimeout": "0.2s", "retryOn": "504"})
    assert tries(mesh, "/slow?seconds=5") == (504, [1])
    assert tries(mesh, "/status/504") == (504, [1, 2, 3])


# --- retries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retries", "path", "expected"),
    [
        pytest.param(None, "/status/503", 1, id="by default no status is tried again"),
        pytest.param({"attempts": 3}, "/status/503", 1, id="nor with attempts alone"),
        pytest.param({"attempts": 3, "retryOn": "5xx"}, "/status/500", 4, id="attempts are those after the first"),
        pytest.param({"attempts": 1, "retryOn": "5xx"}, "/status/500", 2, id="one attempt is one more try"),
        pytest.param({"attempts": 0}, "/status/503", 1, id="none"),
        pytest.param({"attempts": 2, "retryOn": "503"}, "/status/503", 3, id="a bare status"),
        pytest.param({"attempts": 2, "retryOn": "503"}, "/status/500", 1, id="another status"),
        pytest.param({"attempts": 2, "retryOn": "gateway-error"}, "/status/502", 3, id="gateway-error has 502"),
        pytest.param({"attempts": 2, "retryOn": "gateway-error"}, "/status/500", 1, id="gateway-error lacks 500"),
        pytest.param({"attempts": 2, "retryOn": "retriable-4xx"}, "/status/409", 3, id="retriable-4xx is 409"),
        pytest.param({"attempts": 2, "retryOn": "retriable-4xx"}, "/status/404", 1, id="and nothing else"),
        pytest.param({"attempts": 2, "retryOn": "5xx,404"}, "/status/404", 3, id="a list"),
        pytest.param({"attempts": 5, "retryOn": "5xx"}, "/", 1, id="a success is not tried again"),
    ],
)
def test_how_often_a_server_is_asked(mesh: Mesh, retries: Json | None, path: str, expected: int) -> None:
    apply(mesh, **({"retries": {"backoff": "1ms", **retries} if retries["attempts"] else retries} if retries else {}))
    status, attempts = tries(mesh, path)
    assert status == int(path.rpartition("/")[2] or 200)
    assert attempts == list(range(1, expected + 1))


def test_a_service_without_any_rule_has_the_default_retries(mesh: Mesh) -> None:
    seen = mesh.request("http://refusing:8080/")
    assert "URX" in mesh.own(seen).flags
    policy = mesh.lab.explain("http://refusing:8080/", source="client", confirm=False).explanation.policies
    assert [line.text.partition(",")[0] for line in policy if line.name == "retries"] == ["2"]


def test_a_retry_goes_to_another_pod_if_there_is_one(mesh: Mesh) -> None:
    # The third pod fails always; whoever meets it is saved by one of the others.
    rule = {"route": [to("mixed")], "retries": {"attempts": 2, "retryOn": "5xx", "backoff": "1ms"}}
    mesh.apply(virtual_service(rule, hosts=["mixed"], name="mixed"))
    assert check.ok(mesh.send("http://mixed:8080/", 60))


# --- faults -----------------------------------------------------------------------------------------------------


def test_an_injected_error(mesh: Mesh) -> None:
    apply(mesh, fault={"abort": {"httpStatus": 418, **ALWAYS}}, retries={"attempts": 5, "retryOn": "5xx,418"})
    seen = mesh.request(f"{WEB}/")
    assert mesh.verdict(seen) == (418, "FI", "fault_filter_abort")
    assert (seen.body, mesh.arrivals(seen)) == ("fault filter abort", [])


def test_an_injected_grpc_error(mesh: Mesh) -> None:
    apply(mesh, fault={"abort": {"grpcStatus": "UNAVAILABLE", **ALWAYS}})
    seen = mesh.request(f"{WEB}/", headers={"content-type": "application/grpc"}, keep_headers=["grpc-status"])
    assert (seen.status, seen.headers["grpc-status"]) == (200, "14")


def test_an_injected_delay(mesh: Mesh) -> None:
    apply(mesh, fault={"delay": {"fixedDelay": "0.3s", **ALWAYS}})
    seen = mesh.request(f"{WEB}/")
    assert mesh.verdict(seen) == (200, "DI", "via_upstream")
    assert seen.duration_s >= 0.3 * EARLY


def test_the_timeout_of_a_rule_does_not_count_its_own_delay(mesh: Mesh) -> None:
    apply(mesh, timeout="0.2s", fault={"delay": {"fixedDelay": "0.5s", **ALWAYS}})
    seen = mesh.request(f"{WEB}/")
    assert seen.status == 200
    assert seen.duration_s >= 0.5 * EARLY


def test_a_delay_comes_before_an_abort(mesh: Mesh) -> None:
    apply(mesh, fault={"delay": {"fixedDelay": "0.3s", **ALWAYS}, "abort": {"httpStatus": 500, **ALWAYS}})
    seen = mesh.request(f"{WEB}/")
    assert seen.status == 500
    assert set(mesh.own(seen).flags.split(",")) == {"DI", "FI"}
    assert seen.duration_s >= 0.3 * EARLY


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"abort": {"httpStatus": 500}}, id="an abort without percentage"),
        pytest.param({"abort": {"httpStatus": 500, "percentage": {"value": 0}}}, id="an abort of 0 %"),
        pytest.param({"delay": {"fixedDelay": "10s"}}, id="a delay without percentage"),
    ],
)
def test_faults_that_never_happen(mesh: Mesh, fault: Json) -> None:
    apply(mesh, fault=fault)
    seen = mesh.send(f"{WEB}/", 20)
    assert check.ok(seen)
    assert seen.max_s < 5


def test_a_fault_of_some_requests(mesh: Mesh) -> None:
    apply(mesh, fault={"abort": {"httpStatus": 418, "percentage": {"value": 40}}})
    seen = mesh.send(f"{WEB}/", 400, concurrency=8)
    check.share(seen, {"418": 40, "200": 60}, by="status").require()


def test_a_fault_concerns_only_its_own_rule(mesh: Mesh) -> None:
    broken = {
        "match": [{"headers": {"end-user": {"exact": "jason"}}}],
        "fault": {"abort": {"httpStatus": 500, **ALWAYS}},
    }
    mesh.apply(versions(), virtual_service({**broken, "route": [V2]}, {"route": [V2]}))
    assert mesh.request(f"{WEB}/", headers={"end-user": "jason"}).status == 500
    assert check.ok(mesh.send(f"{WEB}/", 20))


# --- mirrors ----------------------------------------------------------------------------------------------------


def copies(mesh: Mesh, seen: Any, expected: int) -> list[Any]:
    """Lines about copies: they are written on their own, so they may come a little later than the reply."""
    deadline = time.monotonic() + 60
    while True:
        access_log = [
            record for record in mesh.lab.access_log(seen) if record.mirrored and record.direction == "inbound"
        ]
        if len(access_log) >= expected or time.monotonic() > deadline:
            return access_log
        time.sleep(0.02)


def test_a_mirror_copies_every_request_unchanged(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"]}))
    seen = mesh.send(f"{WEB}/headers/x?a=1", 10)
    assert {response.path[0].version for response in seen} == {"v1"}
    told = copies(mesh, seen, 10)
    assert len(told) == 10
    assert {record.request_id for record in told} == set(seen.request_ids)
    assert {(response.authority, response.path, response.pod[:6]) for response in told} == {
        ("web:8080", "/headers/x?a=1", "web-v2")
    }


def test_the_log_of_some_requests_holds_their_copies_whenever_it_is_asked_for(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"]}))
    for _ in range(5):
        assert check.copied(mesh.lab.access_log(mesh.send(f"{WEB}/", 20)), {"web-v1": 0, "web-v2": 100})


def test_a_mirror_of_some_requests(mesh: Mesh) -> None:
    share = {"mirrorPercentage": {"value": 50}}
    mesh.apply(versions(), virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"], **share}))
    seen = mesh.send(f"{WEB}/", 200, concurrency=8)
    # Copies are sent in the order of the requests, so those of 200 are written when the one of a later request is.
    mesh.apply(virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"]}))
    assert len(copies(mesh, mesh.send(f"{WEB}/", 1), 1)) == 1
    access_log = [record for record in mesh.lab.access_log(seen) if record.mirrored]
    assert statistics.binomial_test(len(access_log), 200, 0.5) > 1e-5


def test_a_mirror_of_no_request(mesh: Mesh) -> None:
    share = {"mirrorPercentage": {"value": 0}}
    mesh.apply(versions(), virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"], **share}))
    seen = mesh.send(f"{WEB}/", 20)
    # A request that was sent later, and arrived, is the proof that no copy of an earlier one is still to come.
    mesh.apply(virtual_service({"route": [to(subset="v1")], "mirror": V2["destination"]}))
    assert len(copies(mesh, mesh.send(f"{WEB}/", 1), 1)) == 1
    assert [record for record in mesh.lab.access_log(seen) if record.mirrored] == []


def test_several_mirrors(mesh: Mesh) -> None:
    mirrors = [{"destination": to(subset=name)["destination"]} for name in ("v1", "v2")]
    mesh.apply(versions(), virtual_service({"route": [V2], "mirrors": mirrors}))
    seen = copies(mesh, mesh.send(f"{WEB}/", 5), 10)
    assert sorted(record.pod[:6] for record in seen) == ["web-v1"] * 5 + ["web-v2"] * 5


@pytest.mark.parametrize(
    "mirror",
    [
        pytest.param(to("nobody-knows"), id="of a service that does not exist"),
        pytest.param(to(subset="nobody"), id="without endpoints"),
        pytest.param(to("refusing"), id="that refuses connections"),
        pytest.param(to("mixed"), id="that fails"),
    ],
)
def test_a_broken_mirror_does_no_harm(mesh: Mesh, mirror: Json) -> None:
    mesh.apply(versions(), virtual_service({"route": [V2], "mirror": mirror["destination"]}))
    assert check.ok(mesh.send(f"{WEB}/", 20))
    assert {hop.version for seen in mesh.send(f"{WEB}/", 20) for hop in seen.path} == {"v2"}
