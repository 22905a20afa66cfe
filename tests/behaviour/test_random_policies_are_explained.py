"""Notes, explanations and the running mesh agree, over two namespaces and with policies that bite at run time."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from behaviour_mesh import Json, Mesh
from draw_biting import Biting
from draw_requests import Request
from draw_world import Target, World

from labsupport.observe.confirm import Explained

SETS = int(os.environ.get("BITING_SETS", "8"))
SEED = int(os.environ.get("BITING_SEED", "9000"))
REQUESTS = 10

WORLD = World(
    targets=(
        Target("web", (8080,), ("v1", "v2")),
        Target("shop", (80, 8080, 9090), ("v2",)),
        Target("mixed", (8080,), ("v1",)),
        Target("cart", (80, 8080), ("v1",), "other"),
        # Of one name with a service of the other namespace.
        Target("web", (8080,), ("v1",), "other"),
    ),
    empty=Target("empty", (8080,)),
    clients=(("client", "default"), ("client", "default"), ("stranger", "other")),
    spaces=("default", "default", "other"),
    labels=({"app": "client"}, {"app": "stranger"}, {"app": "other"}),
)
# What ends a request by a policy: a run of a few sets has to meet some of it, a long one all.
ENDINGS = ("ejected by outlierDetection", "connection pool is full", "the timeout of", "perTryTimeout")


def explained(mesh: Mesh, request: Request, *, crowded: bool) -> Explained:
    """Explain and send a request, alone or while others keep the same way busy."""
    way = re.match(r"(\w+://[^/]+|gateway:\d*)", request.url)
    assert way is not None
    # Where a failure is asked for, others ask for it, too, until what fails is ejected.
    busy = request.url if "/status/" in request.url else f"{way[1]}/slow?seconds=0.2"
    with ExitStack() as crowd:
        if crowded:
            others = mesh.lab.traffic(busy, source=request.source, headers=request.headers, rate=40)
            crowd.enter_context(others).collect(4)
        return mesh.lab.explain(
            request.url,
            source=request.source,
            method=request.method,
            headers=request.headers,
            body=request.body,
        )


def unnoted(told: Explained, rules: list[Json], notes: str) -> Iterator[str]:
    """Destinations that nothing in the set could be, whoever calls, and that no note is about."""
    defined = {subset["name"] for rule in rules for subset in rule["spec"].get("subsets", ())}
    for destination in told.explanation.destinations:
        if destination.problem != "NC" or destination.place is None:
            continue
        wrong = destination.subset if destination.subset not in defined else ""
        if destination.reason.startswith("there is no service"):
            wrong = destination.host.partition(".")[0]
        if wrong and wrong not in notes:
            yield f"no note is about {destination}"


def judge(mesh: Mesh, seed: int, met: Counter[str]) -> list[str]:
    """Apply one set, explain and send its requests, and tell every difference."""
    drawing = Biting(seed, WORLD)
    rules = mesh.accept(drawing.rules)
    problems = []
    for number, request in enumerate(drawing.requests(REQUESTS)):
        told = explained(
            mesh, request, crowded=request.body is None and request.url[:5] != "https" and drawing.maybe(0.6)
        )
        met["does not tell"] += told.agrees is None
        met["sent"] += 1
        text = "\n".join(told.findings)
        met.update(ending for ending in ENDINGS if ending in text)
        missing = list(unnoted(told, rules, "\n".join(mesh.lab.status().notes)))
        if told.agrees is False or "fault of ours" in text or missing:
            problems.append(f"seed {seed}, {number} {request}: {missing}\n{told}\n{told.response}\n{json.dumps(rules)}")
    mesh.clear()
    return problems


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.usefixtures("other")
def test_what_policies_do_is_noted_and_explained(mesh: Mesh) -> None:
    met: Counter[str] = Counter()
    problems = [problem for seed in range(SEED, SEED + SETS) for problem in judge(mesh, seed, met)]
    assert not problems, f"{len(problems)} differences, the first of them:\n" + "\n".join(problems[:3])
    assert sum(met[ending] for ending in ENDINGS) >= SETS // 8, met
    assert SETS < 200 or all(met[ending] for ending in ENDINGS), met
    assert met["does not tell"] < 0.1 * met["sent"], met
