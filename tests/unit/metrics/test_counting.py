"""Istio's standard metrics, counted from access records."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from labsupport.metrics.counting import BUCKETS_MS, DURATION, REQUESTS, Counters, Histogram
from labsupport.metrics.series import NAME
from labsupport.records import AccessRecord, Pod

CLIENT = Pod("client-5f-1", "shop", "client", {"app": "client"}, injected=True)
CARTS = Pod("carts-77-1", "shop", "carts-v2", {"app": "carts", "version": "v2"}, injected=True)
BARE = Pod("bare-88-1", "shop", "bare", {"app": "bare"})
PODS = (CLIENT, CARTS, BARE)
SERVICES = {CARTS.name: (("carts", "shop"), ("carts-too", "shop"))}
CLUSTER = "outbound|80||carts.shop.svc.cluster.local"
ASKED = AccessRecord(
    "r-1", 100.0, CLIENT.name, "outbound", "GET", "carts", "/", 200, "", "", "",
    CLUSTER, CARTS.name, 0.020, 1, False, "HTTP/1.1",
)  # fmt: skip
SERVED = replace(
    ASKED, pod=CARTS.name, direction="inbound", time_s=100.002, duration_s=0.015, cluster="inbound|8080||"
)  # fmt: skip


def _requests(counters: Counters, *names: str) -> dict[tuple[str, ...], float]:
    found: Counter[tuple[str, ...]] = Counter()
    for labels, value in counters.values().items():
        pairs = dict(labels)
        if pairs[NAME] == REQUESTS:
            found[tuple(pairs.get(name, "") for name in names)] += value
    return dict(found)


def _only_series(counters: Counters, reporter: str) -> dict[str, str]:
    found = [dict(labels) for labels in counters.histograms if dict(labels)["reporter"] == reporter]
    assert len(found) == 1
    return found[0]


def test_both_reporters_tell_of_a_call_with_istios_labels() -> None:
    counters = Counters(policy="none")
    counters.add([ASKED, SERVED], PODS, SERVICES, 100.1)

    shared = {
        **{f"source_{name}": "client" for name in ("workload", "app", "canonical_service")},
        **{f"destination_{name}": "carts" for name in ("app", "canonical_service", "service_name")},
        **{"source_workload_namespace": "shop", "source_version": "unknown", "source_canonical_revision": "latest"},
        **{"destination_workload": "carts-v2", "destination_workload_namespace": "shop", "destination_version": "v2"},
        **{"destination_service": "carts.shop.svc.cluster.local", "destination_service_namespace": "shop"},
        **{"request_protocol": "http", "response_code": "200", "response_flags": "-"},
        "destination_canonical_revision": "v2",
    }
    assert _only_series(counters, "source") == {
        **shared, "reporter": "source", "connection_security_policy": "unknown"
    }  # fmt: skip
    assert _only_series(counters, "destination") == {
        **shared, "reporter": "destination", "connection_security_policy": "none"
    }  # fmt: skip


def test_each_line_is_counted_once_however_often_and_in_whatever_order_it_comes() -> None:
    draw = random.Random(18)
    lines = []
    for number in range(40):
        at = 100 + number / 100
        asked = replace(ASKED, request_id=f"r-{number}", time_s=at)
        lines += [asked, replace(SERVED, request_id=f"r-{number}", time_s=at + 0.002)]
    draw.shuffle(lines)
    counters = Counters()
    for begin in range(0, len(lines), 7):
        counters.add(lines[max(0, begin - 20) : begin + 7], PODS, SERVICES, 100.6)
    counters.add(lines, PODS, SERVICES, 100.6)

    assert not counters.waiting
    assert _requests(counters, "reporter", "source_workload") == {
        ("source", "client"): 40, ("destination", "client"): 40
    }  # fmt: skip


def test_equal_lines_of_one_request_are_counted_each_and_each_once() -> None:
    counters = Counters()
    for _ in range(3):
        counters.add([ASKED, ASKED, SERVED, replace(SERVED, mirrored=True)], PODS, SERVICES, 100.1)
    counters.add([replace(SERVED, attempt=2), SERVED], PODS, SERVICES, 109.0)

    assert _requests(counters, "reporter") == {("source",): 2, ("destination",): 2}


def test_a_servers_line_waits_for_its_callers_and_then_the_caller_is_unknown() -> None:
    counters = Counters()
    counters.add([SERVED], PODS, SERVICES, 100.1)
    assert counters.waiting and not counters.values()

    counters.add([], PODS, SERVICES, 101.1)
    assert _requests(counters, "reporter", "source_workload", "source_app", "destination_workload") == {
        ("destination", "unknown", "unknown", "carts-v2"): 1
    }


def test_earlier_tries_are_requests_of_the_server_alone() -> None:
    tries = [
        replace(SERVED, status=503, attempt=number, time_s=100 + number / 1000, duration_s=0.0005)
        for number in (1, 2)
    ]  # fmt: skip
    last = replace(SERVED, attempt=3, time_s=100.004)
    counters = Counters()
    counters.add([ASKED, *tries, last], PODS, SERVICES, 100.1)

    assert _requests(counters, "reporter", "response_code", "source_workload") == {
        ("source", "200", "client"): 1,
        ("destination", "503", "client"): 2,
        ("destination", "200", "client"): 1,
    }


def test_of_several_services_of_a_pod_the_one_that_was_called_is_told() -> None:
    services = {CARTS.name: (("a-first", "shop"), ("carts", "shop"))}
    counters = Counters()
    counters.add(
        [replace(ASKED, authority="other.host"), replace(SERVED, authority="other.host")], PODS, services, 100.1
    )
    counters.add([replace(SERVED, request_id="r-2", authority="nobody")], PODS, services, 109.0)

    names = ("reporter", "source_workload", "destination_service_name")
    assert _requests(counters, *names) == {
        ("source", "client", "carts"): 1,
        ("destination", "client", "carts"): 1,
        ("destination", "unknown", "a-first"): 1,
    }


def test_who_did_not_answer_is_unknown_and_the_service_is_not() -> None:
    aborted = replace(ASKED, status=500, flags="FI", upstream_pod="")
    counters = Counters()
    counters.add([aborted], PODS, SERVICES, 100.1)

    names = ("response_code", "response_flags", "destination_workload", "destination_service_name")
    assert _requests(counters, *names) == {("500", "FI", "unknown", "carts"): 1}


@pytest.mark.parametrize(
    ("record", "service", "name"),
    [
        (replace(ASKED, cluster="", status=503, flags="NC", authority="carts:80"), "carts:80", "carts:80"),
        (replace(ASKED, cluster="", status=404, flags="NR", direction="gateway"), "unknown", "unknown"),
        (replace(ASKED, cluster="PassthroughCluster", authority="10.1.2.3"), "10.1.2.3", "PassthroughCluster"),
        (replace(ASKED, cluster="outbound|443||api.example.com"), "api.example.com", "api.example.com"),
    ],
)
def test_hosts_that_are_no_service_of_the_cluster(record: AccessRecord, service: str, name: str) -> None:
    counters = Counters()
    counters.add([replace(record, upstream_pod="")], PODS, SERVICES, 100.1)

    wanted = ("destination_service", "destination_service_name", "destination_service_namespace")
    assert _requests(counters, *wanted) == {(service, name, "unknown"): 1}


def test_of_a_pod_without_a_proxy_its_caller_knows_what_istiod_tells_of_it() -> None:
    labels = {"app": "bare", "app.kubernetes.io/name": "plain", "app.kubernetes.io/version": "3"}
    pods = (CLIENT, replace(BARE, labels=labels))
    counters = Counters()
    counters.add([replace(ASKED, upstream_pod=BARE.name, cluster="outbound|80||bare.example")], pods, {}, 100.1)

    told = _only_series(counters, "source")
    names = ("workload", "workload_namespace", "app", "version", "canonical_service", "canonical_revision")
    assert [told[f"destination_{name}"] for name in names] == ["bare", "shop", "unknown", "unknown", "plain", "3"]
    assert told["destination_service_namespace"] == "shop"


def test_a_pod_behind_no_service_is_told_by_itself() -> None:
    counters = Counters()
    counters.add([SERVED], PODS, {}, 109.0)

    told = _only_series(counters, "destination")
    assert (told["destination_service"], told["destination_service_name"]) == ("carts", "InboundPassthroughCluster")
    assert (told["destination_service_namespace"], told["source_canonical_revision"]) == ("shop", "latest")


def test_connections_that_are_not_http_are_not_counted() -> None:
    counters = Counters()
    counters.add([replace(ASKED, request_id="", protocol="TCP", status=0)], PODS, SERVICES, 100.1)

    assert not counters.values()


def test_a_duration_at_a_bound_belongs_to_its_bucket_and_the_buckets_are_istios() -> None:
    histogram = Histogram()
    for bound in BUCKETS_MS:
        histogram.observe(bound)
    histogram.observe(BUCKETS_MS[-1] + 1)

    told = list(histogram.cumulated())
    assert [count for _, count in told] == list(range(1, len(BUCKETS_MS) + 2))
    assert [bound for bound, _ in told[:3]] == ["0.5", "1", "5"] and told[-2][0] == "3600000" and told[-1][0] == "+Inf"
    assert all(one < other for one, other in itertools.pairwise(BUCKETS_MS))


def test_buckets_count_and_sum_agree() -> None:
    counters = Counters()
    counters.add([ASKED, SERVED], PODS, SERVICES, 100.1)

    values = {
        (dict(labels)[NAME], dict(labels)["reporter"], dict(labels).get("le")): value
        for labels, value in counters.values().items()
    }
    assert values[f"{DURATION}_count", "source", None] == values[f"{DURATION}_bucket", "source", "+Inf"] == 1
    assert math.isclose(values[f"{DURATION}_sum", "source", None], 20)
    assert values[f"{DURATION}_bucket", "source", "10"] == 0 and values[f"{DURATION}_bucket", "source", "25"] == 1
