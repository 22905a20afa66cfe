"""What a Deployment asks of its pods: what the embedded mesh refuses by name, and what it takes without effect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labsupport.engine.additions import PROXY_CONFIG, PROXY_CONFIG_ANNOTATION, proxy_config
from labsupport.engine.embedded import harmful
from labsupport.engine.embedded.harmful import Refusal
from labsupport.engine.embedded.pods.mounting import FILES_ROOT, inside
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.podtemplate import image_name, own_containers
from labsupport.model import Deployment
from labsupport.model.kinds.pods import Container, PodSpec
from labsupport.model.kinds.volumes import FILES_OF_OBJECTS, Volume

__all__ = ["CLUSTER", "MOST_REPLICAS", "notes", "refusals"]

CLUSTER = 'Kubernetes with Istio can: open the lab with Lab(engine="cluster")'
"""What to do about what this machine has not got."""
# The course needs a hundred at most; some thousand processes would take a laptop down.
MOST_REPLICAS = 200
_SHELL = re.compile(r"(?:\S*/)?(?:ba|da|a)?sh -\w*c\s")
_STATEMENT = re.compile(r"[;\n]|&&|\|\|")
_KEYWORDS = frozenset(("until", "while", "do", "done", "if", "then", "else", "fi", "!"))
# They ask whether somebody is there, or pause.
_HARMLESS = (
    "curl", "echo", "getent", "mysqladmin", "nc", "nslookup", "pg_isready", "ping", "redis-cli", "set", "sleep", "true",
    "wget",
)  # fmt: skip
# What istioctl kube-inject writes; no connection is captured by such rules here.
_ISTIOS_OWN = ("istio-init", "istio-validation", "istio-proxy")


def refusals(deployment: Deployment, images: Programs) -> Iterator[Refusal]:
    """What the pods of a Deployment cannot be here.

    Args:
        deployment: already judged as Kubernetes judges it.
        images: the programs of this lab.

    Yields:
        field path, reason and remedy.
    """
    pod, at = deployment.spec.template.spec, "spec.template.spec"
    for index, container in enumerate(pod.init_containers):
        if container.name not in _ISTIOS_OWN and not _only_waits(container):
            yield (
                f"{at}.initContainers[{index}]",
                f"the embedded mesh runs no init containers, and {container.name} does more than wait",
                f"Leave it out; a ConfigMap that is mounted can hold the files that it would write. {CLUSTER}",
            )
    if pod.host_network:
        yield f"{at}.hostNetwork", "pods of the embedded mesh have no host network", CLUSTER
    if (deployment.spec.replicas or 0) > MOST_REPLICAS:
        yield (
            "spec.replicas",
            f"the embedded mesh runs at most {MOST_REPLICAS} pods of a Deployment, each is a process or two here",
            CLUSTER,
        )
    own = own_containers(pod)
    if not own:
        reason = "the embedded mesh has one gateway, istio-ingressgateway, and runs no other proxy of a Deployment"
        yield f"{at}.containers[0]", reason, f"Let Gateways select istio: ingressgateway. {CLUSTER}"
    for index, container in own:
        yield from _container(container, f"{at}.containers[{index}]", pod, images)
    for index, volume in enumerate(pod.volumes):
        yield from _volume(volume, f"{at}.volumes[{index}]", [each for _, each in own], images)
    annotations = deployment.spec.template.metadata.annotations
    yield from harmful.of_annotations(annotations)
    if annotations.get("traffic.sidecar.istio.io/includeOutboundPorts"):
        yield "spec.template.metadata.annotations", "the embedded mesh captures all or nothing", CLUSTER


def _container(container: Container, at: str, pod: PodSpec, images: Programs) -> Iterator[Refusal]:
    played = images.played(container.image)
    if played is None:
        yield f"{at}.image", *images.unknown(container.image)
    elif extra := images.lacks(played.program):
        yield (
            f"{at}.image",
            f"the program {played.program} needs packages that are not installed",
            f"Install them: ensure_extra({extra!r}) of labsupport in a cell, or workshop extra {extra} in a terminal",
        )
    if played is None or played.understood(container) is None:
        for field, given in (("command", container.command), ("args", container.args)):
            if given:
                yield f"{at}.{field}", f"the embedded mesh does not honour {field}", CLUSTER
    for index, variable in enumerate(container.env):
        origin = variable.value_from
        for field, value in (
            ("resourceFieldRef", origin.resource_field_ref if origin else None),
            ("fileKeyRef", origin.file_key_ref if origin else None),
        ):
            if value is not None:
                reason = "a process of this machine has no limits of its own, and no files of other containers"
                yield f"{at}.env[{index}].valueFrom.{field}", reason, f"Write the value itself. {CLUSTER}"
    for index, mount in enumerate(container.volume_mounts):
        path = f"{at}.volumeMounts[{index}]"
        if not inside(mount.mount_path):
            yield f"{path}.mountPath", "nothing can be mounted over the root itself", "Mount it at a folder below it"
        if mount.sub_path_expr:
            yield f"{path}.subPathExpr", "the embedded mesh expands no paths", "Write the path itself as subPath"


def _volume(volume: Volume, at: str, containers: list[Container], images: Programs) -> Iterator[Refusal]:
    """A volume that needs something besides the objects of the mesh; whoever reads no files does not miss it."""
    readers = [
        container.name
        for container in containers
        if any(mount.name == volume.name for mount in container.volume_mounts) and images.reads_files(container.image)
    ]
    for source in volume.sources if readers else ():
        if source not in FILES_OF_OBJECTS:
            reason = f"the embedded mesh has no {source}, and the program of container {readers[0]} reads files"
            yield f"{at}.{source}", reason, f"Take a ConfigMap, a Secret or an emptyDir. {CLUSTER}"


def _only_waits(container: Container) -> bool:
    """Whether a container does no more than ask until somebody answers, or pause."""
    script = _SHELL.sub("", " ".join([*container.command, *container.args]), count=1)
    for statement in _STATEMENT.split(script.replace(">/dev/null", "").replace("> /dev/null", "").replace("2>&1", "")):
        words = [word for word in statement.split() if word not in _KEYWORDS]
        if words and (words[0].rpartition("/")[2] not in _HARMLESS or ">" in statement):
            return False
    return bool(script.strip())


def notes(deployment: Deployment, images: Programs) -> Iterator[str]:
    """What is told of a Deployment that is taken: who plays its images, and what stands for something else here.

    Args:
        deployment: one that is not refused.
        images: the programs of this lab.
    """
    pod = deployment.spec.template.spec
    own = [container for _, container in own_containers(pod)]
    for container in own:
        program = images.name(container.image)
        if program != image_name(container.image):
            yield f"{container.image} is played by the workshop's {program}"
        if container.volume_mounts and not images.reads_files(container.image):
            yield (
                f"volumeMounts of Deployment/{deployment.name}: the program {program} reads no files; one that does "
                f"finds them below the folder {FILES_ROOT} of its environment"
            )
    fields = set(proxy_config(deployment.spec.template.metadata.annotations) or ()) - set(PROXY_CONFIG)
    if fields:
        yield f"no effect on the embedded mesh: {', '.join(sorted(fields))} in {PROXY_CONFIG_ANNOTATION}"
    if pod.init_containers:
        names = ", ".join(container.name for container in pod.init_containers)
        yield f"initContainers of Deployment/{deployment.name} ({names}): nothing waits for them here"
    if len(own) > 1:
        yield (
            f"Deployment/{deployment.name}: containers of one pod do not reach each other as localhost here; "
            "they have the names of their Services"
        )
