"""Explanations of HTTPRoutes against the running mesh, beside rules of Istio and over two namespaces."""

from __future__ import annotations

import os

import pytest
from behaviour_mesh import Mesh
from draw_httproutes import RouteDrawing
from draw_world import Target, World
from test_random_rules_are_explained import hold

SETS = int(os.environ.get("ROUTE_SETS", "40"))
SEED = int(os.environ.get("ROUTE_SEED", "61000"))

WORLD = World(
    targets=(
        Target("web", (8080,), ("v1", "v2")),
        Target("shop", (80, 8080, 9090), ("v2",)),
        Target("mixed", (8080,), ("v1",)),
        Target("bare", (8080,), ("v1",)),
        Target("cart", (80, 8080), ("v1",), "other"),
        # Of one name with a service of the other namespace.
        Target("web", (8080,), ("v1",), "other"),
    ),
    empty=Target("empty", (8080,)),
    clients=(("client", "default"), ("client", "default"), ("stranger", "other")),
    spaces=("default", "default", "other"),
)
# How many of a thousand requests usually meet what routes can say; read as those of the random rules are.
RATES = {
    "chosen: a later rule": 200, "chosen: an HTTPRoute's": 500, "ends: direct_response with 500": 40,
    "ends: forwarded": 500, "ends: no_cluster with 500": 70, "ends: no_endpoints": 50, "ends: no_route": 150,
    "ends: preflight": 13, "ends: redirect": 60, "failed: headers": 210, "failed: method": 200, "failed: path": 280,
    "failed: queryParams": 140, "held: headers": 120, "held: method": 130, "held: path exact": 35,
    "held: path regex": 42, "ignored: a route of a third namespace": 40, "ignored: an older rule on the host": 65,
    "mirror": 100, "mirror to nobody": 12, "near miss": 90, "policy: corsPolicy": 75, "policy: headers": 220,
    "policy: mirrors": 130, "policy: redirect": 60, "policy: retries": 70, "policy: rewrite": 100,
    "request headers": 170, "rules of several objects": 36, "timeout": 55, "weights": 170,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("other")
def test_requests_go_where_explanations_of_httproutes_say(mesh: Mesh) -> None:
    hold(mesh, {seed: RouteDrawing(seed, WORLD) for seed in range(SEED, SEED + SETS)}, RATES)
