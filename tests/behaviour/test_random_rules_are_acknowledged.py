"""Any rules that pass validation are ones that Envoy takes: random sets, applied to the running mesh."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from behaviour_mesh import RULES, Mesh

from labsupport.errors import ManifestError

sys.path.append(str(Path(__file__).parents[1] / "fidelity"))
from draw_otherdoors import generate_other_doors
from draw_otherroutes import generate_all_routes
from generate import generate

SETS = int(os.environ.get("BEHAVIOUR_SETS", "30"))
SEED = int(os.environ.get("BEHAVIOUR_SEED", "41000"))
DRAWN = (generate, generate_all_routes, generate, generate_other_doors)
STARTED = frozenset(("Deployment", "Pod", "Namespace"))


def rules_of(seed: int) -> list[dict[str, Any]]:
    """The rules and Services of a random set; programs are those that run already."""
    objects, _ = DRAWN[seed % len(DRAWN)](seed)
    return [
        resource
        for resource in objects
        if resource["kind"] not in STARTED and (resource["kind"], resource["metadata"]["name"]) != ("Service", "web")
    ]


def kind_of(resource: dict[str, Any]) -> str:
    """As the lab names it: of two kinds that are called Gateway, one is Istio's."""
    of_kubernetes = resource["apiVersion"].startswith("gateway.networking.k8s.io/")
    return "KubernetesGateway" if resource["kind"] == "Gateway" and of_kubernetes else str(resource["kind"])


def refused(error: ManifestError) -> set[str]:
    names = {problem.object for problem in error.problems if problem.object}
    assert names, f"a refusal that names no object: {error}"
    return names


@contextmanager
def applied(mesh: Mesh, objects: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """What of a set is accepted, in force; what is refused is left out, as its author would do."""
    wanted = list(objects)
    while wanted:
        try:
            mesh.lab.apply(yaml.safe_dump_all(wanted, sort_keys=False), name="random rules")
        except ManifestError as error:
            out = refused(error)
            kept = [resource for resource in wanted if f"{resource['kind']}/{resource['metadata']['name']}" not in out]
            assert len(kept) < len(wanted), f"{error} names none of the objects"
            wanted = kept
            continue
        break
    try:
        yield wanted
    finally:
        if wanted:
            mesh.lab.delete(yaml.safe_dump_all(wanted, sort_keys=False))


@pytest.mark.slow
def test_envoy_acknowledges_whatever_is_valid(mesh: Mesh) -> None:
    kinds: set[str] = set()
    problems = []
    for seed in range(SEED, SEED + SETS):
        try:
            # apply returns when every proxy has acknowledged the set, and raises what an Envoy has against it.
            with applied(mesh, rules_of(seed)) as accepted:
                kinds.update(map(kind_of, accepted))
        except Exception as error:
            problems.append(f"seed {seed}: {type(error).__name__}: {error}")
    assert not problems, f"{len(problems)} of {SETS} sets:\n" + "\n".join(problems[:10])
    assert kinds >= {*RULES}, "a kind that is never accepted proves nothing"
    assert mesh.request("http://web:8080/").status == 200
