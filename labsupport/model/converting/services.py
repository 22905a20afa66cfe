"""Hosts and subsets of a VirtualService as what the Gateway API sends to: Services, one for each subset."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.model.converting.losses import Losses, NoCounterpartError
from labsupport.model.hosts import CLUSTER_DOMAIN, fqdn
from labsupport.model.kinds.core import Service
from labsupport.model.kinds.destinationrule import DestinationRule, Subset
from labsupport.model.kinds.serviceentry import ServiceEntry
from labsupport.model.kinds.virtualservice import Destination
from labsupport.model.schema.base import Resource
from labsupport.records import JsonObject

__all__ = ["Registry"]

_ISTIO = "networking.istio.io"
_SUFFIX = f".svc.{CLUSTER_DOMAIN}"


class Registry:
    """What rules may name: the Services, ServiceEntries and subsets of some manifests, and the Services made of these.

    Args:
        objects: all objects.
        namespace: the namespace of objects that name none.
        port: where to send to if nothing says it.
    """

    def __init__(self, objects: Iterable[Resource], namespace: str, port: int | None = None) -> None:
        self._default = port
        self.made: dict[tuple[str, str], JsonObject] = {}
        self._services: dict[str, Service] = {}
        self._entries: dict[str, ServiceEntry] = {}
        self._subsets: dict[tuple[str, str], tuple[DestinationRule, Subset]] = {}
        self._partial: dict[str, str] = {}
        for resource in objects:
            owner = resource.namespace or namespace
            if isinstance(resource, Service):
                self._services[fqdn(resource.name, owner)] = resource
            elif isinstance(resource, ServiceEntry):
                self._entries |= dict.fromkeys(resource.spec.hosts, resource)
            elif isinstance(resource, DestinationRule):
                host = fqdn(resource.spec.host, owner)
                if resource.spec.workload_selector is not None or resource.spec.export_to not in ([], ["*"]):
                    self._partial[host] = resource.name
                for subset in resource.spec.subsets:
                    # Of two of one name istiod takes the first.
                    self._subsets.setdefault((host, subset.name), (resource, subset))

    def parent(self, written: str, namespace: str, path: str) -> JsonObject:
        """What stands in ``parentRefs`` for a host.

        Args:
            written: the host, as it was written.
            namespace: of the rule.
            path: where it was written.

        Raises:
            NoCounterpartError: the host is no Service, and of no ServiceEntry that is there.
        """
        host = fqdn(written, namespace)
        if (entry := self._entries.get(host)) is not None:
            return {"group": _ISTIO, "kind": "ServiceEntry", "name": entry.name}
        name, owner = _service(host)
        if not owner:
            raise NoCounterpartError(path, f"an HTTPRoute is bound to objects, and {written} is no Service")
        parent = {"group": "", "kind": "Service", "name": name}
        return parent if owner == namespace else {**parent, "namespace": owner}

    def backend(self, destination: Destination, namespace: str, path: str, losses: Losses) -> JsonObject:
        """What stands in ``backendRefs`` for a destination; for a subset a Service is made.

        Args:
            destination: where the rule sends to.
            namespace: of the rule.
            path: where it was written.
            losses: where to tell what differs.

        Raises:
            NoCounterpartError: the host is no Service, or its port is not known.
        """
        host = fqdn(destination.host, namespace)
        port = destination.port.number if destination.port is not None else self._port(host, path)
        name, owner = _service(host)
        if not owner and host not in self._entries:
            text = f"an HTTPRoute sends to Services, and {destination.host} is none"
            raise NoCounterpartError(f"{path}.host", text)
        if path.startswith("route"):
            self._tell_of_nobody(host, port, path, losses, subset=bool(destination.subset))
        if host in self._entries:
            if destination.subset:
                raise NoCounterpartError(f"{path}.subset", "a host of a ServiceEntry has no Service for each subset")
            return {"group": _ISTIO, "kind": "Hostname", "name": host, "port": port}
        if destination.subset:
            name = self._of_subset(host, destination.subset, path, losses)
        reference: JsonObject = {"name": name, "port": port}
        return reference if owner == namespace else {**reference, "namespace": owner}

    def _tell_of_nobody(self, host: str, port: int, path: str, losses: Losses, *, subset: bool) -> None:
        ports = self._ports(host)
        lacks = f"{host} has no port {port}" if ports else f"no file here has the Service of {host}"
        # Files without any Service say nothing of what there is, and of a subset it is told that a Service lacks.
        if port not in ports and (self._services or self._entries) and (ports or not subset):
            losses.tell(path, f"{lacks}: where nothing is, an HTTPRoute answers 500, and a VirtualService 503")

    def _ports(self, host: str) -> list[int]:
        """Ports of a Service or ServiceEntry; none if no file has it."""
        service, entry = self._services.get(host), self._entries.get(host)
        ports = [port.port for port in service.spec.ports] if service is not None else []
        return ports + ([port.number for port in entry.spec.ports] if entry is not None else [])

    def _port(self, host: str, path: str) -> int:
        ports = self._ports(host)
        if len(ports) == 1:
            return ports[0]
        if self._default is None:
            what = f"{host} has {len(ports)} ports" if ports else f"no file here has the Service of {host}"
            text = f"an HTTPRoute names the port to send to, and {what}: write it here, or say --port"
            raise NoCounterpartError(f"{path}.port", text)
        return self._default

    def _of_subset(self, host: str, subset: str, path: str, losses: Losses) -> str:
        """The name of the Service that has the pods of a subset, which is made if that is possible."""
        service, (rule, chosen) = self._services.get(host), self._subsets.get((host, subset), (None, None))
        plain, owner = _service(host)
        name = f"{plain}-{subset}".lower()
        if service is None or chosen is None or rule is None:
            lacks = f"the Service {plain}" if service is None else f"a DestinationRule with subset {subset}"
            losses.tell(f"{path}.subset", f"an HTTPRoute knows no subsets: make a Service {name}; no file has {lacks}")
            return name
        selector = service.spec.selector
        for label, value in chosen.labels.items():
            if selector.get(label, value) != value:
                text = f"it has no pods: their {label} is {selector[label]} by the Service, and {value} by the subset"
                raise NoCounterpartError(f"{path}.subset", text)
        if (owner, name) not in self.made:
            ports = [
                port.model_dump(by_alias=True, exclude_defaults=True, exclude={"node_port"})
                for port in service.spec.ports
            ]
            metadata = {"name": name} | ({"namespace": service.namespace} if service.namespace else {})
            self.made[owner, name] = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": {**selector, **chosen.labels}, "ports": ports},
            }
        if host in self._partial:
            text = f"DestinationRule/{self._partial[host]} is not for every caller (exportTo, workloadSelector), and"
            losses.tell(f"{path}.subset", f"{text} Service {name} is")
        if rule.spec.traffic_policy is not None or chosen.traffic_policy is not None:
            text = f"the trafficPolicy of DestinationRule/{rule.name} is not for Service {name}: write one for its host"
            losses.tell(f"{path}.subset", text)
        return name


def _service(host: str) -> tuple[str, str]:
    """Name and namespace of the Service of a full name; empty if it has another form."""
    name, _, owner = host.removesuffix(_SUFFIX).partition(".")
    return (name, owner) if host.endswith(_SUFFIX) and owner and "." not in owner and "*" not in name else ("", "")
