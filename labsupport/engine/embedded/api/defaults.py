"""What the API server adds to an object that leaves it out, and the way back to what was written."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping

from labsupport.records import Json, JsonObject

__all__ = ["completed", "without_defaults"]

_FOR_PODS: JsonObject = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_FOR_CONTAINERS: JsonObject = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_FOR_PROBES: JsonObject = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def completed(content: JsonObject) -> JsonObject:
    """An object of Kubernetes with what the API server adds; one of Istio as it is.

    Args:
        content: as it was written.
    """
    complete = _COMPLETE.get(content["kind"])
    if complete is None:
        return content
    made = copy.deepcopy(content)
    complete(made)
    return made


def without_defaults(changed: Json, before: Json, written: Json) -> Json:
    """A changed object without the defaults that a client has read and sends back.

    Args:
        changed: what the client wants.
        before: what it has read, defaults included.
        written: the same as it was written, without them.
    """
    if isinstance(changed, Mapping) and isinstance(before, Mapping):
        known = written if isinstance(written, Mapping) else {}
        return {
            key: without_defaults(value, before.get(key), known.get(key))
            for key, value in changed.items()
            if key in known or key not in before or (value != before[key])
        }
    if isinstance(changed, list) and isinstance(before, list) and isinstance(written, list):
        if len(changed) == len(before) == len(written):
            return [without_defaults(*entries) for entries in zip(changed, before, written, strict=True)]
        # Entries that came or went move the rest; those that stay are found by what was read.
        return [
            next((own for read, own in zip(before, written, strict=False) if read == entry), entry) for entry in changed
        ]
    return changed


def _fill(target: JsonObject, defaults: Mapping[str, Json]) -> None:
    for key, value in defaults.items():
        if target.get(key) is None:
            target[key] = copy.deepcopy(value)


def _deployment(content: JsonObject) -> None:
    spec = content["spec"]
    _fill(
        spec,
        {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
        },
    )
    strategy = spec["strategy"]
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, {"rollingUpdate": {}})
        _fill(strategy["rollingUpdate"], {"maxUnavailable": "25%", "maxSurge": "25%"})
    spec["template"].setdefault("metadata", {})
    _pod(spec["template"]["spec"])


def _pod(spec: JsonObject) -> None:
    _fill(spec, _FOR_PODS)
    if spec.get("serviceAccountName"):
        _fill(spec, {"serviceAccount": spec["serviceAccountName"]})
    for volume in spec.get("volumes") or []:
        for source in ("configMap", "secret", "downwardAPI", "projected"):
            if volume.get(source):
                _fill(volume[source], {"defaultMode": 0o644})
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        image = str(container.get("image") or "")
        tag = image.rpartition("/")[2].partition(":")[2]
        _fill(container, _FOR_CONTAINERS)
        _fill(container, {"imagePullPolicy": "Always" if tag in ("", "latest") else "IfNotPresent"})
        for port in container.get("ports") or []:
            _fill(port, {"protocol": "TCP"})
        for variable in container.get("env") or []:
            field = (variable.get("valueFrom") or {}).get("fieldRef")
            if field is not None:
                _fill(field, {"apiVersion": "v1"})
        for name in _PROBES:
            if container.get(name):
                _fill(container[name], _FOR_PROBES)
                if container[name].get("httpGet"):
                    _fill(container[name]["httpGet"], {"scheme": "HTTP", "path": "/"})


def _service(content: JsonObject) -> None:
    spec = content.setdefault("spec", {})
    _fill(
        spec,
        {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        },
    )
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, {"externalTrafficPolicy": "Cluster"})
    if spec["type"] == "LoadBalancer":
        _fill(spec, {"allocateLoadBalancerNodePorts": True})
    for port in spec.get("ports") or []:
        _fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def _secret(content: JsonObject) -> None:
    _fill(content, {"type": "Opaque"})
    # What is written in the clear is only ever read in base64.
    clear = content.pop("stringData", None) or {}
    if clear:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in clear.items()}
        content["data"] = {**(content.get("data") or {}), **encoded}


def _namespace(content: JsonObject) -> None:
    labels = content["metadata"].get("labels") or {}
    content["metadata"]["labels"] = {"kubernetes.io/metadata.name": content["metadata"]["name"], **labels}
    _fill(content, {"spec": {"finalizers": ["kubernetes"]}})


_COMPLETE: Mapping[str, Callable[[JsonObject], None]] = {
    "Deployment": _deployment,
    "Namespace": _namespace,
    "Secret": _secret,
    "Service": _service,
}
