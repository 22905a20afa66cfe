"""Deployments with their status, and what they bring about: replica sets, pods, endpoints, events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from labsupport.controlplane.desired import Key, key_of
from labsupport.engine.additions import PROXY
from labsupport.engine.embedded.api.mesh import Mesh, stamp
from labsupport.engine.embedded.pods.identity import NODE, NODE_ADDRESS, uid
from labsupport.engine.embedded.pods.pods import LivePod
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.engine.podtemplate import PodTemplate, pod_template
from labsupport.model import Deployment, Resource, Service
from labsupport.records import Json, JsonObject

__all__ = ["WorkloadView"]

REVISION = "deployment.kubernetes.io/revision"
# As Kubernetes' default revisionHistoryLimit, and the present one.
_HISTORY = 11
_SIDECAR: JsonObject = {
    "name": PROXY,
    "image": "envoy",
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "restartPolicy": "Always",
}


class _Revisions:
    """The templates that a Deployment has had since somebody looks, as its replica sets are known by them."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.templates: dict[str, JsonObject] = {}

    def note(self, digest: str, template: JsonObject) -> None:
        """Give the present template the highest number."""
        last = max(self.numbers.values(), default=0)
        if self.numbers.get(digest, 0) == last and last:
            return
        self.numbers.pop(digest, None)
        self.numbers[digest] = last + 1
        self.templates[digest] = template
        for old in list(self.numbers)[:-_HISTORY]:
            del self.numbers[old], self.templates[old]


def _condition(kind: str, holds: bool, since_s: float, reason: str = "", message: str = "") -> JsonObject:
    made: JsonObject = {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": stamp(since_s)}
    return made | ({"reason": reason, "message": message, "lastUpdateTime": stamp(since_s)} if reason else {})


class WorkloadView:
    """Shows the workloads of a mesh.

    Args:
        mesh: the lab.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        # What a pod was made of is told by the Deployment of that moment only.
        self._specs: dict[str, JsonObject] = {}
        self._since: dict[tuple[str, str], tuple[bool, float]] = {}
        self._revisions: dict[str, _Revisions] = {}
        self._templates: dict[Key, tuple[Deployment, PodTemplate]] = {}

    def _turned(self, name: str, what: str, holds: bool) -> float:
        """Since when a condition has been as it is, as far as it was looked at."""
        known = self._since.get((name, what))
        if known is None or known[0] != holds:
            known = self._since[name, what] = (holds, time.time())
        return known[1]

    def _pods_of(self, namespace: str, workload: str) -> list[LivePod]:
        return [
            pod
            for pod in self._mesh.control.pods.values()
            if (pod.info.namespace, pod.info.workload) == (namespace, workload) and not pod.terminating
        ]

    def _template(self, deployment: Deployment) -> PodTemplate:
        """Its template; an object that has not changed is the same one, and need not be hashed again."""
        key = key_of(deployment)
        known = self._templates.get(key)
        if known is None or known[0] is not deployment:
            known = self._templates[key] = (deployment, pod_template(deployment, {}))
        return known[1]

    def deployment(self, deployment: Deployment, content: JsonObject) -> JsonObject:
        """A Deployment with its status.

        Args:
            deployment: the object.
            content: as the API shows it.
        """
        pods = self._pods_of(deployment.namespace, deployment.name)
        digest = self._template(deployment).digest
        wanted = content["spec"]["replicas"]
        updated = sum(pod.digest == digest for pod in pods)
        ready = sum(pod.ready and pod.announced for pod in pods)
        name = f"{deployment.namespace}/{deployment.name}"
        # Kubernetes' default strategy lets a quarter of the pods be missing, rounded down.
        available = ready >= wanted - wanted // 4
        done = len(pods) == updated == ready == wanted
        template = f'ReplicaSet "{deployment.name}-{digest}"'
        conditions = [
            _condition(
                "Available",
                available,
                self._turned(name, "Available", available),
                "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                f"Deployment {'has' if available else 'does not have'} minimum availability.",
            ),
            _condition(
                "Progressing",
                True,
                self._turned(name, "Progressing", done),
                "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
                f"{template} {'has successfully progressed' if done else 'is progressing'}.",
            ),
        ]
        counts = {
            "replicas": len(pods),
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(wanted - ready, 0),
        }
        status = {key: count for key, count in counts.items() if count}
        revisions = self._revisions.setdefault(content["metadata"]["uid"], _Revisions())
        revisions.note(digest, content["spec"]["template"])
        annotations = {REVISION: str(revisions.numbers[digest]), **(content["metadata"].get("annotations") or {})}
        metadata = {**content["metadata"], "annotations": annotations}
        return {**content, "metadata": metadata, "status": {**status, "conditions": conditions}}

    def made(self, objects: Sequence[Resource], shown: Mapping[Key, JsonObject]) -> Iterator[JsonObject]:
        """What is there although nobody applied it.

        Args:
            objects: what was applied.
            shown: that as the API shows it.
        """
        deployments = {
            (resource.namespace, resource.name): resource for resource in objects if isinstance(resource, Deployment)
        }
        digests = {key: self._template(deployment).digest for key, deployment in deployments.items()}
        pods = list(self._mesh.control.pods.values())
        for key, deployment in deployments.items():
            yield from self._replica_sets(deployment, digests[key], shown[key_of(deployment)])
        alive = set()
        for pod in pods:
            alive.add(pod.name)
            key = (pod.info.namespace, pod.info.workload)
            owner = deployments.get(key)
            mine = owner is not None and digests[key] == pod.digest
            yield self._pod(pod, shown[key_of(owner)] if owner is not None and mine else None)
            if pod.restarts and pod.last_words:
                yield self._event(pod)
        for name in self._specs.keys() - alive:
            del self._specs[name]
        for resource in objects:
            if isinstance(resource, Service) and resource.spec.selector:
                yield self._endpoints(resource, pods)

    def _replica_sets(self, deployment: Deployment, current: str, shown: JsonObject) -> Iterator[JsonObject]:
        created = self._mesh.created_s(key_of(deployment))
        pods = self._pods_of(deployment.namespace, deployment.name)
        replicas = shown["spec"]["replicas"]
        most = replicas + self._template(deployment).surge
        known = self._revisions[shown["metadata"]["uid"]]
        selector = shown["spec"]["selector"]
        for digest in dict.fromkeys([*known.numbers, *(pod.digest for pod in pods)]):
            own = [pod for pod in pods if pod.digest == digest]
            ready = sum(pod.ready for pod in own)
            template = known.templates.get(digest, shown["spec"]["template"])
            labels = {**(template["metadata"].get("labels") or {}), "pod-template-hash": digest}
            template = {**template, "metadata": {**template["metadata"], "labels": labels}}
            annotations = {
                "deployment.kubernetes.io/desired-replicas": str(replicas),
                "deployment.kubernetes.io/max-replicas": str(most),
            }
            if digest in known.numbers:
                annotations[REVISION] = str(known.numbers[digest])
            name = f"{deployment.name}-{digest}"
            counts = {"replicas": len(own), "readyReplicas": ready, "availableReplicas": ready}
            yield {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": name,
                    "namespace": deployment.namespace,
                    "labels": labels,
                    "annotations": annotations,
                    "uid": uid("ReplicaSet", deployment.namespace, name, created),
                    "creationTimestamp": stamp(min((pod.created for pod in own), default=created)),
                    "ownerReferences": [_owner("apps/v1", "Deployment", deployment, created)],
                },
                "spec": {
                    "replicas": replicas if digest == current else len(own),
                    "selector": {
                        **selector,
                        "matchLabels": {**(selector.get("matchLabels") or {}), "pod-template-hash": digest},
                    },
                    "template": template,
                },
                "status": {key: count for key, count in counts.items() if count or key == "replicas"},
            }

    def _pod(self, pod: LivePod, owner: JsonObject | None) -> JsonObject:
        spec = self._specs.get(pod.name)
        if spec is None:
            spec = self._specs[pod.name] = _pod_spec(pod, owner)
        info = pod.info
        metadata: JsonObject = {
            "name": pod.name,
            "namespace": info.namespace,
            "labels": dict(info.labels),
            "uid": uid("Pod", info.namespace, pod.name, pod.created),
            "creationTimestamp": stamp(pod.created),
        }
        annotations = dict(info.annotations)
        if info.injected:
            annotations["kubectl.kubernetes.io/default-container"] = spec["containers"][0]["name"]
        if annotations:
            metadata["annotations"] = annotations
        if pod.digest:
            metadata["generateName"] = f"{info.workload}-{pod.digest}-"
            key = ("Deployment", info.namespace, info.workload)
            created = self._mesh.created_s(key)
            name = f"{info.workload}-{pod.digest}"
            metadata["ownerReferences"] = [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": name,
                    "uid": uid("ReplicaSet", info.namespace, name, created),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        if pod.terminating:
            metadata["deletionTimestamp"] = stamp(self._turned(pod.name, "terminating", True))
            metadata["deletionGracePeriodSeconds"] = int(pod.grace_s)
        since = self._turned(pod.name, "Ready", pod.ready)
        conditions = [
            _condition(kind, pod.ready or kind not in ("Ready", "ContainersReady"), since)
            for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
        ]
        keepers = {app.planned.container: app.keeper for app in pod.apps}
        if pod.envoy is not None:
            keepers[PROXY] = pod.envoy.keeper
        containers = [_running(pod, container, keepers.get(container["name"])) for container in spec["containers"]]
        status: JsonObject = {
            "phase": "Running" if all(entry["started"] for entry in containers) else "Pending",
            "conditions": conditions,
            "hostIP": NODE_ADDRESS,
            "hostIPs": [{"ip": NODE_ADDRESS}],
            "podIP": info.ip,
            "podIPs": [{"ip": info.ip}],
            "startTime": stamp(pod.created),
            "containerStatuses": containers,
            "qosClass": "Burstable" if any(entry.get("resources") for entry in spec["containers"]) else "BestEffort",
        }
        if spec.get("initContainers"):
            status["initContainerStatuses"] = [
                _running(pod, container, keepers.get(PROXY)) if container["name"] == PROXY else _ended(pod, container)
                for container in spec["initContainers"]
            ]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}

    def _event(self, pod: LivePod) -> JsonObject:
        info = pod.info
        last = stamp(self._turned(pod.name, f"restarts {pod.restarts}", True))
        name = f"{pod.name}.restarts"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": name,
                "namespace": info.namespace,
                "uid": uid("Event", info.namespace, name, pod.created),
                "creationTimestamp": last,
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": pod.name,
                "namespace": info.namespace,
                "uid": uid("Pod", info.namespace, pod.name, pod.created),
            },
            "type": "Warning",
            "reason": "BackOff",
            "message": f"Back-off restarting failed container; its last words: {pod.last_words}",
            "source": {"component": "kubelet", "host": NODE},
            "firstTimestamp": stamp(pod.created),
            "lastTimestamp": last,
            "count": pod.restarts,
        }

    def _endpoints(self, service: Service, pods: Sequence[LivePod]) -> JsonObject:
        chosen = [
            pod
            for pod in pods
            if pod.info.namespace == service.namespace
            and service.spec.selector.items() <= pod.info.labels.items()
            and (pod.announced or not pod.terminating)
        ]
        created = self._mesh.created_s(key_of(service))
        identity = uid("EndpointSlice", service.namespace, service.name, created)
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{service.name}-{identity[:5]}",
                "namespace": service.namespace,
                "labels": {"kubernetes.io/service-name": service.name},
                "uid": identity,
                "creationTimestamp": stamp(created),
                "ownerReferences": [_owner("v1", "Service", service, created)],
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [pod.info.ip],
                    "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": pod.terminating},
                    "nodeName": NODE,
                    "targetRef": {"kind": "Pod", "name": pod.name, "namespace": service.namespace},
                }
                for pod in chosen
            ],
            "ports": [
                {"name": port.name, "port": _target(port.target_port, port.port, chosen), "protocol": port.protocol}
                for port in service.spec.ports
            ],
        }


def _target(target: int | str | None, port: int, pods: Sequence[LivePod]) -> int:
    if isinstance(target, str):
        return next((pod.info.ports[target] for pod in pods if target in pod.info.ports), port)
    return target or port


def _owner(version: str, kind: str, owner: Resource, created: float) -> JsonObject:
    return {
        "apiVersion": version,
        "kind": kind,
        "name": owner.name,
        "uid": uid(kind, owner.namespace, owner.name, created),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _pod_spec(pod: LivePod, owner: JsonObject | None) -> JsonObject:
    spec: JsonObject
    if owner is not None:
        spec = dict(owner["spec"]["template"]["spec"])
    else:
        name = pod.image or PROXY
        spec = {"containers": [{"name": name, "image": pod.image or "envoy", "resources": {}}]}
    account = pod.info.service_account
    spec = {"serviceAccountName": account, "serviceAccount": account, **spec, "nodeName": NODE}
    spec = {"enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0, **spec}
    if not pod.info.injected:
        return spec
    # What the manifest says of the sidecar's container is for the webhook alone.
    own = {
        field: [container for container in spec.get(field) or () if container["name"] != PROXY]
        for field in ("initContainers", "containers")
    }
    return {**spec, "initContainers": [dict(_SIDECAR), *own["initContainers"]], "containers": own["containers"]}


def _ended(pod: LivePod, container: Mapping[str, Json]) -> JsonObject:
    """The status of an init container that has nothing to do here."""
    at = stamp(pod.created)
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "started": False,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}},
        "lastState": {},
    }


def _running(pod: LivePod, container: Mapping[str, Json], keeper: Keeper | None) -> JsonObject:
    process = keeper.process if keeper is not None else None
    running = process is not None and process.running
    waiting = {"reason": "CrashLoopBackOff" if keeper is not None and keeper.restarts else "ContainerCreating"}
    if keeper is not None and keeper.last_words:
        waiting["message"] = keeper.last_words
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": keeper is not None and keeper.ready and not pod.terminating,
        "restartCount": keeper.restarts if keeper is not None else 0,
        "started": running,
        "state": {"running": {"startedAt": stamp(pod.created)}} if running else {"waiting": waiting},
        "lastState": {},
    }
