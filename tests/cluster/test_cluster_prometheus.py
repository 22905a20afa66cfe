"""A cluster's own Prometheus answers what the load client saw, where there is one and it gets the metrics of Istio."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import pytest
from contract_mesh import Mesh, eventually

from labsupport import Lab
from labsupport.engine.cluster import ClusterEngine
from labsupport.lab import current
from labsupport.metrics.counting import BUCKETS_MS, DURATION, REQUESTS

COUNT = 40
SLOW = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
    - fault: {delay: {fixedDelay: 120ms, percentage: {value: 100}}}
      route: [{destination: {host: web}}]
"""


@pytest.fixture(scope="module")
def lab(engine: ClusterEngine) -> Iterator[Lab]:
    if engine.prometheus("vector(1)") is None:
        pytest.skip("the cluster has no Prometheus in istio-system")
    Mesh(engine).apply(
        "02-canary-by-weight/web", "02-canary-by-weight/destination-rule-web-versions.yaml", "apps/client"
    )
    lab = Lab(engine)
    yield lab
    # The engine is the module's: the lab is let go of without being closed.
    current.forget(lab)
    assert engine.reset().remaining == ()


def test_its_answers_are_what_the_load_client_saw(lab: Lab) -> None:
    asked = 'destination_service_name="web"'
    metrics = lab.metrics()

    def value(query: str) -> float:
        answer = metrics.ask(query)
        assert answer.source == "Prometheus" and answer.note
        return answer.value if answer.elements else 0.0

    seen = lab.send("http://web:8080/", source="client", count=COUNT)
    for reporter in ("source", "destination"):
        total = f'sum({REQUESTS}{{reporter="{reporter}", response_code="200", {asked}}})'
        eventually(lambda total=total: value(total) == COUNT, lambda total=total: value(total))
    histogram = f'sum by (le) ({DURATION}_bucket{{reporter="source", {asked}}})'
    durations = sorted(each.duration_s * 1000 for each in seen)
    for share in (0.5, 0.9):
        exact = durations[round(share * COUNT) - 1]
        place = bisect.bisect_left(BUCKETS_MS, exact)
        told = value(f"histogram_quantile({share}, {histogram})")
        # The client's time has the way to its proxy in it: its bucket, or the one before.
        assert BUCKETS_MS[max(place - 2, 0)] <= told <= BUCKETS_MS[place], (share, exact)
