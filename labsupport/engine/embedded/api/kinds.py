"""The resources that the front serves: names, versions, verbs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from labsupport.model import CLUSTER_SCOPED, KINDS, RULES, Resource, find_kind
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass, KubernetesGateway
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute, TCPRoute, TLSRoute
from labsupport.model.kinds.gatewayapi.policies import ReferenceGrant
from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.model.kinds.telemetry import Telemetry

__all__ = ["API_KINDS", "ApiKind", "api_kind", "group_versions", "kind_of", "kinds_of"]

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class ApiKind:
    """One resource of the API.

    Args:
        kind: as the lab calls it.
        group: its API group; empty for the core group.
        versions: the preferred one first.
        plural: its name in paths.
        short: names that kubectl takes for it.
        verbs: what can be done with it.
        categories: groups of resources that kubectl takes as one, such as ``all``.
        subresources: by name, the kind and the verbs of each.
    """

    kind: str
    group: str
    versions: tuple[str, ...]
    plural: str
    short: tuple[str, ...] = ()
    verbs: tuple[str, ...] = WRITE
    categories: tuple[str, ...] = ()
    subresources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    @property
    def manifest_kind(self) -> str:
        """Its kind as manifests write it."""
        return self.model.KIND if self.model is not None else self.kind

    @property
    def namespaced(self) -> bool:
        """Whether it lives in namespaces."""
        return self.kind not in CLUSTER_SCOPED

    @property
    def model(self) -> type[Resource] | None:
        """The class of its manifests; None for what nobody writes."""
        return find_kind(self.kind)

    @property
    def built_in(self) -> bool:
        """Whether Kubernetes itself has it; the rest are kinds of Istio and the Gateway API, which a CRD defines."""
        return not self.group.endswith("istio.io") and self.group != GROUP

    @property
    def counted(self) -> bool:
        """Whether its objects count the changes of their ``spec``, as ``metadata.generation``."""
        return self.kind in (*RULES, "Telemetry", "Deployment", "ReplicaSet")

    @property
    def qualified(self) -> str:
        """Plural and group, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str = "") -> str:
        """``apiVersion`` of its objects; of the preferred version by default."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version


def _rule(kind: str, plural: str, *short: str) -> ApiKind:
    model = KINDS[kind]
    categories = ("istio-io", "networking-istio-io")
    return ApiKind(kind, model.GROUP, model.VERSIONS, plural, short, categories=categories)


_STATUS = ("status", "", ("get",))
API_KINDS: Final[tuple[ApiKind, ...]] = (
    ApiKind("ConfigMap", "", ("v1",), "configmaps", ("cm",)),
    ApiKind("Event", "", ("v1",), "events", ("ev",), READ),
    ApiKind("Namespace", "", ("v1",), "namespaces", ("ns",), subresources=(_STATUS,)),
    ApiKind(
        "Pod",
        "",
        ("v1",),
        "pods",
        ("po",),
        READ,
        ("all",),
        (
            _STATUS,
            ("log", "", ("get",)),
            ("exec", "PodExecOptions", ("create", "get")),
            ("portforward", "PodPortForwardOptions", ("create", "get")),
            ("proxy", "PodProxyOptions", ("get",)),
        ),
    ),
    ApiKind("Secret", "", ("v1",), "secrets"),
    ApiKind("Service", "", ("v1",), "services", ("svc",), categories=("all",), subresources=(_STATUS,)),
    ApiKind("ServiceAccount", "", ("v1",), "serviceaccounts", ("sa",)),
    ApiKind(
        "Deployment",
        "apps",
        ("v1",),
        "deployments",
        ("deploy",),
        categories=("all",),
        subresources=(_STATUS, ("scale", "Scale", ("get", "patch", "update"))),
    ),
    ApiKind("ReplicaSet", "apps", ("v1",), "replicasets", ("rs",), READ, ("all",), (_STATUS,)),
    ApiKind("EndpointSlice", "discovery.k8s.io", ("v1",), "endpointslices", (), READ),
    ApiKind("PodMetrics", "metrics.k8s.io", ("v1beta1",), "pods", (), ("get", "list")),
    _rule("DestinationRule", "destinationrules", "dr"),
    _rule("Gateway", "gateways", "gw"),
    _rule("ServiceEntry", "serviceentries", "se"),
    _rule("Sidecar", "sidecars"),
    _rule("VirtualService", "virtualservices", "vs"),
    ApiKind(
        "Telemetry",
        Telemetry.GROUP,
        Telemetry.VERSIONS,
        "telemetries",
        ("telemetry",),
        categories=("istio-io", "telemetry-istio-io"),
    ),
    ApiKind("GatewayClass", GROUP, GatewayClass.VERSIONS, "gatewayclasses", ("gc",), categories=("gateway-api",)),
    ApiKind(
        "KubernetesGateway",
        GROUP,
        KubernetesGateway.VERSIONS,
        "gateways",
        ("gtw",),
        categories=("gateway-api",),
    ),
    *(
        ApiKind(kind.KIND, GROUP, kind.VERSIONS, f"{kind.KIND.lower()}s", categories=("gateway-api",))
        for kind in (HTTPRoute, GRPCRoute, TCPRoute, TLSRoute)
    ),
    ApiKind(
        "ReferenceGrant", GROUP, ReferenceGrant.VERSIONS, "referencegrants", ("refgrant",), categories=("gateway-api",)
    ),
)

assert {*RULES} <= {entry.kind for entry in API_KINDS}


def group_versions() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every API group with its versions, the core group first."""
    groups: dict[str, tuple[str, ...]] = {}
    for entry in API_KINDS:
        groups.setdefault(entry.group, entry.versions)
    yield from groups.items()


def kinds_of(group: str, version: str) -> list[ApiKind]:
    """The resources of a version of an API group."""
    return [entry for entry in API_KINDS if entry.group == group and version in entry.versions]


def api_kind(group: str, version: str, plural: str) -> ApiKind | None:
    """The resource of a path; None if there is no such one."""
    return next((entry for entry in kinds_of(group, version) if entry.plural == plural), None)


def kind_of(kind: str) -> ApiKind:
    """The resource of a kind."""
    return next(entry for entry in API_KINDS if entry.kind == kind)
