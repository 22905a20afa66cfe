"""The expectation that a pod which fails is taken out, comes back, and is out for longer the next time."""

from __future__ import annotations

from labsupport import words
from labsupport.arguments import checked, seconds, whole
from labsupport.check.result import FAILED, PASSED, CheckOutcome, sign, unusable
from labsupport.check.window import tells_window
from labsupport.traffic.absences import Absence, Absences
from labsupport.traffic.observations import Observations

__all__ = ["ejections"]

_MOST = 1_000
# Envoy merges changes within one second; the rest is for machines with much to do.
_LATEST_S = 2.5


@checked
@tells_window
def ejections(
    observations: Observations | None,
    *,
    errors: int,
    base_s: float,
    times: int = 2,
    service: str | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect one pod to be taken out and to come back: after so many errors, each time for longer.

    The k-th time lasts ``base_s`` times k, at least. Errors may go on for a second after the one that decided: Envoy
    lets a change of who is out wait for so long if there was another one just before.

    Args:
        observations: what was seen, from before the first error on.
        errors: how many errors in a row take a pod out, ``consecutive5xxErrors``.
        base_s: how long it is out the first time, ``baseEjectionTime``, in seconds.
        times: how often it must have come back at least.
        service: whose pods, as for ``Observations.share``.
        title: what to call it.

    Returns:
        The outcome, with the errors and the time of each ejection.

    Raises:
        UsageError: a number makes no sense.
    """
    whole("errors", errors, 1, _MOST)
    whole("times", times, 1, _MOST)
    seconds("base_s", base_s)
    title = title or f"out after {words.plural(errors, 'error')}, for {words.duration(base_s)} times 1, 2 ..."
    if not observations:
        return unusable(observations, title)
    absences = [absence for absence in Absences(service or "").add(observations).found() if absence.errors]
    back = [absence for absence in absences if absence.ended_s is not None]
    pods = {absence.pod for absence in absences}
    lines = [f"Seen: {words.plural(len(back), 'return')} of {words.join(sorted(pods)) or 'no pod'}."]
    held = len(pods) == 1 and len(back) >= times
    for turn, absence in enumerate(back, start=1):
        right, line = _judged(absence, turn, errors, base_s)
        held &= right
        lines.append(f"{sign(right)} {line}")
    if len(back) < times:
        lines.append(f"{sign(False)} {words.plural(times, 'return')} expected")
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(observations))


def _judged(absence: Absence, turn: int, errors: int, base_s: float) -> tuple[bool, str]:
    count = len(absence.errors)
    # What decides is the error that completes the number; those after it met a pod that was as good as out.
    decided_s = absence.errors[min(errors, count) - 1]
    out_s, late_s = absence.last_s - decided_s, absence.errors[-1] - decided_s
    more = f", going on for another {words.duration(late_s)}" if count > errors else ""
    line = f"time {turn}: {words.plural(count, 'error')}{more}, and back {words.duration(out_s)} after what decided"
    held = count >= errors and late_s <= _LATEST_S and out_s >= turn * base_s
    wanted = f"{words.plural(errors, 'error')} and {words.duration(turn * base_s)} at least"
    return held, line if held else f"{line}; expected: {wanted}"
