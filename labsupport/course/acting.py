"""What the rules in force say, for judges: a sample cannot tell 88 % from 90 %, and not why a rule has no effect.

It is read from what rules do to a request and not from their text, so that every way to write them is judged alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import statistics, words
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.course.judging import claim
from labsupport.model.writing.written import written

if TYPE_CHECKING:
    from labsupport.explain import Explanation
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = [
    "another_caller",
    "balancers",
    "count_telling_lives",
    "equal_shares",
    "explained",
    "fault_for_all",
    "fault_says",
    "no_fault",
    "pods_ready",
    "problems_of",
    "proxy_line",
    "reasons_of",
    "rule_says",
    "told_first",
    "with_balancers",
    "with_ignored",
]

_ARTICLE = {"delay": "a delay of", "abort": "an abort with"}


def explained(lab: Lab, url: str, *, source: str, headers: Mapping[str, str] | None = None) -> Explanation:
    """What the manifests say of a request, without sending it.

    Args:
        lab: where it would be sent.
        url: as for ``lab.send``.
        source: the Deployment or pod that calls.
        headers: of the request.
    """
    return lab.explain(url, source=source, headers=headers, confirm=False).explanation


def balancers(explanation: Explanation) -> tuple[str, ...]:
    """How pods are chosen, in words and where that is written, for all destinations of a request; each way once.

    Args:
        explanation: of the request.
    """
    policies = [policy for to in explanation.destinations for policy in to.policies]
    said = (f"{policy.text} ({policy.origin})" for policy in policies if policy.name == "loadBalancer")
    return tuple(dict.fromkeys(said))


def with_balancers(
    lab: Lab, url: str, outcome: CheckOutcome, *, source: str, headers: Mapping[str, str] | None = None
) -> CheckOutcome:
    """An outcome; if it did not pass, with how the rules choose among destinations and among pods in front.

    Args:
        lab: where it happened.
        url: as for ``lab.send``.
        outcome: what a check found.
        source: the Deployment or pod that calls.
        headers: of the requests.
    """
    if outcome.passed:
        return outcome
    explanation = explained(lab, url, source=source, headers=headers)
    lines = [f"In force: {text}." for text in balancers(explanation)]
    if len(explanation.destinations) > 1:
        thrown = {to.subset or to.host: to.share for to in explanation.destinations}
        lines.insert(0, f"For each request, the rule throws: {words.shares(thrown)}.")
    return told_first((*lines, *reasons_of(lab, explanation)), outcome)


def pods_ready(lab: Lab, title: str, pods: Mapping[str, int]) -> CheckOutcome:
    """Whether the pods are those of the task: among others, what is expected would be something else.

    Args:
        lab: where they run.
        title: of the outcome.
        pods: how many of each Deployment.
    """
    ready = [pod.workload for pod in lab.pods() if pod.ready]
    held = all(ready.count(workload) == count for workload, count in pods.items())
    told = words.join(f"{words.plural(ready.count(workload), 'pod')} of {workload}" for workload in pods)
    # How many there are is no answer of the learner's, right or wrong.
    return CheckOutcome(PASSED if held else NOT_ATTEMPTED, title, (f"Ready: {told}.",))


def proxy_line(lab: Lab, url: str, policy: str, field: str, *, source: str) -> str:
    """What the caller's proxy holds in a field of a policy of the destination, as its line of Envoy's configuration.

    Args:
        lab: where the caller is.
        url: as for ``lab.send``.
        policy: as explanations name it, such as ``outlierDetection``.
        field: Envoy's name of the field.
        source: the Deployment or pod that calls.

    Returns:
        such as ``base_ejection_time: 180s``; empty if the policy is not written anywhere, or has no such field.
    """
    policies = explained(lab, url, source=source).destinations[0].policies
    place = next((each.place for each in policies if each.name == policy), None)
    lines = repr(lab.config(place.object)).splitlines() if place is not None else []
    # Envoy's large numbers are text in JSON.
    return next((line.strip().replace('"', "") for line in lines if f" {field}:" in line), "")


def fault_for_all(lab: Lab, url: str, kind: str, *, source: str, headers: Mapping[str, str]) -> CheckOutcome:
    """Whether the rules give each of such requests a fault of a kind; a few requests can be a matter of luck.

    Args:
        lab: where they would be sent.
        url: as for ``lab.send``.
        kind: ``delay`` or ``abort``.
        source: the Deployment or pod that calls.
        headers: of the requests.
    """
    said = fault_says(lab, url, kind, source=source, headers=headers)
    return claim(" for 100 % of the requests" in said[0], f"{kind} for each request of {_who(headers)}", *said)


def no_fault(lab: Lab, url: str, *, source: str, headers: Mapping[str, str]) -> CheckOutcome:
    """Whether the rules spare such requests; a rare fault may spare those that are sent by luck."""
    said = [fault_says(lab, url, kind, source=source, headers=headers)[0] for kind in _ARTICLE]
    lines = [line for line in said if " % of the requests" in line]
    return claim(not lines, f"no fault for {_who(headers)}", *lines)


def _who(headers: Mapping[str, str] | None) -> str:
    return (headers or {}).get("end-user", "somebody else")


def count_telling_lives(requests: int) -> int:
    """So many requests, one after the other, that another life of a connection makes another number of them.

    One request more or less for each connection does, whatever was left of the connection before them.

    Args:
        requests: that a connection lives for.
    """
    return requests * (requests + 1)


@contextmanager
def another_caller(lab: Lab) -> Iterator[str]:
    """Another pod of client for a while: its proxy has counted no error yet, and has taken nobody out.

    Args:
        lab: where client runs.
    """
    before = {pod.name for pod in lab.pods() if pod.workload == "client"}
    lab.scale("client", len(before) + 1)
    try:
        yield next(pod.name for pod in lab.pods() if pod.workload == "client" and pod.name not in before)
    finally:
        lab.scale("client", len(before))


def rule_says(
    lab: Lab, url: str, expected: Mapping[str, float], *, source: str, seen: Observations, service: str | None = None
) -> CheckOutcome:
    """Expect the rule that a request follows to divide requests exactly like this, by version; it names the object.

    Args:
        lab: where it is in force.
        url: as for ``lab.send``.
        expected: version to relative weight.
        source: the Deployment or pod whose proxy obeys.
        seen: what was sent, to tell what came of it.
        service: whose version, as for ``Observations.share``.
    """
    explanation, expected_shares = explained(lab, url, source=source), statistics.proportions(expected)
    title = f"the rule says {words.shares(expected_shares)}"
    if explanation.chosen is None:
        lines = [f"No rule divides the requests from {source} to {url}.", *reasons_of(lab, explanation)]
        return CheckOutcome(FAILED, title, (*lines, _met(seen, service)))
    version_of = {pod.name: pod.version for pod in lab.pods()}
    said = _by_version(version_of, explanation)
    acts = f"{explanation.chosen.object} acts on these requests."
    if equal_shares(said, expected_shares):
        return CheckOutcome(PASSED, title, (f"The rule says {words.shares(said)}.", acts))
    sentence = f"The rule says {words.shares(said)}; expected: {words.shares(expected_shares)}"
    others = [*_other_versions(version_of, explanation, expected_shares)]
    if not others and equal_shares(said, statistics.turned_round(expected_shares)):
        sentence += ": the weights are the wrong way round"
    lines = [f"{sentence}.", acts, *others, *reasons_of(lab, explanation), _met(seen, service)]
    return CheckOutcome(FAILED, title, tuple(lines))


def problems_of(lab: Lab, url: str, *, source: str) -> Iterator[str]:
    """Why destinations of a request have nobody to answer it, by the objects.

    Args:
        lab: where it was sent.
        url: as for ``lab.send``.
        source: the Deployment or pod that calls.
    """
    destinations = explained(lab, url, source=source).destinations
    told = (f"{to.status} {to.problem}: {to.reason}" for to in destinations if to.problem)
    yield from dict.fromkeys(map(words.sentence, told))


def fault_says(
    lab: Lab, url: str, kind: str, *, source: str, headers: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """What the rules say about a fault of requests, or why they say nothing.

    Args:
        lab: where they would be sent.
        url: as for ``lab.send``.
        kind: ``delay`` or ``abort``.
        source: the Deployment or pod that calls.
        headers: of the requests; a user is known by ``end-user``.
    """
    who = _who(headers)
    explanation = explained(lab, url, source=source, headers=headers)
    for policy in explanation.policies:
        if policy.name == f"fault.{kind}":
            return (f"For {who}, the rule says: {_ARTICLE[kind]} {policy.text}.",)
    lines = [f"No {kind} is in force for {who}."]
    for trace in explanation.rules:
        if trace.verdict == "no match":
            lines += [f"Rule {trace.index + 1} does not match: {condition}." for condition in trace.failed]
        elif trace.verdict == "chosen":
            rule = f"Rule {trace.index + 1}, {trace.name}," if trace.name else f"Rule {trace.index + 1}"
            lines.append(f"{rule} of {trace.object} takes the request, and what is below it is not asked.")
    return (*lines, *reasons_of(lab, explanation))


def told_first(lines: Iterable[str], outcome: CheckOutcome) -> CheckOutcome:
    """An outcome; if it did not pass, with sentences in front of what it says.

    Args:
        lines: the sentences.
        outcome: what a check found.
    """
    return outcome if outcome.passed else replace(outcome, lines=(*lines, *outcome.lines))


def with_ignored(lab: Lab, url: str, outcome: CheckOutcome, *, source: str) -> CheckOutcome:
    """An outcome; if it did not pass, with what the objects say in front, where a rule does not count at all.

    Args:
        lab: where it happened.
        url: as for ``lab.send``.
        outcome: what a check found.
        source: the Deployment or pod that calls.
    """
    return outcome if outcome.passed else told_first(reasons_of(lab, explained(lab, url, source=source)), outcome)


def reasons_of(lab: Lab, explanation: Explanation) -> Iterator[str]:
    """Why rules that one would expect to count do not.

    Args:
        lab: where they are.
        explanation: of the request that they are expected to count for.
    """
    if explanation.proxy_kind == "none":
        yield words.sentence(explanation.decision)
        return
    asked = explanation.authority.partition(":")[0].partition(".")[0]
    known = {rule.object for rule in explanation.rules}
    for ignored in explanation.ignored:
        known.add(ignored.object)
        yield words.sentence(f"{ignored.object} does not count: {ignored.reason}")
    for resource in lab.get("VirtualService"):
        spec = written(resource).get("spec") or {}
        if f"{resource.kind}/{resource.name}" not in known and asked in _destinations(spec):
            hosts = words.join(spec.get("hosts") or ["no host"])
            yield f"{resource.kind}/{resource.name} does not count: it is about {hosts}, and not about {asked}."


def _destinations(value: object) -> set[str]:
    """First parts of the hosts that a rule sends to."""
    if isinstance(value, list):
        return {host for entry in value for host in _destinations(entry)}
    if not isinstance(value, dict):
        return set()
    own = {value["host"].partition(".")[0]} if isinstance(value.get("host"), str) else set()
    return own.union(*map(_destinations, value.values()))


def _by_version(version_of: Mapping[str, str], explanation: Explanation) -> dict[str, float]:
    said: dict[str, float] = {}
    for destination in explanation.destinations:
        for pod in destination.first or ("",):
            version = version_of.get(pod) or "nobody"
            said[version] = said.get(version, 0.0) + destination.share / max(1, len(destination.first))
    return {version: share for version, share in said.items() if share}


def _other_versions(
    version_of: Mapping[str, str], explanation: Explanation, expected: Mapping[str, float]
) -> Iterator[str]:
    """Subsets that are called like a version and have pods of another one."""
    for destination in explanation.destinations:
        others = sorted({version_of.get(pod) or "no version" for pod in destination.pods} - {destination.subset})
        if destination.subset in expected and others:
            host = destination.host.partition(".")[0]
            yield f"Subset {destination.subset} of {host} has pods of {words.join(others)}: look at its labels."


def equal_shares(said: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    """Whether two divisions are the same, but for what sums of fractions lose.

    Args:
        said: key to share.
        expected: key to share; one that is not there has none.
    """
    return all(math.isclose(said.get(key, 0.0), expected.get(key, 0.0), abs_tol=1e-9) for key in {*said, *expected})


def _met(seen: Observations, service: str | None) -> str:
    share = seen.share("version", service=service)
    return f"{words.plural(share.n, 'request')} met {words.shares(share.proportions)}."
