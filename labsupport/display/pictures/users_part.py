"""Users at home in their pods, before and after a change: a part of other pictures."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from labsupport import words
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import NEUTRAL, SLOTS, Slot
from labsupport.display.drawing.part import Part
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc, num, width
from labsupport.records import Response
from labsupport.traffic.homes import FATES, Fate, Homes, Visit, homes_of, visits_of
from labsupport.traffic.observations import Observations
from labsupport.traffic.recording import Mark
from labsupport.traffic.share import NONE

__all__ = ["Users", "homes_in", "short_names", "users_part"]

# Looks that the first three versions do not have: these marks are users.
_LOOKS: Mapping[Fate, Slot] = {"stayed": NEUTRAL, "left": SLOTS[5], "moved": SLOTS[3], "several": SLOTS[6]}
_SAID: Mapping[Fate, str] = {
    "stayed": "one pod",
    "left": "had to move: the pod is gone",
    "moved": "moved, though the pod is there",
    "several": "meets several pods",
}
_PITCH, _RADIUS, _LINE, _GAP = 10.0, 3.2, 11.0, 24.0
_NAMES = 118.0
_MOST = 400


class Users:
    """Remembers where the users of some traffic were before its last change, and where they have been since.

    Args:
        service: whose pods, somewhere on the way; empty: of whoever answers.
        span_s: how far back users are looked at.
    """

    def __init__(self, *, service: str = "", span_s: float = 30.0) -> None:
        self._service, self._span_s = service or None, span_s
        self._visits: deque[tuple[float, Visit]] = deque()
        self._change_s = 0.0
        self._label = ""
        self._before: dict[str, tuple[str, ...]] = {}

    def add(self, responses: Iterable[Response]) -> None:
        """Note where requests went; one that met no pod is an error, and no visit."""
        for response in responses:
            for visit in visits_of((response,), service=self._service):
                if visit[1] != NONE:
                    self._visits.append((response.started_s, visit))

    def part(self, marks: Sequence[Mark], *, wide: float) -> Part | None:
        """Who is where now; None if no user was seen.

        Args:
            marks: changes of the mesh, oldest first.
            wide: room in pixels.
        """
        last = marks[-1] if marks else None
        if last is not None and last.time_s != self._change_s:
            former_s = marks[-2].time_s if len(marks) > 1 else 0.0
            sent = [(sent_s, visit) for sent_s, visit in self._visits if sent_s < last.began_s]
            # Of who has not come since the change before, what is older is known still.
            self._before = homes_of(visit for _, visit in sent)
            self._before |= homes_of(visit for sent_s, visit in sent if sent_s >= former_s)
            self._change_s, self._label = last.time_s, last.label
        newest = max((sent_s for sent_s, _ in self._visits), default=0.0)
        while self._visits and self._visits[0][0] < newest - self._span_s:
            self._visits.popleft()
        after = homes_of(visit for sent_s, visit in self._visits if sent_s >= self._change_s)
        labels = (f"before {self._label}", f"since {self._label}") if self._before else ("", "")
        return users_part(Homes(self._before, after), wide=wide, labels=labels)


def homes_in(before: Observations | None, after: Observations, *, service: str | None) -> Homes:
    """Where the users of observations were, and where they are.

    Args:
        before: what was seen before a change, if there was one.
        after: what was seen then.
        service: whose pods.
    """
    return Homes(*(homes_of(visits_of(seen or (), service=service)) for seen in (before, after)))


def users_part(homes: Homes, *, wide: float, labels: tuple[str, str]) -> Part | None:
    """A row for each pod, a mark for each user that is at home there; beside it, where it was before.

    Args:
        homes: who was where.
        wide: room in pixels.
        labels: what the two sides are called.

    Returns:
        The part; None without users.
    """
    if not homes.after:
        return None
    fates, names = homes.fates(), short_names(homes.places)
    room = min(_NAMES, max(width(name) for name in names.values())) + 8
    sides = [side for side in (homes.before, homes.after) if side]
    column = (wide - room - _GAP * (len(sides) - 1)) / len(sides)
    each = -(-len(fates) // _MOST)
    parts = [el("text", "users by pod", class_="b", x=0.0, y=13.0)]
    if len(sides) > 1:
        for place, label in enumerate(labels):
            parts.append(el("text", esc(clip(label, column)), x=room + place * (column + _GAP), y=31.0, class_="d"))
    y, across, rows = 24.0 + 16 * (len(sides) > 1), max(1, int(column // _PITCH)), []
    for pod in homes.places:
        marks = [_at_home(side, pod, fates, each) for side in sides]
        lines = max(1, *(-(-len(row) // across) for row in marks))
        parts.append(el("text", el("title", esc(pod)), esc(clip(names[pod], room - 8)), x=0.0, y=y + 9))
        for place, row in enumerate(marks):
            left = room + place * (column + _GAP)
            if not row and place == len(sides) - 1:
                parts.append(el("text", "nobody", x=left, y=y + 9, class_="d"))
            parts += [
                mark(slot, left + _PITCH * (index % across + 0.5), y + 5 + _LINE * (index // across), _RADIUS)
                for index, slot in enumerate(row)
            ]
        rows.append([esc(pod), *(str(sum(places[-1] == pod for places in side.values())) for side in sides)])
        y += _LINE * lines + 9
    counts = Counter(fates.values())
    wandered = sum(len(places) > 1 for user, places in homes.before.items() if user in fates)
    told = [(_LOOKS[fate], f"{_SAID[fate]}: {counts[fate]:,}") for fate in FATES if counts[fate]]
    told += [(_LOOKS["several"], f"met several pods before: {wandered:,}")] if wandered else []
    legend, y = _legend(told, y + 8, wide, each)
    heads = ["pod", *(labels if len(sides) > 1 else ("users",))]
    numbers = table([esc(head) for head in heads], rows, numeric=frozenset({1, 2}), caption="users by pod")
    return Part(
        "".join(parts) + legend,
        y,
        f"Of {words.plural(len(fates), 'user')}: {'; '.join(said for _, said in told)}",
        numbers,
    )


def _at_home(side: Mapping[str, tuple[str, ...]], pod: str, fates: Mapping[str, Fate], each: int) -> list[Slot]:
    """The marks of the users that were in a pod last, by what became of them; who met several has no home to leave."""
    there = {user: places for user, places in side.items() if places[-1] == pod and user in fates}
    counts = Counter[Fate]("several" if len(places) > 1 else fates[user] for user, places in there.items())
    return [_LOOKS[fate] for fate in FATES for _ in range(-(-counts[fate] // each))]


def _legend(looks: Sequence[tuple[Slot, str]], y: float, wide: float, each: int) -> tuple[str, float]:
    """Looks with their numbers, and where the next line would be."""
    x, parts = 0.0, list[str]()
    told: list[tuple[Slot | None, str]] = [*looks, *([(None, f"one mark = {each:,} users")] if each > 1 else [])]
    for slot, text in told:
        long = width(text) + (14 if slot else 0)
        if x and x + long > wide:
            x, y = 0.0, y + 17
        if slot:
            parts.append(mark(slot, x + 5, y - 4, _RADIUS + 0.6))
        parts.append(el("text", esc(text), x=num(x + (14 if slot else 0)), y=num(y), class_="d"))
        x += long + 18
    return "".join(parts), y + 10


def short_names(pods: Iterable[str]) -> dict[str, str]:
    """Names of pods without the part that pods of a Deployment have in common, where they stay different.

    Args:
        pods: their names.
    """
    names = {pod: f"{pod.rsplit('-', 2)[0]} … {pod.rsplit('-', 1)[-1]}" if pod.count("-") > 1 else pod for pod in pods}
    return names if len(set(names.values())) == len(names) else {pod: pod for pod in names}
