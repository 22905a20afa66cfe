"""What the engine adds to an object at apply and takes away again when it shows it.

Istio gateways select pods, and rules are seen by, all namespaces of a cluster. In a class that would make learners
meet each other's rules, so an object is closed to the learner's own namespace unless its manifest says otherwise.
"""

from __future__ import annotations

from typing import Any, Final

from labsupport.engine import additions
from labsupport.engine.cluster.objects.graceful import add_pause, remove_pause
from labsupport.engine.cluster.objects.images import Images, pod_specs
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.index import class_of

__all__ = ["CLOSED", "EXPORT_TO", "LAB_LABEL", "PART_LABEL", "added", "taken_away"]

LAB_LABEL = "istio-traffic-workshop/lab"
"""Label of a learner's gateway pods: the namespace, so that no Gateway of another learner selects them."""

PART_LABEL = "istio-traffic-workshop/part"
"""Label of what the engine itself keeps in the namespace."""

EXPORT_TO = "networking.istio.io/exportTo"
"""Annotation of a Service that limits which namespaces know it."""

CLOSED: Final = (".",)
"""``exportTo`` of rules and ServiceEntries that have none: their own namespace."""

_EXPORTED = ("VirtualService", "DestinationRule", "ServiceEntry")

# As the lab's own ingress gateway: a load balancer costs money, and many clusters have none.
_SERVICE: Final = {"networking.istio.io/service-type": "NodePort"}
# Of the Service and the pods that istiod makes for a Gateway of the Gateway API.
_MADE: Final = {EXPORT_TO: ".", additions.PROXY_CONFIG_ANNOTATION: additions.proxy_config_text()}


def added(raw: dict[str, Any], namespace: str, images: Images, version: tuple[int, ...] = (1, 34)) -> dict[str, Any]:
    """An object as it is sent to the API server.

    Args:
        raw: as it was written.
        namespace: the lab's namespace.
        images: where images come from.
        version: of Kubernetes.
    """
    kind = raw["kind"]
    made = images.filled(kind, raw)
    additions.add(made)
    add_pause(kind, made, version)
    metadata = made["metadata"] = dict(made["metadata"])
    metadata["namespace"] = namespace
    # The server sets these, and refuses an apply that brings them along.
    for field in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
        metadata.pop(field, None)
    made.pop("status", None)
    if kind in _EXPORTED:
        spec = made["spec"] = dict(made.get("spec") or {})
        if not spec.get("exportTo"):
            spec["exportTo"] = list(CLOSED)
    elif kind == "Service":
        annotations = dict(metadata.get("annotations") or {})
        annotations.setdefault(EXPORT_TO, ".")
        metadata["annotations"] = annotations
    elif class_of(made) is KubernetesGateway:
        annotations = dict(metadata.get("annotations") or {})
        metadata["annotations"] = annotations
        given = _made_annotations(made)
        for place, more in ((annotations, _SERVICE), (annotations if given is None else given, _MADE)):
            place |= {name: text for name, text in more.items() if name not in place}
    elif kind == "Gateway":
        spec = made["spec"] = dict(made.get("spec") or {})
        if spec.get("selector"):
            spec["selector"] = {**spec["selector"], LAB_LABEL: namespace}
    return made


def taken_away(raw: dict[str, Any], images: Images) -> dict[str, Any]:
    """An object as a person wrote it: the opposite of ``added``."""
    kind = raw["kind"]
    made = images.hidden(kind, raw)
    additions.take_away(made)
    remove_pause(kind, made)
    for _, pod in pod_specs(kind, made):
        for container in pod.get("containers") or ():
            if container.get("image") in images.known and container.get("imagePullPolicy") == "IfNotPresent":
                del container["imagePullPolicy"]
    spec = made.get("spec")
    if kind in _EXPORTED and isinstance(spec, dict) and spec.get("exportTo") == list(CLOSED):
        del spec["exportTo"]
    elif kind == "Service":
        annotations = made["metadata"].get("annotations") or {}
        if annotations.get(EXPORT_TO) == ".":
            del annotations[EXPORT_TO]
            if not annotations:
                made["metadata"].pop("annotations")
    elif class_of(made) is KubernetesGateway:
        for place in (made["metadata"].get("annotations") or {}, _made_annotations(made) or {}):
            for name, text in (_SERVICE | _MADE).items():
                if place.get(name) == text:
                    del place[name]
        if not made["metadata"].get("annotations"):
            made["metadata"].pop("annotations", None)
    elif kind == "Gateway" and isinstance(spec, dict) and isinstance(spec.get("selector"), dict):
        spec["selector"].pop(LAB_LABEL, None)
    return made


def _made_annotations(gateway: dict[str, Any]) -> dict[str, Any] | None:
    """Annotations of what is made for a Gateway; None if it names none: then it is the Gateway's own that count."""
    annotations: dict[str, Any] | None = ((gateway.get("spec") or {}).get("infrastructure") or {}).get("annotations")
    return annotations
