"""Requests that are held: each is inside an application, waits in a proxy or is refused, and counts need no clock."""

from __future__ import annotations

from contract_mesh import GATEWAY, SERVICE, URL, Mesh, deployment

from labsupport.traffic.held import HeldRequests
from labsupport.traffic.spec import build_spec

POOL = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1}
      http: {http1MaxPendingRequests: 1}
"""
ONE_POD = SERVICE + deployment("web-safe", "safe")


def hold(
    mesh: Mesh, count: int, url: str = URL, source: str = "client", beside: tuple[HeldRequests, ...] = ()
) -> HeldRequests:
    spec = build_spec(url, source=source, count=count, simultaneous=True, hold=True)
    return HeldRequests(mesh.engine, spec, others=lambda: beside).rest()


def test_a_full_pool_lets_one_in_one_wait_and_refuses_the_others(mesh: Mesh) -> None:
    mesh.apply(ONE_POD, "apps/client")
    mesh.apply(POOL)
    assert [seen.status for seen in mesh.send(URL, 1)] == [200]
    held = hold(mesh, 10)
    assert (held.inside, held.waiting, held.answered.count(status=503)) == (1, 1, 8)
    assert held.release().count(status=200) == 2


def test_requests_that_come_one_after_the_other_fill_it_place_by_place(mesh: Mesh) -> None:
    mesh.apply(ONE_POD, "apps/client")
    mesh.apply(POOL)
    first, second = hold(mesh, 1), hold(mesh, 1)
    third = hold(mesh, 1, beside=(first, second))
    assert (first.inside, second.waiting, third.answered.count(status=503)) == (1, 1, 1)
    assert [part.release()[0].status for part in (first, second, third)] == [200, 200, 503]


def test_without_a_pool_all_are_inside_also_through_the_gateway(mesh: Mesh) -> None:
    mesh.apply(ONE_POD, "apps/client", GATEWAY)
    for url, source in ((URL, "client"), ("gateway:/", "outside")):
        held = hold(mesh, 20, url, source)
        assert (held.inside, held.waiting, len(held.answered)) == (20, 0, 0), url
        assert held.release().count(status=200) == 20
