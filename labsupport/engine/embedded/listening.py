"""Ports at which no program listens, or two: Kubernetes takes them without a word, and requests or pods fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labsupport import words
from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.kubernetes import target_port
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.podtemplate import MissingReference, environment, own_containers, pod_template
from labsupport.errors import Problem
from labsupport.model import Deployment, Resource, Service
from labsupport.model.kinds.pods import Container

__all__ = ["clashes", "notes"]


def clashes(changed: Iterable[Resource], objects: Sequence[Resource], programs: Programs) -> list[Problem]:
    """Containers of one pod that listen on one port: the second would end again and again.

    Args:
        changed: the objects that are applied.
        objects: the desired state.
        programs: of this lab.
    """
    problems = []
    for deployment in changed:
        if not isinstance(deployment, Deployment):
            continue
        owners: dict[int, str] = {}
        for index, container in own_containers(deployment.spec.template.spec):
            numbers = _listens(deployment, container, objects, programs) or ()
            for number in owners.keys() & set(numbers):
                path, origin = f"spec.template.spec.containers[{index}]", deployment.origin
                message = f"the programs of {owners[number]} and {container.name} both listen on {number}, and a pod "
                message += "has each port once"
                remedy = "Give one of them another port, for the programs of the workshop by the variable PORT."
                place = (origin.file, origin.document, origin.line_of(path))
                problems.append(Problem(message, *place, f"Deployment/{deployment.name}", path, remedy))
            owners |= dict.fromkeys(numbers, container.name)
    return problems


def notes(changed: Iterable[Resource], objects: Sequence[Resource], programs: Programs) -> list[str]:
    """What is told of the Services that some objects concern.

    Args:
        changed: the objects that are new or other than before.
        objects: the desired state.
        programs: of this lab.
    """
    news = [resource for resource in changed if isinstance(resource, (Service, Deployment))]
    if not news:
        return []
    services = [resource for resource in objects if isinstance(resource, Service)]
    deployments = [resource for resource in objects if isinstance(resource, Deployment)]
    pairs = (
        (service, deployment)
        for service in services
        for deployment in deployments
        if (service in news or deployment in news) and _leads(service, deployment)
    )
    return list(dict.fromkeys(text for pair in pairs for text in _of(*pair, objects, programs)))


def _leads(service: Service, deployment: Deployment) -> bool:
    labels, selector = deployment.spec.template.metadata.labels, service.spec.selector
    return bool(selector) and selector.items() <= labels.items() and service.namespace == deployment.namespace


def _of(service: Service, deployment: Deployment, objects: Sequence[Resource], programs: Programs) -> Iterator[str]:
    plan = pod_template(deployment, {})
    known = [_listens(deployment, container, objects, programs) for container in plan.containers]
    listens = [number for numbers in known for number in numbers or ()]
    pod = PodInfo(deployment.name, deployment.namespace, "", ports=plan.named_ports)
    for port in service.spec.ports:
        target = target_port(port, pod)
        if None in known or target in listens:
            continue
        where = f"listens on {words.join(listens)}" if listens else "listens on no port"
        leads = f"leads to port {target}" if target else f"leads to a port named {port.target_port!r}, which is missing"
        images = words.join([container.image for container in plan.containers])
        yield (
            f"Service/{service.name}: port {port.port} {leads}, but the program of Deployment/{deployment.name} "
            f"({images}) {where}"
        )


def _listens(
    deployment: Deployment, container: Container, objects: Sequence[Resource], programs: Programs
) -> tuple[int, ...] | None:
    """Where a container's program listens; None if nobody knows."""
    played = programs.played(container.image)
    if played is None:
        return None
    labels = deployment.spec.template.metadata.labels
    try:
        own = environment(deployment, container, objects, pod={}, labels=labels)
    except MissingReference:
        # It is refused for that.
        return None
    return played.ports(container, played.environment(container, own))
