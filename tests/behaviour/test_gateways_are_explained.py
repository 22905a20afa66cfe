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

SETS = int(os.environ.get("FRONT_SETS", "12"))
SEED = int(os.environ.get("FRONT_SEED", "83000"))

# How many of a thousand requests usually meet what can be said; read as those of the random rules are.
RATES = {
    "answer headers": 85, "by gateway": 670, "by sidecar": 160, "chosen: a later rule": 95,
    "chosen: an HTTPRoute's": 300, "chosen: without match": 25, "ends: connection": 210,
    "ends: direct_response with 500": 40, "ends: forwarded": 240, "ends: no_cluster with 500": 100,
    "ends: no_endpoints": 50, "ends: no_route": 310, "ends: redirect": 35, "failed: headers": 80,
    "failed: method": 110, "failed: path": 180, "failed: queryParams": 75, "held: headers": 50, "held: method": 60,
    "held: path exact": 20, "held: path prefix": 210, "held: path regex": 35, "held: queryParams": 75,
    "ignored: a less exact host": 60, "ignored: a listener of no use": 100, "ignored: bound to other gateways": 380,
    "ignored: hosts that do not meet": 30, "in TLS": 180, "mirror": 45, "near miss": 75, "policy: corsPolicy": 45,
    "policy: headers": 130, "policy: mirrors": 75, "policy: redirect": 35, "policy: retries": 45,
    "policy: rewrite": 60, "request headers": 70, "rules of several objects": 35, "timeout": 20, "weights": 110,
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
