"""What went otherwise: the check that no response does, and how it tells of those that did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from labsupport import statistics, words
from labsupport.check.result import FAILED, PASSED, CheckOutcome, meaning
from labsupport.check.shares import n_text
from labsupport.records import Response
from labsupport.statistics import ALPHA
from labsupport.traffic.observations import Observations, OneOrMore, texts
from labsupport.traffic.share import By, value_of

__all__ = ["counted", "either", "no_strays", "told"]

_SHOWN = 4
_VERBS = {"version": "met version", "pod": "met pod", "status": "had status", "user": "came from"}


def no_strays(
    title: str,
    observations: Observations,
    hits: Observations,
    *,
    allowed: bool,
    service: str | None,
    named: Mapping[str, OneOrMore | None],
) -> CheckOutcome:
    """Expect responses to be hits, or not to be; a choice went otherwise if one of its requests did.

    Args:
        title: what to call it.
        observations: what was seen.
        hits: those of a kind.
        allowed: whether that kind is the only one allowed, and not the one that must not be.
        service: whose version or pod.
        named: the properties that make the kind, as for ``Observations.filter``; None for any.
    """
    given = {name: value for name, value in named.items() if value is not None}
    ids = {id(response) for response in hits}
    strays = observations.filter(lambda response: (id(response) in ids) is not allowed)
    per = observations.per
    sample = observations.independent_choices(per=per)
    n, count = len(sample), len(strays.independent_choices(per=per))
    interval = statistics.proportion_interval(count, n, level=1 - ALPHA)
    details = [
        n_text(observations, sample, per),
        f"otherwise: {count:,} of {n:,}, interval {words.percent_range(*interval)}",
    ]
    rejects: tuple[str, ...] = ()
    if strays:
        lines = _crosses(strays, given, service, allowed=allowed)
        if not lines and service is None:  # else the sentence has said it: so many did not pass the service
            lines = [f"✗ {len(strays):,} {'did not match' if allowed else 'matched'} what the check names"]
        details += [f"their {by}: {_most(strays, by, service)}" for by in ("status", "version")]
        details.append(f"the first of them: x-request-id {strays[0].request_id or 'unknown'}")
    else:
        lines = ["✓ no stray"]
        # One request rules nothing out.
        if n > 1:
            rejects = (f"a share of others above {words.percent(interval.high)}",)
            details.append(f"rejects {rejects[0]}")
    return CheckOutcome(
        FAILED if count else PASSED,
        title,
        (_sentence(observations, hits, told(given, service), allowed=allowed), *lines),
        (*details, meaning(ALPHA)),
        n=n,
        seen={"as expected": n - count, "otherwise": count},
        interval={"otherwise": interval},
        level=1 - ALPHA,
        expected={"otherwise": 0.0},
        rejects=rejects,
    )


def _sentence(observations: Observations, hits: Observations, did: str, *, allowed: bool) -> str:
    requests, others = words.plural(len(observations), "request"), len(observations) - len(hits)
    if not hits:
        return f"{'Not one' if len(observations) > 1 else '0'} of {requests} {did}."
    if not allowed:
        return f"{len(hits):,} of {requests} {did}, and none may."
    return f"{len(hits):,} of {requests} {did}" + (f", and {others:,} did not." if others else ".")


def _crosses(strays: Observations, given: Mapping[str, OneOrMore], of: str | None, *, allowed: bool) -> list[str]:
    """A line for each named property that strays have wrongly, and none for what is right about them."""
    lines = []
    for name, value in given.items():
        by = cast(By, name)
        wrong = strays.filter(_has(by, texts(value), of, not allowed))
        if wrong:
            # That a request failed is known; how, its status tells.
            shown: By = "status" if name == "outcome" else by
            lines.append(f"✗ {shown}: {_most(wrong, shown, of)}")
    return lines


def _has(by: By, values: set[str], of: str | None, wanted: bool) -> Callable[[Response], bool]:
    return lambda response: (value_of(response, by, of) in values) is wanted


def told(given: Mapping[str, OneOrMore], service: str | None = None) -> str:
    """What requests of a kind did: ``met version v1 of reviews and had status 200``.

    Args:
        given: the properties that make the kind.
        service: whose version or pod.
    """
    parts = []
    of = "" if service is None else f" of {service}"
    for name, value in given.items():
        if name == "outcome":
            parts.append("succeeded" if value == "ok" else f"ended as {either(value)}")
        else:
            parts.append(f"{_VERBS[name]} {either(value)}" + (of if name in ("version", "pod") else ""))
    if service is not None and not {"version", "pod"} & {*given}:
        parts.insert(0, f"passed {service}")
    return words.join(parts) or "matched what the check names"


def either(value: OneOrMore) -> str:
    """One or more values in words, such as ``v1 or v2``."""
    return str(value) if isinstance(value, str | int) else words.join(value, "or")


def counted(counts: Mapping[str, int]) -> str:
    """Counts in words, such as ``60 × v2 and 45 × v3``."""
    return words.join(f"{count:,} × {key}" for key, count in counts.items()) or "nothing"


def _most(observations: Observations, by: By, of: str | None) -> str:
    counts = observations.share(by, service=of).counts
    return counted(dict(list(counts.items())[:_SHOWN])) + (" ..." if len(counts) > _SHOWN else "")
