"""Judges of notebook 15: which model gets which request, what happens without one, and how long a slow one may take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import (
    another_caller,
    explained,
    pods_ready,
    problems_of,
    told_first,
    with_ignored,
)
from labsupport.course.judging import answered, claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.scenes import scene
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

_URL = "http://proxy-server:5000/predict"
_MODEL, _OTHER_MODEL = "http://predict-server1:5010/predict", "http://predict-server2:5011/predict"
_PODS = {"proxy-pod1": 1, "predict-pod1": 1, "proxy-pod2": 1, "predict-pod2": 1}
_QUICK, _THOROUGH = {"target": "condition1"}, {"target": "condition2"}
_SMALL, _LARGE = (48, 36), (400, 300)
_MOST_S = 10.0
_SAYS = "x-second-choice"


def _send(
    lab: Lab,
    headers: Mapping[str, str],
    *,
    count: int = 12,
    source: str = "client",
    size: tuple[int, int] = _SMALL,
    rate: float | None = None,
    url: str = _URL,
    timeout_s: float = 15.0,
) -> Observations:
    """Pictures, one after the other, as a model computes one at a time."""
    return lab.send(
        url,
        source=source,
        method="POST",
        body=json.dumps({"image": scene(3, size).base64}),
        headers={"content-type": "application/json", **headers},
        count=count,
        concurrency=1,
        rate=rate,
        timeout_s=timeout_s,
        keep_headers=[_SAYS],
    )


def _computed(lab: Lab, seen: Observations, **expected: int) -> CheckOutcome:
    """How many pictures reached which Deployment; one that is not named must get none."""
    log = lab.access_log(seen)
    return check.received(log, dict.fromkeys(_PODS, 0) | {name.replace("_", "-"): n for name, n in expected.items()})


def _as_given(lab: Lab) -> CheckOutcome:
    """Without a model, or with two of one, nothing can be told."""
    return pods_ready(lab, "two proxies and two models run", _PODS)


@judge("15.2")
def known_behind_the_proxy(lab: Lab) -> Iterator[Shown]:
    """One proxy takes all requests, and those of condition1 alone come to the quick model."""
    yield Because("pods", _as_given(lab))
    ways = [(headers, model, _send(lab, headers)) for headers, model in ((_QUICK, 1), (_THOROUGH, 2), ({}, 2))]
    for headers, _, seen in ways:
        yield answered(lab, seen, problems_of(lab, _MODEL, source="proxy-pod1"))
        yield Because("two", told_first(_about(headers), check.only(seen, version="proxy-pod-version1")))
    for headers, model, seen in ways:
        behind = explained(lab, _MODEL, source="proxy-pod1", headers=headers).destinations
        meant = [to.host.partition(".")[0] for to in behind] == [f"predict-server{model}"] and _asks_by_rule(lab, seen)
        came = _computed(lab, seen, proxy_pod1=len(seen), **{f"predict_pod{model}": len(seen)})
        yield Because("lost" if meant else "rule", told_first(_about(headers), came))


def _asks_by_rule(lab: Lab, seen: Observations) -> bool:
    """Whether what the program asks is the host that the rule is about."""
    calls = [record.authority for record in lab.access_log(seen) if record.pod.startswith("proxy-pod1-")]
    return any(authority.startswith("predict-server1") for authority in calls)


def _about(headers: Mapping[str, str]) -> tuple[str, ...]:
    said = headers.get("target")
    return (f"This is about requests with target: {said}." if said else "This is about requests without target.",)


@judge("15.4")
def second_choice(lab: Lab) -> Iterator[Shown | Rung]:
    """Each to its own model, and to the other one when the quick model is down, from the first request on."""
    yield Because("pods", _as_given(lab))
    with another_caller(lab) as caller:
        for headers, proxy, model in (
            (_QUICK, "proxy_pod1", "predict_pod1"),
            (_THOROUGH, "proxy_pod2", "predict_pod2"),
        ):
            seen = _send(lab, headers, source=caller)
            yield answered(lab, seen, problems_of(lab, _URL, source=caller))
            own = told_first(_about(headers), _computed(lab, seen, **{proxy: len(seen), model: len(seen)}))
            yield Because("own", with_ignored(lab, _URL, own, source=caller))
        yield Rung("own")
        lab.scale("predict-pod1", 0)
        try:
            first = _send(lab, _QUICK, source=caller, count=6, rate=4.0)
            later = _send(lab, _QUICK, source=caller)
            yield Because("down", check.ok(later))
            yield Because("down", check.only(later, version="proxy-pod-version2"))
            yield Rung("down")
            yield Because("chance", _by_chance(lab, caller))
            yield Because("unseen", check.ok(first))
            yield Rung("unseen")
        finally:
            lab.scale("predict-pod1", 1)


def _by_chance(lab: Lab, caller: str) -> CheckOutcome:
    """A single try again comes after 0 to 25 ms: nobody knows whether the pod is taken out by then."""
    tries = explained(lab, _URL, source=caller, headers=_QUICK).tries
    line = f"The rule says {words.plural(tries - 1, 'more try', 'more tries')}."
    return claim(tries != 2, "two more tries, or none", line)


@judge("15.7")
def says_that_it_is_the_second(lab: Lab) -> Iterator[Shown]:
    """The thorough model answers all, and tells those who asked for the quick one."""
    needed = {name: count for name, count in _PODS.items() if name != "predict-pod1"}
    yield Because("pods", pods_ready(lab, "two proxies and the thorough model run", needed))
    for headers, said in ((_QUICK, "predict-server2"), (_THOROUGH, ""), ({}, "")):
        seen = _send(lab, headers)
        yield answered(lab, seen, problems_of(lab, _URL, source="client"))
        came = told_first(
            _about(headers), check.received(lab.access_log(seen), {"predict-pod1": 0, "predict-pod2": 12})
        )
        yield Because("model", with_ignored(lab, _URL, came, source="client"))
        found = sorted({response.headers.get(_SAYS, "") for response in seen})
        lines = (*_about(headers), f"Their answers say {words.join(text or 'nothing' for text in found)}.")
        yield Because("said", claim(found == [said], f"{_SAYS} says {said or 'nothing'}", *lines))


def _bounded(lab: Lab) -> CheckOutcome:
    """The rule for the thorough model; a clock cannot tell 10.0 s from 10.1 s on a busy machine."""
    said_s = explained(lab, _URL, source="client", headers=_THOROUGH).timeout_s
    line = "No rule bounds the time." if said_s is None else f"The rule says {words.duration(said_s)}."
    fine = said_s is not None and said_s <= _MOST_S
    return with_ignored(lab, _URL, claim(fine, f"at most {words.duration(_MOST_S)}", line), source="client")


def _until_idle(lab: Lab) -> None:
    """Wait for what a model still computes for nobody, by a request that has its turn after that and no time limit."""
    _send(lab, {}, count=1, url=_OTHER_MODEL, timeout_s=60.0)


@judge("15.6")
def patient_and_no_more(lab: Lab) -> Iterator[Shown | Rung]:
    """Large pictures are answered, computed once, tried again after an error, and nobody waits for ever."""
    yield Because("pods", _as_given(lab))
    _until_idle(lab)
    large = _send(lab, _THOROUGH, count=3, size=_LARGE)
    yield large if check.ok(large) else Because("large", check.ok(large))
    yield Rung("large")
    yield Because("once", _computed(lab, large, proxy_pod2=len(large), predict_pod2=len(large)))
    yield Rung("once")
    failing = _send(lab, {**_THOROUGH, "x-fault": "SERVICE=predict-server2, FAIL_FIRST_TRIES=1"}, count=4)
    yield failing if check.ok(failing) else Because("again", check.ok(failing))
    yield Rung("again")
    yield Because("bound", _bounded(lab))
    yield Rung("bound")
