"""Bars over the time line of traffic: when a pod that may be ejected received nothing, and after how many errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from labsupport import words
from labsupport.display.drawing.palette import slot_of
from labsupport.display.drawing.text import clip, el, esc, fitting, num, width
from labsupport.traffic.absences import Absence

__all__ = ["absence_bars", "absences_in_words"]

_ROW, _HIGH, _ROWS = 18.0, 14.0, 3
_PAD = 4.0


def absence_bars(
    absences: Sequence[Absence], x_of: Callable[[float], float], *, left: float, right: float, top: float
) -> str:
    """The bars, one row for each pod.

    Args:
        absences: in the order in which they began.
        x_of: where a time is drawn.
        left: where the plot begins; what ended before is left out.
        right: where it ends.
        top: of the first row.

    Returns:
        Markup; empty without absences.
    """
    shown = [absence for absence in absences if x_of(absence.last_s) > left and x_of(absence.began_s) < right]
    names = _names(shown)
    parts = []
    for row, pod in enumerate(list(names)[:_ROWS]):
        free = left
        for absence in (absence for absence in shown if absence.pod == pod):
            begin, end = max(left, x_of(absence.began_s)), min(right, x_of(absence.last_s))
            parts.append(
                el("g", _bar(absence, names[pod], begin, end, free), transform=f"translate(0 {num(top + _ROW * row)})")
            )
            free = end
    if len(names) > _ROWS:
        told = f"+ {words.plural(len(names) - _ROWS, 'more pod')}"
        parts.append(el("text", told, x=left, y=top + _ROW * _ROWS + 10, class_="d h"))
    return "".join(parts)


def absences_in_words(absences: Sequence[Absence]) -> str:
    """The same for screen readers, each sentence after a blank; empty without absences."""
    names = _names(absences)
    return "".join(
        f" {names[absence.pod]} received nothing for {words.duration(absence.last_s - absence.began_s)}"
        f"{_after(absence)}{'' if absence.ended_s is not None else ' until now'}."
        for absence in absences
    )


def _names(absences: Sequence[Absence]) -> dict[str, str]:
    """Pod to its version, or to its own name where that does not tell it from another."""
    version_of = {absence.pod: absence.version for absence in absences}
    pods = Counter(version_of.values())
    return {
        pod: version if version and pods[version] == 1 else f"{version} {pod.rpartition('-')[2]}".strip()
        for pod, version in version_of.items()
    }


def _after(absence: Absence) -> str:
    return f" after {words.plural(len(absence.errors), 'error')}" if absence.errors else ""


def _bar(absence: Absence, name: str, begin: float, end: float, free: float) -> str:
    colour = f"var(--ws-c{slot_of(absence.version).key})"
    wide, lasted = max(end - begin, 2.0), words.duration(absence.last_s - absence.began_s)
    frame = {"x": begin, "y": 0.0, "width": wide, "height": _HIGH, "rx": 2.0}
    room = wide - 2 * _PAD
    label = fitting((f"{name} gets nothing, {lasted}", f"{name}, {lasted}", lasted, ""), room)
    errors = str(len(absence.errors)) if absence.errors else ""
    longer = words.plural(len(absence.errors), "error") if errors else ""
    before = fitting((longer, errors, ""), begin - free - 2 * _PAD)
    tip = f"{absence.pod} received nothing for {lasted}{_after(absence)}"
    return "".join(
        (
            el("title", esc(tip)),
            el("rect", **frame, fill="var(--ws-bg)"),
            el("rect", **frame, fill=colour, fill_opacity=0.25, stroke=colour),
            el("text", esc(clip(label, room)), x=begin + _PAD, y=11.0) if label else "",
            el("text", before, x=begin - _PAD, y=11.0, class_="e h", text_anchor="end")
            if before and width(before) <= begin - free - 2 * _PAD
            else "",
        )
    )
