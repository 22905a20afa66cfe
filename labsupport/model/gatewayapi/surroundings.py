"""What Gateways and routes refer to across objects: classes, namespaces, certificates, and who may refer to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labsupport.model.kinds.core import ConfigMap, Namespace, Secret
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass
from labsupport.model.kinds.gatewayapi.policies import ReferenceGrant
from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.model.schema.base import Resource

__all__ = ["CONTROLLER", "OWN_CLASSES", "REMOTE", "Grants", "Surroundings", "grants_of", "permits"]

CONTROLLER = "istio.io/gateway-controller"
"""The name by which istiod signs a status."""

REMOTE = "istio.io/unmanaged-gateway"
"""The controller of Gateways that another cluster runs."""
OWN_CLASSES = {"istio": CONTROLLER, "istio-remote": REMOTE}
"""The GatewayClasses that istiod has by itself, with their controllers."""

_ASKING = ("Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
_ASKED = ("ConfigMap", "Secret", "Service")

Grants = frozenset[tuple[str, str, str, str, str]]
"""Kind and namespace of who refers, kind, namespace and name (empty for any) of what is referred to."""


def grants_of(objects: Iterable[Resource], namespace: str = "") -> Grants:
    """What ReferenceGrants allow.

    Args:
        objects: all objects.
        namespace: the namespace of objects that name none.
    """
    return frozenset(
        (source.kind, source.namespace, target.kind, resource.namespace or namespace, target.name)
        for resource in objects
        if isinstance(resource, ReferenceGrant)
        for source in resource.spec.from_
        if source.group == GROUP and source.kind in _ASKING
        for target in resource.spec.to
        if not target.group and target.kind in _ASKED
    )


def permits(grants: Grants, asking: tuple[str, str], target: tuple[str, str, str]) -> bool:
    """Whether one may refer to an object of another namespace.

    Args:
        grants: what ReferenceGrants allow.
        asking: kind and namespace of who refers.
        target: kind, namespace and name of the object.
    """
    kind, space, name = target
    return any((*asking, kind, space, text) in grants for text in (name, ""))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the listeners of Gateways refer to.

    Args:
        classes: controller of each GatewayClass; those that istiod knows by itself are among them.
        namespaces: labels of each namespace.
        holders: Secrets and ConfigMaps by kind, namespace and name.
        grants: who may refer to objects of other namespaces.
    """

    classes: Mapping[str, str]
    namespaces: Mapping[str, Mapping[str, str]]
    holders: Mapping[tuple[str, str, str], Secret | ConfigMap]
    grants: Grants

    @classmethod
    def of(cls, objects: Iterable[Resource], namespace: str = "") -> Surroundings:
        """Collect it.

        Args:
            objects: all objects.
            namespace: the namespace of objects that name none.
        """
        listed = list(objects)
        classes = OWN_CLASSES | {
            item.name: item.spec.controller_name for item in listed if isinstance(item, GatewayClass)
        }
        namespaces: dict[str, Mapping[str, str]] = {item.namespace or namespace: {} for item in listed}
        namespaces |= {item.name: item.metadata.labels for item in listed if isinstance(item, Namespace)}
        namespaces.pop("", None)
        return cls(
            classes,
            {name: {"kubernetes.io/metadata.name": name, **labels} for name, labels in namespaces.items()},
            {
                (item.kind, item.namespace or namespace, item.name): item
                for item in listed
                if isinstance(item, Secret | ConfigMap)
            },
            grants_of(listed, namespace),
        )

    def granted(self, source: str, target: tuple[str, str, str]) -> bool:
        """Whether a Gateway may refer to a Secret or ConfigMap.

        Args:
            source: the Gateway's namespace.
            target: kind, namespace and name.
        """
        return target[1] == source or permits(self.grants, ("Gateway", source), target)
