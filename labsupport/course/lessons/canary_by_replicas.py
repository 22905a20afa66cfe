"""Judges of notebook 01: a share made of pods, and a Service that leaves one version out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.judging import judge, untouched
from labsupport.course.spec import Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_URL = "nodeport:web/"
_CONNECTIONS = 400


def _pods(lab: Lab) -> dict[str, int]:
    """Ready pods of web by version."""
    versions = [pod.version for pod in lab.pods() if pod.service == "web" and pod.ready]
    return {version: versions.count(version) for version in ("safe", "risk")}


@untouched("01.2")
def as_given(lab: Lab) -> bool:
    """Nobody has scaled anything."""
    return _pods(lab) == {"safe": 2, "risk": 1}


@judge("01.2")
def one_in_ten(lab: Lab) -> Iterator[Shown]:
    """The pods are in the proportion, and so are the connections."""
    pods = _pods(lab)
    total = sum(pods.values())
    share = f"{pods['risk']} of {words.plural(total, 'pod')} is risk"
    title = "pods in the proportion 9 : 1"
    if not total or pods["risk"] * 10 != total:
        seen = f", {words.percent(pods['risk'] / total)} of the connections" if total else ""
        line = f"{share}{seen}: 10 % needs one pod of risk for every nine of safe."
        yield CheckOutcome(FAILED, title, (line,))
    yield CheckOutcome(PASSED, title, (f"{share}.",))
    clients = lab.send(_URL, count=_CONNECTIONS)
    yield clients
    yield check.share(clients, {"safe": 9, "risk": 1}, per="connection", reject={"1 in 3": {"safe": 2, "risk": 1}})


@judge("01.3")
def both_versions(lab: Lab) -> Iterator[Shown]:
    """Connections are divided as the pods are."""
    pods = _pods(lab)
    if not all(pods.values()):
        line = f"safe has {words.plural(pods['safe'], 'pod')}, risk has {words.plural(pods['risk'], 'pod')}."
        yield CheckOutcome(FAILED, "pods of both versions", (line, "Give each at least one again, by lab.scale."))
    seen = lab.send(_URL, count=_CONNECTIONS)
    yield seen
    outcome = check.share(seen, pods, per="connection", reject={"safe only": {"safe": 1}, "risk only": {"risk": 1}})
    answered = seen.share("version")
    if not outcome.passed and len(answered) == 1:
        why = "a Service sends to the pods that carry all labels of its selector"
        outcome = replace(outcome, lines=(f"Only {words.join(answered)} answered: {why}.", *outcome.lines))
    yield outcome
