"""Exercises of notebook 02: weights, and the two mistakes in subsets that everybody makes once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from labsupport import check
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.exercise import ExerciseSpec, Wrong
from labsupport.course.judging import all_answered, joined, with_reasons
from labsupport.course.questions import ChoiceQuestion, Number

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import Response

__all__ = ["EXERCISES"]

_LESSON = "02-canary-by-weight"
_WEB = (f"{_LESSON}/web", "apps/client", f"{_LESSON}/destination-rule-web-versions.yaml")

_WEIGHTS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
spec:
  hosts:
    - web
  http:
    - route:
        - destination:
            host: web
            subset: safe
          weight: ____
        - destination:
            host: web
            subset: risk
          weight: ____
"""

_MISSPELT = """\
apiVersion: networking.istio.io/v1
kind: DestinationsRule
metadata:
  name: web
spec:
  host: web
  subsets:
    - name: safe
      labels:
        version: safe
    - name: risk
      labels:
        version: risk
"""

_EMPTY_SUBSET = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: web
spec:
  host: web
  subsets:
    - name: safe
      labels:
        version: safe
    - name: risk
      labels:
        version: risky
"""

_REVIEWS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts:
    - reviews
  gateways:
    - ____
  http:
    - route:
        - destination:
            host: reviews
            subset: v1
          weight: ____
        - destination:
            host: reviews
            subset: v2
          weight: ____
        - destination:
            host: reviews
            subset: v3
          weight: ____
"""


def _split(
    lab: Lab, *, weights: Mapping[str, float], count: int, reject: Mapping[str, Mapping[str, float]]
) -> CheckOutcome:
    """Requests from client to web are divided like this; behind a sidecar each request is a choice of its own."""
    seen = lab.send("http://web:8080/", source="client", count=count, reuse_connections=True)
    return joined(all_answered(lab, seen), check.share(seen, weights, reject=reject))


def _two_pods(lab: Lab) -> CheckOutcome:
    pods = [pod for pod in lab.pods() if pod.service == "web"]
    fine = len(pods) == 2 and {pod.version for pod in pods} == {"safe", "risk"}
    line = f"web has {len(pods)} pods: {', '.join(pod.name for pod in pods) or 'none'}."
    counted = CheckOutcome(PASSED if fine else FAILED, "one pod of each version", (line,))
    reject = {"3 in 100": {"safe": 97, "risk": 3}, "none at all": {"safe": 1}}
    return joined(counted, _split(lab, weights={"safe": 99, "risk": 1}, count=2500, reject=reject))


def _halves(lab: Lab) -> CheckOutcome:
    return _split(lab, weights={"safe": 50, "risk": 50}, count=300, reject={"70 : 30": {"safe": 70, "risk": 30}})


def _reviews(lab: Lab) -> CheckOutcome:
    seen = lab.send("gateway:/productpage", count=400, reuse_connections=True)
    answered = all_answered(lab, seen)
    weights = {"v1": 10, "v2": 10, "v3": 80}
    outcome = check.share(seen, weights, service="reviews", reject={"a third each": {"v1": 1, "v2": 1, "v3": 1}})
    if answered.passed and not outcome.passed:
        even = check.share(seen, {"v1": 1, "v2": 1, "v3": 1}, service="reviews")
        if even.passed:
            line = (
                "All versions answer alike, as without a rule: productpage calls reviews inside the mesh, "
                "so the rule must be bound to mesh."
            )
            outcome = CheckOutcome(FAILED, outcome.title, (line, *outcome.lines), n=outcome.n, seen=outcome.seen)
    return joined(answered, with_reasons(lab, seen, outcome))


def _by_risk(response: Response) -> bool:
    return bool(response.path) and response.path[0].version == "risk"


EXERCISES = (
    ExerciseSpec(
        number="02.1",
        title="Nine to safe, one to risk",
        task="Complete the VirtualService so that 90 % of the requests go to safe and 10 % to risk.",
        kind="write",
        hints=(
            "A weight belongs to one destination, and is a part of the sum of all weights.",
            "The sum need not be 100, but it reads well if it is.",
            "weight: 90 for the subset safe, weight: 10 for the subset risk.",
        ),
        judge=partial(
            _split,
            weights={"safe": 90, "risk": 10},
            count=1500,
            reject={"80 : 20": {"safe": 80, "risk": 20}, "95 : 5": {"safe": 95, "risk": 5}},
        ),
        start=_WEIGHTS,
        solution=f"{_LESSON}/solution/virtual-service-web-90-10.yaml",
        wrong=(
            Wrong(f"{_LESSON}/wrong/virtual-service-web-10-90.yaml", ("risk", "safe")),
            Wrong(f"{_LESSON}/wrong/virtual-service-web-80-20.yaml", ("risk", "10")),
            Wrong(f"{_LESSON}/wrong/virtual-service-web-90-minus-10.yaml", ("weight",)),
        ),
        needs=_WEB,
        questions=(
            Number(
                name="requests to risk",
                text="Of 1,000 requests at 90/10, how many will risk answer?",
                low=70,
                high=130,
                of=1000,
                hits=_by_risk,
                reason="Each request is a choice of its own, with one chance in ten: about 100, give or take 30.",
            ),
        ),
    ),
    ExerciseSpec(
        number="02.2",
        title="A canary of 1 % on two pods",
        task="Send one request in a hundred to risk. There is one pod of each version, and it stays so.",
        kind="write",
        hints=(
            "By replicas this took a hundred pods. Now weights decide, and pods do not count.",
            "Weights are relative: 1 of 100 is the same share as 10 of 1000.",
            "weight: 99 for the subset safe, weight: 1 for the subset risk.",
        ),
        judge=_two_pods,
        start=_WEIGHTS,
        solution=f"{_LESSON}/solution/virtual-service-web-99-1.yaml",
        wrong=(
            Wrong(f"{_LESSON}/wrong/virtual-service-web-90-10-again.yaml", ("risk", "1")),
            Wrong(f"{_LESSON}/wrong/virtual-service-web-100-0-again.yaml", ("risk", "1")),
        ),
        needs=_WEB,
    ),
    ExerciseSpec(
        number="02.3",
        title="Most of the way to reviews v3",
        task=(
            "Divide the requests that productpage sends to reviews: 10 % to v1, 10 % to v2 and 80 % to v3.\n"
            "Bind the rule to where these requests start."
        ),
        kind="write",
        hints=(
            "gateways says which proxies follow a rule. Who calls reviews: the ingress gateway, or a sidecar?",
            "The word for all sidecars is mesh. It is also what a rule without gateways is bound to.",
            "gateways: [mesh], and the weights 10, 10 and 80.",
        ),
        judge=_reviews,
        start=_REVIEWS,
        solution=f"{_LESSON}/solution/virtual-service-reviews-10-10-80.yaml",
        wrong=(
            Wrong(f"{_LESSON}/wrong/virtual-service-reviews-gateway-only.yaml", ("mesh",)),
            Wrong(f"{_LESSON}/wrong/virtual-service-reviews-80-10-10.yaml", ("v3", "80")),
        ),
        needs=(
            "apps/bookinfo",
            f"{_LESSON}/bookinfo",
        ),
        absent=("VirtualService/reviews",),
    ),
    ExerciseSpec(
        number="02.4",
        title="A rule that is no rule",
        task=(
            "The VirtualService sends half of the requests to each subset, but this manifest is refused.\n"
            "Repair it so that both versions answer and not one request fails."
        ),
        kind="diagnose",
        hints=(
            "Read the message: it names what it does not know, and what it takes you to have meant.",
            "kubectl api-resources lists the kinds of a cluster. Is this one of them?",
            "The kind is DestinationRule, without an s.",
        ),
        judge=_halves,
        start=_MISSPELT,
        solution=f"{_LESSON}/solution/destination-rule-web-kind-spelt-right.yaml",
        wrong=(
            Wrong(f"{_LESSON}/wrong/destination-rule-web-kind-still-misspelt.yaml", ("DestinationRule",)),
            Wrong(f"{_LESSON}/wrong/destination-rule-web-kind-right-subset-wrong.yaml", ("503 NC", "no such cluster")),
        ),
        needs=(f"{_LESSON}/web", "apps/client", f"{_LESSON}/virtual-service-web-50-50.yaml"),
        absent=("DestinationRule/web",),
    ),
    ExerciseSpec(
        number="02.5",
        title="A subset without pods",
        task=(
            "Half of the requests fail. Find out from the access log which half, and why.\n"
            "Repair the DestinationRule so that both versions answer and not one request fails."
        ),
        kind="diagnose",
        hints=(
            "lab.access_log(seen.errors) shows the response flags and the cluster of the requests that failed.",
            "UH: the cluster is there, but no pod is in it. Compare the subset's labels with lab.pods().",
            "The pods carry version: risk; the subset asks for version: risky.",
        ),
        judge=_halves,
        start=_EMPTY_SUBSET,
        solution=f"{_LESSON}/solution/destination-rule-web-label-as-pods-carry-it.yaml",
        wrong=(
            Wrong(f"{_LESSON}/wrong/destination-rule-web-subset-renamed.yaml", ("503 NC", "no such cluster")),
            Wrong(f"{_LESSON}/wrong/destination-rule-web-label-of-nobody.yaml", ("503 UH", "no healthy upstream")),
        ),
        needs=(f"{_LESSON}/web", "apps/client", f"{_LESSON}/virtual-service-web-50-50.yaml"),
        questions=(
            ChoiceQuestion(
                name="flag of an undefined subset",
                text="A VirtualService names a subset that no DestinationRule defines. Which flag does Envoy log?",
                choices=("UH, no healthy upstream", "NC, no such cluster", "NR, no route"),
                right="NC, no such cluster",
                reason="A subset becomes a cluster when a DestinationRule defines it; here there is none to send to.",
                because=(
                    ("UH, no healthy upstream", "That is a subset which is defined, but has no pods."),
                    ("NR, no route", "There is a route: it leads to a cluster that does not exist."),
                ),
            ),
        ),
    ),
)
