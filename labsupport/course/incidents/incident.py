"""One incident: what users see, what is promised, hints and what they cost, and what can be learnt of it afterwards."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.arguments import checked, whole
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome, sign
from labsupport.course.exercise import Hint, Solution
from labsupport.course.incidents.debrief import STARS, Debrief, Event, clock, in_stars
from labsupport.course.incidents.drawing import Drawn, draw
from labsupport.course.incidents.kinds import BASE, HINTS, normal
from labsupport.course.incidents.promises import PROMISES, Look
from labsupport.errors import UsageError

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

__all__ = ["Incident", "begin", "spoil", "to_normal"]

_CLIENT = "apps/client"
_MOST_SEED, _MOST_FAULTS = 9_999, 2
_RULES = ("networking.istio.io", "gateway.networking.k8s.io", "security.istio.io")
_NUMBERS = ("no fault", "one fault", "two faults")
_EXPLAINED = 3


@checked
class Incident:
    """A mesh in which something is wrong, or nothing; ``lab.incident`` makes it.

    Args:
        lab: where it is.
        drawn: what the seed stands for.
    """

    def __init__(self, lab: Lab, drawn: Drawn) -> None:
        self._lab, self._drawn = lab, drawn
        self._began_s, self._before = time.time(), {*lab.changes()}
        self._hints = 0
        self._given_up = self._solved = False
        self._events: list[Event] = []

    @property
    def seed(self) -> int:
        """The number that makes the same incident anywhere."""
        return self._drawn.seed

    @property
    def stars(self) -> int:
        """How many are left; each hint costs one, and the solution all."""
        return 0 if self._given_up else STARS - self._hints

    @property
    def heading(self) -> str:
        """Its number, and how many things are wrong."""
        return f"Incident {self.seed} · {_NUMBERS[len(self._drawn.faults)]}"

    @property
    def call(self) -> str:
        """What others type who want the same incident."""
        faults = len(self._drawn.faults)
        return f"lab.incident({self.seed}" + (")" if faults == 1 else f", faults={faults})")

    @property
    def brief(self) -> tuple[str, ...]:
        """What users see, a text for each fault."""
        told = tuple(fault.text(fault.kind.brief) for fault in self._drawn.faults)
        return told or ("Nobody complains: this is the normal state.",)

    @property
    def promises(self) -> tuple[tuple[str, str, str], ...]:
        """Kind, text and request of each promise."""
        values = self._drawn.values
        return tuple((promise.kind, promise.told(values), promise.request(values)) for promise in PROMISES)

    @property
    def next_hint(self) -> str:
        """What the next hint tells, and what it costs."""
        if not self._drawn.faults:
            return "There is nothing to be found, and no hint."
        if self._hints == len(HINTS):
            return "All hints are taken. solution() costs what is left, and opens debrief()."
        return f"hint() costs a star, and tells {HINTS[self._hints]}."

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began; nobody counts them."""
        return time.time() - self._began_s

    def check(self) -> CheckOutcome:
        """Look at every promise; what is broken comes first, as it is seen from outside.

        Returns:
            PASSED if all are kept, else FAILED; NOT_ATTEMPTED where the lab is closed.
        """
        if self._lab.closed:
            return CheckOutcome(NOT_ATTEMPTED, self.heading, ("The lab is closed: there is nothing to look at.",))
        look = Look(self._lab, self._drawn.values)
        outcomes = [promise.kept(look) for promise in PROMISES]
        broken = [outcome for outcome in outcomes if not outcome.passed]
        self._solved = self._solved or not broken
        told = f"{len(broken)} of {len(PROMISES)} promises are broken" if broken else "all promises are kept"
        self._note(f"check: {told}")
        lines = [f"{told[0].upper()}{told[1:]}."]
        for number, outcome in enumerate(broken):
            lines.append(f"{sign(False)} {outcome.title}")
            # One to three points at a time; what comes after may be no more than a consequence.
            lines += [f"  {line}" for line in outcome.lines[: 2 if number < _EXPLAINED else 0]]
        lines += [f"{sign(True)} {outcome.title}" for outcome in outcomes if outcome.passed]
        if not broken and self._drawn.faults:
            lines.append("debrief() is open.")
        return CheckOutcome(
            FAILED if broken else PASSED, self.heading, tuple(lines), n=sum(outcome.n for outcome in outcomes)
        )

    def hint(self) -> Hint:
        """The next hint, which costs a star; the last one comes again, and costs nothing more.

        Raises:
            UsageError: nothing is wrong.
        """
        if not self._drawn.faults:
            raise UsageError("Nothing is wrong in the normal state. lab.incident() draws a fault.")
        if self._hints < len(HINTS):
            self._hints += 1
            self._note(f"hint {self._hints}")
        told = [fault.text(fault.kind.hints[self._hints - 1]) for fault in self._drawn.faults]
        return Hint("\n".join((*told, self.next_hint)), self._hints, len(HINTS))

    def solution(self) -> Solution:
        """What repairs it, shown and not applied; it costs all stars, and opens the debrief.

        Raises:
            UsageError: nothing is wrong.
        """
        if not self._drawn.faults:
            raise UsageError("Nothing is wrong in the normal state. lab.incident() draws a fault.")
        if not self._solved:
            self._given_up = True
            self._note("solution")
        deleted = [f"# lab.delete({ref!r})" for fault in self._drawn.faults for ref in fault.too_much()]
        texts = [text.strip() for fault in self._drawn.faults for text in fault.as_normal()]
        return Solution("\n".join([*deleted, "\n---\n".join(texts)]), BASE.partition("/")[0])

    def debrief(self) -> Debrief:
        """What happened when, what was wrong, how to think of it, and what would have shown it.

        Raises:
            UsageError: it is neither solved nor given up.
        """
        if not (self._solved or self._given_up):
            raise UsageError("debrief() opens with a check() in which all promises are kept, or with solution().")
        marks = (mark for mark in self._lab.changes() if mark not in self._before)
        changes = [Event(mark.time_s - self._began_s, mark.label) for mark in marks]
        events = sorted((*self._events, *changes), key=lambda event: event.at_s)
        lessons = tuple(
            (fault.kind.title, fault.text(fault.kind.wrong), fault.kind.model, fault.text(fault.kind.command))
            for fault in self._drawn.faults
        )
        return Debrief(self.heading, self.stars, tuple(events), lessons)

    def _note(self, text: str) -> None:
        self._events.append(Event(self.elapsed_s, text))

    @words.shown
    def __repr__(self) -> str:
        lines = [f"{self.heading} · {in_stars(self.stars)} · {clock(self.elapsed_s)}"]
        lines += [f"  The same for others: {self.call}", *(f"  {text}" for text in self.brief), "  Promised:"]
        for kind, text, request in self.promises:
            lines.append(f"    {kind}: {text}")
            lines += [f"      {request}"] if request else []
        return "\n".join([*lines, f"  {self.next_hint}"])


def begin(lab: Lab, seed: int | None, faults: int) -> Incident:
    """Bring a mesh into the state of an incident; the notes on what is broken are left to ``lab.status()``.

    Args:
        lab: where.
        seed: the number of the incident; None draws one.
        faults: how many things are wrong.

    Raises:
        UsageError: no such seed or number of faults.
    """
    if seed is None:
        # No seed of the kernel's own draws it: each of a class would begin with the same.
        seed = random.SystemRandom().randint(1_000, _MOST_SEED)
    whole("seed", seed, 0, _MOST_SEED)
    whole("faults", faults, 0, _MOST_FAULTS)
    drawn = draw(seed, faults)
    to_normal(lab, drawn)
    spoil(lab, drawn)
    return Incident(lab, drawn)


def to_normal(lab: Lab, drawn: Drawn) -> None:
    """The applications and rules that are promised, and no other rule.

    Args:
        lab: where.
        drawn: what was drawn of them.
    """
    lab.apply(BASE, _CLIENT, *drawn.state())
    there = [f"{each.kind}/{each.name}" for each in lab.get("all") if each.raw["apiVersion"].startswith(_RULES)]
    lab.delete(*(ref for ref in there if ref not in normal()), missing_ok=True)


def spoil(lab: Lab, drawn: Drawn) -> None:
    """Put the faults in.

    Args:
        lab: where the normal state is.
        drawn: what is wrong.
    """
    for fault in drawn.faults:
        lab.delete(*fault.kind.absent, missing_ok=True)
        # One after the other: which of two rules is older may decide.
        for text in fault.manifests("broken").values():
            lab.apply(text)
