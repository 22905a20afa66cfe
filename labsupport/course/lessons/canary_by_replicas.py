"""Exercises of notebook 01: a share made of pods, and a Service that leaves one version out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.exercise import ExerciseSpec, Wrong
from labsupport.course.judging import all_answered, joined, with_reasons
from labsupport.course.questions import Number

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import Response

__all__ = ["EXERCISES"]

_URL = "nodeport:web/"
_CONNECTIONS = 400

_SAFE_ONLY = """\
apiVersion: v1
kind: Service
metadata:
  name: web
  labels:
    app: web
spec:
  type: NodePort
  selector:
    app: web
    version: safe
  ports:
    - name: http
      port: 8080
      targetPort: 5000
      nodePort: 31532
"""


def _pods(lab: Lab) -> dict[str, int]:
    """Ready pods of web by version."""
    versions = [pod.version for pod in lab.pods() if pod.service == "web" and pod.ready]
    return {version: versions.count(version) for version in ("safe", "risk")}


def _as_given(lab: Lab) -> bool:
    return _pods(lab) == {"safe": 2, "risk": 1}


def _one_in_ten(lab: Lab) -> CheckOutcome:
    pods = _pods(lab)
    total = sum(pods.values())
    share = f"{pods['risk']} of {words.plural(total, 'pod')} is risk"
    if not total or pods["risk"] * 10 != total:
        seen = f", {words.percent(pods['risk'] / total)} of the connections" if total else ""
        line = f"{share}{seen}: 10 % needs one pod of risk for every nine of safe."
        return CheckOutcome(FAILED, "pods in the proportion 9 : 1", (line,))
    counted = CheckOutcome(PASSED, "pods in the proportion 9 : 1", (f"{share}.",))
    seen_by_clients = lab.send(_URL, count=_CONNECTIONS)
    measured = check.share(
        seen_by_clients, {"safe": 9, "risk": 1}, per="connection", reject={"1 in 3": {"safe": 2, "risk": 1}}
    )
    return joined(counted, with_reasons(lab, seen_by_clients, measured))


def _both_versions(lab: Lab) -> CheckOutcome:
    pods = _pods(lab)
    if not all(pods.values()):
        line = f"safe has {words.plural(pods['safe'], 'pod')}, risk has {words.plural(pods['risk'], 'pod')}."
        return CheckOutcome(FAILED, "pods of both versions", (line, "Give each at least one again, by lab.scale."))
    seen = lab.send(_URL, count=_CONNECTIONS)
    outcome = check.share(seen, pods, per="connection", reject={"safe only": {"safe": 1}, "risk only": {"risk": 1}})
    if not outcome.passed and not seen.errors:
        answered = words.join(seen.share("version"))
        line = f"Only {answered} answered: a Service sends to the pods that carry all labels of its selector."
        if len(seen.share("version")) == 1:
            outcome = CheckOutcome(FAILED, outcome.title, (line, *outcome.lines), n=outcome.n, seen=outcome.seen)
    return joined(all_answered(lab, seen), outcome)


def _not_found(response: Response) -> bool:
    return response.status == 404


EXERCISES = (
    ExerciseSpec(
        number="01.1",
        title="How many are not found",
        task=(
            "Two pods of safe and one of risk; risk has no /name.\n"
            "Predict how many of 300 requests to /name, each on a connection of its own, are answered 404."
        ),
        kind="predict",
        hints=(
            "Which pods answer 404, and how many of all pods are they?",
            "Each connection goes to one of three pods, with equal chances.",
            "One third of 300 is 100; chance moves it by about ten either way.",
        ),
        needs=("apps/web",),
        questions=(
            Number(
                name="not found",
                text="How many of 300 requests to /name will be answered 404?",
                low=80,
                high=120,
                of=300,
                hits=_not_found,
                reason="One pod in three is risk, so about 100 of 300: exactly those that reach it.",
            ),
        ),
    ),
    ExerciseSpec(
        number="01.2",
        title="A canary of exactly 10 %, by replicas only",
        task=(
            "Change the number of pods until one connection in ten goes to risk.\n"
            "Use lab.scale only; any numbers that make exactly 10 % will do."
        ),
        kind="write",
        hints=(
            "Without a mesh every ready pod is as likely as any other: a share is a number of pods.",
            "With one pod of risk, how many pods must there be in all?",
            "Ten pods in all, one of them risk: lab.scale('web-safe', 9).",
        ),
        judge=_one_in_ten,
        untouched=_as_given,
        solution="01-canary-by-replicas/solution/deployment-web-safe-nine-pods.yaml",
        wrong=(
            Wrong("01-canary-by-replicas/wrong/deployment-web-safe-ten-pods.yaml", ("1 of 11 pods", "9.1 %")),
            Wrong("01-canary-by-replicas/wrong/deployment-web-safe-four-pods.yaml", ("1 of 5 pods", "20.0 %")),
        ),
        needs=("apps/web",),
        questions=(
            Number(
                name="pods for one per cent",
                text="How many pods would a canary of 1 % need in all, with one pod of risk?",
                low=100,
                high=100,
                reason="One pod in a hundred: 99 of safe and one of risk. A share made of pods is paid in pods.",
                unit="pods",
            ),
        ),
    ),
    ExerciseSpec(
        number="01.3",
        title="A version that nobody reaches",
        task=(
            "This Service was applied after the canary was started, and risk does not get one connection.\n"
            "Find out why, and repair it so that all pods of both versions are reached."
        ),
        kind="diagnose",
        hints=(
            "A Service finds its pods by their labels: compare its selector with lab.pods().",
            "A selector with two labels selects the pods that carry both of them.",
            "Remove version: safe from the selector; app: web alone is carried by both versions.",
        ),
        judge=_both_versions,
        start=_SAFE_ONLY,
        solution="01-canary-by-replicas/solution/service-web-both-versions.yaml",
        wrong=(
            Wrong("01-canary-by-replicas/wrong/service-web-risk-only.yaml", ("Only risk answered",)),
            Wrong("01-canary-by-replicas/wrong/service-web-selects-nobody.yaml", ("refused",)),
        ),
        needs=("apps/web",),
    ),
)
