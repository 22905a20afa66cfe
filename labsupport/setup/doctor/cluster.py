"""The doctor's look at a cluster: whether it answers, its Kubernetes and Istio, rights, nodes and images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from labsupport.errors import EngineError, LabError
from labsupport.setup.finding import Finding
from labsupport.words import join, plural

if TYPE_CHECKING:
    from labsupport.engine.cluster.api.connect import Connection
    from labsupport.engine.cluster.api.rights import Right

__all__ = ["cluster", "container_engine"]

# Two of the questions below are asked after another, and every check ends within ten seconds.
_TIMEOUT_S = 4.0
_OLDEST_KUBERNETES = (1, 28)
_GIB = 1024**2  # of KiB, the unit of a node's allocatable memory
_MEMORY_COMFORT_GIB = 3
_UP = "./workshop cluster up"


def container_engine(engine: str) -> Iterator[Finding]:
    """Whether there is a Docker or Podman to make a cluster with; a cluster elsewhere needs none."""
    if engine != "cluster":
        return
    from labsupport.setup.cluster import checks, containers

    try:
        runtime = containers.find()
    except LabError as error:
        yield Finding(
            "note",
            "container engine",
            str(error),
            "Only a cluster on this machine (workshop cluster up) and building images need one.",
        )
        return
    yield Finding(
        "ok", "container engine", f"{runtime.title} {runtime.version}{', rootless' if runtime.rootless else ''}"
    )
    for finding in checks.memory(runtime):
        if finding.level != "ok":
            # Also what is little for a new cluster may be enough for one that is elsewhere.
            yield Finding("warning", f"memory of {runtime.title}", finding.detail, finding.remedy)


def cluster(engine: str) -> Iterator[Finding]:
    """Everything that a lab needs of a cluster, until something is missing that the rest depends on."""
    if engine != "cluster":
        return
    from labsupport.engine.cluster.api.connect import Connection

    try:
        connection = Connection(timeout_s=_TIMEOUT_S)
        version = connection.get("/version")
    except LabError as error:
        remedy = f"To make one on this machine: {_UP}. For another one: KUBECONFIG and WORKSHOP_CONTEXT name it."
        yield Finding.of("cluster", error, remedy)
        yield from _pull_limit()
        return
    try:
        yield _kubernetes(connection, version)
        yield from _istio(connection)
        yield from _gateway_api(connection)
        yield from _rights(connection)
        yield from _nodes(connection)
    except LabError as error:
        yield Finding.of("cluster", error, f"See {_UP.replace('up', 'status')}, or kubectl get nodes.")
    finally:
        connection.close()


def _kubernetes(connection: Connection, version: dict[str, Any]) -> Finding:
    from labsupport.engine.cluster.api.istio import parse_version

    text = str(version.get("gitVersion", "")).removeprefix("v")
    detail = f"Kubernetes {text}, context {connection.context}, {connection.server}"
    if (parsed := parse_version(text)) and parsed < _OLDEST_KUBERNETES:
        wanted = ".".join(map(str, _OLDEST_KUBERNETES))
        return Finding("warning", "cluster", f"{detail}; the course is tested with {wanted} and newer", "Upgrade it.")
    return Finding("ok", "cluster", detail)


def _istio(connection: Connection) -> Iterator[Finding]:
    from labsupport.engine.cluster.api.istio import istio_of

    try:
        istio = istio_of(connection)
    except EngineError as error:
        if isinstance(error, OSError):  # the cluster fell silent
            raise
        yield Finding.of("Istio", error, "istioctl install --set profile=minimal, or in a cluster of kind: " + _UP)
        return
    label = join(f"{key}={value}" for key, value in istio.injection.items())
    yield Finding(
        "ok", "Istio", f"{istio.version_text or 'of an unknown version'} in {istio.namespace}; sidecars by {label}"
    )
    for note in istio.notes:
        yield Finding("note", "Istio", note, "Nothing need be done; whoever runs the cluster can let you read it.")


def _gateway_api(connection: Connection) -> Iterator[Finding]:
    from labsupport.engine.cluster.api.apierror import ApiError
    from labsupport.engine.cluster.api.istio import GATEWAY_API

    try:
        connection.get("/apis/gateway.networking.k8s.io")
    except ApiError as error:
        if not error.missing:
            raise
        detail = "its kinds are not there; lesson 21 and folds of other lessons use them"
        yield Finding("note", "Gateway API", detail, GATEWAY_API)


def _rights(connection: Connection) -> Iterator[Finding]:
    from labsupport.engine.cluster.api import rights
    from labsupport.engine.cluster.api.apierror import ApiError
    from labsupport.engine.cluster.api.connect import MANAGED_BY
    from labsupport.engine.cluster.objects.namespace import chosen_name

    name = chosen_name(None)
    try:
        labels = connection.get(f"/api/v1/namespaces/{name}")["metadata"].get("labels") or {}
        there = True
    except ApiError as error:
        if not (error.missing or error.forbidden):
            raise
        labels, there = {}, False
    if there and labels.get(MANAGED_BY[0]) != MANAGED_BY[1]:
        yield Finding(
            "error",
            "namespace",
            f"{name} exists and was not made by the workshop, which therefore does not touch it",
            'Choose another one: WORKSHOP_NAMESPACE=..., or Lab(engine="cluster", namespace="...").',
        )
        return
    needed = (*rights.NEEDED, *(() if there else rights.NAMESPACE))
    lacking = rights.missing(connection, name, (*needed, *rights.USEFUL))
    ask = (
        f"Ask whoever runs the cluster for them in namespace {name}: the ClusterRole 'admin' (RoleBinding) and Istio's "
        "kinds have them all."
    )
    without = [right for right in lacking if right in needed]
    if without:
        yield Finding("error", "rights", f"you may not {_listed(without)}", ask)
    for purpose in dict.fromkeys(right.purpose for right in lacking if right not in needed):
        listed = _listed([right for right in lacking if right.purpose == purpose])
        yield Finding("warning", "rights", f"you may not {listed}; {_without(listed, purpose)}", ask)
    if not lacking:
        yield Finding("ok", "rights", f"everything that a lab does in namespace {name}")


def _without(listed: str, purpose: str) -> str:
    if "pods/exec" in listed:
        return "the proxies cannot be asked: changes are awaited by what requests show, and lab.config() has nothing"
    return f"it is used for {purpose}"


def _listed(rights: list[Right]) -> str:
    by_resource: dict[str, list[str]] = {}
    for right in rights:
        name = right.resource + (f".{right.group}" if right.group else "")
        by_resource.setdefault(name, []).append(right.verb)
    by_verbs: dict[tuple[str, ...], list[str]] = {}
    for name, verbs in by_resource.items():
        by_verbs.setdefault(tuple(verbs), []).append(name)
    return "; ".join(f"{', '.join(verbs)} {join(names)}" for verbs, names in by_verbs.items())


def _nodes(connection: Connection) -> Iterator[Finding]:
    """Whether nodes are ready, have memory, and hold the course's images where no registry has them."""
    from labsupport.engine.cluster.api.apierror import ApiError

    try:
        nodes = connection.get("/api/v1/nodes")["items"]
    except ApiError as error:
        if not error.forbidden:
            raise
        return  # the right to list nodes is among the findings already
    usable = [node for node in nodes if _is_ready(node) and not (node.get("spec") or {}).get("unschedulable")]
    memory = sum(_gib(node) for node in usable)
    kinds = join(sorted({node["status"]["nodeInfo"]["architecture"] for node in usable}))
    detail = f"{len(usable)} of {plural(len(nodes), 'node')} ready, {kinds}, {memory:.1f} GiB"
    if not usable:
        yield Finding(
            "error",
            "nodes",
            f"none of {len(nodes)} nodes is ready" if len(nodes) > 1 else "no node is ready",
            "kubectl describe nodes tells why.",
        )
        return
    if memory < _MEMORY_COMFORT_GIB:
        yield Finding("warning", "nodes", detail, "The large lessons want 3 GiB: give the cluster more memory.")
    else:
        yield Finding("ok", "nodes", detail)
    yield from _images(usable)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _gib(node: dict[str, Any]) -> float:
    text = str(((node.get("status") or {}).get("allocatable") or {}).get("memory", ""))
    return int(text.removesuffix("Ki")) / _GIB if text.endswith("Ki") and text[:-2].isdigit() else 0.0


def _images(nodes: list[dict[str, Any]]) -> Iterator[Finding]:
    from labsupport.setup.cluster import images

    wanted = {images.reference(name) for name in images.names()}
    images_of_nodes = [
        {name for image in node["status"].get("images") or [] for name in image.get("names") or []} for node in nodes
    ]
    missing = sorted(name for name in wanted if not all(name in there for there in images_of_nodes))
    if not missing:
        yield Finding("ok", "images", f"{plural(len(wanted), 'image')} of the course on every node")
    elif images.is_remote(images.registry()):
        yield Finding("ok", "images", f"nodes pull them from {images.registry()}")
        if images.full_name(f"{images.registry()}/x").startswith("docker.io/"):
            yield from _pull_limit()
    else:
        # No error: a kubelet tells of a new image late, and of its 50 largest only (nodeStatusMaxImages).
        yield Finding(
            "warning",
            "images",
            f"not told of by every node: {', '.join(missing)}",
            f"If they were loaded less than a minute ago, look again. In a cluster of kind: {_UP}. Else: "
            "./workshop cluster images --push REGISTRY, which also tells which variables to set.",
        )
        yield from _pull_limit()


def _pull_limit() -> Iterator[Finding]:
    from labsupport.setup.doctor.registries import docker_hub

    yield from docker_hub()
