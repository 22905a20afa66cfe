"""Random but reproducible manifest sets, compared with real istiod where it is present.

ISTIO_ORACLE=<path of the istio-oracle program> python tests/fidelity/generate.py FIRST_SEED COUNT [WORD]

A last word draws routes of the Gateway API beside rules of Istio: gatewayapi HTTPRoutes bound to Services, routes all
kinds of these, doors HTTPRoutes at Gateways, other-doors all kinds at Gateways.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import yaml
from draw import GATEWAYS, Json
from draw_doors import generate_doors
from draw_gatewayapi import generate_routes
from draw_odd import DrawOdd
from draw_otherdoors import generate_other_doors
from draw_otherroutes import generate_all_routes

__all__ = ["PROXIES", "generate", "to_text"]

PROXIES = (
    "sidecar:client.default",
    "sidecar:web-v1.default",
    "sidecar:api.blue",
    "sidecar:outsider.nowhere",
    "gateway:istio-ingressgateway.istio-system",
)


def generate(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = DrawOdd(seed)
    maker.cluster()
    makers: list[Callable[[], None]] = []
    makers += [lambda i=index: maker.virtual_service(i) for index in range(maker.number(0, 4))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.number(0, 4))]
    makers += [lambda i=index: maker.service_entry(i) for index in range(maker.number(0, 2))]
    makers += [lambda n=name: maker.gateway(n) for name in maker.some(GATEWAYS, 2)]
    if maker.maybe(0.25):
        makers.append(maker.sidecar)
    if maker.maybe(0.2):
        makers.append(maker.workload_entry)
    if maker.maybe(0.4):
        makers.append(maker.odd)
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, [maker.pick(PROXIES[:4]), PROXIES[4]] if maker.maybe(0.5) else [maker.pick(PROXIES)]


def to_text(objects: Sequence[Json]) -> str:
    """The set as YAML documents."""
    return "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in objects)


def main(first: int, count: int, make: Callable[[int], tuple[list[Json], list[str]]] = generate) -> int:
    """Compare some seeds with istiod; print every difference."""
    from cases import ask_oracle
    from normalise import differences, normalise

    from labsupport.controlplane.offline.translate_files import run

    bad = compared = rejected = 0
    for seed in range(first, first + count):
        objects, proxies = make(seed)
        for proxy in proxies:
            try:
                theirs = ask_oracle(to_text(objects), proxy)
            except RuntimeError as error:
                print(f"seed {seed} {proxy}: {str(error).splitlines()[0]}")
                bad += 1
                continue
            out = {(item["kind"], item["namespace"], item["name"]) for item in theirs["info"]["rejected"]}
            rejected += len(out)
            kept = [
                item
                for item in objects
                if (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) not in out
            ]
            seen = list(differences(normalise(run([to_text(kept)], proxy)), normalise(theirs)))
            compared += 1
            if seen:
                bad += 1
                print(f"seed {seed} {proxy}: {len(seen)} differences")
                for line in seen[:5]:
                    print(f"    {line}")
    print(f"{compared} compared, {bad} differ, {rejected} objects refused by admission")
    return bad


if __name__ == "__main__":
    drawn = {"gatewayapi": generate_routes, "routes": generate_all_routes}
    drawn |= {"doors": generate_doors, "other-doors": generate_other_doors}
    sys.exit(1 if main(int(sys.argv[1]), int(sys.argv[2]), drawn[sys.argv[3]] if sys.argv[3:] else generate) else 0)
