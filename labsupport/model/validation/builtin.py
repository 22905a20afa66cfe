"""What the API server says to Services and workloads beyond their schema: selectors and ports that do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from labsupport.model.kinds.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from labsupport.model.kinds.core import BarePod, Service
from labsupport.model.kinds.pods import Container, PodSpec
from labsupport.model.schema.base import Resource
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.names import is_lower_dns_label
from labsupport.model.validation.variables import (
    containers_of,
    issue,
)
from labsupport.model.validation.volumes import volume_issues

__all__ = ["builtin_issues"]

_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_PORT_NAME_REMEDY = "Use at most 15 lower-case letters, digits and single hyphens, with a letter among them."
_NAME_REMEDY = "Use lower-case letters, digits and hyphens, at most 63."


def builtin_issues(resource: Resource) -> Iterator[Issue]:
    """Check an object of Kubernetes' own that its schema accepts.

    Args:
        resource: any object.

    Yields:
        what an API server refuses.
    """
    if isinstance(resource, Service):
        yield from _service(resource)
    elif isinstance(resource, BarePod):
        yield from _pod(resource.spec, "spec")
    elif isinstance(resource, Deployment | ReplicaSet | StatefulSet | DaemonSet):
        yield from _selector(resource)
        yield from _pod(resource.spec.template.spec, "spec.template.spec")


def _service(service: Service) -> Iterator[Issue]:
    ports = service.spec.ports
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        if not port.name:
            if len(ports) > 1:
                yield issue(
                    at, "has no name, which a Service with several ports needs", "Write for instance name: http."
                )
        elif not is_lower_dns_label(port.name):
            yield issue(f"{at}.name", f"{port.name[:80]!r} is not a name of a port", _NAME_REMEDY)
        elif port.name in names:
            yield issue(f"{at}.name", f"there is already a port {port.name}", "Rename one of them.")
        names.add(port.name)
        if (port.port, port.protocol) in numbers:
            yield issue(f"{at}.port", f"port {port.port} is given twice", "Remove one of them.")
        numbers.add((port.port, port.protocol))
        yield from _target(port.target_port, f"{at}.targetPort")


def _target(port: int | str | None, path: str) -> Iterator[Issue]:
    if isinstance(port, int) and not 0 <= port <= 65535:
        yield issue(path, f"must be a port number, 1 to 65535, got {port}")
    elif isinstance(port, str) and port and not _is_port_name(port):
        remedy = "Write a number without quotes." if port.isdecimal() else _PORT_NAME_REMEDY
        yield issue(path, f"{port[:80]!r} is not a name of a port", remedy)


def _is_port_name(text: str) -> bool:
    return len(text) <= 15 and _PORT_NAME.fullmatch(text) is not None


def _selector(workload: Deployment | ReplicaSet | StatefulSet | DaemonSet) -> Iterator[Issue]:
    selector, labels = workload.spec.selector, workload.spec.template.metadata.labels
    if not selector.match_labels and not selector.match_expressions:
        remedy = "Write matchLabels with labels of spec.template.metadata.labels."
        yield issue("spec.selector", "selects nothing", remedy)
    for label, value in selector.match_labels.items():
        if labels.get(label) != value:
            message = f"the selector does not match the pods' labels: {label} is {value!r} here and "
            message += f"{labels.get(label, '(missing)')!r} in spec.template.metadata.labels"
            yield issue(f"spec.selector.matchLabels.{label}", message, "Write the same in both.")


def _pod(spec: PodSpec, path: str) -> Iterator[Issue]:
    names: set[str] = set()
    for at, container in containers_of(spec, path):
        if not is_lower_dns_label(container.name):
            yield issue(f"{at}.name", f"{container.name[:80]!r} is not a name of a container", _NAME_REMEDY)
        elif container.name in names:
            yield issue(f"{at}.name", f"there is already a container {container.name}", "Rename one of them.")
        names.add(container.name)
        yield from _ports(container, at)
    yield from volume_issues(spec, path)


def _ports(container: Container, path: str) -> Iterator[Issue]:
    names: Sequence[str] = [port.name for port in container.ports]
    for index, port in enumerate(container.ports):
        at = f"{path}.ports[{index}]"
        if not 1 <= port.container_port <= 65535:
            yield issue(f"{at}.containerPort", f"must be a port number, 1 to 65535, got {port.container_port}")
        if port.name and not _is_port_name(port.name):
            yield issue(f"{at}.name", f"{port.name[:80]!r} is not a name of a port", _PORT_NAME_REMEDY)
        elif port.name and port.name in names[:index]:
            yield issue(f"{at}.name", f"there is already a port {port.name}", "Rename one of them.")
