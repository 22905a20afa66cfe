"""The subresource ``scale``: the number of replicas, the same for every kind that has one."""

from __future__ import annotations

from labsupport.engine.embedded.api.answers import Refused, conflict
from labsupport.engine.embedded.api.kinds import kind_of
from labsupport.engine.embedded.api.patches import JSON, MERGE, apply_patch
from labsupport.records import Json, JsonObject

__all__ = ["scale_of", "scaled"]


def scale_of(deployment: JsonObject) -> JsonObject:
    """The Scale of a Deployment.

    Args:
        deployment: as the API shows it.
    """
    copied = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: deployment["metadata"][key] for key in copied if key in deployment["metadata"]},
        "spec": {"replicas": deployment["spec"].get("replicas", 1)},
        "status": {
            "replicas": deployment.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def scaled(scale: JsonObject, content: Json, form: str) -> int:
    """The number of replicas that a changed Scale asks for.

    Args:
        scale: as it is.
        content: what was sent: a Scale, or a patch of one.
        form: media type of a patch.

    Raises:
        Refused: it is no number, or the Scale has changed since it was read.
    """
    changed = apply_patch(form if form == JSON else MERGE, scale, content, built_in=True)
    known = changed.get("metadata", {}).get("resourceVersion")
    if known and known != scale["metadata"].get("resourceVersion"):
        raise conflict(kind_of("Deployment"), scale["metadata"]["name"])
    count = changed.get("spec", {}).get("replicas", 0)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise Refused(422, f"spec.replicas: Invalid value: {count!r}: must be a whole number from 0")
    return count
