"""Judges of notebook 13: after how many errors a pod is taken out, what users notice, and what it costs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import another_caller, explained, pods_ready, proxy_line, with_ignored
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

_WEB = "http://web:8080/"
_EVERYWHERE = {"x-fault": "FAIL_STATUS=500"}
_PODS = {"web-v1": 2, "web-v2": 1}
# A worker of Envoy asks its main thread to take a pod out: where errors are counted, the next turn of that pod must not
# come at once, on a machine with much to do either.
_SLOW, _FAST = 8.0, 40.0


def _send(lab: Lab, caller: str, *, slow: int, fast: int) -> Observations:
    # One after the other, so that a machine which lags behind does not send several to a failing pod at once.
    first = lab.send(_WEB, source=caller, count=slow, rate=_SLOW, concurrency=1)
    return first + lab.send(_WEB, source=caller, count=fast, rate=_FAST, concurrency=1)


def _settled(lab: Lab, caller: str) -> Observations:
    """What follows when a second change of who is out is in force, up to a second after the first one."""
    return lab.send(_WEB, source=caller, count=60, rate=_FAST, concurrency=1)[40:]


def _failing_pod_met(lab: Lab, seen: Observations, *, at_most: int) -> Generator[Because, None, tuple[int, str]]:
    """Whether the failing pod was asked, and how often before it was out; returns that number, and a line with it."""
    tries = lab.access_log(seen).received("web-v2")
    line = f"The failing pod received {words.plural(tries, 'request')} of {len(seen)}, each try counted."
    yield Because("never", claim(tries >= 1, "the failing pod is asked", line))
    yield Because("out", claim(tries <= at_most, "the failing pod is taken out", line))
    return tries, line


def _go_the_way_of_all(lab: Lab) -> CheckOutcome:
    """Whether requests that fail everywhere are under the rule of all others; part of them may arrive under another."""
    ways = []
    for headers in ({}, _EVERYWHERE):
        rule = explained(lab, _WEB, source="client", headers=headers).chosen
        ways.append("no rule" if rule is None else f"rule {rule.index + 1} of {rule.object}")
    line = f"Plain requests are under {ways[0]}, and those that fail everywhere under {ways[1]}."
    return claim(ways[0] == ways[1], "one way for all requests", line)


def _as_given(lab: Lab) -> CheckOutcome:
    """Without the pod that fails, or with two of them, nothing can be told."""
    return pods_ready(lab, "one pod of three fails", _PODS)


def _keeps_three_minutes(lab: Lab) -> CheckOutcome:
    """Whether the proxy that decides takes a pod out for three minutes; Envoy writes any duration in seconds."""
    line = proxy_line(lab, _WEB, "outlierDetection", "base_ejection_time", source="client") or "no base_ejection_time"
    return claim(
        line == "base_ejection_time: 180s",
        "out for three minutes",
        f"The proxy of client got {line or 'no base_ejection_time'}.",
    )


@judge("13.2")
def out_after_one_error(lab: Lab) -> Iterator[Shown]:
    """The first error takes the pod out, for three minutes."""
    yield Because("pods", _as_given(lab))
    with another_caller(lab) as caller:
        seen = _send(lab, caller, slow=6, fast=34)
        # Counted where they arrive: a rule that tries again may be left from a later part of the lesson.
        log, last = lab.access_log(seen), lab.access_log(seen[20:])
        errors = log.received("web-v2")
        line = f"The pod of v2 received {words.plural(errors, 'request')} of {len(seen)}; expected: 1."
        outcome = claim(errors == 1, "one request to the failing pod", line)
        if last.received("web-v2"):
            yield Because("nothing", with_ignored(lab, _WEB, outcome, source="client"))
        yield Because("never" if errors == 0 else "several" if errors < 5 else "five", outcome)
        yield Because("short", _keeps_three_minutes(lab))


@judge("13.3")
def answered_after_a_bad_moment(lab: Lab) -> Iterator[Shown]:
    """A moment in which every pod fails leaves somebody who answers, and the failing pod out."""
    yield Because("pods", _as_given(lab))
    yield Because("short", _keeps_three_minutes(lab))
    yield Because("apart", _go_the_way_of_all(lab))
    with another_caller(lab) as caller:
        seen = _send(lab, caller, slow=6, fast=9)
        yield from _failing_pod_met(lab, seen, at_most=1)
        lab.send(_WEB, source=caller, count=40, rate=_FAST, concurrency=1, headers=_EVERYWHERE)
        after = _settled(lab, caller)
        asked = lab.access_log(after).received("web-v2")
        line = f"After it, the pod of v2 received {words.plural(asked, 'request')} of {len(after)}."
        yield Because("back", claim(asked == 0, "the failing pod stays out", line))
        yield Because("nobody", check.ok(after))


@judge("13.4")
def nobody_notices(lab: Lab) -> Iterator[Shown | Rung]:
    """No error reaches a user, few reach the failing pod, and a request that fails everywhere does no harm."""
    yield Because("pods", _as_given(lab))
    with another_caller(lab) as caller:
        seen = _send(lab, caller, slow=9, fast=15)
        tries, line = yield from _failing_pod_met(lab, seen, at_most=3)
        yield Rung("out")
        yield Because("unseen", check.ok(seen))
        yield Rung("unseen")
        yield Because("tries", claim(tries <= 2, "two tries fail at most", line))
        yield Rung("tries")
        yield Because("apart", _go_the_way_of_all(lab))
        lab.send(_WEB, source=caller, headers=_EVERYWHERE)
        after = _settled(lab, caller)
        pods = len(after.filter(outcome="ok").share("pod").counts)
        # Where too few are left, the proxy may ask those that are out all the same, and retries hide what comes of it.
        out = max(lab.stats(caller).of("outlier_detection_ejections_active").values(), default=0)
        line = (
            f"After it, {words.plural(pods, 'pod')} answered, with {words.plural(len(after.errors), 'error')}; "
            f"{words.plural(out, 'pod')} out."
        )
        held = pods == 2 and not after.errors and out <= 1
        yield Because("spared", claim(held, "the other two pods stay", line))
        yield Rung("spared")
