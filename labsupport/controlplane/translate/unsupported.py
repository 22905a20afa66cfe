"""What of the model is not translated: refused by name instead of ignored."""

from __future__ import annotations

from collections.abc import Iterator

from labsupport.controlplane.registry.meshconfig import unread_fields
from labsupport.model.gatewayapi import ROUTES
from labsupport.model.gatewayapi.attach import is_mesh_parent
from labsupport.model.gatewayapi.binding import is_gateway_parent
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass, KubernetesGateway
from labsupport.model.kinds.gatewayapi.policies import BackendTLSPolicy, ReferenceGrant
from labsupport.model.kinds.gatewayapi.shared import GatewayApiResource, ParentReference
from labsupport.model.kinds.telemetry import Telemetry, TelemetrySpec
from labsupport.model.schema.base import Resource

__all__ = ["gateway_api_refusal", "unsupported"]

_NO_AGENT = "upstream Envoy has no certificates for mutual TLS between sidecars; works on a cluster with Istio"
_POLICY = (
    "istiod makes trafficPolicy.tls of a DestinationRule of a BackendTLSPolicy; the lab runs that: write it, with"
    " mode SIMPLE, sni and subjectAltNames"
)
_TRANSLATED = (*ROUTES, KubernetesGateway, GatewayClass, ReferenceGrant)
_KINDS = {
    "AuthorizationPolicy": "access rules need identities from mutual TLS; works on a cluster with Istio",
    "EnvoyFilter": "patches of generated configuration are not applied; works on a cluster with Istio",
    "PeerAuthentication": _NO_AGENT,
    "ProxyConfig": "proxies are set up by annotations of their pods; works on a cluster with Istio",
    "RequestAuthentication": "tokens are not checked; works on a cluster with Istio",
    "TrafficExtension": "extensions of proxies are not loaded; works on a cluster with Istio",
    "WasmPlugin": "extensions of proxies are not loaded; works on a cluster with Istio",
    "WorkloadGroup": "it is only a template for WorkloadEntries of virtual machines; works on a cluster with Istio",
}


def gateway_api_refusal(resource: Resource) -> str:
    """Say of an object of the Gateway API that the lab judges it, but runs it nowhere yet.

    Args:
        resource: any model object.

    Returns:
        the reason; empty for routes, whose parents count, for Gateways with their classes, for ReferenceGrants, and for
        every object of another group.
    """
    if isinstance(resource, BackendTLSPolicy):
        return _POLICY
    if not isinstance(resource, GatewayApiResource) or isinstance(resource, _TRANSLATED):
        return ""
    return f"{resource.kind} of the Gateway API is checked (workshop validate), but the lab does not run it yet"


def unsupported(resource: Resource) -> list[tuple[str, str]]:
    """List what of an object has no translation.

    Args:
        resource: any model object.

    Returns:
        Field path (empty for the whole object) and reason for each; empty if everything is translated.
    """
    reason = gateway_api_refusal(resource) or _KINDS.get(resource.kind)
    if reason is not None:
        return [("", reason)]
    if isinstance(resource, ROUTES):
        return [
            (
                f"spec.parentRefs[{index}]",
                _parent_reason(parent),
            )
            for index, parent in enumerate(resource.spec.parent_refs)
            if not is_mesh_parent(parent) and not is_gateway_parent(parent)
        ]
    if isinstance(resource, KubernetesGateway):
        return list(_of_gateway(resource))
    if resource.kind == "ConfigMap":
        reason = "this field of the mesh configuration plays no part in routing here; works on a cluster with Istio"
        return [(f"data.mesh.{field}", reason) for field in unread_fields(resource)]
    if isinstance(resource, Telemetry):
        return list(_of_telemetry(resource.spec))
    if isinstance(resource, Gateway):
        return [
            (f"spec.servers[{index}].tls.mode", _gateway_reason(server.tls.mode))
            for index, server in enumerate(resource.spec.servers)
            if server.tls is not None and _gateway_reason(server.tls.mode)
        ]
    return []


def _of_gateway(gateway: KubernetesGateway) -> Iterator[tuple[str, str]]:
    for index, listener in enumerate(gateway.spec.listeners):
        mode = listener.tls.options.get("gateway.istio.io/tls-terminate-mode", "") if listener.tls is not None else ""
        if mode.startswith("ISTIO_"):
            yield f"spec.listeners[{index}].tls.options", _NO_AGENT
    if gateway.spec.tls is not None and gateway.spec.tls.backend is not None:
        yield "spec.tls.backend", "certificates of the gateway's own for backends are not sent; works on a cluster"
    if gateway.spec.infrastructure is not None and gateway.spec.infrastructure.parameters_ref is not None:
        yield "spec.infrastructure.parametersRef", "Deployment and Service are made as they come; works on a cluster"
    if gateway.spec.allowed_listeners is not None:
        yield "spec.allowedListeners", "there are no ListenerSets; works on a cluster with Istio"


def _parent_reason(parent: ParentReference) -> str:
    if parent.kind in ("Service", "ServiceEntry"):
        right = '""' if parent.kind == "Service" else "networking.istio.io"
        return (
            f"no {parent.kind} is in the group {parent.group}, which counts where none is written; add group: {right}"
        )
    return f'the lab has no {parent.kind} for routes; bind it to a Gateway or a Service (group: "", kind: Service)'


def _of_telemetry(spec: TelemetrySpec) -> Iterator[tuple[str, str]]:
    if spec.metrics or spec.access_logging:
        field = "metrics" if spec.metrics else "accessLogging"
        yield f"spec.{field}", "access logs and metrics are always on; works on a cluster with Istio"
    if spec.target_ref is not None or spec.target_refs:
        field = "targetRefs" if spec.target_refs else "targetRef"
        yield f"spec.{field}", "it names gateways of the Gateway API; works on a cluster with Istio"
    for index, rule in enumerate(spec.tracing):
        for name, tag in rule.custom_tags.items():
            if tag.formatter is not None:
                path = f"spec.tracing[{index}].customTags.{name}.formatter"
                yield path, "a literal, a header or a variable makes a tag; works on a cluster with Istio"


def _gateway_reason(mode: str) -> str:
    if mode == "ISTIO_MUTUAL":
        return _NO_AGENT
    if mode == "AUTO_PASSTHROUGH":
        return "it passes mutual TLS between sidecars of several clusters on; works on a cluster with Istio"
    return ""
