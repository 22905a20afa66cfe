"""What seeds stand for, read and drawn without a mesh, and what an incident tells and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_engine import SmallEngine

from labsupport.course.incidents import kinds
from labsupport.course.incidents.debrief import STARS
from labsupport.course.incidents.drawing import draw
from labsupport.course.incidents.incident import Incident
from labsupport.course.incidents.kinds import every, normal
from labsupport.course.incidents.promises import PROMISES
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab
from labsupport.lab.sources import read

SEEDS = range(1, 51)
CAUSES = re.compile(
    r"UH|NC|NR|UT|DI|VirtualService|DestinationRule|subset|timeout|retr(y|ies) rule|mirror|outlier|weight"
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def _refs(text: str) -> set[str]:
    return {f"{each.kind}/{each.name}" for each in read([text])}


@pytest.mark.parametrize("faults", [0, 1, 2])
def test_every_seed_is_read_and_is_the_same_each_time(faults: int) -> None:
    for seed in SEEDS:
        drawn = draw(seed, faults)
        assert drawn == draw(seed, faults)
        assert len(drawn.faults) == faults
        for fault in drawn.faults:
            broken = set[str]().union(*map(_refs, fault.manifests("broken").values()))
            assert broken <= {*fault.kind.touches}
            assert broken or fault.kind.absent
            for part in ("repair", "short-cuts"):
                for text in fault.manifests(part).values():
                    assert _refs(text)
            texts = [fault.kind.brief, *fault.kind.hints, fault.kind.wrong, fault.kind.command, fault.kind.shows]
            assert not any("$" in fault.text(text) for text in texts)
            assert {*map(str, fault.too_much())} | {*normal()} >= {*fault.kind.touches}
        touched = [ref for fault in drawn.faults for ref in fault.kind.touches]
        assert len(touched) == len({*touched})


def test_what_is_broken_differs_from_the_normal_state() -> None:
    for seed in SEEDS:
        (fault,) = draw(seed, 1).faults
        as_normal = {(each.kind, each.name): each.raw for each in read(fault.as_normal())}
        broken = {(each.kind, each.name): each.raw for each in read([*fault.manifests("broken").values()])}
        assert any(as_normal.get(key) != raw for key, raw in broken.items())


def test_seeds_draw_many_kinds_and_the_same_kind_differs() -> None:
    drawn = [draw(seed, 1) for seed in range(200)]
    by_kind: dict[str, set[tuple[str, ...]]] = {}
    for each in drawn:
        by_kind.setdefault(each.faults[0].kind.name, set()).add(tuple(each.faults[0].values.values()))
    assert {*by_kind} == {*every()}
    assert all(len(values) > 1 for values in by_kind.values())


@pytest.mark.parametrize("name", sorted(every()))
def test_a_brief_names_symptoms_and_no_cause(name: str) -> None:
    kind = every()[name]
    assert not CAUSES.search(kind.brief)
    assert {*kind.promises} <= {promise.name for promise in PROMISES}
    # A short cut that the normal state does not have cannot be deleted.
    assert {*kind.deletes} <= {*normal()}


def test_there_are_five_kinds_of_promises() -> None:
    assert {promise.kind for promise in PROMISES} == {"traffic", "time", "flags", "metric", "untouched"}


def test_a_hint_costs_what_the_card_says_before(lab: Lab) -> None:
    incident = lab.incident(7)
    for number, tells in enumerate(kinds.HINTS, start=1):
        assert incident.next_hint == f"hint() costs a star, and tells {tells}."
        assert incident.hint().number == number
        assert incident.stars == STARS - number
    incident.hint()
    assert incident.stars == 0


def test_the_debrief_is_closed_until_it_is_solved_or_given_up(lab: Lab) -> None:
    incident = lab.incident(7)
    with pytest.raises(UsageError, match="all promises are kept"):
        incident.debrief()
    shown = incident.solution().text
    told = incident.debrief()
    (fault,) = draw(7, 1).faults
    assert told.stars == 0
    assert [event.text for event in told.events] == ["solution"]
    assert told.lessons[0][1] == fault.text(fault.kind.wrong)
    assert _refs(shown) <= {*fault.kind.touches}


def test_the_time_line_has_what_was_applied_and_not_what_broke_the_mesh(lab: Lab) -> None:
    incident = lab.incident(7)
    lab.apply(*draw(7, 1).faults[0].as_normal())
    incident.solution()
    assert {event.text.split()[0] for event in incident.debrief().events} == {"apply", "solution"}


def test_a_class_gets_a_number_that_everybody_can_type(lab: Lab) -> None:
    drawn = lab.incident()
    assert isinstance(drawn, Incident)
    assert 1_000 <= drawn.seed <= 9_999
    assert lab.incident(drawn.seed).brief == drawn.brief
    assert str(drawn.seed) in repr(drawn)


def _seed_of(kind: str) -> int:
    return next(seed for seed in range(1_000) if draw(seed, 1).faults[0].kind.name == kind)


def test_what_would_tell_the_cause_is_left_to_the_status(lab: Lab) -> None:
    seed = _seed_of("host-in-another-namespace")
    (fault,) = draw(seed, 1).faults
    incident = lab.incident(seed)
    host = f"reviews.{fault.values['SPACE']}"
    assert host not in repr(incident)
    assert any(host in note for note in lab.status().notes)
    again = lab.apply(*(text for name, text in normal().items() if name == "VirtualService/details"))
    assert not again.notes


def test_rules_of_an_earlier_incident_are_gone(lab: Lab) -> None:
    lab.incident(_seed_of("two-rules-for-a-host"))
    assert {each.name for each in lab.get("vs")} > {"canary-reviews"}
    lab.incident(7, faults=0)
    assert "canary-reviews" not in {each.name for each in lab.get("vs")}


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 10_000}, {"faults": 3}, {"faults": -1}])
def test_there_is_no_such_incident(lab: Lab, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        lab.incident(**wrong)
    assert not lab.get("all")


def test_the_normal_state_has_no_hint(lab: Lab) -> None:
    incident = lab.incident(7, faults=0)
    with pytest.raises(UsageError, match="Nothing is wrong"):
        incident.hint()
    with pytest.raises(UsageError, match="Nothing is wrong"):
        incident.solution()


def test_a_folder_that_lacks_a_text_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "incidents" / "odd" / "incident.toml"
    file.parent.mkdir(parents=True)
    file.write_text('touches = ["Service/x"]\npromises = ["others"]\nshows = "x"\n[en]\ntitle = "x"\n')
    with pytest.raises(UsageError, match=r"odd/incident\.toml: 'hints'"):
        kinds._read(tmp_path, "en")
