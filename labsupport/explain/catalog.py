"""What there is in the mesh: services with the pods behind them, and rules by age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from labsupport.explain.known import KnownEndpoint, KnownService, known_entry, known_service, spaces
from labsupport.model import (
    ConfigMap,
    DestinationRule,
    Gateway,
    Resource,
    Secret,
    Service,
    ServiceEntry,
    Sidecar,
    VirtualService,
)
from labsupport.model.gatewayapi import ROUTES, ConvertedRule, Facts, convert, convert_gateways
from labsupport.model.hosts import looked_up
from labsupport.model.kinds.apps import Deployment
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.index import placed
from labsupport.model.kinds.serviceentry import WorkloadEntry
from labsupport.model.schema.base import EPOCH
from labsupport.model.schema.suggest import closest
from labsupport.records import Pod

__all__ = ["ROOT_NAMESPACE", "Catalog", "combined", "exported", "label_of", "meant"]

ROOT_NAMESPACE = "istio-system"

R = TypeVar("R", bound=Resource)


class Catalog:
    """Objects and pods, indexed for explanations.

    Args:
        objects: oldest first unless a ``creationTimestamp`` says otherwise.
        pods: all pods.
        namespace: the namespace of objects that name none.

    Attributes:
        services: of all namespaces, oldest first.
        holders: Secrets and ConfigMaps, by kind, namespace and name.
    """

    def __init__(self, objects: Sequence[Resource], pods: Sequence[Pod], namespace: str) -> None:
        self.namespace = namespace
        self.pods = tuple(pods)
        ages: dict[int, float] = {}
        for position, resource in enumerate(objects):
            written = resource.metadata.creation_timestamp
            # Objects of the embedded mesh have no timestamp; among some that have one, they count as the registry's do.
            ages[id(resource)] = EPOCH + position if written is None else written.timestamp()
        self._objects = sorted(
            objects, key=lambda resource: (ages[id(resource)], resource.name, self.namespace_of(resource))
        )
        facts = self._facts()
        self.virtual_services = self._rules(ages, facts)
        self.destination_rules = self._of(DestinationRule)
        self.gateways = self._doors(ages, facts)
        self.kubernetes_services = self._of(Service)
        holders: list[Secret | ConfigMap] = [*self._of(Secret), *self._of(ConfigMap)]
        self.holders = {(holder.kind, self.namespace_of(holder), holder.name): holder for holder in holders}
        self.services = _with_aliases(_looked_up(_sharing(self._known(ages))))

    def namespace_of(self, resource: Resource) -> str:
        """The namespace an object is in."""
        return resource.namespace or self.namespace

    def visible(self, namespace: str) -> list[KnownService]:
        """Services that proxies of a namespace may know: those shown to it alone come before the public ones."""
        seen = [service for service in self.services if service.visible(namespace)]
        return sorted(seen, key=lambda service: not service.export_to or "*" in service.export_to)

    def egress(self, namespace: str, labels: Mapping[str, str]) -> Sidecar | None:
        """The Sidecar object that limits what a pod's sidecar knows; None if nothing does."""
        own = self._in(Sidecar, namespace)
        own.sort(key=lambda sidecar: sidecar.spec.workload_selector is None)
        for sidecar in own:
            selector = sidecar.spec.workload_selector
            if selector is None or selector.labels.items() <= labels.items():
                return sidecar
        general = [sidecar for sidecar in self._in(Sidecar, ROOT_NAMESPACE) if sidecar.spec.workload_selector is None]
        return general[0] if general else None

    def _listening(self, pod: Pod) -> Pod:
        """A pod; a Sidecar with ``ingress`` may take calls elsewhere than its program listens."""
        sidecar = self.egress(pod.namespace, pod.labels) if pod.injected else None
        return pod if sidecar is None or not sidecar.spec.ingress else replace(pod, listens=None)

    def _of(self, kind: type[R]) -> list[R]:
        return [resource for resource in self._objects if isinstance(resource, kind)]

    def _facts(self) -> Facts:
        """What objects of the Gateway API refer to."""
        asked = any(isinstance(item, (*ROUTES, KubernetesGateway)) for item in self._objects)
        return Facts.of(self._objects if asked else (), namespace=self.namespace)

    def _doors(self, ages: Mapping[int, float], facts: Facts) -> list[Gateway]:
        """Gateways, and what listeners of the Gateway API become, oldest first."""
        listed = [(ages[id(item)], item.name, self.namespace_of(item), item) for item in self._of(Gateway)]
        theirs = [(placed(item, self.namespace), ages[id(item)]) for item in self._of(KubernetesGateway)]
        listed += [(item.created, item.name, item.namespace, item) for item in convert_gateways(facts.sections, theirs)]
        return [gateway for *_, gateway in sorted(listed, key=lambda item: item[:3])]

    def _rules(self, ages: Mapping[int, float], facts: Facts) -> list[VirtualService]:
        """VirtualServices, and what routes of the Gateway API become, oldest first."""
        written = [(ages[id(rule)], rule.name, self.namespace_of(rule), rule) for rule in self._of(VirtualService)]
        routes = [(placed(route, self.namespace), ages[id(route)]) for kind in ROUTES for route in self._of(kind)]
        written += [(rule.created, rule.name, rule.namespace, rule) for rule in convert(routes, facts)]
        return [rule for *_, rule in sorted(written, key=lambda item: item[:3])]

    def _in(self, kind: type[R], namespace: str) -> list[R]:
        return [resource for resource in self._of(kind) if self.namespace_of(resource) == namespace]

    def _known(self, ages: Mapping[int, float]) -> list[KnownService]:
        aged: list[tuple[float, str, str, KnownService]] = []
        listening = [self._listening(pod) for pod in self.pods]
        listed: list[Service | ServiceEntry] = [*self._of(ServiceEntry), *self.kubernetes_services]
        for resource in listed:
            namespace = self.namespace_of(resource)
            pods = [pod for pod in listening if pod.namespace == namespace]
            entries = self._in(WorkloadEntry, namespace)
            if isinstance(resource, Service):
                known = [known_service(resource, namespace, pods, self._in(Deployment, namespace), entries)]
            else:
                known = known_entry(resource, namespace, pods, entries)
            for service in known:
                name = resource.name if service.kubernetes else service.hostname
                aged.append((ages[id(resource)], name, namespace, service))
        return [service for *_, service in sorted(aged, key=lambda item: item[:3])]


def combined(services: Iterable[KnownService], namespace: str = "") -> dict[str, KnownService]:
    """The services a proxy has, by name: of several with one name a Service wins, then the first; ports are combined.

    Args:
        services: in order of precedence.
        namespace: of a sidecar, for which only one namespace provides a name: its own, or else that of a Service;
            empty at a gateway, where that makes no difference.
    """
    listed = list(services)
    owners: dict[str, KnownService] = {}
    for service in listed if namespace else ():
        known = owners.get(service.key)
        if (
            known is None
            or service.namespace == namespace
            or (service.kubernetes and not known.kubernetes and known.namespace != namespace)
        ):
            owners[service.key] = service
    by_key: dict[str, KnownService] = {}
    for service in listed:
        if namespace and owners[service.key].namespace != service.namespace:
            continue
        known = by_key.get(service.key)
        if known is None or (service.kubernetes and not known.kubernetes):
            by_key[service.key] = service
        elif known.kubernetes == service.kubernetes and _alike(known, service):
            ports = {**service.ports, **known.ports}
            names = {**service.port_names, **known.port_names}
            by_key[service.key] = replace(known, ports=ports, port_names=names)
    return by_key


def exported(resource: VirtualService | DestinationRule, owner: str, namespace: str) -> bool:
    """Whether proxies of a namespace see a VirtualService or DestinationRule (``exportTo``)."""
    shown = spaces(resource.spec.export_to, owner)
    return not shown or bool(shown & {"*", namespace})


def label_of(rule: VirtualService) -> str:
    """What a rule is called: the VirtualService, or the routes of the Gateway API that it stands for."""
    return rule.label if isinstance(rule, ConvertedRule) else f"VirtualService/{rule.name}"


def meant(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that was probably meant; empty if none is similar."""
    guess = closest(word, known)
    return f"did you mean {guess}?" if guess and guess != word else ""


def _alike(service: KnownService, other: KnownService) -> bool:
    return (service.namespace, service.resolution, service.export_to) == (
        other.namespace,
        other.resolution,
        other.export_to,
    )


def _sharing(services: list[KnownService]) -> list[KnownService]:
    """Objects of one name and namespace have the endpoints of all of them, those of ServiceEntries first."""
    groups: dict[tuple[str, str], list[KnownService]] = {}
    for service in services:
        groups.setdefault((service.hostname, service.namespace), []).append(service)
    shared = []
    for service in services:
        group = sorted(groups[service.hostname, service.namespace], key=lambda member: member.kubernetes)
        if len(group) > 1:
            service = replace(service, endpoints=tuple(point for member in group for point in member.endpoints))
        shared.append(service)
    return shared


def _looked_up(services: list[KnownService]) -> list[KnownService]:
    """Put pods behind the names of Services that a proxy looks up; a name that no Service has leads nowhere."""
    pods = {service.hostname: service.endpoints for service in services if service.kubernetes}

    def behind(endpoint: KnownEndpoint) -> Iterable[KnownEndpoint]:
        return (replace(pod, labels=endpoint.labels, ports=None) for pod in pods.get(looked_up(endpoint.name), ()))

    def inside(endpoint: KnownEndpoint) -> bool:
        return bool(looked_up(endpoint.name))

    return [
        replace(
            service,
            endpoints=tuple(pod for endpoint in service.endpoints for pod in behind(endpoint)),
            resolution="pods",
        )
        if service.resolution == "dns" and service.endpoints and all(map(inside, service.endpoints))
        else service
        for service in services
    ]


def _with_aliases(services: list[KnownService]) -> list[KnownService]:
    """Tell services by which names of ExternalName services they are called, too."""
    targets = {service.hostname: service.alias_of for service in services if service.alias_of}
    aliases: dict[str, list[str]] = {}
    for name, target in targets.items():
        seen = {name}
        while target in targets and target not in seen:
            seen.add(target)
            target = targets[target]
        if target not in targets:
            aliases.setdefault(target, []).append(name)
    return [
        replace(service, aliases=tuple(aliases[service.hostname])) if service.hostname in aliases else service
        for service in services
    ]
