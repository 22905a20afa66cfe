"""Ways around an exercise that are no solution: what an author tries before a learner does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from labsupport import paths
from labsupport.course.needs import CLIENT, needed
from labsupport.course.spec import ExerciseSpec
from labsupport.lab.lab import Lab

SHORT_CUTS = ("delete", "relabel", "scale-to-zero")
_RELABELLED = "relabelled"


def short_cuts_of(spec: ExerciseSpec) -> tuple[str, ...]:
    """What must not help: the three that work on Deployments, and the manifests of the exercise itself."""
    return (*(SHORT_CUTS if spec.judge is not None and any(_deployments(spec)) else ()), *spec.short_cuts)


def take(lab: Lab, spec: ExerciseSpec, short_cut: str) -> None:
    """Go one of these ways.

    Args:
        lab: where the exercise is prepared.
        spec: the exercise.
        short_cut: one of ``short_cuts_of(spec)``.
    """
    if short_cut not in SHORT_CUTS:
        lab.apply(paths.manifests() / short_cut)
        return
    for deployment in _deployments(spec):
        name = deployment["metadata"]["name"]
        if short_cut == "scale-to-zero":
            lab.scale(name, 0)
            continue
        lab.delete(f"Deployment/{name}", missing_ok=True)
        if short_cut == "relabel":
            content = deployment["spec"]
            for labels in (content["template"]["metadata"]["labels"], content["selector"]["matchLabels"]):
                labels |= {label: _RELABELLED for label in labels if label in ("app", "version")}
            lab.apply(yaml.safe_dump(deployment))


def _deployments(spec: ExerciseSpec) -> Iterator[dict[str, Any]]:
    """The Deployments that an exercise needs, but for the load client, without which nothing would be sent."""
    for document in needed(spec):
        if document["kind"] == "Deployment" and document["metadata"]["name"] != CLIENT:
            yield document
