"""Explanations against the running mesh: what was predicted from manifests is what clients and proxies saw."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from urllib.parse import unquote

import pytest
from behaviour_mesh import Json, Mesh
from draw_rules import Drawing, Request

from labsupport.engine.base import AccessRecord, Response
from labsupport.errors import ManifestError
from labsupport.explain import Explanation

SETS = int(os.environ.get("BEHAVIOUR_SETS", "60"))
SEED = int(os.environ.get("BEHAVIOUR_SEED", "7000"))
REQUESTS = 6

KINDS = {"NR": "no_route", "NC": "no_cluster", "UH": "no_endpoints", "FI": "abort"}


def kind_of(seen: Response, line: AccessRecord | None) -> str:
    """What became of a request, in the words of a prediction."""
    if line is None or seen.outcome == "unknown_destination":
        return seen.outcome
    for flag, kind in KINDS.items():
        if flag in line.flags.split(","):
            return kind
    if line.details == "via_upstream":
        return "forwarded"
    if line.details == "cors_response":
        return "preflight"
    return "redirect" if 300 <= line.status < 400 else "direct_response"


def arrived_as(seen: Response) -> tuple[str, str]:
    """Path and host as the application tells them; empty where it does not."""
    with suppress(ValueError):
        told = json.loads(seen.body)
        if "headers" in told:
            query = f"?{told['raw_query']}" if told["raw_query"] else ""
            return told["path"] + query, told["headers"]["host"]
        missing, found, _ = str(told.get("error", "")).partition(" does not exist")
        if found:
            return missing, ""
    return "", ""


def difference(why: Explanation, seen: Response, lines: list[AccessRecord]) -> str:
    """What differs between a prediction and what happened; empty if nothing does."""
    own = [one for one in lines if one.pod == why.proxy and one.direction in ("outbound", "gateway")]
    line = own[0] if own else None
    kind = kind_of(seen, line)
    fitting = [one for one in why.outcomes if one.kind == kind and one.share > 0]
    if not fitting:
        return f"it was {kind}, predicted {sorted({one.kind for one in why.outcomes})}"
    if line is None or kind == "unknown_destination":
        return ""
    chosen = why.chosen
    if chosen is not None:
        names = [f"{chosen.name}.{entry.name}" for entry in chosen.entries if entry.holds] or [chosen.name]
        if line.route not in names:
            return f"route {line.route} took it, predicted {names}"
    if kind != "forwarded":
        wanted = {(one.status, one.location) for one in fitting}
        got = (seen.status, seen.headers.get("location", ""))
        return "" if got in wanted else f"the answer was {got}, predicted {wanted}"
    clusters = {one.cluster: one for one in why.destinations if one.share > 0 and not one.problem}
    if line.cluster not in clusters:
        return f"it went to {line.cluster}, predicted {sorted(clusters)}"
    if line.upstream_pod not in clusters[line.cluster].pods:
        return f"{line.upstream_pod} had it, predicted {clusters[line.cluster].pods}"
    path, host = arrived_as(seen)
    predicted = unquote(why.upstream_path), why.upstream_authority
    if path and path != (predicted[0] if host else predicted[0].partition("?")[0]):
        return f"the application saw path {path}, predicted {predicted[0]}"
    return f"the application saw host {host}, predicted {predicted[1]}" if host and host != predicted[1] else ""


def valid(mesh: Mesh, rules: list[Json]) -> bool:
    try:
        mesh.apply(*rules)
    except ManifestError:
        return False
    return True


def judge(mesh: Mesh, seed: int, kinds: Counter[str]) -> list[str]:
    """Apply one set, send its requests, and tell every difference."""
    drawing = Drawing(seed)
    rules = drawing.rules if valid(mesh, drawing.rules) else [one for one in drawing.rules if valid(mesh, [one])]
    if not rules:
        return []
    asked: list[tuple[Request, Explanation, Response]] = []
    for request in drawing.requests(REQUESTS):
        options = {"source": request.source, "headers": request.headers, "method": request.method}
        why = mesh.lab.explain(request.url, **options, confirm=False).explanation  # type: ignore[arg-type]
        asked.append((request, why, mesh.one(request.url, **options)))
    # A refused connection leaves no line anywhere, and waiting for one would take its time.
    lines = mesh.lab.access_log([seen.request_id for _, _, seen in asked if seen.outcome != "connection"])
    found: list[str] = []
    for request, why, seen in asked:
        own = [one for one in lines if one.request_id == seen.request_id]
        kinds.update(one.kind for one in why.outcomes)
        if problem := difference(why, seen, own):
            text = "" if found else json.dumps(rules)
            found.append(f"seed {seed}, {request}: {problem}\n{seen}\n{own}\n{why}\n{text}")
    mesh.clear()
    return found


@pytest.mark.slow
def test_requests_go_where_explanations_say(mesh: Mesh) -> None:
    kinds: Counter[str] = Counter()
    problems = [problem for seed in range(SEED, SEED + SETS) for problem in judge(mesh, seed, kinds)]
    assert not problems, f"{len(problems)} differences, the first of them:\n" + "\n".join(problems[:3])
    # A generator that never makes some case proves nothing about it.
    usual = {"forwarded", "redirect", "direct_response", "abort", "no_route", "no_cluster", "no_endpoints"}
    assert kinds.keys() >= usual | {"unknown_destination", "connection"}, kinds
