"""Explanations of what comes in at Gateways of the Gateway API against the running mesh."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from behaviour_mesh import Mesh
from draw_fronts import CERTIFICATES, FrontDrawing
from test_httproutes_are_explained import WORLD
from test_random_rules_are_explained import hold

from labsupport.certificates import Authority, Certificate
from labsupport.lab.lab import Lab
from labsupport.records import Ref

SETS = int(os.environ.get("FRONT_SETS", "15"))
SEED = int(os.environ.get("FRONT_SEED", "83000"))

RATES: dict[str, int] = {}


@pytest.fixture(scope="module")
def shown(lab: Lab, other: None) -> Iterator[Certificate]:
    """The certificate that clients show where they show one; listeners have theirs, and know whom to trust."""
    authority = Authority()
    made = [authority.secret("trusted", generic=False)]
    for namespace, name in CERTIFICATES.items():
        made.append(authority.server("*.example", "web.test").secret(name, namespace=namespace))
    lab.apply(*made, name="certificates")
    yield authority.client("somebody")
    lab.delete(Ref("Secret", "trusted"), *(Ref("Secret", name, space) for space, name in CERTIFICATES.items()))


@pytest.mark.slow
@pytest.mark.embedded
def test_requests_at_gateways_go_where_explanations_say(mesh: Mesh, shown: Certificate) -> None:
    hold(mesh, {seed: FrontDrawing(seed, WORLD) for seed in range(SEED, SEED + SETS)}, RATES, shown)
