"""Explanations of what comes in at Gateways of the Gateway API against the running mesh."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import yaml
from behaviour_mesh import Mesh
from draw_fronts import CERTIFICATES, FrontDrawing
from test_httproutes_are_explained import WORLD
from test_random_rules_are_explained import hold, more_applications

from labsupport.certificates import Authority, Certificate
from labsupport.lab.lab import Lab
from labsupport.records import Ref

SETS = int(os.environ.get("FRONT_SETS", "10"))
SEED = int(os.environ.get("FRONT_SEED", "83000"))

# How many of a thousand requests usually meet what can be said; read as those of the random rules are.
RATES = {
    "answer headers": 50, "by gateway": 750, "by sidecar": 130, "chosen: a GRPCRoute's": 35,
    "chosen: a TCPRoute's": 10, "chosen: a later rule": 90, "chosen: an HTTPRoute's": 180, "chosen: without match": 30,
    "ends: connection": 250, "ends: direct_response with 500": 25, "ends: forwarded": 180,
    "ends: no_cluster with 500": 90, "ends: no_endpoints": 40, "ends: no_route": 360, "ends: redirect": 35,
    "failed: headers": 75, "failed: method": 70, "failed: path": 130, "failed: queryParams": 25, "held: headers": 60,
    "held: method": 40, "held: path exact": 15, "held: path prefix": 150, "held: path regex": 25,
    "held: queryParams": 35, "ignored: a less exact host": 30, "ignored: a listener of no use": 70,
    "ignored: bound to other gateways": 350, "ignored: hosts that do not meet": 20, "in TLS": 200, "mirror": 35,
    "near miss": 50, "policy: corsPolicy": 15, "policy: headers": 80, "policy: mirrors": 45, "policy: redirect": 35,
    "policy: retries": 25, "policy: rewrite": 30, "request headers": 65, "rules of several objects": 25, "timeout": 30,
    "weights": 65,
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(lab: Lab, other: None) -> Iterator[Certificate]:
    """The certificate that clients show where they show one; listeners have theirs, and know whom to trust."""
    authority = Authority()
    made = [authority.secret("trusted", generic=False)]
    for namespace, name in CERTIFICATES.items():
        made.append(authority.server("*.example", "web.test").secret(name, namespace=namespace))
    others = more_applications(authority)
    lab.apply(yaml.safe_dump_all(others), *made, name="connections")
    yield authority.client("somebody")
    lab.delete(*(Ref(resource["kind"], resource["metadata"]["name"]) for resource in others))
    lab.delete(Ref("Secret", "trusted"), *(Ref("Secret", name, space) for space, name in CERTIFICATES.items()))


@pytest.mark.slow
@pytest.mark.embedded
def test_requests_at_gateways_go_where_explanations_say(mesh: Mesh, shown: Certificate) -> None:
    hold(mesh, {seed: FrontDrawing(seed, WORLD) for seed in range(SEED, SEED + SETS)}, RATES, shown)
