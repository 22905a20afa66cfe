"""The author's loop over the incident game: each kind breaks a promise, each repair mends it, and no short cut does."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator

import pytest

from labsupport import paths
from labsupport.course.incidents.drawing import Drawn, Fault, draw
from labsupport.course.incidents.incident import Incident, begin, spoil, to_normal
from labsupport.course.incidents.kinds import BASE, every
from labsupport.course.incidents.promises import PAGE, PROMISES, Look
from labsupport.lab.lab import Lab

SEEDS = range(1, 51)
DRAINED_S = 90
# On one mesh each kind once, and all seeds where somebody asks for that: WORKSHOP_INCIDENTS=50.
PLAYED = int(os.environ.get("WORKSHOP_INCIDENTS", "0"))


def _first_of_each_kind() -> dict[str, int]:
    seeds: dict[str, int] = {}
    for seed in range(1_000):
        seeds.setdefault(draw(seed, 1).faults[0].kind.name, seed)
    return dict(sorted(seeds.items()))


ONCE = _first_of_each_kind()
PLAYS = [draw(seed, 1) for seed in ([*SEEDS][:PLAYED] if PLAYED else ONCE.values())]


def first_broken(lab: Lab, drawn: Drawn) -> str:
    """The name of the first promise that is broken; empty if all are kept."""
    look = Look(lab, drawn.values)
    return next((promise.name for promise in PROMISES if not promise.kept(look).passed), "")


def broken_at_last(lab: Lab, drawn: Drawn, wanted: Collection[str]) -> str:
    """The same, once connections that an application keeps are no longer those from before a Service changed.

    They go on with the protocol of their proxy's former listener until that is drained; Istio takes 45 s for it.
    """
    changed = any(ref.startswith("Service/") for fault in drawn.faults for ref in fault.kind.touches)
    deadline = time.monotonic() + (DRAINED_S if changed else 0)
    while (name := first_broken(lab, drawn)) not in wanted and time.monotonic() < deadline:
        pass
    return name


def short_cuts(fault: Fault) -> dict[str, Callable[[Lab], object]]:
    """What an author tries before a learner does, by name."""
    applied = {name: lambda lab, text=text: lab.apply(text) for name, text in fault.manifests("short-cuts").items()}
    return applied | {f"delete {ref}": lambda lab, ref=ref: lab.delete(ref) for ref in fault.kind.deletes}


def shown(lab: Lab, fault: Fault) -> bool:
    """Whether the one command of the debrief shows the fault, for pages of the promise that it breaks first."""
    promise = next(promise for promise in PROMISES if promise.name == fault.kind.promises[0])
    headers = {name: fault.text(value) for name, value in promise.headers.items()}
    seen = lab.send(PAGE, headers=headers, count=6)
    output = repr(eval(fault.text(fault.kind.command), {"lab": lab, "seen": seen}))
    return re.search(fault.text(fault.kind.shows), output) is not None


def mend(lab: Lab, fault: Fault) -> None:
    lab.apply(*fault.as_normal())
    lab.delete(*fault.too_much(), missing_ok=True)


def test_every_kind_is_played() -> None:
    assert [*ONCE] == [*every()]
    assert len(every()) >= 12


@pytest.mark.parametrize("drawn", PLAYS, ids=lambda drawn: f"{drawn.faults[0].kind.name}-{drawn.seed}")
def test_a_kind_breaks_a_promise_short_cuts_do_not_help_and_repairs_do(opened: Lab, drawn: Drawn) -> None:
    (fault,) = drawn.faults
    incident = begin(opened, drawn.seed, 1)
    assert incident.brief == (fault.text(fault.kind.brief),)
    assert broken_at_last(opened, drawn, fault.kind.promises) in fault.kind.promises
    assert shown(opened, fault)
    for name, take in short_cuts(fault).items():
        take(opened)
        assert first_broken(opened, drawn), name
        to_normal(opened, drawn)
        spoil(opened, drawn)
    mend(opened, fault)
    assert broken_at_last(opened, drawn, [""]) == ""
    assert not shown(opened, fault)
    for name, text in fault.manifests("repair").items():
        spoil(opened, drawn)
        opened.apply(text)
        assert first_broken(opened, drawn) == "", name


def test_two_faults_are_mended_one_by_one_and_the_debrief_tells_how(opened: Lab) -> None:
    drawn = next(drawn for drawn in (draw(seed, 2) for seed in SEEDS) if drawn.faults[0].kind.name == "gateway-host")
    incident = opened.incident(drawn.seed, faults=2)
    assert isinstance(incident, Incident)
    assert not incident.check()
    incident.hint()
    for fault in drawn.faults:
        assert not incident.check()
        mend(opened, fault)
    assert incident.check()
    told = incident.debrief()
    assert told.stars == 2
    assert [title for title, *_ in told.lessons] == [fault.kind.title for fault in drawn.faults]
    texts = [event.text for event in told.events]
    assert (texts[0][:6], texts[1], texts[-1]) == ("check:", "hint 1", "check: all promises are kept")
    assert any(text.startswith("apply") for text in texts)


@pytest.fixture
def normal_state(opened: Lab) -> Iterator[Drawn]:
    drawn = draw(7, 0)
    to_normal(opened, drawn)
    yield drawn
    opened.delete("Deployment/details-v1", missing_ok=True)
    opened.apply(BASE)


@pytest.mark.parametrize("short_cut", ["delete", "scale", "relabel", "settings"])
def test_who_meddles_with_the_applications_is_told_why_that_does_not_count(
    opened: Lab, normal_state: Drawn, short_cut: str
) -> None:
    text = (paths.manifests() / BASE / "deployment-details-v1.yaml").read_text(encoding="utf-8")
    if short_cut == "scale":
        opened.scale("details-v1", 0)
    else:
        opened.delete("Deployment/details-v1")
    if short_cut == "relabel":
        opened.apply(text.replace("version: v1", "version: v2"))
    elif short_cut == "settings":
        opened.apply(text.replace('"0.25"', '"0"'))
    outcome = PROMISES[0].kept(Look(opened, normal_state.values))
    said = {
        "delete": "is gone: without it nobody is to be met",
        "scale": "No pod of details-v1 is ready",
        "relabel": "labels or settings of details-v1 are not as given",
        "settings": "labels or settings of details-v1 are not as given",
    }
    assert not outcome.passed
    assert said[short_cut] in outcome.lines[0]
