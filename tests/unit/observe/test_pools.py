"""Pools of a proxy: limits from what its Envoy holds, numbers from what it counts, and how a picture shows both."""

from __future__ import annotations

import re

import pytest

from labsupport.display.pictures.pool_picture import pools_figure
from labsupport.errors import NotFoundError
from labsupport.observe.pools import Pools, pools_of
from labsupport.records import EnvoyConfig, Sample

WEB = "outbound|8080||web.default.svc.cluster.local"
SAFE = "outbound|8080|safe|web.default.svc.cluster.local"
IDLE = "outbound|9080||reviews.default.svc.cluster.local"
NONE = 4294967295
COUNTS = {
    "upstream_cx_active": 1,
    "upstream_cx_total": 7,
    "upstream_rq_active": 1,
    "upstream_rq_pending_active": 1,
    "upstream_rq_pending_overflow": 6,
    "upstream_rq_active_overflow": 2,
    "upstream_rq_total": 12,
}


def limits(connections: int = NONE, waiting: int = NONE, under_way: int = NONE) -> dict[str, object]:
    most = {"max_connections": connections, "max_pending_requests": waiting, "max_requests": under_way}
    return {"circuit_breakers": {"thresholds": [{**most, "max_retries": NONE}]}}


def pools(clusters: dict[str, dict[str, object]], counts: dict[str, dict[str, int]]) -> Pools:
    samples = [
        Sample("client-1", f"envoy_cluster_{name}", {"envoy_cluster_name": cluster}, value)
        for cluster, values in counts.items()
        for name, value in values.items()
    ]
    # What another pod counts is none of this one's.
    samples.append(Sample("client-2", "envoy_cluster_upstream_cx_active", {"envoy_cluster_name": WEB}, 5))
    return pools_of(EnvoyConfig("client-1", clusters, {}, {}, {}), samples)


def test_numbers_stand_against_the_limits_that_the_proxy_holds() -> None:
    pool = pools({WEB: limits(connections=1, waiting=1)}, {WEB: COUNTS}).of("web")
    assert (pool.connections, pool.max_connections) == (1, 1)
    assert (pool.under_way, pool.max_under_way) == (1, None)
    assert (pool.waiting, pool.max_waiting) == (1, 1)
    assert (pool.refused, pool.opened) == (8, 7)


def test_what_has_no_limit_and_was_never_used_is_left_out() -> None:
    seen = pools({WEB: limits(), IDLE: limits(), SAFE: limits(under_way=2), "BlackHoleCluster": {}}, {WEB: COUNTS})
    assert [pool.cluster for pool in seen.pools] == [SAFE, WEB]
    assert seen.of("web", subset="safe").max_under_way == 2
    with pytest.raises(NotFoundError, match=r"no pool to 'reviews'.*to web:8080, subset safe"):
        seen.of("reviews")


def test_the_pool_to_the_own_application_is_told_apart() -> None:
    seen = pools({"inbound|5000||": limits(connections=1)}, {})
    assert seen.of("").title == "to its own application, port 5000"


def test_a_picture_has_a_place_for_each_that_the_limit_allows_and_a_cross_for_each_refusal() -> None:
    drawn = pools_figure(pools({WEB: limits(connections=3, waiting=2)}, {WEB: COUNTS}))._repr_mimebundle_()
    markup = drawn["text/html"]
    assert len(re.findall(r"<rect[^>]*stroke-dasharray", markup)) == 3  # two free connections, one free waiting place
    assert len(re.findall(r'<rect[^>]*fill="var\(--ws-c1\)"', markup)) == 3
    assert markup.count("l10 10m0 -10l-10 10") == 8
    assert "8 answered 503, flag UO" in markup and "1 of 3" in markup and "1, no limit" in markup


def test_more_than_fits_is_drawn_as_more() -> None:
    seen = pools({WEB: limits(connections=500)}, {WEB: {**COUNTS, "upstream_cx_active": 400}})
    markup = pools_figure(seen)._repr_mimebundle_()["text/html"]
    assert "400 of 500" in markup and "…" in markup
    assert markup.count("<rect") < 40
