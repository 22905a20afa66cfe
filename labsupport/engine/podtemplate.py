"""From a Deployment to what has to run for each of its pods."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport.engine.additions import (
    PROXY,
    PROXY_CONFIG,
    REVISION,
    REVISION_LABEL,
    proxy_config,
    variables,
    workers,
)
from labsupport.model import ConfigMap, Deployment, Resource, Secret
from labsupport.model.kinds.pods import Container, PodSpec
from labsupport.model.schema.syntax import is_digits
from labsupport.records import Json

__all__ = [
    "LARGEST_ENVIRONMENT",
    "LONGEST_VARIABLE",
    "MissingReference",
    "PodTemplate",
    "UnfitVariable",
    "concurrency",
    "environment",
    "field_of_pod",
    "image_name",
    "image_names",
    "injected",
    "own_containers",
    "pod_template",
]

_LABEL_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]\Z")
_INJECT = "sidecar.istio.io/inject"
_REFERENCE = re.compile(r"\$?\$\(([-._a-zA-Z0-9]+)\)")
DEFAULT_GRACE_S = 30.0
LONGEST_VARIABLE = 128 * 1024 - 1
"""Bytes of ``NAME=value`` that Linux gives a program (MAX_ARG_STRLEN); with more, no container starts."""
LARGEST_ENVIRONMENT = 2 * 1024 * 1024
"""Bytes of all variables together, a quarter of a stack's usual limit."""


class MissingReference(LookupError):
    """A variable refers to a ConfigMap, Secret or key that does not exist."""


class UnfitVariable(ValueError):
    """A variable has a value that no program can get: it is too long, or holds NUL."""


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """What the pods of a Deployment have in common.

    Args:
        workload, namespace: name and namespace of the Deployment.
        replicas: how many pods are wanted.
        digest: changes when the pods have to be replaced.
        containers: what runs in them, the sidecar's left out.
        labels, annotations: of the pods, without the hash label.
        injected: whether they get a sidecar.
        concurrency: worker threads of the sidecar.
        named_ports: container ports by name.
        grace_s: ``terminationGracePeriodSeconds``.
        service_account: its service account.
        surge: how many pods may be started above ``replicas`` while rolling.
        recreate: strategy ``Recreate``: old pods end before new ones start.
    """

    workload: str
    namespace: str
    replicas: int
    digest: str
    containers: tuple[Container, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    injected: bool
    concurrency: int
    named_ports: Mapping[str, int]
    grace_s: float
    service_account: str
    surge: int
    recreate: bool


def image_name(image: str) -> str:
    """The local program that an image stands for: its last path segment, without tag or digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def image_names(image: str) -> tuple[str, str, str]:
    """Names by which somebody may mean an image: as it is written, without its digest, and without its tag."""
    whole = image.partition("@")[0]
    folder, slash, last = whole.rpartition("/")
    return image, whole, f"{folder}{slash}{last.partition(':')[0]}"


def injected(labels: Mapping[str, str], annotations: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
    """Whether a pod gets a sidecar, by the rules of Istio's injection webhook."""
    wish = labels.get(_INJECT, annotations.get(_INJECT, "")).lower()
    if wish in ("true", "false"):
        return wish == "true"
    if "istio-injection" in namespace_labels:
        return namespace_labels["istio-injection"] == "enabled"
    # The namespace's revision counts before the pod's own.
    return namespace_labels.get(REVISION_LABEL, labels.get(REVISION_LABEL)) == REVISION


def concurrency(annotations: Mapping[str, str]) -> int:
    """Worker threads of a pod's Envoy, by its annotation ``proxy.istio.io/config`` and what is added to it."""
    return min(workers(proxy_config(annotations) or PROXY_CONFIG) or 1, 8)


def _surge(strategy: Mapping[str, Json], replicas: int) -> int:
    rolling = strategy.get("rollingUpdate")
    wish = str(rolling.get("maxSurge", "25%") if isinstance(rolling, dict) else "25%")
    if wish.endswith("%") and is_digits(wish[:-1]):
        # Kubernetes rounds maxSurge up.
        return max(-(-replicas * int(wish[:-1]) // 100), 1)
    return max(int(wish), 1) if is_digits(wish) else 1


def own_containers(pod: PodSpec) -> list[tuple[int, Container]]:
    """The containers of a pod and their places; what a manifest says of the sidecar's is for the injection webhook."""
    return [(index, container) for index, container in enumerate(pod.containers) if container.name != PROXY]


def pod_template(deployment: Deployment, namespace_labels: Mapping[str, str]) -> PodTemplate:
    """Read the template of a Deployment.

    Args:
        deployment: the Deployment, already validated.
        namespace_labels: labels of its namespace, which decide about injection.
    """
    spec, template = deployment.spec, deployment.spec.template
    containers = tuple(container for _, container in own_containers(template.spec))
    labels, annotations = dict(template.metadata.labels), dict(template.metadata.annotations)
    dumped = template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    has_sidecar = injected(labels, annotations, namespace_labels)
    # As on a cluster, a namespace's label decides when a pod is made; it replaces none.
    digest = hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:9]
    replicas = 1 if spec.replicas is None else spec.replicas
    grace = template.spec.termination_grace_period_seconds
    strategy = spec.strategy if isinstance(spec.strategy, dict) else {}
    return PodTemplate(
        workload=deployment.name,
        namespace=deployment.namespace,
        replicas=replicas,
        digest=digest,
        containers=containers,
        labels=labels,
        annotations=annotations,
        injected=has_sidecar,
        concurrency=concurrency(annotations) if has_sidecar else 0,
        named_ports={
            port.name: port.container_port for container in containers for port in container.ports if port.name
        },
        # Kubernetes takes a negative number for 1.
        grace_s=DEFAULT_GRACE_S if grace is None else float(grace if grace >= 0 else 1),
        service_account=template.spec.service_account_name or template.spec.service_account or "default",
        surge=_surge(strategy, replicas),
        recreate=strategy.get("type") == "Recreate",
    )


def _values(objects: Sequence[Resource], kind: str, namespace: str, name: str) -> dict[str, str] | None:
    for resource in objects:
        if (resource.kind, resource.namespace, resource.name) != (kind, namespace, name):
            continue
        if isinstance(resource, ConfigMap):
            return dict(resource.data)
        if isinstance(resource, Secret):
            decoded = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in resource.data.items()}
            return decoded | dict(resource.string_data)
    return None


def field_of_pod(path: str, pod: Mapping[str, str], labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """The value of a field of the downward API.

    Args:
        path: such as ``status.podIP``, ``metadata.labels`` or ``metadata.labels['app']``.
        pod: the fields with one value.
        labels: the pod's labels.
        annotations: the pod's annotations.
    """
    if path in ("metadata.labels", "metadata.annotations"):
        given = labels if path == "metadata.labels" else annotations
        return "\n".join(f"{key}={json.dumps(value)}" for key, value in sorted(given.items()))
    match = _LABEL_FIELD.match(path)
    if match:
        return (labels if match[1] == "labels" else annotations).get(match[2], "")
    return pod.get(path, "")


def environment(
    deployment: Deployment,
    container: Container,
    objects: Sequence[Resource],
    *,
    pod: Mapping[str, str],
    labels: Mapping[str, str],
) -> dict[str, str]:
    """The variables of a program of a pod: those of the manifest, and those that are added to them.

    Args:
        deployment: the Deployment.
        container: one of its containers.
        objects: where ConfigMaps and Secrets are looked up.
        pod: values of downward API fields by path, such as ``metadata.name``.
        labels: the pod's labels.

    Raises:
        MissingReference: a ConfigMap, Secret or key that is not optional does not exist.
        UnfitVariable: no program can get them: too long, for instance by references to references, or with NUL.
    """
    template = deployment.spec.template
    resolved: dict[str, str] = {}
    size = 0

    def put(name: str, value: str) -> None:
        nonlocal size
        size += len(f"{name}={value}".encode()) + 1
        if size > LARGEST_ENVIRONMENT:
            bound = f"{LARGEST_ENVIRONMENT:,} bytes, more than Linux gives a program"
            raise UnfitVariable(f"with {name} all variables are more than {bound}")
        if "\0" in value:
            raise UnfitVariable(f"the variable {name} holds a NUL character, which ends a variable")
        resolved[name] = value

    def lookup(kind: str, name: str, optional: bool) -> dict[str, str]:
        values = _values(objects, kind, deployment.namespace, name)
        if values is None and not optional:
            raise MissingReference(f"{kind}/{name} does not exist")
        return values or {}

    for source in container.env_from:
        for kind, reference in (("ConfigMap", source.config_map_ref), ("Secret", source.secret_ref)):
            if reference is not None:
                for key, value in lookup(kind, reference.name, reference.optional).items():
                    put(source.prefix + key, value)
    for variable in container.env:
        origin = variable.value_from
        if origin is None:
            put(variable.name, _expanded(variable.name, variable.value or "", resolved))
            continue
        for kind, selected in (("ConfigMap", origin.config_map_key_ref), ("Secret", origin.secret_key_ref)):
            if selected is not None:
                values = lookup(kind, selected.name, selected.optional)
                if selected.key in values:
                    put(variable.name, values[selected.key])
                elif not selected.optional:
                    raise MissingReference(f"{kind}/{selected.name} has no key {selected.key}")
        if origin.field_ref is not None:
            put(variable.name, field_of_pod(origin.field_ref.field_path, pod, labels, template.metadata.annotations))
    written = container.model_dump(by_alias=True, include={"env", "env_from"})
    for added in variables(written, template.metadata.labels, deployment.name):
        path = "" if "value" in added else added["valueFrom"]["fieldRef"]["fieldPath"]
        put(added["name"], field_of_pod(path, pod, labels, template.metadata.annotations) if path else added["value"])
    return resolved


def _expanded(name: str, value: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by variables defined before, as Kubernetes does; unknown ones are left as they are."""
    pieces: list[str] = []
    # Counted before it is put together: eight variables of ten references each stand for gigabytes.
    size, end = len(name) + 1, 0

    def take(piece: str) -> None:
        nonlocal size
        size += len(piece.encode())
        if size > LONGEST_VARIABLE:
            raise UnfitVariable(
                f"the variable {name} grows beyond {LONGEST_VARIABLE:,} bytes, more than Linux gives a program"
            )
        pieces.append(piece)

    for match in _REFERENCE.finditer(value):
        take(value[end : match.start()])
        take(match[0][1:] if match[0].startswith("$$") else known.get(match[1], match[0]))
        end = match.end()
    take(value[end:])
    return "".join(pieces)
