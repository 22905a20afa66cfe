"""The desired state as a control plane sees it: services, endpoints, and which rule applies to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar, cast

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.destinationrules import DestinationRuleIndex
from labsupport.controlplane.registry.entries import convert_entry
from labsupport.controlplane.registry.kubernetes import convert_service
from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.meshconfig import DEFAULT_MESH_CONFIG, MeshConfig
from labsupport.controlplane.registry.services import Endpoint, ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceIndex
from labsupport.controlplane.registry.workloads import WorkloadRecord, workload_entries
from labsupport.model import (
    DestinationRule,
    Gateway,
    Namespace,
    Resource,
    Service,
    ServiceEntry,
    Sidecar,
    VirtualService,
    WorkloadEntry,
)
from labsupport.model.gatewayapi import ROUTES, ConvertedRule, Facts, convert, convert_gateways
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.telemetry import Telemetry
from labsupport.model.schema.base import EPOCH

__all__ = ["Registry"]

R = TypeVar("R", bound=Resource)


class Registry:
    """Everything that has been applied, indexed for translation. Immutable once made.

    Args:
        objects: oldest first, unless a ``creationTimestamp`` says otherwise; namespaces are filled in.
        pods: the pods that run, oldest first.
        addresses: cluster IP by (namespace, name) of a Service that names none; those left out have none.
        endpoints: endpoints by (namespace, name) of a Service that are written down; its selector then finds no pods.
        mesh: mesh-wide configuration; Istio's defaults if left out.
        outbound_traffic_policy: what happens to calls to unknown hosts; that of the mesh configuration if left out.

    Attributes:
        mesh: the mesh-wide configuration.
        services: all services, oldest first.
        virtual_services: the VirtualServices, by gateway and namespace.
        routes: routes of the Gateway API, as VirtualServices.
        destination_rules: the DestinationRules, by client and service.
        telemetries: Telemetry objects, oldest first.
        gateways: Gateway objects, oldest first.
        sidecars: Sidecar objects in order of precedence.
        derived: what others made of this registry, for the next who asks for the same.
    """

    def __init__(
        self,
        objects: Sequence[Resource],
        pods: Sequence[PodInfo] = (),
        *,
        addresses: Mapping[tuple[str, str], str] | None = None,
        endpoints: Mapping[tuple[str, str], Sequence[Endpoint]] | None = None,
        mesh: MeshConfig | None = None,
        outbound_traffic_policy: str | None = None,
    ) -> None:
        self.mesh = mesh or DEFAULT_MESH_CONFIG
        self.outbound_traffic_policy = outbound_traffic_policy or self.mesh.outbound_traffic_policy
        self.pods = tuple(pods)
        self._addresses = addresses or {}
        self._extra_endpoints = endpoints or {}
        self._by_class: dict[type[Resource], list[tuple[Resource, float]]] = {}
        for position, resource in enumerate(objects):
            created = EPOCH + position
            if resource.metadata.creation_timestamp is not None:
                created = resource.metadata.creation_timestamp.timestamp()
            self._by_class.setdefault(type(resource), []).append((resource, created))
        self.derived: dict[object, object] = {}
        self._pods_by_namespace: dict[str, list[PodInfo]] = {}
        for pod in self.pods:
            self._pods_by_namespace.setdefault(pod.namespace, []).append(pod)
        self.services = self._services()
        self.by_host_and_namespace: dict[str, dict[str, ServiceRecord]] = {}
        self._public: list[ServiceRecord] = []
        self._exported: dict[str, list[ServiceRecord]] = {}
        for service in self.services:
            self._index(service)

    def _with_age(self, model: type[R]) -> list[tuple[R, float]]:
        return cast("list[tuple[R, float]]", self._by_class.get(model, []))

    def _oldest_first(self, model: type[R]) -> list[R]:
        listed = self._with_age(model)
        return [item[0] for item in sorted(listed, key=lambda item: (item[1], item[0].name, item[0].namespace))]

    @cached_property
    def virtual_services(self) -> VirtualServiceIndex:
        """The VirtualServices."""
        return VirtualServiceIndex(
            self._with_age(VirtualService),
            self.mesh.default_virtual_service_export_to,
            [(rule, rule.created) for rule in self.routes],
        )

    @cached_property
    def routes(self) -> tuple[ConvertedRule, ...]:
        """Routes of the Gateway API, as VirtualServices."""
        routes = tuple(aged for kind in ROUTES for aged in self._with_age(kind))
        ages = tuple(age for _, age in routes)
        inputs = tuple(route for route, _ in routes)
        facts = self._facts
        return MEMO.get("routes of the Gateway API", inputs, (facts, ages), lambda: convert(routes, facts))

    @cached_property
    def _facts(self) -> Facts:
        """What objects of the Gateway API may refer to; where there are none of them, nothing is looked up."""
        asked = any(kind in self._by_class for kind in (*ROUTES, KubernetesGateway))
        return Facts.of(resource for listed in self._by_class.values() if asked for resource, _ in listed)

    @cached_property
    def destination_rules(self) -> DestinationRuleIndex:
        """The DestinationRules."""
        return DestinationRuleIndex(
            self._with_age(DestinationRule),
            self.mesh.root_namespace,
            self.mesh.default_destination_rule_export_to,
        )

    @cached_property
    def telemetries(self) -> list[Telemetry]:
        """The Telemetry objects, oldest first."""
        return self._oldest_first(Telemetry)

    @cached_property
    def gateways(self) -> list[Gateway]:
        """The Gateways, with listeners of the Gateway API as Gateways of Istio."""
        theirs, facts = tuple(self._with_age(KubernetesGateway)), self._facts
        inputs, ages = tuple(item for item, _ in theirs), tuple(age for _, age in theirs)
        made = MEMO.get(
            "Gateways of the Gateway API", inputs, (facts, ages), lambda: convert_gateways(facts.sections, theirs)
        )
        listed = [*self._with_age(Gateway), *((item, item.created) for item in made)]
        return [item for item, _ in sorted(listed, key=lambda item: (item[1], item[0].name, item[0].namespace))]

    @cached_property
    def sidecars(self) -> list[Sidecar]:
        """The Sidecars, those with a selector first."""
        return sorted(self._oldest_first(Sidecar), key=lambda sidecar: sidecar.spec.workload_selector is None)

    def exported_services(self, namespace: str) -> list[ServiceRecord]:
        """Services that proxies of a namespace may see: those exported to it alone come first."""
        return [*self._exported.get(namespace, ()), *self._public]

    def visible(self, service: ServiceRecord, namespace: str) -> bool:
        """Whether a service is exported to a namespace."""
        shown = service.export_to or self.mesh.default_service_export_to
        return "*" in shown or namespace in shown or ("." in shown and service.namespace == namespace)

    def pod_services(self, pod: PodInfo) -> list[tuple[ServiceRecord, Service]]:
        """The Kubernetes Services that select a pod, with their objects, by name."""
        labels = dict(pod.labels).items()
        services = []
        for resource, _ in sorted(self._with_age(Service), key=lambda item: item[0].name):
            if resource.namespace != pod.namespace or not resource.spec.selector:
                continue
            if resource.spec.selector.items() <= labels:
                services.append((self._kubernetes[resource.namespace, resource.name], resource))
        return services

    def pods_of(self, namespace: str) -> Sequence[PodInfo]:
        """Pods of a namespace, oldest first."""
        return self._pods_by_namespace.get(namespace, ())

    def _services(self) -> list[ServiceRecord]:
        annotations = {resource.name: resource.metadata.annotations for resource, _ in self._with_age(Namespace)}
        aged: list[tuple[float, ServiceRecord]] = []
        entries = workload_entries(resource for resource, _ in self._with_age(WorkloadEntry))
        for entry, created in self._with_age(ServiceEntry):
            aged += [(created, record) for record in self._entry(entry, entries, annotations)]
        self._kubernetes: dict[tuple[str, str], ServiceRecord] = {}
        by_label = self._pods_by_label()
        for resource, created in self._with_age(Service):
            record = self._service(resource, by_label, entries, annotations)
            self._kubernetes[resource.namespace, resource.name] = record
            aged.append((created, record))
        aged.sort(key=lambda item: (item[0], item[1].name, item[1].namespace))
        services = _with_aliases(_merge_entries([record for _, record in aged]))
        self._ages = {id(record): created for created, record in aged}
        self._ages |= {id(record): created for (created, _), record in zip(aged, services, strict=True)}
        return services

    def _entry(
        self, resource: ServiceEntry, entries: Sequence[WorkloadRecord], annotations: Mapping[str, Mapping[str, str]]
    ) -> list[ServiceRecord]:
        selects = resource.spec.workload_selector is not None
        pods = self.pods_of(resource.namespace) if selects else ()
        chosen = [entry for entry in entries if entry.namespace == resource.namespace] if selects else []
        notes = annotations.get(resource.namespace, {})
        return MEMO.get(
            "ServiceEntry",
            (resource, *pods, *chosen),
            tuple(notes.items()),
            lambda: convert_entry(resource, pods=pods, entries=chosen, namespace_annotations=notes),
        )

    def _service(
        self,
        resource: Service,
        by_label: Mapping[tuple[str, str, str], list[PodInfo]],
        entries: Sequence[WorkloadRecord],
        annotations: Mapping[str, Mapping[str, str]],
    ) -> ServiceRecord:
        key = (resource.namespace, resource.name)
        address = resource.spec.cluster_ip or self._addresses.get(key, "")
        pods = () if key in self._extra_endpoints else tuple(_selected(resource, by_label))
        extra = tuple(self._extra_endpoints.get(key, ()))
        notes = annotations.get(resource.namespace, {})
        return MEMO.get(
            "Service",
            (resource, *pods, *extra, *entries),
            (address, len(pods), tuple(notes.items())),
            lambda: convert_service(
                resource, address=address, pods=pods, extra=extra, entries=entries, namespace_annotations=notes
            ),
        )

    def age(self, service: ServiceRecord) -> float:
        """When a service of this registry was created, in seconds since the epoch."""
        return self._ages[id(service)]

    def _pods_by_label(self) -> Mapping[tuple[str, str, str], list[PodInfo]]:
        """Pods by namespace and each of their labels, so that a selector need not be tried on every pod."""
        pods_by_label: dict[tuple[str, str, str], list[PodInfo]] = {}
        for pod in self.pods:
            for label, value in pod.labels.items():
                pods_by_label.setdefault((pod.namespace, label, value), []).append(pod)
        return pods_by_label

    def _index(self, service: ServiceRecord) -> None:
        by_namespace = self.by_host_and_namespace.setdefault(service.hostname, {})
        known = by_namespace.get(service.namespace)
        if known is None or (service.kubernetes and not known.kubernetes):
            by_namespace[service.namespace] = service
        shown = service.export_to or self.mesh.default_service_export_to
        if "*" in shown:
            self._public.append(service)
        elif "~" not in shown:
            for space in {service.namespace if space == "." else space for space in shown}:
                self._exported.setdefault(space, []).append(service)


def _selected(resource: Service, by_label: Mapping[tuple[str, str, str], list[PodInfo]]) -> Iterable[PodInfo]:
    selector = resource.spec.selector
    if not selector or resource.spec.type == "ExternalName":
        return ()
    label, value = next(iter(selector.items()))
    wanted = selector.items()
    return [
        pod
        for pod in by_label.get((resource.namespace, label, value), ())
        if len(selector) == 1 or wanted <= dict(pod.labels).items()
    ]


def _merge_entries(services: list[ServiceRecord]) -> list[ServiceRecord]:
    """Give all records of one host and namespace the endpoints of all of them, as one registry entry has them."""
    shared: dict[tuple[str, str], list[ServiceRecord]] = {}
    for service in services:
        shared.setdefault((service.hostname, service.namespace), []).append(service)
    merged = []
    for service in services:
        group = shared[service.hostname, service.namespace]
        if len(group) > 1:
            inputs = (service, *group)
            service = MEMO.get("combined", inputs, (), partial(_combine, service, group))
        merged.append(service)
    return merged


def _combine(service: ServiceRecord, group: Sequence[ServiceRecord]) -> ServiceRecord:
    # ServiceEntries first, as they are a registry of their own.
    ordered = sorted(group, key=lambda service: service.kubernetes)
    return replace(service, endpoints=tuple(endpoint for service in ordered for endpoint in service.endpoints))


def _with_aliases(services: list[ServiceRecord]) -> list[ServiceRecord]:
    """Attach ExternalName services to the services that they finally point to."""
    targets = {service.hostname: service.external_name for service in services if service.resolution == "ALIAS"}
    if not targets:
        return services
    aliases: dict[str, list[tuple[str, str]]] = {}
    for service in services:
        if service.resolution != "ALIAS":
            continue
        target, seen = service.external_name, {service.hostname}
        while target in targets and target not in seen:
            seen.add(target)
            target = targets[target]
        if target not in targets:
            aliases.setdefault(target, []).append((service.hostname, service.namespace))
    return [
        _aliased(service, tuple(sorted(aliases[service.hostname], key=lambda alias: (alias[1], alias[0]))))
        if service.hostname in aliases
        else service
        for service in services
    ]


def _aliased(service: ServiceRecord, aliases: tuple[tuple[str, str], ...]) -> ServiceRecord:
    return MEMO.get("aliased", (service,), aliases, lambda: replace(service, aliases=aliases))
