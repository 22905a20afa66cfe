"""Exact expectations: they hold or do not, and leave nothing to chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labsupport import words
from labsupport.arguments import checked, whole
from labsupport.check.result import FAILED, PASSED, CheckOutcome, sign, unusable
from labsupport.check.strays import counted, either, no_strays, told
from labsupport.check.window import tells_window
from labsupport.errors import UsageError
from labsupport.records import Response
from labsupport.traffic.observations import Observations, OneOrMore
from labsupport.traffic.share import NONE, By, value_of

__all__ = ["between", "even", "exactly", "none", "ok", "only", "status", "sticky"]

_SHOWN = 4
_MOST = 1_000_000


@checked
@tells_window
def exactly(
    observations: Observations | None,
    expected: Mapping[str | int, int],
    *,
    by: By = "version",
    service: str | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect exact counts, and nothing else.

    Args:
        observations: what was seen.
        expected: key to count, such as ``{200: 2, 503: 8}``.
        by: what the keys are, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        title: what to call it.

    Returns:
        The outcome.
    """
    expected_counts = {str(key): count for key, count in expected.items()}
    title = title or f"exactly {counted(expected_counts)}"
    if not observations:
        return unusable(observations, title)
    seen = dict(observations.share(by, service=service).counts)
    same = all(seen.get(key, 0) == expected_counts.get(key, 0) for key in {*seen, *expected_counts})
    lines = [f"Seen: {counted(seen)}{_verdict(same, counted(expected_counts))}"]
    for key in [*expected_counts, *(key for key in seen if key not in expected_counts)]:
        count, right = seen.get(key, 0), expected_counts.get(key, 0)
        lines.append(f"{sign(count == right)} {key}: {count:,} seen, {right:,} expected")
    return _exact(same, title, lines, observations, seen)


@checked
@tells_window
def only(
    observations: Observations | None,
    predicate: Callable[[Response], bool] | None = None,
    *,
    version: OneOrMore | None = None,
    pod: OneOrMore | None = None,
    service: str | None = None,
    status: OneOrMore | None = None,
    outcome: OneOrMore | None = None,
    user: OneOrMore | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect every response to be of one kind: not one stray.

    Args:
        observations: what was seen.
        predicate: as for ``Observations.filter``.
        version: as for ``Observations.filter``.
        pod: as for ``Observations.filter``.
        service: as for ``Observations.filter``.
        status: as for ``Observations.filter``.
        outcome: as for ``Observations.filter``.
        user: as for ``Observations.filter``.
        title: what to call it.

    Returns:
        The outcome; it says which share of strays it rules out.
    """
    kind = {"version": version, "pod": pod, "service": service, "status": status, "outcome": outcome, "user": user}
    return _of_kind(observations, predicate, kind, title, allowed=True)


@checked
@tells_window
def none(
    observations: Observations | None,
    predicate: Callable[[Response], bool] | None = None,
    *,
    version: OneOrMore | None = None,
    pod: OneOrMore | None = None,
    service: str | None = None,
    status: OneOrMore | None = None,
    outcome: OneOrMore | None = None,
    user: OneOrMore | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect not one response of a kind.

    Args:
        observations: what was seen.
        predicate: as for ``Observations.filter``.
        version: as for ``Observations.filter``.
        pod: as for ``Observations.filter``.
        service: as for ``Observations.filter``.
        status: as for ``Observations.filter``.
        outcome: as for ``Observations.filter``.
        user: as for ``Observations.filter``.
        title: what to call it.

    Returns:
        The outcome; it says which share it rules out.
    """
    kind = {"version": version, "pod": pod, "service": service, "status": status, "outcome": outcome, "user": user}
    return _of_kind(observations, predicate, kind, title, allowed=False)


@checked
@tells_window
def status(observations: Observations | None, *statuses: int, title: str = "") -> CheckOutcome:
    """Expect every response to have this HTTP status (or one of these).

    Args:
        observations: what was seen.
        *statuses: the status, or several of which each will do.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: no status is named.
    """
    if not statuses:
        raise UsageError("status(observations, 200): name at least one status")
    return only(observations, status=statuses, title=title or f"status {words.join(statuses, 'or')} only")


@checked
@tells_window
def ok(observations: Observations | None, *, title: str = "") -> CheckOutcome:
    """Expect every request to succeed (status below 400).

    Args:
        observations: what was seen.
        title: what to call it.

    Returns:
        The outcome.
    """
    return only(observations, outcome="ok", title=title or "not one request failed")


@checked
@tells_window
def even(
    observations: Observations | None,
    *,
    among: int,
    by: By = "pod",
    service: str | None = None,
    within: int = 1,
    title: str = "",
) -> CheckOutcome:
    """Expect responses to be dealt evenly, as round robin with one proxy worker does; for random choice use ``share``.

    Args:
        observations: what was seen.
        among: how many keys (pods) there are; one without any request counts too.
        by: what is counted, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        within: largest difference between two counts.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: ``among`` or ``within`` is not such a number.
    """
    whole("among", among, 1, _MOST)
    whole("within", within, 0, _MOST)
    title = title or f"dealt evenly to {words.plural(among, 'key' if callable(by) else by)}"
    if not observations:
        return unusable(observations, title)
    seen = dict(observations.share(by, service=service).counts)
    counts = [*seen.values(), *[0] * (among - len(seen))]
    spread = max(counts) - min(counts)
    met = words.plural(len(seen), "key" if callable(by) else by)
    all_met, close = len(seen) == among, spread <= within
    lines = [
        f"Seen: {met}, with counts that differ by {spread:,} at most"
        + _verdict(all_met and close, f"{among:,}, and a difference of {within:,} at most"),
        f"{sign(all_met)} {len(seen):,} met, {among:,} expected",
        f"{sign(close)} largest difference {spread:,}, at most {within:,} expected",
    ]
    return _exact(all_met and close, title, lines, observations, seen)


@checked
@tells_window
def between(
    observations: Observations | None,
    low: int,
    high: int,
    *,
    version: OneOrMore | None = None,
    pod: OneOrMore | None = None,
    service: str | None = None,
    status: OneOrMore | None = None,
    outcome: OneOrMore | None = None,
    user: OneOrMore | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect a number of responses of a kind, with room for chance that is no draw of a fixed share.

    Args:
        observations: what was seen.
        low: how many there must be.
        high: how many there may be.
        version: as for ``Observations.filter``.
        pod: as for ``Observations.filter``.
        service: as for ``Observations.filter``.
        status: as for ``Observations.filter``.
        outcome: as for ``Observations.filter``.
        user: as for ``Observations.filter``.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: the bounds are no such numbers.
    """
    whole("low", low, 0, _MOST)
    whole("high", high, low, _MOST)
    kind = {"version": version, "pod": pod, "status": status, "outcome": outcome, "user": user}
    did = told({name: value for name, value in kind.items() if value is not None}, service)
    wanted = f"{low:,} to {high:,}"
    title = title or f"{wanted} requests {did}"
    if not observations:
        return unusable(observations, title)
    count = observations.count(version=version, pod=pod, service=service, status=status, outcome=outcome, user=user)
    held, requests = low <= count <= high, words.plural(len(observations), "request")
    lines = [
        f"{count:,} of {requests} {did}" + _verdict(held, wanted),
        f"{sign(held)} {count:,} seen, {wanted} expected",
    ]
    return _exact(held, title, lines, observations, {"seen": count})


@checked
@tells_window
def sticky(
    observations: Observations | None,
    *,
    per: By = "user",
    to: By = "pod",
    service: str | None = None,
    title: str = "",
) -> CheckOutcome:
    """Expect all requests of one user (or cookie, or header) to go to the same place.

    Args:
        observations: what was seen.
        per: what makes requests belong together, as for ``Observations.share``.
        to: what they must have in common.
        service: whose version or pod, as for ``Observations.share``.
        title: what to call it.

    Returns:
        The outcome; n is the number of users with more than one request, as one request alone shows nothing. Requests
        without a user are left out.
    """
    title = title or f"one {to if isinstance(to, str) else 'place'} per {per if isinstance(per, str) else 'key'}"
    if not observations:
        return unusable(observations, title)
    places: dict[str, dict[str, int]] = {}
    for response in observations:
        key = value_of(response, per)
        if key == NONE:
            continue
        visits = places.setdefault(key, {})
        where = value_of(response, to, service)
        visits[where] = visits.get(where, 0) + 1
    judged = {key: visits for key, visits in places.items() if sum(visits.values()) > 1}
    moved = {key: visits for key, visits in judged.items() if len(visits) > 1}
    name = per if isinstance(per, str) else "key"
    stayed = f"{len(judged) - len(moved):,} of {words.plural(len(judged), name)} stayed in one place"
    lines = [f"Seen: {stayed}{_verdict(not moved, 'all of them')}"]
    # A line that says "1 more" is no shorter than the one it stands for.
    shown = len(moved) if len(moved) == _SHOWN + 1 else _SHOWN
    for key, visits in sorted(moved.items(), key=lambda entry: words.natural_key(entry[0]))[:shown]:
        lines.append(f"✗ {key} went to " + words.join(f"{where} ({count:,})" for where, count in visits.items()))
    if len(moved) > shown:
        lines.append(f"✗ and {len(moved) - shown:,} more")
    if not moved:
        lines.append("✓ nobody moved")
    if not judged:
        lines = [f"No {name} sent more than one request, so nothing was shown: send more."]
    return CheckOutcome(
        PASSED if judged and not moved else FAILED,
        title,
        tuple(lines),
        n=len(judged),
        seen={"stayed": len(judged) - len(moved), "moved": len(moved)},
    )


def _of_kind(
    observations: Observations | None,
    predicate: Callable[[Response], bool] | None,
    kind: Mapping[str, Any],
    title: str,
    *,
    allowed: bool,
) -> CheckOutcome:
    """Expect nothing but a kind of responses, or nothing of it; the kind is given as to ``Observations.filter``."""
    named = words.join(f"{name} {either(value)}" for name, value in kind.items() if value is not None)
    wish = f"only {named or 'what the predicate accepts'}" if allowed else ""
    title = title or wish or f"no {named or 'response that the predicate accepts'}"
    if not observations:
        return unusable(observations, title)
    hits = observations.filter(predicate, **kind)
    properties = {name: value for name, value in kind.items() if name != "service"}
    return no_strays(title, observations, hits, allowed=allowed, service=kind["service"], named=properties)


def _exact(
    held: bool, title: str, lines: Sequence[str], observations: Observations, seen: Mapping[str, int]
) -> CheckOutcome:
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(observations), seen=seen)


def _verdict(held: bool, expected: str) -> str:
    """How a sentence about what was seen ends."""
    return ". That is what was expected." if held else f"; expected: {expected}."
