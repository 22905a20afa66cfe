"""Random manifest sets translate to something Envoy's protos take; with the oracle at hand, to what istiod makes."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

import pytest
from draw_doors import generate_doors
from draw_gatewayapi import generate_routes
from draw_otherdoors import generate_other_doors
from draw_otherroutes import generate_all_routes
from generate import generate, main, to_text

from labsupport.controlplane.encode import Encoder
from labsupport.controlplane.offline.translate_files import run

SEEDS = range(60)
KINDS = {"clusters": "CDS", "endpoints": "EDS", "listeners": "LDS", "routes": "RDS"}


@pytest.mark.parametrize("make", [generate, generate_routes, generate_all_routes, generate_doors, generate_other_doors])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_resource_is_a_valid_message(
    seed: int, make: Callable[[int], tuple[list[dict[str, Any]], list[str]]]
) -> None:
    objects, proxies = make(seed)
    encoder = Encoder()
    for proxy in proxies:
        result = run([to_text(objects)], proxy)
        for kind, type_name in KINDS.items():
            for resource in result[kind]:
                encoded = encoder.encode(type_name, resource)  # type: ignore[arg-type]
                assert encoded.name == (resource.get("name") or resource["cluster_name"])


@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_equal_input_gives_equal_output_and_nothing_is_changed_in_place(seed: int) -> None:
    objects, proxies = generate(seed)
    first = run([to_text(objects)], proxies[0])
    kept = copy.deepcopy(first)
    for other in range(3):
        run([to_text(generate(seed + 100 + other)[0])], proxies[0])
    assert run([to_text(objects)], proxies[0]) == kept
    assert first == kept


@pytest.mark.skipif("ISTIO_ORACLE" not in os.environ, reason="needs the istiod oracle (ISTIO_ORACLE)")
@pytest.mark.parametrize("make", [generate, generate_routes, generate_doors])
def test_random_sets_equal_istiods(
    make: Callable[[int], tuple[list[dict[str, Any]], list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(0, 20, make) == 0, capsys.readouterr().out
