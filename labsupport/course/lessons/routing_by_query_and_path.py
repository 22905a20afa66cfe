"""Judges of notebook 04: conditions on query and path, what a rewrite makes of a path, and the path that a hop sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import explained, reasons_of
from labsupport.course.judging import judge
from labsupport.course.probing import Probe, at_most_rules, is_taken, probed, told_by_rules
from labsupport.course.spec import Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_WEB = "http://web:8080"


def _for(path: str, version: str, *, status: int = 0, seen: str = "") -> Probe:
    return Probe(f"for {path}", version, url=f"{_WEB}{path}", status=status, path=seen)


@judge("04.1")
def preview(lab: Lab) -> Iterator[Shown]:
    """One value of one parameter meets risk, wherever it stands; everything else meets safe."""
    kinds = ["/?test-v2=true", "/?a=1&test-v2=true", "/headers?test-v2=true&a=1"]
    others = ["/", "/?test-v2=false", "/?test-v2", "/?my-test-v2=true", "/?test-v2=TRUE", "/?test-v2=true1"]
    yield from probed(lab, [*(_for(path, "risk") for path in kinds), *(_for(path, "safe") for path in others)])
    header = Probe("for / with a header test-v2: true", "safe", url=f"{_WEB}/", headers={"test-v2": "true"})
    yield from probed(lab, [header])


@judge("04.3")
def second_interface(lab: Lab) -> Iterator[Shown]:
    """What is below /v2 comes to risk without it; what only begins with the same letters does not."""
    yield from probed(
        lab,
        [
            _for("/v2", "risk", seen="/"),
            _for("/v2/headers", "risk", seen="/headers"),
            _for("/v2/headers/a", "risk", seen="/headers/a"),
            _for("/v2/name", "risk", status=404, seen="/name"),
            _for("/v22", "safe", status=404),
            _for("/v2headers", "safe", status=404),
            _for("/headers", "safe"),
        ],
    )


@judge("04.4")
def doors(lab: Lab) -> Iterator[Shown]:
    """Five wishes, one after the other, and then the budget."""
    rungs = (
        [_for("/?test-v2=true", "risk"), _for("/name?a=1&test-v2=true", "risk", status=404), _for("/", "safe")],
        [_for("/headers", "risk"), _for("/headers/a", "risk"), _for("/headersx", "safe", status=404)],
        [_for("/Headers", "risk", status=404), _for("/HEADERS/a", "risk", status=404)],
        [_for("/old", "", status=301), _for("/old/a", "safe", status=404)],
        [_for("/gone", "", status=410), _for("/gone/a", "safe", status=404), _for("/name", "safe")],
    )
    for number, probes in enumerate(rungs, start=1):
        for probe, outcome in zip(probes, probed(lab, probes), strict=True):
            # What is to meet safe and is taken by no rule breaks the last wish.
            left = probe.version == "safe" and not outcome.passed and not is_taken(lab, probe)
            yield _rung(5 if left else number, outcome)
    old = lab.send(f"{_WEB}/old", source="client", count=3, keep_headers=("location",))
    leads_to = {response.headers.get("location", "").rpartition(":8080")[2] for response in old}
    outcome = check.only(old, lambda response: response.headers.get("location", "").endswith(":8080/headers"))
    said = f"/old is redirected to {', '.join(sorted(leads_to)) or 'nowhere'}; it is to lead to /headers."
    yield _rung(4, outcome if outcome.passed else replace(outcome, lines=(said,)))
    yield at_most_rules(lab, 4)


def _rung(number: int, outcome: CheckOutcome) -> CheckOutcome:
    return outcome if outcome.passed else replace(outcome, lines=(f"Wish {number} of 5.", *outcome.lines))


@judge("04.5")
def both_doors(lab: Lab) -> Iterator[Shown]:
    """The page asks v2 of reviews where its own address says so, by query or by path."""
    for path, version in (
        ("?test-v2=true", "v2"),
        ("/v2", "v2"),
        ("/v2/list", "v2"),
        ("/V2", "v2"),
        ("/V2/list", "v2"),
        ("", "v1"),
        ("?test-v2=false", "v1"),
        ("/v1", "v1"),
        ("/v22", "v1"),
    ):
        seen = lab.send(f"gateway:/productpage{path}", count=6, reuse_connections=True)
        yield seen
        outcome = check.only(seen, service="reviews", version=version)
        if not outcome.passed:
            asked = f"/reviews/0{path}"
            told = explained(lab, f"http://reviews:9080{asked}", source="productpage-v1")
            said = f"The page at /productpage{path} is to ask {version} of reviews, and asks another version."
            lines = (said, f"It asks reviews for {asked}.", *told_by_rules(told), *reasons_of(lab, told))
            outcome = replace(outcome, lines=lines)
        yield outcome
