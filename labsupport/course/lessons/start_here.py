"""Exercises of notebook 00: read a result, repair a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.course.exercise import ExerciseSpec, Wrong
from labsupport.course.judging import all_answered
from labsupport.course.questions import ChoiceQuestion

if TYPE_CHECKING:
    from labsupport.check.result import CheckOutcome
    from labsupport.lab.lab import Lab

__all__ = ["EXERCISES"]

_NEEDS = ("apps/bookinfo", "apps/client")

_MISTAKES = """\
apiVersion: networking.istio.io/v1
kind: VirtualServce
metadata:
  name: reviews
spec:
  hosts:
    - reviews
  http:
    - timeout: 2
      route:
        - destination:
            hots: reviews
"""


def _rule_in_force(lab: Lab) -> CheckOutcome:
    lab.get("VirtualService", "reviews")
    return all_answered(lab, lab.send("http://reviews:9080/reviews/0", source="client", count=50))


EXERCISES = (
    ExerciseSpec(
        number="00.1",
        title="Read where a request went",
        task=(
            "Send one request from client to details and look at its access log.\n"
            "Then answer the two questions: which proxies did it pass, and which of them chose the pod?"
        ),
        kind="find",
        hints=(
            "lab.access_log(seen) has one line per proxy that a request passed.",
            "Look at the column DIRECTION: outbound is the proxy of the caller, inbound that of the callee.",
            "The pod was chosen where the line names a cluster such as outbound|9080||details...: see ANSWERED BY.",
        ),
        needs=_NEEDS,
        questions=(
            ChoiceQuestion(
                name="proxies",
                text="client and details both have a sidecar. How many proxies does a request between them pass?",
                choices=("none", "one", "two", "three"),
                right="two",
                reason="Out through the sidecar of client (outbound); in through that of details (inbound).",
                because=(
                    ("one", "A sidecar stands beside the caller and another one beside the callee."),
                    ("three", "The ingress gateway is only passed by requests from outside."),
                ),
            ),
            ChoiceQuestion(
                name="chooser",
                text="Which proxy chose the pod that answered?",
                choices=("the sidecar of client", "the sidecar of details", "the ingress gateway"),
                right="the sidecar of client",
                reason="Rules for details are followed where the request starts: every caller's sidecar has a copy.",
                because=(
                    ("the sidecar of details", "When a request arrives there, its pod has been chosen already."),
                    ("the ingress gateway", "This request started inside the mesh and never saw the gateway."),
                ),
            ),
        ),
    ),
    ExerciseSpec(
        number="00.2",
        title="Repair a manifest",
        task=(
            "This VirtualService has three mistakes. Run the cell, read what the lab says, and repair them.\n"
            "It is done when the rule is in force and every request from client to reviews is answered."
        ),
        kind="diagnose",
        hints=(
            "Each message says where (line and field path), what is wrong, and mostly what was meant.",
            "A kind is misspelt, a field does not exist, and a value has the wrong type.",
            "kind: VirtualService; host instead of hots; a duration has a unit, such as 2s.",
        ),
        judge=_rule_in_force,
        start=_MISTAKES,
        solution="00-start-here/solution/virtual-service-reviews-repaired.yaml",
        wrong=(
            Wrong("00-start-here/wrong/virtual-service-reviews-kind-repaired.yaml", ("hots", "timeout")),
            Wrong("00-start-here/wrong/virtual-service-reviews-type-left.yaml", ("timeout",)),
        ),
        needs=_NEEDS,
        absent=("VirtualService/reviews",),
    ),
)
