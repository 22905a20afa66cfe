"""Which fields of the objects that are taken have an effect here; of all others it is told that they have none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from labsupport import words
from labsupport.controlplane.registry.meshconfig import written_fields
from labsupport.engine.additions import PROXY, PROXY_CONFIG_ANNOTATION, REVISION, REVISION_LABEL
from labsupport.model import Deployment, Resource, Sidecar
from labsupport.model.gatewayapi.binding import is_gateway_parent
from labsupport.model.kinds.gateway import Port, Server
from labsupport.model.kinds.gatewayapi.httproute import CookieConfig, HTTPRouteSpec, SessionPersistence
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRouteSpec, L4RouteRule, TCPRouteSpec, TLSRouteSpec
from labsupport.model.kinds.gatewayapi.shared import ParentReference, RouteResource
from labsupport.model.kinds.serviceentry import WorkloadEntrySpec
from labsupport.model.kinds.sidecar import SidecarPort
from labsupport.model.kinds.trafficpolicy import OutlierDetection
from labsupport.model.kinds.virtualservice import L4MatchAttributes
from labsupport.model.schema.base import Schema
from labsupport.records import Json

__all__ = ["HONOURED", "MARKS", "PASSED_OVER", "REFUSED", "mesh_wide", "passed_over", "without_effect"]

_SOURCES = {
    "configMap": ("defaultMode", "items", "name", "optional"),
    "configMap.items": ("key", "mode", "path"),
    "secret": ("defaultMode", "items", "name", "optional", "secretName"),
    "secret.items": ("key", "mode", "path"),
    "downwardAPI": ("defaultMode", "items"),
    "downwardAPI.items": ("fieldRef", "mode", "path"),
    "downwardAPI.items.fieldRef": ("apiVersion", "fieldPath"),
}
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers"
_DEPLOYMENT: Final[Mapping[str, tuple[str, ...]]] = {
    "spec": ("replicas", "selector", "strategy", "template"),
    "spec.selector": ("matchExpressions", "matchLabels"),
    "spec.strategy": ("rollingUpdate", "type"),
    "spec.strategy.rollingUpdate": ("maxSurge",),
    "spec.template": ("metadata", "spec"),
    _POD: (
        "containers", "initContainers", "serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds",
        "volumes",
    ),
    _CONTAINER: ("args", "command", "env", "envFrom", "image", "name", "ports", "volumeMounts"),
    f"{_CONTAINER}.env": ("name", "value", "valueFrom"),
    f"{_CONTAINER}.env.valueFrom": ("configMapKeyRef", "fieldRef", "secretKeyRef"),
    f"{_CONTAINER}.env.valueFrom.configMapKeyRef": ("key", "name", "optional"),
    f"{_CONTAINER}.env.valueFrom.secretKeyRef": ("key", "name", "optional"),
    f"{_CONTAINER}.env.valueFrom.fieldRef": ("apiVersion", "fieldPath"),
    f"{_CONTAINER}.envFrom": ("configMapRef", "prefix", "secretRef"),
    f"{_CONTAINER}.envFrom.configMapRef": ("name", "optional"),
    f"{_CONTAINER}.envFrom.secretRef": ("name", "optional"),
    f"{_CONTAINER}.ports": ("containerPort", "name", "protocol"),
    f"{_CONTAINER}.volumeMounts": ("mountPath", "name", "readOnly", "subPath"),
    f"{_POD}.volumes": ("configMap", "downwardAPI", "emptyDir", "name", "projected", "secret"),
    f"{_POD}.volumes.projected": ("defaultMode", "sources"),
    f"{_POD}.volumes.projected.sources": ("configMap", "downwardAPI", "secret"),
    **{f"{_POD}.volumes.{path}": fields for path, fields in _SOURCES.items()},
    **{f"{_POD}.volumes.projected.sources.{path}": fields for path, fields in _SOURCES.items()},
}  # fmt: skip
HONOURED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "Namespace": {"": ("apiVersion", "kind", "metadata", "status")},
    "ServiceAccount": {"": ("apiVersion", "kind", "metadata")},
    "ConfigMap": {"": ("apiVersion", "binaryData", "data", "kind", "metadata")},
    "Secret": {"": ("apiVersion", "data", "kind", "metadata", "stringData", "type")},
    "Service": {
        "": ("apiVersion", "kind", "metadata", "spec", "status"),
        "spec": (
            "allocateLoadBalancerNodePorts", "clusterIP", "clusterIPs", "externalIPs", "externalName",
            "internalTrafficPolicy", "ports", "publishNotReadyAddresses", "selector", "trafficDistribution", "type",
        ),
        "spec.ports": ("appProtocol", "name", "nodePort", "port", "protocol", "targetPort"),
    },
    "Deployment": {"": ("apiVersion", "kind", "metadata", "spec", "status"), **_DEPLOYMENT},
}  # fmt: skip
"""By kind and path: the fields of Kubernetes' own kinds that have their effect, or are told of otherwise."""
REFUSED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "Deployment": {
        _POD: ("hostNetwork",),
        f"{_CONTAINER}.env.valueFrom": ("fileKeyRef", "resourceFieldRef"),
        f"{_CONTAINER}.volumeMounts": ("subPathExpr",),
    },
}
"""By kind and path: fields without which a pod would be another one, so that they are refused by name."""
PASSED_OVER: Final[Mapping[type[Schema], tuple[str, ...]]] = {
    L4MatchAttributes: ("source_subnet",),
    OutlierDetection: ("outlier_detection_http_error_codes",),
    Port: ("target_port",),
    Server: ("default_endpoint",),
    SidecarPort: ("target_port",),
    WorkloadEntrySpec: ("network",),
    HTTPRouteSpec: ("hostnames", "use_default_gateways"),
    GRPCRouteSpec: ("hostnames", "use_default_gateways"),
    TCPRouteSpec: ("use_default_gateways",),
    TLSRouteSpec: ("use_default_gateways",),
    L4RouteRule: ("name",),
    ParentReference: ("section_name",),
    SessionPersistence: ("absolute_timeout", "session_name", "type"),
    CookieConfig: ("lifetime_type",),
}
"""Fields from which istiod makes nothing, on a cluster too: of Istio's kinds in a mesh of one network, of routes
that are bound to a Service."""
_AT_GATEWAYS = ("hostnames", "sectionName")
POD = "Pod"
MARKS: Final[Mapping[str, tuple[str, ...]]] = {
    POD: (
        "sidecar.istio.io/inject", PROXY_CONFIG_ANNOTATION, "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision", "service.istio.io/workload-name", "topology.istio.io/locality",
        # Refused by name.
        "traffic.sidecar.istio.io/includeOutboundPorts",
    ),
    # It has none, on a cluster neither: told by the lab.
    "Deployment": ("sidecar.istio.io/inject",),
    "Namespace": ("networking.istio.io/traffic-distribution",),
    "Service": (
        "istio.io/persistent-session", "networking.istio.io/exportTo", "networking.istio.io/traffic-distribution",
    ),
    "ServiceEntry": (
        "istio.io/connect-strategy", "istio.io/persistent-session", "networking.istio.io/traffic-distribution",
    ),
    "WorkloadEntry": ("proxy.istio.io/health-checks-enabled", "topology.istio.io/locality"),
}  # fmt: skip
"""By kind: labels and annotations of Istio's own that have their effect here, where it is another one than on all."""
_OF_ISTIO = re.compile(r"(?:[a-z0-9-]+\.)*istio\.io/")
_OUTBOUND = "outboundTrafficPolicy"
_HARMLESS: Final[Mapping[str, Json]] = {"sessionAffinity": "None", "restartPolicy": "Always"}


def mesh_wide(resource: Resource) -> Iterator[str]:
    """What is told of an object that means the whole mesh: nothing here lets unknown hosts through, for one.

    Args:
        resource: an object that is not refused.
    """
    policy = resource.spec.outbound_traffic_policy if isinstance(resource, Sidecar) else None
    mesh = written_fields(resource)
    of_mesh = mesh.pop(_OUTBOUND, None)
    for name in ("defaultProviders", "enableTracing", "extensionProviders"):
        mesh.pop(name, None)
    if isinstance(mesh.get("defaultConfig"), dict) and set(mesh["defaultConfig"]) <= {"tracing"}:
        del mesh["defaultConfig"]
    if (policy is not None and policy.mode != "REGISTRY_ONLY") or "ALLOW_ANY" in str(of_mesh):
        yield (
            f"{resource.kind}/{resource.name}: outboundTrafficPolicy lets nothing out of this machine; "
            "hosts that nobody knows are answered with 502"
        )
    if mesh:
        yield (
            f"ConfigMap/{resource.name}: nobody reads the mesh configuration here, so that {words.join(sorted(mesh))} "
            f"{'has' if len(mesh) == 1 else 'have'} no effect; the mesh has Istio's defaults, and rules change them"
        )


def without_effect(resource: Resource) -> Iterator[str]:
    """Name the fields of an object that are given and have no effect here.

    Args:
        resource: an object that is not refused.
    """
    if resource.kind in HONOURED:
        yield from passed_over(resource.kind, resource.raw or resource.model_dump(by_alias=True, exclude_unset=True))
    else:
        at_gateways = isinstance(resource, RouteResource) and any(map(is_gateway_parent, resource.parents))
        yield from (name for name in _passed_over(resource) if not at_gateways or name not in _AT_GATEWAYS)
    yield from _marks(resource.kind, resource.metadata.labels, "label")
    yield from _marks(resource.kind, resource.metadata.annotations, "annotation")
    if isinstance(resource, Deployment):
        template = resource.spec.template.metadata
        yield from _marks(POD, template.labels, "label")
        yield from _marks(POD, template.annotations, "annotation")


def _marks(kind: str, marks: Mapping[str, str], what: str) -> Iterator[str]:
    """Name Istio's own labels or annotations without an effect."""
    for key, value in marks.items():
        if not _OF_ISTIO.match(key) or key in MARKS.get(kind, ()):
            continue
        if key != REVISION_LABEL:
            yield f"the {what} {key}"
        elif value != REVISION:
            yield f"the {what} {key}: {value} (the control plane here is {REVISION})"


def passed_over(kind: str, raw: Json) -> Iterator[str]:
    """Name the fields of an object of Kubernetes' own kinds that have no effect here.

    Args:
        kind: the kind.
        raw: the object as it is written.
    """
    for path, honoured in HONOURED[kind].items():
        known = {*honoured, *REFUSED.get(kind, {}).get(path, ())}
        for inner in _at(raw, path):
            yield from (name for name, value in inner.items() if name not in known and not _is_default(name, value))


def _passed_over(part: Schema) -> Iterator[str]:
    for name in sorted(part.model_fields_set):
        value = getattr(part, name)
        if name in PASSED_OVER.get(type(part), ()):
            yield str(type(part).model_fields[name].alias)
        for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]:
            if isinstance(inner, Schema):
                yield from _passed_over(inner)


def _is_default(name: str, value: Json) -> bool:
    return value is None or value is False or value in ("", [], {}) or _HARMLESS.get(name) == value


def _at(raw: Json, path: str) -> Iterator[Mapping[str, Json]]:
    """All mappings at a path; each list on the way is gone through, and the sidecar's container left out."""
    level = [raw]
    for key in path.split(".") if path else ():
        level = [each.get(key) for each in level if isinstance(each, Mapping)]
        level = [inner for each in level for inner in (each if isinstance(each, list) else [each])]
    yield from (each for each in level if isinstance(each, Mapping) and each.get("name") != PROXY)
