"""What responses are expected to be: who answered, how often, with which status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from labsupport import statistics, words
from labsupport.arguments import checked, whole
from labsupport.check.result import (
    FAILED,
    PASSED,
    CheckOutcome,
    level_text,
    unusable,
)
from labsupport.check.shares import Alternatives, check_share
from labsupport.check.window import tells_window
from labsupport.errors import UsageError
from labsupport.records import Response
from labsupport.statistics import ALPHA
from labsupport.traffic.observations import NONE, By, Choice, Observations, OneOrMore, value_of

__all__ = [
    "RANDOM_CHECKS",
    "even",
    "exactly",
    "none",
    "ok",
    "only",
    "same_share",
    "share",
    "status",
    "sticky",
]

RANDOM_CHECKS = frozenset({"share", "same_share"})
"""The functions whose outcome is random: each call may fail for a correct mesh with probability ``alpha``."""

_SHOWN = 4
_MOST = 1_000_000


@checked
@tells_window
def share(
    observations: Observations | None,
    expected: Mapping[str, float],
    *,
    by: By = "version",
    service: str | None = None,
    per: Choice | None = None,
    reject: Alternatives = (),
    alpha: float = ALPHA,
    title: str = "",
) -> CheckOutcome:
    """Expect responses to be divided in given proportions.

    The expectation holds if each expected share lies within the exact (Clopper-Pearson) interval around what was seen.
    The intervals hold together at level ``1 - alpha``: with more than two keys, each has its part of ``alpha``
    (Bonferroni). A weight of 0 means exactly none, and so does a key that is not expected (``none`` too: a request that
    failed before it reached a version fails the check; ``filter(outcome="ok")`` leaves errors out).

    Args:
        observations: what was seen.
        expected: key to relative weight, such as ``{"v1": 90, "v2": 10}``; weights need not add up to 100.
        by: what the keys are, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        per: what makes an independent choice, as for ``Observations.independent_choices``; their number is n. By
            default a request, or a connection where no proxy decides.
        reject: other proportions that must be told apart from the expected ones, as a mapping from a name to
            weights, or a sequence of weights. Too few requests for that is a failure. Without any, there must be
            enough requests to rule out an even split or that all go one way, whichever is easier.
        alpha: probability that the check fails although the expectation is right.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: if the weights make no sense.
    """
    return check_share(observations, expected, by=by, service=service, per=per, reject=reject, alpha=alpha, title=title)


@checked
@tells_window
def same_share(
    observations: Observations | None,
    other: Observations | None,
    key: str | int,
    *,
    by: By = "version",
    service: str | None = None,
    per: Choice | None = None,
    alpha: float = ALPHA,
    title: str = "",
) -> CheckOutcome:
    """Expect a key to have the same share in two samples (Fisher's exact test).

    Args:
        observations: one sample.
        other: the other sample.
        key: such as ``"v2"``.
        by: what the key is, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        per: what makes an independent choice, as for ``Observations.independent_choices``.
        alpha: probability that the check fails although the shares are the same.
        title: what to call it.

    Returns:
        The outcome; it does not show that the shares are equal, only that no difference was seen.
    """
    title = title or f"the same share of {key}"
    if not observations or not other:
        return unusable(other if observations else observations, title)
    first, second = (
        seen.independent_choices(per=per or seen.per).share(by, service=service) for seen in (observations, other)
    )
    p_value = statistics.compare_proportions(first.count(key), first.n, second.count(key), second.n)
    level = 1 - alpha
    lines = [
        f"{name}: {part.count(key):,} of {part.n:,}, {words.percent(part[key])}, {level_text(level)} interval "
        f"{words.percent_range(*part.interval(key, level=level))}"
        for name, part in (("first", first), ("second", second))
    ]
    same = p_value > alpha
    lines.append(f"{'no difference seen' if same else 'the shares differ'} (Fisher's exact test, {_p(p_value)})")
    return CheckOutcome(
        PASSED if same else FAILED,
        title,
        tuple(lines),
        n=first.n + second.n,
        seen={"first": first.count(key), "second": second.count(key)},
        interval={"first": first.interval(key, level=level), "second": second.interval(key, level=level)},
        level=level,
        p_value=p_value,
        alpha=alpha,
        rejects=() if same else ("equal shares",),
    )


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
    title = title or "exactly " + words.join(f"{count:,} × {key}" for key, count in expected_counts.items())
    if not observations:
        return unusable(observations, title)
    seen = dict(observations.share(by, service=service).counts)
    lines = []
    for key in [*expected_counts, *(key for key in seen if key not in expected_counts)]:
        count, right = seen.get(key, 0), expected_counts.get(key, 0)
        sign, verdict = ("✓", "") if count == right else ("✗", ": differs")
        lines.append(f"{sign} {key}: {count:,} seen, {right:,} expected{verdict}")
    same = all(seen.get(key, 0) == expected_counts.get(key, 0) for key in {*seen, *expected_counts})
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
    kinds = _kinds(version=version, pod=pod, service=service, status=status, outcome=outcome, user=user)
    title = title or f"only {kinds or 'what the predicate accepts'}"
    if not observations:
        return unusable(observations, title)
    hits = observations.filter(
        predicate, version=version, pod=pod, service=service, status=status, outcome=outcome, user=user
    )
    ids = set(map(id, hits))
    return _strays(title, observations, observations.filter(lambda response: id(response) not in ids), service)


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
    kinds = _kinds(version=version, pod=pod, service=service, status=status, outcome=outcome, user=user)
    title = title or f"no {kinds or 'response that the predicate accepts'}"
    if not observations:
        return unusable(observations, title)
    hits = observations.filter(
        predicate, version=version, pod=pod, service=service, status=status, outcome=outcome, user=user
    )
    return _strays(title, observations, hits, service)


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
    lines = [f"{key}: {count:,}" for key, count in seen.items()]
    if len(seen) != among:
        lines.append(f"{len(seen)} seen, {among} expected")
    lines.append(f"largest difference {spread:,}, at most {within:,} expected")
    return _exact(len(seen) == among and spread <= within, title, lines, observations, seen)


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
    lines = [f"{len(judged) - len(moved):,} of {len(judged):,} stayed in one place"]
    for key, visits in list(moved.items())[:_SHOWN]:
        lines.append(f"{key} went to " + words.join(f"{where} ({count:,})" for where, count in visits.items()))
    if not judged:
        lines.append("nobody sent more than one request: send more")
    return CheckOutcome(
        PASSED if judged and not moved else FAILED,
        title,
        tuple(lines),
        n=len(judged),
        seen={"stayed": len(judged) - len(moved), "moved": len(moved)},
    )


def _strays(title: str, observations: Observations, strays: Observations, service: str | None) -> CheckOutcome:
    """None of ``strays`` must exist."""
    n, count = len(observations), len(strays)
    interval = statistics.proportion_interval(count, n, level=1 - ALPHA)
    lines = [
        f"✗ {count:,} of {words.plural(n, 'request')} went otherwise"
        if count
        else f"✓ not one of {words.plural(n, 'request')} went otherwise"
    ]
    details = []
    rejects: tuple[str, ...] = ()
    if count:
        for by in ("status", "version"):
            share = strays.share(by, service=service)
            shown = [f"{number:,} × {key}" for key, number in list(share.counts.items())[:_SHOWN]]
            lines.append(f"their {by}: {words.join(shown)}" + (" ..." if len(share) > _SHOWN else ""))
        details.append(f"one of them: x-request-id {strays[0].request_id or 'unknown'}")
    else:
        rejects = (f"a share of others above {words.percent(interval.high)}",)
        details.append(f"rejects {rejects[0]} ({level_text(1 - ALPHA)} interval)")
    return CheckOutcome(
        FAILED if count else PASSED,
        title,
        tuple(lines),
        tuple(details),
        n=n,
        seen={"as expected": n - count, "otherwise": count},
        interval={"otherwise": interval},
        level=1 - ALPHA,
        expected={"otherwise": 0.0},
        rejects=rejects,
    )


def _exact(
    held: bool, title: str, lines: Sequence[str], observations: Observations, seen: Mapping[str, int]
) -> CheckOutcome:
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(observations), seen=seen)


def _kinds(**named: OneOrMore | str | None) -> str:
    given = {name: value for name, value in named.items() if value is not None}
    return words.join(
        f"{name} {value if isinstance(value, (str, int)) else words.join(value, 'or')}" for name, value in given.items()
    )


def _p(p_value: float) -> str:
    return f"p = {p_value:.2g}" if p_value >= 1e-9 else "p < 1e-9"
