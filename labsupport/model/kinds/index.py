"""The index of kinds: which class models which ``apiVersion`` and ``kind``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from labsupport.model.kinds import apps, core
from labsupport.model.kinds.canary import Canary
from labsupport.model.kinds.destinationrule import DestinationRule
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass, KubernetesGateway
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute, TCPRoute, TLSRoute
from labsupport.model.kinds.gatewayapi.policies import BackendTLSPolicy, ReferenceGrant
from labsupport.model.kinds.otheristio import OTHER_KINDS
from labsupport.model.kinds.serviceentry import ServiceEntry, WorkloadEntry
from labsupport.model.kinds.sidecar import Sidecar
from labsupport.model.kinds.telemetry import Telemetry
from labsupport.model.kinds.virtualservice import VirtualService
from labsupport.model.schema.base import Resource
from labsupport.model.schema.suggest import closest
from labsupport.records import Json

__all__ = [
    "CLUSTER_SCOPED",
    "KINDS",
    "RULES",
    "api_versions",
    "class_of",
    "closest_kind",
    "exported",
    "find_kind",
    "placed",
]

R = TypeVar("R", bound=Resource)

_CLASSES: Final[tuple[type[Resource], ...]] = (
    core.Namespace,
    core.Service,
    core.ConfigMap,
    core.Secret,
    core.ServiceAccount,
    core.BarePod,
    apps.Deployment,
    apps.ReplicaSet,
    apps.StatefulSet,
    apps.DaemonSet,
    VirtualService,
    DestinationRule,
    Gateway,
    ServiceEntry,
    WorkloadEntry,
    Sidecar,
    *OTHER_KINDS,
    Telemetry,
    GatewayClass,
    KubernetesGateway,
    HTTPRoute,
    GRPCRoute,
    TCPRoute,
    TLSRoute,
    ReferenceGrant,
    BackendTLSPolicy,
    Canary,
)

KINDS: Final[dict[str, type[Resource]]] = {cls.KIND: cls for cls in _CLASSES if cls is not KubernetesGateway}
"""Every known kind by its name; ``Gateway``, of which two groups have one, is Istio's here."""

CALLED: Final[dict[str, type[Resource]]] = {cls.CALLED or cls.KIND: cls for cls in _CLASSES}
"""Every known kind by what the lab calls it."""

_BY_GROUP: Final = {(cls.GROUP, cls.KIND): cls for cls in _CLASSES}

CLUSTER_SCOPED: Final[frozenset[str]] = frozenset({"Namespace", "GatewayClass"})
"""Kinds without a namespace."""

_ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute")
RULES: Final = (
    "VirtualService",
    *_ROUTES,
    "DestinationRule",
    "Gateway",
    "KubernetesGateway",
    "ServiceEntry",
    "Sidecar",
)
"""Kinds that tell proxies where traffic goes, of those that both engines run."""


def api_versions(cls: type[Resource]) -> tuple[str, ...]:
    """List the ``apiVersion`` values of a kind.

    Args:
        cls: the class of the kind.

    Returns:
        such as ``("networking.istio.io/v1", ...)``, the preferred one first.
    """
    return tuple(f"{cls.GROUP}/{version}" if cls.GROUP else version for version in cls.VERSIONS)


def class_of(raw: Mapping[str, Json]) -> type[Resource] | None:
    """Find the class of an object by its group and kind, or else by its kind.

    Args:
        raw: the object.

    Returns:
        the class, or None; its group may be another one than that of the object.
    """
    kind, version = raw.get("kind"), raw.get("apiVersion")
    if not isinstance(kind, str):
        return None
    group = version.rpartition("/")[0] if isinstance(version, str) else ""
    return _BY_GROUP.get((group, kind)) or KINDS.get(kind)


def closest_kind(word: str, group: str | None = None) -> str:
    """The kind that somebody meant; empty rather than one that is only a little alike.

    Args:
        word: as written.
        group: of which API group it has to be; None for any.
    """
    return closest(word, [name for name, cls in KINDS.items() if group in (None, cls.GROUP)], likeness=0.78)


def find_kind(kind: str) -> type[Resource] | None:
    """Find the class of a kind as a person writes it.

    Args:
        kind: the kind in any case, plural or the usual short name (``vs``, ``deploy``, ``virtualservices``).

    Returns:
        the class, or None.
    """
    word = kind.lower()
    short = {"vs": "VirtualService", "dr": "DestinationRule", "gw": "Gateway", "se": "ServiceEntry"}
    short |= {"svc": "Service", "deploy": "Deployment", "cm": "ConfigMap", "ns": "Namespace", "po": "Pod"}
    short |= {"sa": "ServiceAccount", "we": "WorkloadEntry", "wg": "WorkloadGroup", "rs": "ReplicaSet"}
    short |= {"sts": "StatefulSet", "ds": "DaemonSet", "gc": "GatewayClass"}
    if word in ("gtw", "gtws", "kubernetesgateway", "kubernetesgateways"):
        return KubernetesGateway
    if word in short:
        return KINDS[short[word]]
    for name, cls in KINDS.items():
        singular = name.lower()
        plural = singular[:-1] + "ies" if singular.endswith("y") else singular + "s"
        if word in (singular, plural):
            return cls
    return None


def placed(resource: R, namespace: str) -> R:
    """An object in a namespace, unless it names one or has none.

    Args:
        resource: the object; it is not changed.
        namespace: the one that counts where none is written.
    """
    if resource.namespace or resource.kind in CLUSTER_SCOPED:
        return resource
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update={"namespace": namespace})})


def exported(resource: Resource, export_to: Sequence[str]) -> Resource:
    """An object with the ``exportTo`` that counts for it.

    Args:
        resource: the object; it is not changed.
        export_to: that of rules and ServiceEntries without one; Istio's default if empty.
    """
    if not export_to or not isinstance(resource, VirtualService | DestinationRule | ServiceEntry):
        return resource
    if resource.spec.export_to:
        return resource
    return resource.model_copy(update={"spec": resource.spec.model_copy(update={"export_to": list(export_to)})})
