"""Documents that are no object of the lab, and what to make of them: parts of an object, and kinds of other systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport.model.kinds.destinationrule import Subset
from labsupport.model.kinds.gateway import Server
from labsupport.model.kinds.index import KINDS
from labsupport.model.kinds.serviceentry import ServicePort
from labsupport.model.kinds.virtualservice import HTTPRoute
from labsupport.model.schema.base import Resource, Schema
from labsupport.records import Json, JsonObject

__all__ = ["instead_of", "kind_elsewhere", "list_part_of", "part_of"]

_MESH = "The lab is the mesh already, and its namespaces are members; leave this out."
_RIGHTS = ("gives rights", "Leave it out: a lab belongs to whoever opened it.")
_WATCHING = ("installs a tool that watches a mesh", "Leave it out: the lab has its own pictures, logs and counters.")
_MUTUAL_TLS = ("asked for mutual TLS before Istio 1.5", "Write a PeerAuthentication, for a cluster with Istio.")
_INSTEAD: Mapping[tuple[str, str], tuple[str, str]] = {
    ("extensions", "Ingress"): ("lets requests for a host in", "Write a Gateway and a VirtualService."),
    ("networking.k8s.io", "Ingress"): ("lets requests for a host in", "Write a Gateway and a VirtualService."),
    ("networking.k8s.io", "NetworkPolicy"): (
        "filters connections below the mesh",
        "Leave it out: traffic stays as it is.",
    ),
    ("route.openshift.io", "Route"): (
        "is OpenShift's way in",
        "Write a Gateway and a VirtualService; lab.urls() tells the address.",
    ),
    ("maistra.io", "ServiceMeshControlPlane"): ("installs a mesh on OpenShift", _MESH),
    ("maistra.io", "ServiceMeshMember"): ("adds a namespace to a mesh on OpenShift", _MESH),
    ("maistra.io", "ServiceMeshMemberRoll"): ("adds namespaces to a mesh on OpenShift", _MESH),
    ("install.istio.io", "IstioOperator"): ("installs Istio", _MESH),
    ("sailoperator.io", "Istio"): ("installs Istio", _MESH),
    ("gateway.networking.k8s.io", "ListenerSet"): (
        "adds listeners to a Gateway of the Gateway API",
        "Write them in the Gateway itself.",
    ),
    ("gateway.networking.k8s.io", "UDPRoute"): ("routes datagrams, which no proxy of Istio does", "Leave it out."),
    ("project.openshift.io", "Project"): ("is OpenShift's Namespace", "Write a Namespace of v1."),
    ("project.openshift.io", "ProjectRequest"): ("is OpenShift's Namespace", "Write a Namespace of v1."),
    ("security.openshift.io", "SecurityContextConstraints"): _RIGHTS,
    ("rbac.authorization.k8s.io", "Role"): _RIGHTS,
    ("rbac.authorization.k8s.io", "RoleBinding"): _RIGHTS,
    ("rbac.authorization.k8s.io", "ClusterRole"): _RIGHTS,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _RIGHTS,
    ("operators.coreos.com", "Subscription"): ("installs an operator", _MESH),
    ("operators.coreos.com", "OperatorGroup"): ("installs an operator", _MESH),
    ("jaegertracing.io", "Jaeger"): _WATCHING,
    ("kiali.io", "Kiali"): _WATCHING,
    ("monitoring.coreos.com", "ServiceMonitor"): _WATCHING,
    ("authentication.istio.io", "Policy"): _MUTUAL_TLS,
    ("authentication.istio.io", "MeshPolicy"): _MUTUAL_TLS,
    ("authentication.maistra.io", "ServiceMeshPolicy"): _MUTUAL_TLS,
    ("", "PersistentVolumeClaim"): ("asks for a disk", "Let the pod have an emptyDir instead."),
    ("", "ReplicationController"): ("keeps pods running, as Deployments do", "Write a Deployment of apps/v1."),
    ("apps.openshift.io", "DeploymentConfig"): ("is OpenShift's Deployment", "Write a Deployment of apps/v1."),
    ("config.istio.io", "RouteRule"): ("was a rule of Istio before 1.0", "Write a VirtualService."),
    ("config.istio.io", "DestinationPolicy"): ("was a policy of Istio before 1.0", "Write a DestinationRule."),
    ("config.istio.io", "EgressRule"): ("was Istio's way out before 1.0", "Write a ServiceEntry."),
    ("autoscaling", "HorizontalPodAutoscaler"): ("scales with the load", "Scale with lab.scale(...) or replicas."),
    ("batch", "Job"): ("runs to its end, which no application of the lab does", "Send requests with lab.send(...)."),
}
_LISTS: tuple[tuple[str, str, type[Schema]], ...] = (
    ("VirtualService", "spec.http", HTTPRoute),
    ("Gateway", "spec.servers", Server),
    ("DestinationRule", "spec.subsets", Subset),
    ("ServiceEntry", "spec.ports", ServicePort),
)
_FRAGMENT_OF = ("VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "Service", "Deployment")


def instead_of(api_version: str, kind: str) -> tuple[str, str]:
    """What a kind of another system does, and what takes its place here; empty for kinds that nobody knows.

    Args:
        api_version: as written, of any version.
        kind: the kind.
    """
    group = api_version.rpartition("/")[0]
    told = _INSTEAD.get((group, kind))
    if told is None:
        # In lists of a tutorial the group is often wrong, the kind is not.
        told = next((text for (_, name), text in _INSTEAD.items() if name == kind and kind not in KINDS), ("", ""))
    return told


def kind_elsewhere(word: str) -> str:
    """The kind of another system that a word names, in any case and number; empty for kinds that nobody knows."""
    meant = word.lower()
    return next((kind for _, kind in _INSTEAD if meant in (kind.lower() + end for end in ("", "s", "es"))), "")


def part_of(raw: JsonObject) -> tuple[str, str]:
    """Which kind a mapping without apiVersion and kind is a part of, and where it belongs there.

    Args:
        raw: the mapping.

    Returns:
        the kind and ``spec``, or what stands above ``spec`` already; two empty texts where nothing fits.
    """
    inner = raw.get("spec")
    if set(raw) <= {"spec", "metadata", "status"} and isinstance(inner, dict):
        return _kind_with(inner), "the head"
    kind = _kind_with(raw)
    return (kind, "spec") if kind else ("", "")


def list_part_of(items: Sequence[Json]) -> tuple[str, str]:
    """Which kind a list is a part of, and at which path; two empty texts where nothing fits."""
    for kind, path, model in _LISTS:
        known = {str(field.alias) for field in model.model_fields.values()}
        if items and all(isinstance(item, dict) and item and set(item) <= known for item in items):
            return kind, path
    return "", ""


def _kind_with(fields: Mapping[str, Json]) -> str:
    """The first kind whose ``spec`` has all of some fields."""
    return next((kind for kind in _FRAGMENT_OF if fields and set(fields) <= _fields(KINDS[kind])), "")


def _fields(model: type[Resource]) -> set[str]:
    spec = model.model_fields["spec"].annotation
    assert isinstance(spec, type) and issubclass(spec, Schema)
    return {str(field.alias) for field in spec.model_fields.values()}
