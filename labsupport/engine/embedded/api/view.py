"""All objects of a mesh as the API shows them: what was applied, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labsupport.controlplane import entrances
from labsupport.controlplane.desired import Key, key_of
from labsupport.engine.embedded.api.defaults import completed
from labsupport.engine.embedded.api.mesh import Mesh, stamp
from labsupport.engine.embedded.api.workloads import WorkloadView
from labsupport.engine.embedded.builtin import INGRESS_GATEWAY, ROOT_NAMESPACE
from labsupport.engine.embedded.pods.identity import NODE_ADDRESS, uid
from labsupport.engine.gatewayservices import MANAGED, with_gateway_services
from labsupport.engine.routestatus import facts_for_routes, status_content
from labsupport.model import Deployment, Resource, Service
from labsupport.model.gatewayapi import Route
from labsupport.model.gatewayapi.doorstatus import class_status
from labsupport.model.gatewayapi.surroundings import OWN_CLASSES
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass, KubernetesGateway
from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.records import JsonObject

__all__ = ["View", "written_content"]


def written_content(resource: Resource) -> JsonObject:
    """An object as it was written, with its namespace."""
    raw = resource.raw or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
    metadata = {key: value for key, value in (raw.get("metadata") or {}).items() if value is not None}
    if resource.namespace:
        metadata["namespace"] = resource.namespace
    return {key: value for key, value in raw.items() if value is not None and key != "status"} | {"metadata": metadata}


class View:
    """Shows a mesh; what it keeps is only what was shown before, so that it need not be made again.

    Args:
        mesh: the lab.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._workloads = WorkloadView(mesh)
        self._kept: dict[Key, tuple[Resource, JsonObject]] = {}

    async def contents(self) -> dict[Key, JsonObject]:
        """All objects of now by kind, namespace and name, without resource versions."""
        objects = with_gateway_services(self._mesh.control.objects)
        facts = facts_for_routes(objects)
        rules = {status.ref: status for status in await self._mesh.rules()}
        shown: dict[Key, JsonObject] = {}
        kept: dict[Key, tuple[Resource, JsonObject]] = {}
        for resource in objects:
            key = key_of(resource)
            known = self._kept.get(key)
            content = known[1] if known is not None and known[0] is resource else self._plain(resource, key)
            kept[key] = (resource, content)
            status = rules.get(resource.ref)
            if status is not None and status.in_force_since_s:
                count = len(status.proxies)
                condition = {
                    "type": "Reconciled",
                    "status": "True",
                    "lastTransitionTime": stamp(status.in_force_since_s),
                    "message": f"{count}/{count} proxies up to date.",
                }
                content = {**content, "status": {"conditions": [condition]}}
                if isinstance(resource, Route | KubernetesGateway):
                    content["status"] = status_content(resource, facts, objects, time=stamp(status.in_force_since_s))
            elif isinstance(resource, GatewayClass):
                made = content["metadata"]["creationTimestamp"]
                content = {**content, "status": class_status(resource.spec.controller_name, time=made)}
            elif isinstance(resource, Service):
                content = self._service(resource, content)
            elif isinstance(resource, Deployment):
                content = self._workloads.deployment(resource, content)
            shown[key] = content
        self._kept = kept
        for content in (*self._namespaces(shown), *self._classes(), *self._workloads.made(objects, shown)):
            metadata = content["metadata"]
            shown.setdefault((content["kind"], metadata.get("namespace", ""), metadata["name"]), content)
        return shown

    def _plain(self, resource: Resource, key: Key) -> JsonObject:
        created = self._mesh.created_s(key)
        content = completed(written_content(resource))
        metadata = {
            **content["metadata"],
            "uid": uid(*key, created),
            "creationTimestamp": stamp(created),
        }
        status = {"status": {"phase": "Active"}} if resource.kind == "Namespace" else {}
        return {**content, "metadata": metadata, **status}

    def _namespaces(self, shown: Mapping[Key, JsonObject]) -> Iterator[JsonObject]:
        """Namespaces that nobody described, but where something is; and in each the account of its pods."""
        described = {name for kind, _, name in shown if kind == "Namespace"}
        for name in sorted({namespace for _, namespace, _ in shown if namespace} | described | {ROOT_NAMESPACE}):
            namespace, account = (
                completed({"apiVersion": "v1", "kind": kind, "metadata": self._made(kind, *place)})
                for kind, place in (("Namespace", ("", name)), ("ServiceAccount", (name, "default")))
            )
            yield {**namespace, "status": {"phase": "Active"}}
            yield account

    def _classes(self) -> Iterator[JsonObject]:
        """The GatewayClasses that istiod makes itself."""
        told = {"istio": "The default Istio GatewayClass"}
        told["istio-remote"] = "Remote to this cluster. Does not deploy or affect configuration."
        for name, controller in OWN_CLASSES.items():
            metadata = self._made("GatewayClass", "", name)
            spec = {"controllerName": controller, "description": told[name]}
            content = {"apiVersion": f"{GROUP}/v1", "kind": "GatewayClass", "metadata": metadata, "spec": spec}
            yield {**content, "status": class_status(controller, time=metadata["creationTimestamp"])}

    def _made(self, kind: str, namespace: str, name: str) -> JsonObject:
        """``metadata`` of what is there although nobody wrote it."""
        created = self._mesh.opened_s
        place = {"namespace": namespace} if namespace else {}
        return {
            "name": name,
            **place,
            "uid": uid(kind, namespace, name, created),
            "creationTimestamp": stamp(created),
        }

    def _service(self, service: Service, content: JsonObject) -> JsonObject:
        address = service.spec.cluster_ip or self._mesh.control.cluster_ips().get((service.namespace, service.name), "")
        spec = {**content["spec"], "clusterIP": address, "clusterIPs": [address]}
        numbers = self._mesh.built_in.node_ports()
        ports = []
        for port in spec.get("ports") or []:
            shown = numbers.get((service.namespace, service.name, port["port"]))
            ports.append({**port, "nodePort": shown[0]} if shown is not None else port)
        gateway = self._mesh.built_in.gateway
        balanced: JsonObject = {}
        if service.name == INGRESS_GATEWAY and service.namespace == ROOT_NAMESPACE and gateway is not None:
            objects = self._mesh.control.objects
            local = [gateway.listener(entrances.container_port(objects, gateway.info, port["port"])) for port in ports]
            ports = [{**port, "nodePort": number} for port, number in zip(ports, local, strict=True)]
            balanced = {"ingress": [{"ip": NODE_ADDRESS, "ipMode": "VIP"}]}
        if service.metadata.labels.get(MANAGED) and service.spec.type == "LoadBalancer":
            balanced = {"ingress": [{"ip": NODE_ADDRESS, "ipMode": "VIP"}]}
        return {**content, "spec": {**spec, "ports": ports}, "status": {"loadBalancer": balanced}}
