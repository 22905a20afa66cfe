"""Whether users stay where they are when a pod leaves."""

from __future__ import annotations

import itertools

from labsupport import words
from labsupport.arguments import checked, whole
from labsupport.check.result import FAILED, PASSED, CheckOutcome, sign, unusable
from labsupport.check.window import tells_window
from labsupport.errors import UsageError
from labsupport.traffic.homes import Homes, homes_of, visits_of
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import By

__all__ = ["moved"]

_MOST = 1_000_000
_SHOWN = 3


@checked
@tells_window
def moved(
    before: Observations | None,
    after: Observations | None,
    *,
    at_most: int,
    at_least: int = 0,
    per: By = "user",
    to: By = "pod",
    service: str | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect few users to have moved to another pod although theirs is still there.

    Args:
        before: what was seen before a pod left, or joined.
        after: what was seen of the same users since then. A pod that nobody met there has left.
        at_most: how many may have moved.
        at_least: how many must have.
        per: what makes requests belong together, as for ``Observations.share``.
        to: where they are at home.
        service: whose version or pod, as for ``Observations.share``.
        title: what to call it.

    Returns:
        The outcome; n is the number of users whose pod is still there. Users who meet several pods have no home, and
        fail it.

    Raises:
        UsageError: the bounds are no such numbers.
    """
    whole("at_most", at_most, 0, _MOST)
    whole("at_least", at_least, 0, _MOST)
    if at_least > at_most:
        raise UsageError(f"at_least={at_least} is more than at_most={at_most}: nothing can hold that")
    wanted = f"{at_least:,} to {at_most:,}" if at_least else f"at most {at_most:,}"
    title = title or f"{wanted} {'user' if at_most == 1 else 'users'} moved, though their pod is still there"
    if not before or not after:
        return unusable(after if before else before, title)
    sides = [homes_of(visits_of(seen, per=per, to=to, service=service)) for seen in (before, after)]
    known = sides[0].keys() & sides[1].keys()
    if not known:
        line = "No user sent requests both before and after, so nothing was shown: send with users=..."
        return CheckOutcome(FAILED, title, (line,))
    wandering = [user for user in known if any(len(side[user]) > 1 for side in sides)]
    if wandering:
        users = f"{len(wandering):,} of {words.plural(len(known), 'user')}"
        line = f"{users} met several places: they have no home to leave."
        met = ((user, next(side[user] for side in sides if len(side[user]) > 1)) for user in wandering)
        crosses = (f"✗ {user} met {words.join(places)}" for user, places in met)
        lines = (line, *itertools.islice(crosses, _SHOWN))
        return CheckOutcome(FAILED, title, lines, n=len(known), seen={"several": len(wandering)})
    fates = list(Homes(*({user: side[user] for user in known} for side in sides)).fates().values())
    counts = {fate: fates.count(fate) for fate in ("stayed", "left", "moved")}
    others, went = counts["stayed"] + counts["moved"], counts["moved"]
    fits = at_least <= went <= at_most
    verdict = ". That is what was expected." if fits else f"; expected: {wanted}."
    lines = (
        f"Of {words.plural(others, 'user')} whose pod is still there, {went:,} moved{verdict}",
        f"{sign(fits)} {went:,} moved, {wanted} expected",
        f"✓ {counts['left']:,} more had to: their pod is gone",
    )
    return CheckOutcome(PASSED if fits else FAILED, title, lines, n=others, seen=counts)
