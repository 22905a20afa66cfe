"""The queries of Istio's own dashboard for a service tell what the load client saw."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator

import pytest
from behaviour_mesh import WEB, Mesh, virtual_service

from labsupport.metrics.counting import BUCKETS_MS
from labsupport.metrics.watching import Metrics
from labsupport.traffic.observations import Observations

SERVICE = 'reporter=~"source",destination_service=~"web.default.svc.cluster.local"'
# As in the dashboard "Istio Service Dashboard" of Istio's samples, with the variables filled in.
RATE = f"round(sum(irate(istio_requests_total{{{SERVICE}}}[5m])), 0.001)"
SUCCESS = (
    f'sum(irate(istio_requests_total{{{SERVICE},response_code!~"5.*"}}[5m])) / '
    f"sum(irate(istio_requests_total{{{SERVICE}}}[5m]))"
)
DURATION = (
    "(histogram_quantile({share}, sum(irate(istio_request_duration_milliseconds_bucket"
    f"{{{{{SERVICE}}}}}[1m])) by (le)) / 1000) or histogram_quantile({{share}}, "
    f"sum(irate(istio_request_duration_seconds_bucket{{{{{SERVICE}}}}}[1m])) by (le))"
)
COUNT, PER_SECOND = 200, 50.0


@pytest.fixture
def metrics(mesh: Mesh) -> Iterator[Metrics]:
    # Scraped when the test says so: what lies between two scrapes is what was sent between them.
    metrics = Metrics(mesh.lab._engine, every_s=3600)
    yield metrics
    metrics.close()


def _slow(kind: str, milliseconds: int, *, abort: bool = False) -> dict[str, object]:
    everyone = {"percentage": {"value": 100}}
    fault = {"delay": {**everyone, "fixedDelay": f"{milliseconds}ms"}}
    return {
        "match": [{"headers": {"x-kind": {"exact": kind}}}],
        "fault": {**fault, **({"abort": {**everyone, "httpStatus": 503}} if abort else {})},
    }


def _send(mesh: Mesh) -> Observations:
    """120 requests of about 35 ms, 70 of 170 ms, which fail, and 10 of 700 ms."""
    kinds = {"quick": 120, "failing": 70, "slow": 10}
    parts = [
        mesh.lab.send(f"{WEB}/name", source="client", count=count, headers={"x-kind": kind}, rate=PER_SECOND)
        for kind, count in kinds.items()
    ]
    return parts[0] + parts[1] + parts[2]


def _within_a_bucket(told_s: float, seen_s: float) -> bool:
    place = bisect.bisect_left(BUCKETS_MS, seen_s * 1000)
    below = BUCKETS_MS[place - 1] if place else 0.0
    return abs(told_s - seen_s) * 1000 <= BUCKETS_MS[place] - below


@pytest.mark.embedded
def test_istios_dashboard_tells_what_the_load_client_saw(mesh: Mesh, metrics: Metrics) -> None:
    mesh.apply(virtual_service(_slow("quick", 35), _slow("failing", 170, abort=True), _slow("slow", 700)))
    # Of a counter that is new Prometheus knows no rate: who says that it was zero before?
    first = _send(mesh)
    metrics.settle()
    seen = _send(mesh)

    assert metrics.query(f"sum(istio_requests_total{{{SERVICE}}})").value == len(first) + len(seen) == 2 * COUNT
    span_s = max(each.started_s + each.duration_s for each in seen) - min(each.started_s for each in seen)
    rate = metrics.query(RATE, scrape=False).value
    # The scrapes lie a little before the first request and after the last.
    assert 0.8 * COUNT / span_s < rate <= COUNT / span_s
    success = metrics.query(SUCCESS, scrape=False).value
    assert success == pytest.approx(sum(each.status < 500 for each in seen) / COUNT)
    assert 0.5 < success < 0.8
    durations = sorted(each.duration_s for each in seen)
    for share in (0.50, 0.90, 0.99):
        told = metrics.query(DURATION.format(share=share), scrape=False).value
        assert _within_a_bucket(told, durations[math.ceil(share * COUNT) - 1]), share
