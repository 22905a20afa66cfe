"""Judges of notebook 01: a share made of pods, and a Service that leaves one version out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.judging import answered, judge, untouched
from labsupport.course.spec import Shown
from labsupport.model.writing.written import written

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
    title = "pods in the proportion 9 : 1"
    share = f"{pods['risk']} of {words.plural(total, 'pod')} {'is' if pods['risk'] == 1 else 'are'} risk"
    needed = "10 % takes one pod of risk for every nine of safe"
    if not pods["risk"]:
        yield CheckOutcome(FAILED, title, (f"risk has no pod that is ready: {needed}.",))
    elif pods["risk"] * 10 != total:
        seen = f"{share}, {words.percent(pods['risk'] / total)} of the connections: {needed}"
        swapped = " The numbers are the wrong way round." if pods["safe"] * 10 == total else ""
        yield CheckOutcome(FAILED, title, (f"{seen}.{swapped}",))
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
    kind = (written(lab.get("Service", "web")[0]).get("spec") or {}).get("type", "ClusterIP")
    if kind not in ("NodePort", "LoadBalancer"):
        line = f"Service/web has type {kind}, which is not reached from outside. Write type: NodePort, as it had."
        yield CheckOutcome(FAILED, "a node port", (line,))
    seen = lab.send(_URL, count=_CONNECTIONS)
    reasons = tuple(_reasons(lab))
    yield answered(lab, seen, reasons)
    outcome = check.share(seen, pods, per="connection", reject={"safe only": {"safe": 1}, "risk only": {"risk": 1}})
    met = seen.share("version")
    if not outcome.passed and len(met) == 1:
        outcome = replace(outcome, lines=(f"Only {words.join(met)} answered.", *reasons, *outcome.lines))
    yield outcome


def _reasons(lab: Lab) -> Iterator[str]:
    """What of the Service keeps connections from pods of web."""
    service = lab.get("Service", "web")[0]
    spec = written(service).get("spec") or {}
    selector = dict(spec.get("selector") or {})
    selected = [pod for pod in lab.pods() if selector and selector.items() <= pod.labels.items()]
    left = sorted({pod.version for pod in lab.pods() if pod.service == "web"} - {pod.version for pod in selected})
    labels = words.join(f"{label}: {value}" for label, value in selector.items()) or "nothing"
    if not selected:
        yield f"The Service selects {labels}, which no pod carries."
    elif left:
        yield f"The Service selects {labels}, and pods of {words.join(left)} do not carry all of it."
    listening = _listening(lab)
    for port in spec.get("ports") or ():
        target = port.get("targetPort", port["port"])
        if isinstance(target, int) and listening and target not in listening:
            yield f"The Service sends to port {target}, and the pods listen on {words.join(sorted(listening))}."


def _listening(lab: Lab) -> set[int]:
    """The ports on which containers of web say that they listen."""
    templates = [written(deployment)["spec"]["template"] for deployment in lab.get("Deployment")]
    return {
        port["containerPort"]
        for template in templates
        if template["metadata"]["labels"].get("app") == "web"
        for container in template["spec"]["containers"]
        for port in container.get("ports", ())
    }
