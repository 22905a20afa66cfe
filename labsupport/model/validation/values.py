"""What the API server says to values in Kubernetes' own kinds: names of variables, keys, references, sizes.

The rules are those of ``k8s.io/kubernetes/pkg/apis/core/validation`` and ``apimachinery``; a test compares the verdicts
with those of a real API server.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from labsupport.model.kinds.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from labsupport.model.kinds.core import BarePod, ConfigMap, Secret, Service
from labsupport.model.kinds.pods import Container, PodSpec
from labsupport.model.schema.base import Metadata, Resource
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.names import is_dns_subdomain
from labsupport.model.schema.syntax import is_ip
from labsupport.model.validation.variables import (
    KEY_REMEDY,
    NAME_REMEDY,
    QUALIFIED_REMEDY,
    containers_of,
    is_key,
    is_qualified,
    issue,
    variable_issues,
)
from labsupport.records import Json

__all__ = ["value_issues"]

_PERCENT = re.compile(r"[0-9]+%")
_LARGEST_OBJECT = 1024 * 1024
_LARGEST_ANNOTATIONS = 256 * 1024
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def value_issues(resource: Resource) -> Iterator[Issue]:
    """Check the values of an object of Kubernetes' own that its schema accepts.

    Args:
        resource: any object.

    Yields:
        what an API server refuses.
    """
    yield from _annotations(resource.metadata, "metadata")
    if isinstance(resource, Service):
        yield from _service(resource)
    elif isinstance(resource, ConfigMap):
        yield from _keys(resource.data, "data")
        yield from _keys(resource.binary_data, "binaryData")
        for key in resource.data.keys() & resource.binary_data.keys():
            yield issue(f"data.{key}", "is given in binaryData, too", "Keep one of them.")
        yield from _size((*resource.data.values(), *resource.binary_data.values()))
    elif isinstance(resource, Secret):
        yield from _secret(resource)
    elif isinstance(resource, BarePod):
        yield from _pod(resource.spec, "spec")
    elif isinstance(resource, Deployment | ReplicaSet | StatefulSet | DaemonSet):
        yield from _annotations(resource.spec.template.metadata, "spec.template.metadata")
        yield from _pod(resource.spec.template.spec, "spec.template.spec")
        if resource.spec.template.spec.restart_policy not in (None, "", "Always"):
            message = "is Always for the pods of a workload"
            yield issue("spec.template.spec.restartPolicy", message, "Leave it out.")
        yield from _expressions(resource.spec.selector.match_expressions, resource.spec.template.metadata.labels)
        if isinstance(resource, Deployment):
            yield from _strategy(resource.spec.strategy)


def _annotations(metadata: Metadata, path: str) -> Iterator[Issue]:
    for key in metadata.annotations:
        if not is_qualified(key.lower()):
            yield issue(f"{path}.annotations.{key}", f"{key[:80]!r} is not a key", QUALIFIED_REMEDY)
    for key in metadata.labels:
        domain = key.rpartition("/")[0]
        if domain and not is_dns_subdomain(domain):
            yield issue(f"{path}.labels.{key}", f"{domain[:80]!r} is not a domain", "Use lower-case letters.")
    if sum(len(key.encode()) + len(text.encode()) for key, text in metadata.annotations.items()) > _LARGEST_ANNOTATIONS:
        yield issue(f"{path}.annotations", "are larger than 256 KiB", "Put large texts into a ConfigMap.")


def _keys(data: Mapping[str, str], path: str) -> Iterator[Issue]:
    for key in data:
        if not is_key(key):
            yield issue(f"{path}.{key}", f"{key[:80]!r} is not a key", KEY_REMEDY)


def _size(values: Iterable[str]) -> Iterator[Issue]:
    if sum(len(value.encode()) for value in values) > _LARGEST_OBJECT:
        yield issue("", "its data are larger than 1 MiB", "Part it into several objects.")


def _secret(secret: Secret) -> Iterator[Issue]:
    given = {**secret.data, **secret.string_data}
    yield from _keys(secret.data, "data")
    yield from _keys(secret.string_data, "stringData")
    # Four characters of base64 are three bytes.
    yield from _size((*secret.string_data.values(), *(value[: len(value) * 3 // 4] for value in secret.data.values())))
    for key in _SECRET_KEYS.get(secret.type, ()):
        if key not in given:
            message = f"a Secret of type {secret.type} needs the key {key}"
            yield issue(f"data[{key}]", message, "Add it under data (base64) or stringData.")
    if secret.type == "kubernetes.io/basic-auth" and not given.keys() & {"username", "password"}:
        message = f"a Secret of type {secret.type} needs the key username or password"
        yield issue("data", message, "Add one under data (base64) or stringData.")


def _pod(pod: PodSpec, path: str) -> Iterator[Issue]:
    if pod.service_account_name and not is_dns_subdomain(pod.service_account_name):
        message = f"{pod.service_account_name[:80]!r} is not a valid name"
        yield issue(f"{path}.serviceAccountName", message, NAME_REMEDY)
    for at, container in containers_of(pod, path):
        yield from _container(container, at)


def _container(container: Container, path: str) -> Iterator[Issue]:
    if not container.image:
        yield issue(path, "has no image", "Write for instance image: web.")
    for index, port in enumerate(container.ports):
        if isinstance(port.host_port, int) and not 0 <= port.host_port <= 65535:
            yield issue(f"{path}.ports[{index}].hostPort", "must be a port number, 1 to 65535", "Leave it out.")
    yield from variable_issues(container, path)


def _expressions(expressions: Json, labels: Mapping[str, str]) -> Iterator[Issue]:
    for index, expression in enumerate(expressions if isinstance(expressions, list) else ()):
        path = f"spec.selector.matchExpressions[{index}]"
        written = expression if isinstance(expression, dict) else {}
        key, values = str(written.get("key") or ""), written.get("values") or []
        value, operator = labels.get(key), written.get("operator")
        if operator not in _OPERATORS or not isinstance(values, list) or bool(values) != (operator in _OPERATORS[:2]):
            remedy = f"Write one of {', '.join(_OPERATORS)}, the first two with values."
            yield issue(path, "has no operator that fits", remedy)
        elif not {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[operator]:
            message = f"the selector does not match the pods' labels: {key} is {value or '(missing)'!r}"
            yield issue(path, message, "Correct it, or spec.template.metadata.labels.")


def _strategy(strategy: Json) -> Iterator[Issue]:
    path = "spec.strategy"
    if strategy is None:
        return
    rolling = strategy.get("rollingUpdate") if isinstance(strategy, dict) else []
    if not isinstance(strategy, dict) or not isinstance(rolling, dict | None):
        yield issue(path, "is a mapping with type and rollingUpdate", "Leave it out.")
        return
    kind = strategy.get("type") or "RollingUpdate"
    if kind not in ("RollingUpdate", "Recreate"):
        yield issue(f"{path}.type", f"{str(kind)[:80]!r} is not known", "Write RollingUpdate or Recreate.")
    if rolling and kind == "Recreate":
        yield issue(f"{path}.rollingUpdate", "does not go with type Recreate", "Remove one of them.")
        return
    surge, missing = ((rolling or {}).get(name) for name in ("maxSurge", "maxUnavailable"))
    for name, number in (("maxSurge", surge), ("maxUnavailable", missing)):
        fits = number is None or (_PERCENT.fullmatch(number) if isinstance(number, str) else _is_count(number))
        if not fits:
            remedy = "Write for instance 1 or 25%."
            yield issue(f"{path}.rollingUpdate.{name}", "is a number of pods or a percentage", remedy)
        elif name == "maxUnavailable" and isinstance(number, str) and int(number[:-1][:9]) > 100:
            yield issue(f"{path}.rollingUpdate.{name}", "is 100% at most", "Write for instance 25%.")
    if str(surge).strip("%") == str(missing).strip("%") == "0":
        yield issue(f"{path}.rollingUpdate", "maxSurge and maxUnavailable are both 0", "Let one of them be more.")


def _is_count(number: Json) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31


def _service(service: Service) -> Iterator[Issue]:
    spec = service.spec
    if not spec.ports and spec.cluster_ip != "None" and spec.type != "ExternalName":
        yield issue("spec.ports", "a Service needs at least one port", "Write for instance ports: [{port: 80}].")
    if spec.type == "ExternalName" and not is_dns_subdomain(spec.external_name.lower().rstrip(".")):
        what = f"{spec.external_name[:80]!r} is not a host name" if spec.external_name else "is required"
        yield issue("spec.externalName", what, "Write the name of a host.")
    for index, port in enumerate(spec.ports):
        if port.app_protocol is not None and not is_qualified(port.app_protocol):
            message = f"{port.app_protocol[:80]!r} is not a name of a protocol"
            yield issue(f"spec.ports[{index}].appProtocol", message, "Write for instance http.")
    if spec.session_affinity not in (None, "", "None", "ClientIP"):
        yield issue("spec.sessionAffinity", "is None or ClientIP", "Correct it, or leave it out.")
    if spec.traffic_distribution not in (None, *_DISTRIBUTIONS):
        yield issue(
            "spec.trafficDistribution", f"is one of {', '.join(_DISTRIBUTIONS)}", "Correct it, or leave it out."
        )
    if spec.external_traffic_policy and not (spec.external_ips or spec.type in ("NodePort", "LoadBalancer")):
        yield issue("spec.externalTrafficPolicy", "is for Services that are reached from outside", "Leave it out.")
    if spec.cluster_ip not in ("", "None") and not is_ip(spec.cluster_ip):
        yield issue("spec.clusterIP", f"{spec.cluster_ip[:80]!r} is not an IP address", "Leave it out to get one.")
    for index, address in enumerate(spec.external_ips):
        if not is_ip(address) or ipaddress.ip_address(address).is_loopback:
            message = f"{address[:80]!r} is not an IP address that others reach"
            yield issue(f"spec.externalIPs[{index}]", message, "Correct it, or leave it out.")
