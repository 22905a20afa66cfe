"""Ports of Services that lead where no program listens: Kubernetes takes them without a word, and requests fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from labsupport import words
from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.kubernetes import target_port
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.podtemplate import MissingReference, environment, pod_template
from labsupport.model import Deployment, Resource, Service

__all__ = ["notes"]


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
    played = programs.played(plan.image)
    if played is None:
        return
    try:
        own = environment(deployment, objects, pod={}, labels=plan.labels)
    except MissingReference:
        # It is refused for that.
        return
    listens = played.ports(plan.declared_port, played.environment(plan.command, plan.args, own))
    pod = PodInfo(deployment.name, deployment.namespace, "", ports=plan.named_ports)
    for port in service.spec.ports:
        target = target_port(port, pod)
        if listens is None or target in listens:
            continue
        where = f"listens on {words.join(listens)}" if listens else "listens on no port"
        leads = f"leads to port {target}" if target else f"leads to a port named {port.target_port!r}, which is missing"
        yield (
            f"Service/{service.name}: port {port.port} {leads}, but the program of Deployment/{deployment.name} "
            f"({plan.image}) {where}"
        )
