"""The objects under analysis, indexed, and the notes about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from labsupport import words
from labsupport.model.kinds.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from labsupport.model.kinds.core import BarePod, Namespace, Service
from labsupport.model.kinds.serviceentry import ServiceEntry
from labsupport.model.protocols import is_http_or_sniffed, kubernetes_protocol, parse
from labsupport.model.schema.base import Resource

__all__ = ["DOMAIN", "Host", "Note", "PodLabels", "World", "full_host"]

T = TypeVar("T", bound=Resource)
DOMAIN = "svc.cluster.local"
INJECT = "sidecar.istio.io/inject"
_FQDN = re.compile(r"(.+)\.(.+)\.svc\.cluster\.local")


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing about one object among the others; it blocks nothing.

    Args:
        code: the code of ``istioctl analyze``, such as ``IST0101``; ``PROTOCOL``, ``PANIC`` where istiod itself fails,
            ``OLD`` for a spelling of earlier times.
        level: ``error`` (requests will fail), ``warning`` or ``info``.
        kind, namespace, name: the object.
        path: field path; empty for the whole object.
        text: what does not fit, and what to do about it.
        file: file it was read from.
        line: line of the field.
    """

    code: str
    level: Literal["error", "warning", "info"]
    kind: str
    namespace: str
    name: str
    path: str
    text: str
    file: str = ""
    line: int = 0

    @property
    def ref(self) -> str:
        """The object as ``Kind/name``."""
        return f"{self.kind}/{self.name}"

    @words.shown
    def __str__(self) -> str:
        place = words.place(self.file, self.line) if self.file else ""
        where = ", ".join(part for part in (place, self.ref, self.path) if part)
        return f"{self.code} {where}: {self.text}"


@dataclass(frozen=True, slots=True)
class PodLabels:
    """A pod as far as selectors see it.

    Args:
        namespace: its namespace.
        labels: its labels.
        in_mesh: whether it has a sidecar.
    """

    namespace: str
    labels: Mapping[str, str]
    in_mesh: bool = True

    def matches(self, selector: Mapping[str, str]) -> bool:
        """Tell whether a selector selects the pod; an empty one selects every pod."""
        return all(self.labels.get(key) == value for key, value in selector.items())


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the registry.

    Args:
        ports: its ports.
        selector: labels of a ServiceEntry's workloadSelector.
        http: whether HTTP rules act on one of its ports.
    """

    ports: tuple[int, ...]
    selector: Mapping[str, str] = field(default_factory=dict)
    http: bool = True


def full_host(host: str, namespace: str) -> str:
    """Complete a short host name with its namespace; wildcards and names with dots stay."""
    return host if host.startswith("*") or "." in host else f"{host}.{namespace}.{DOMAIN}"


def _any_http(protocols: Sequence[str]) -> bool:
    """Whether one of the protocols is HTTP or found out per connection; of no ports nothing can be said."""
    return not protocols or any(map(is_http_or_sniffed, protocols))


class World:
    """All objects, and the notes so far.

    Args:
        objects: the objects; those without a namespace are in ``namespace``.
        pods: pods that exist besides those that the objects make.
        namespace: the default namespace.
    """

    def __init__(self, objects: Sequence[Resource], pods: Iterable[PodLabels], namespace: str) -> None:
        self.objects = objects
        self.default = namespace
        self.notes: list[Note] = []
        # istioctl, too, takes the gateway of the default profile for granted.
        gateway = PodLabels("istio-system", {"istio": "ingressgateway", "app": "istio-ingressgateway"}, in_mesh=False)
        self.pods = [gateway, *pods, *self._own_pods()]
        self.hosts = self._hosts()

    def of(self, kind: type[T]) -> list[T]:
        """List the objects of a kind."""
        return [entry for entry in self.objects if isinstance(entry, kind)]

    def namespace(self, entry: Resource) -> str:
        """Tell the namespace of an object."""
        return entry.namespace or self.default

    def full_name(self, entry: Resource) -> str:
        """Tell namespace and name of an object."""
        return f"{self.namespace(entry)}/{entry.name}"

    def note(
        self, code: str, level: Literal["error", "warning", "info"], entry: Resource, path: str, text: str
    ) -> None:
        """Add a note."""
        origin = entry.origin
        line = origin.line_of(path) if path else origin.line
        space = self.namespace(entry)
        self.notes.append(Note(code, level, entry.kind, space, entry.name, path, text, origin.file, line))

    def _own_pods(self) -> Iterable[PodLabels]:
        injected = {
            entry.name: entry.metadata.labels.get("istio-injection") == "enabled" for entry in self.of(Namespace)
        }
        for entry in self.objects:
            space = self.namespace(entry)
            if isinstance(entry, BarePod):
                metadata, spec = entry.metadata, entry.spec
            elif isinstance(entry, Deployment | ReplicaSet | StatefulSet | DaemonSet):
                metadata, spec = entry.spec.template.metadata, entry.spec.template.spec
                if not isinstance(entry, DaemonSet) and entry.spec.replicas == 0:
                    continue
            else:
                continue
            asked = metadata.labels.get(INJECT) or metadata.annotations.get(INJECT)
            has_proxy = any(container.name == "istio-proxy" for container in spec.containers)
            in_mesh = has_proxy or (asked == "true" if asked else injected.get(space, False))
            yield PodLabels(space, metadata.labels, in_mesh)

    def _hosts(self) -> dict[tuple[str, str], Host]:
        """Index the registry by scope (a namespace, or ``*``) and full host name."""
        hosts: dict[tuple[str, str], Host] = {}
        for entry in self.of(ServiceEntry):
            space = self.namespace(entry)
            selector = entry.spec.workload_selector.labels if entry.spec.workload_selector is not None else {}
            protocols = [parse(port.protocol) for port in entry.spec.ports]
            host = Host(tuple(port.number for port in entry.spec.ports), selector, http=_any_http(protocols))
            for name in entry.spec.hosts:
                for scope in entry.spec.export_to or ["*"]:
                    hosts[space if scope == "." else scope, full_host(name, space)] = host
        for service in self.of(Service):
            space = self.namespace(service)
            protocols = [
                kubernetes_protocol(port.port, port.name, port.protocol, port.app_protocol)
                for port in service.spec.ports
            ]
            host = Host(tuple(port.port for port in service.spec.ports), http=_any_http(protocols))
            scopes = service.metadata.annotations.get("networking.istio.io/exportTo", "*").split(",")
            for scope in (text.strip() for text in scopes):
                hosts[space if scope == "." else scope, full_host(service.name, space)] = host
        hosts.setdefault(("*", f"istio-ingressgateway.istio-system.{DOMAIN}"), Host((80, 443)))
        return hosts

    def host(self, name: str, namespace: str, export_to: Sequence[str]) -> Host | None:
        """Find a host as an object of a namespace sees it.

        Args:
            name: the host as written.
            namespace: namespace of the object.
            export_to: the object's ``exportTo``.

        Returns:
            the host of the registry, or None.
        """
        full = full_host(name, namespace)
        scopes = [namespace if scope == "." else scope for scope in export_to] or [namespace]
        for scope in ("*", *scopes):
            if (scope, full) in self.hosts:
                return self.hosts[scope, full]
        for (scope, wildcard), host in self.hosts.items():
            visible = scope in ("*", namespace)
            if visible and wildcard.startswith("*") and name.removeprefix("*").endswith(wildcard[1:]):
                return host
        return None

    @staticmethod
    def service_name(host: str, namespace: str) -> tuple[str, str]:
        """Split a host into namespace and service name."""
        match = _FQDN.fullmatch(host)
        return (match[2], match[1]) if match else (namespace, host)
