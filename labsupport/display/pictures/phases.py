"""What was seen between the changes of the mesh, as numbers: a picture labels changes only as far as there is room."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labsupport import words
from labsupport.display.drawing.marks import version_mark
from labsupport.display.drawing.palette import order_key
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import esc
from labsupport.records import Response
from labsupport.traffic.lost import Lost
from labsupport.traffic.recording import Mark
from labsupport.traffic.share import hop_of

__all__ = ["Phase", "phases_of", "phases_summary", "phases_table"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of traffic between two changes.

    Args:
        label: the change that it began with; empty for what was before the first one.
        requests: how many were sent in it.
        versions: requests by version that answered.
        errors: how many failed.
    """

    label: str
    requests: int
    versions: Mapping[str, int]
    errors: int

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Share of each version, in the order of pictures."""
        return [(name, self.versions[name] / self.requests) for name in sorted(self.versions, key=order_key)]


def phases_of(
    responses: Iterable[Response], marks: Sequence[Mark], *, lost: Iterable[Lost] = (), service: str = ""
) -> tuple[Phase, ...]:
    """Divide traffic at the changes; what was sent while one came into force belongs to neither side.

    Args:
        responses: what was seen.
        marks: the changes, in any order.
        lost: counts of responses that are not kept any more.
        service: count the versions of this service on the way; empty: of whoever answered.

    Returns:
        Phases that have any request, oldest first.
    """
    ordered = sorted(marks, key=lambda mark: mark.time_s)
    labels = ["", *(mark.label for mark in ordered)]
    begins = [float("-inf"), *(mark.time_s for mark in ordered)]
    ends = [*(mark.began_s for mark in ordered), float("inf")]
    requests, errors = Counter[int](), Counter[int]()
    versions = [Counter[str]() for _ in labels]

    def place_of(time_s: float) -> int | None:
        place = bisect.bisect_right(begins, time_s) - 1
        return place if time_s < ends[place] else None

    for response in responses:
        if (place := place_of(response.started_s)) is None:
            continue
        requests[place] += 1
        errors[place] += response.outcome != "ok"
        if (hop := hop_of(response, service or None)) is not None:
            versions[place][hop.version] += 1
    for counted in lost:
        if (place := place_of(counted.first_s)) is None:
            continue
        requests[place] += counted.count
        errors[place] += sum(failed.count for failed in counted.errors.values())
        versions[place].update(counted.versions(service))
    return tuple(
        Phase(label, requests[at], versions[at], errors[at]) for at, label in enumerate(labels) if requests[at]
    )


def phases_table(phases: Sequence[Phase]) -> str:
    """The phases as an HTML table."""
    rows = [
        [
            esc(phase.label or "before"),
            f"{phase.requests:,}",
            ", ".join(f"{version_mark(name)} {words.percent(share)}" for name, share in phase.shares) or "–",
            words.percent(phase.errors / phase.requests),
        ]
        for phase in phases
    ]
    heads = ["since", "requests", "answered by", "errors"]
    return table(heads, rows, numeric=frozenset({1, 3}), caption="between the changes")


def phases_summary(phases: Sequence[Phase]) -> str:
    """The phases as a sentence."""
    said = (
        f"{phase.label or 'before'}: {words.plural(phase.requests, 'request')}"
        + "".join(f", {name or 'no version'} {words.percent(share)}" for name, share in phase.shares)
        + (f", {phase.errors:,} failed" if phase.errors else "")
        for phase in phases
    )
    return f"Between the changes: {'; '.join(said)}."
