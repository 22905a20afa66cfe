"""Who among the pods: shares, load balancers, sticky choices, limits, and pods that are taken out."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from behaviour_mesh import WEB, Json, Mesh, destination_rule, to, versions, versions_of, virtual_service

from labsupport import check
from labsupport.traffic.observations import Observations


def balanced(host: str = "web", **policy: Any) -> Json:
    return destination_rule(host, name=host, trafficPolicy=policy)


def hashed(host: str = "web", **key: Any) -> Json:
    return balanced(host, loadBalancer={"consistentHash": key})


def pods_of(seen: Observations) -> set[str]:
    return {response.path[0].pod for response in seen}


# --- shares -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        pytest.param((3, 1), {"v1": 3, "v2": 1}, id="any sum will do"),
        pytest.param((100, 0), {"v1": 1, "v2": 0}, id="0 is none"),
        pytest.param((900, 300), {"v1": 75, "v2": 25}, id="large weights"),
    ],
)
def test_weights_are_shares(mesh: Mesh, weights: tuple[int, int], expected: dict[str, float]) -> None:
    route = [to(subset=name, weight=weight) for name, weight in zip(("v1", "v2"), weights, strict=True)]
    mesh.apply(versions(), virtual_service({"route": route}))
    check.share(mesh.send(f"{WEB}/", 400, concurrency=8), expected).require()


def test_the_weight_of_a_single_destination_does_not_matter(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [{**to(subset="v2"), "weight": 0}]}))
    assert versions_of(mesh.send(f"{WEB}/", 20)) == {"v2": 20}


def test_round_robin_takes_turns(mesh: Mesh) -> None:
    mesh.apply(balanced(loadBalancer={"simple": "ROUND_ROBIN"}))
    turns = [response.path[0].pod for response in mesh.send(f"{WEB}/", 30)]
    assert set(Counter(turns).values()) == {10}
    assert turns[:3] * 10 == turns


def test_random_is_even_in_the_long_run(mesh: Mesh) -> None:
    mesh.apply(balanced(loadBalancer={"simple": "RANDOM"}))
    seen = mesh.send(f"{WEB}/", 600, concurrency=8)
    check.share(seen, {"v1": 2, "v2": 1}, reject=[{"v1": 1, "v2": 1}]).require()


# --- sticky choices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [{}, {"maglev": {"tableSize": 251}}, {"ringHash": {"minimumRingSize": 16}}])
@pytest.mark.parametrize(
    ("key", "options"),
    [
        pytest.param({"httpHeaderName": "x-user"}, {"headers": {"x-user": "jason"}}, id="header"),
        pytest.param({"httpCookie": {"name": "user"}}, {"cookies": {"user": "jason"}}, id="cookie"),
        pytest.param({"useSourceIp": True}, {}, id="source address"),
    ],
)
def test_one_key_is_always_one_pod(mesh: Mesh, table: Json, key: Json, options: Json) -> None:
    mesh.apply(hashed(**key, **table))
    seen = mesh.send(f"{WEB}/", 100, concurrency=8, **options)
    assert (len(seen), len(pods_of(seen))) == (100, 1)


def test_one_query_parameter_is_always_one_pod(mesh: Mesh) -> None:
    mesh.apply(hashed(httpQueryParameterName="user"))
    assert len(pods_of(mesh.send(f"{WEB}/?user=jason", 100, concurrency=8))) == 1


def test_many_keys_are_spread_over_all_pods(mesh: Mesh) -> None:
    mesh.apply(hashed(httpHeaderName="x-user"))
    seen = mesh.send(f"{WEB}/", 200, headers={"x-user": "{index}"})
    assert len(pods_of(seen)) == 3
    again = mesh.send(f"{WEB}/", 200, headers={"x-user": "{index}"})
    assert [response.path[0].pod for response in seen] == [response.path[0].pod for response in again]


def test_requests_without_the_key_are_spread(mesh: Mesh) -> None:
    mesh.apply(hashed(httpHeaderName="x-user"))
    assert len(pods_of(mesh.send(f"{WEB}/", 100))) == 3


@pytest.mark.parametrize(
    ("cookie", "made"),
    [
        pytest.param({"name": "who"}, "", id="without ttl it is only read"),
        pytest.param({"name": "who", "ttl": "0s"}, 'who="', id="ttl 0 is for the session"),
        pytest.param({"name": "who", "ttl": "60s", "path": "/"}, "Max-Age=60; Path=/", id="ttl and path"),
    ],
)
def test_a_cookie_is_made_if_the_rule_gives_it_a_ttl(mesh: Mesh, cookie: Json, made: str) -> None:
    mesh.apply(hashed(httpCookie=cookie))
    seen = mesh.request(f"{WEB}/", keep_headers=["set-cookie"]).headers.get("set-cookie", "")
    assert made in seen if made else seen == ""


def test_users_who_keep_their_cookie_keep_their_pod(mesh: Mesh) -> None:
    mesh.apply(hashed(httpCookie={"name": "who", "ttl": "60s", "path": "/"}))
    check.sticky(mesh.send(f"{WEB}/", 120, users=12)).require()


def test_a_sticky_choice_holds_within_the_subset_that_a_weight_chose(mesh: Mesh) -> None:
    route = [to(subset="v1", weight=1), to(subset="v2", weight=1)]
    mesh.apply(
        destination_rule(
            name="versions",
            subsets=versions()["spec"]["subsets"],
            trafficPolicy={"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}},
        ),
        virtual_service({"route": route}),
    )
    seen = mesh.send(f"{WEB}/", 100, headers={"x-user": "jason"})
    # Weights are drawn without regard to the key, so one user meets both versions, but one pod of each.
    assert {response.path[0].version for response in seen} == {"v1", "v2"}
    assert len(pods_of(seen)) == 2


def test_few_keys_move_when_a_pod_comes(mesh: Mesh) -> None:
    mesh.apply(
        hashed("ring", httpHeaderName="x-user"),
        hashed("maglev", httpHeaderName="x-user", maglev={"tableSize": 65537}),
    )

    def owners(host: str) -> list[str]:
        options: Json = {"headers": {"x-user": "{index}"}, "keep_body": False, "reuse_connections": True}
        return [response.path[0].pod for response in mesh.send(f"http://{host}:8080/", 300, **options)]

    before = {host: owners(host) for host in ("ring", "maglev")}
    mesh.lab.scale("web-v1", 3)
    try:
        after = {host: owners(host) for host in before}
    finally:
        mesh.lab.scale("web-v1", 2)
    for host, old in before.items():
        pairs = list(zip(old, after[host], strict=True))
        kept = sum(pair == other for pair, other in pairs)
        # A third belongs to the new pod. Numbering the pods anew would keep a third, and random choices a third too.
        assert 150 <= kept < 270, f"{host}: {kept} of 300 kept"
        assert len(set(after[host])) == 3


# --- limits -----------------------------------------------------------------------------------------------------


def limited(**pool: Any) -> list[Json]:
    subsets = [
        {"name": "v2", "labels": {"version": "v2"}, "trafficPolicy": {"connectionPool": pool}},
    ]
    return [destination_rule(name="versions", subsets=subsets), virtual_service({"route": [to(subset="v2")]})]


def test_one_connection_and_one_waiting_request_leave_eight_of_ten_outside(mesh: Mesh) -> None:
    mesh.apply(*limited(tcp={"maxConnections": 1}, http={"http1MaxPendingRequests": 1}))
    assert mesh.request(f"{WEB}/").status == 200
    seen = mesh.send(f"{WEB}/slow?seconds=1", 10, simultaneous=True)
    assert dict(seen.share("status").counts) == {"200": 2, "503": 8}
    (refused, *_) = [response for response in seen if response.status == 503]
    assert mesh.own(refused).flags == "UO"
    assert refused.headers["x-envoy-overloaded"] == "true"
    assert "reset reason: overflow" in refused.body
    assert mesh.arrivals(refused) == []
    assert mesh.request(f"{WEB}/").status == 200


def test_a_limit_of_requests_counts_for_http_1_too(mesh: Mesh) -> None:
    mesh.apply(*limited(http={"http2MaxRequests": 3}))
    assert mesh.request(f"{WEB}/").status == 200
    seen = mesh.send(f"{WEB}/slow?seconds=1", 10, simultaneous=True)
    assert dict(seen.share("status").counts) == {"200": 3, "503": 7}
    assert {mesh.own(response).flags for response in seen if response.status == 503} == {"UO"}


def test_overflow_is_not_tried_again(mesh: Mesh) -> None:
    rules = limited(tcp={"maxConnections": 1}, http={"http1MaxPendingRequests": 1})
    rules[1]["spec"]["http"][0]["retries"] = {"attempts": 3, "retryOn": "5xx"}
    mesh.apply(*rules)
    assert mesh.request(f"{WEB}/").status == 200
    seen = mesh.send(f"{WEB}/slow?seconds=1", 10, simultaneous=True)
    assert dict(seen.share("status").counts) == {"200": 2, "503": 8}


def test_without_limits_all_of_many_are_served(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")]}))
    seen = mesh.send(f"{WEB}/slow?seconds=0.5", 40, simultaneous=True)
    assert check.ok(seen)


# --- pods that are taken out --------------------------------------------------------------------------------------


def outliers(**detection: Any) -> Json:
    """Turns among three pods, of which one fails always, so that failures can be counted exactly."""
    policy = {"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": detection}
    return destination_rule("mixed", trafficPolicy=policy)


def failures(mesh: Mesh, count: int = 30) -> int:
    # A worker of Envoy asks its main thread to take a pod out, so the next turn of that pod must not come at once.
    return len(mesh.send("http://mixed:8080/", count, rate=50).errors)


@pytest.mark.parametrize("errors", [1, 3])
def test_a_pod_is_out_after_so_many_errors_in_a_row(mesh: Mesh, errors: int) -> None:
    mesh.apply(outliers(consecutive5xxErrors=errors, baseEjectionTime="60s", maxEjectionPercent=100))
    assert failures(mesh) == errors
    assert failures(mesh, 10) == 0


def test_five_errors_in_a_row_by_default(mesh: Mesh) -> None:
    mesh.apply(outliers(baseEjectionTime="60s", maxEjectionPercent=100))
    assert failures(mesh) == 5


@pytest.mark.parametrize(
    "detection",
    [
        pytest.param({"consecutive5xxErrors": 1}, id="one of three is more than the 10 % allowed by default"),
        pytest.param({"consecutive5xxErrors": 1, "maxEjectionPercent": 33}, id="and more than 33 %"),
        pytest.param({"consecutive5xxErrors": 0, "maxEjectionPercent": 100}, id="0 is off"),
        pytest.param(
            {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 1, "maxEjectionPercent": 100},
            id="500 is no gateway error",
        ),
    ],
)
def test_nobody_is_taken_out(mesh: Mesh, detection: Json) -> None:
    mesh.apply(outliers(baseEjectionTime="60s", **detection))
    assert failures(mesh) == 10


def test_one_of_three_is_less_than_34_percent(mesh: Mesh) -> None:
    mesh.apply(outliers(consecutive5xxErrors=2, baseEjectionTime="60s", maxEjectionPercent=34))
    assert failures(mesh) == 2


def test_without_outlier_detection_a_failing_pod_stays(mesh: Mesh) -> None:
    mesh.apply(balanced("mixed", loadBalancer={"simple": "ROUND_ROBIN"}))
    assert failures(mesh) == 10


def test_a_pod_that_was_taken_out_comes_back(mesh: Mesh) -> None:
    mesh.apply(outliers(consecutive5xxErrors=1, interval="0.2s", baseEjectionTime="0.5s", maxEjectionPercent=100))
    assert failures(mesh, 3) == 1
    deadline = time.monotonic() + 60
    while not failures(mesh, 3):
        assert time.monotonic() < deadline, "it did not come back"


def test_when_all_pods_are_out_nobody_is_left(mesh: Mesh) -> None:
    mesh.apply(outliers(consecutive5xxErrors=1, baseEjectionTime="60s", maxEjectionPercent=100))
    deadline = time.monotonic() + 60
    while (seen := mesh.request("http://mixed:8080/status/500")).status == 500:
        assert time.monotonic() < deadline, "somebody is left"
    # With outlierDetection, minHealthPercent is 0: a proxy does not panic and try those that are out.
    assert mesh.verdict(seen) == (503, "UH", "no_healthy_upstream")
