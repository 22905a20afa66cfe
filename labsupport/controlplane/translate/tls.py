"""``trafficPolicy.tls``: TLS that the proxy originates, and ``proxyProtocol``.

Mutual TLS between sidecars (mode ISTIO_MUTUAL, and what Istio does by itself) is left out: upstream Envoy has no
Istio agent that would serve the certificates.
"""

from __future__ import annotations

from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.policy import PortPolicy
from labsupport.model.kinds.trafficpolicy import ClientTLSSettings, ProxyProtocol
from labsupport.records import JsonObject

__all__ = ["TLS_SOCKET", "apply_tls", "credential_secret", "file_secret"]

TLS_SOCKET = "envoy.transport_sockets.tls"
_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_BUILTIN = "builtin://"
_TYPED = ("kubernetes://", "kubernetes-gateway://", "configmap://")
_RAW_BUFFER = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_PROXY_PROTOCOL = (
    "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
)
_PROXY_PROTOCOL_SOCKET = "envoy.transport_sockets.upstream_proxy_protocol"


def file_secret(name: str) -> JsonObject:
    """A secret that the Istio agent would serve from files."""
    source: JsonObject = {
        "api_config_source": {
            "api_type": "GRPC",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
            "set_node_on_first_message_only": True,
            "transport_api_version": "V3",
        },
        "resource_api_version": "V3",
    }
    if name in ("default", "ROOTCA"):
        # A proxy waits for the certificates that every proxy has.
        source["initial_fetch_timeout"] = "0s"
    return {"name": name, "sds_config": source}


def credential_secret(name: str) -> JsonObject:
    """A secret that the control plane serves from a Kubernetes Secret."""
    if name.startswith(_BUILTIN):
        # The gateway's own certificate, and the root that it trusts, come from its agent.
        return file_secret("default" if name == _BUILTIN else "ROOTCA")
    name = name.removeprefix("sds://")
    resource = name if name.startswith(_TYPED) else f"kubernetes://{name}"
    return {"name": resource, "sds_config": {"ads": {}, "resource_api_version": "V3"}}


def apply_tls(
    context: Context,
    cluster: JsonObject,
    options: JsonObject,
    service: ServiceRecord,
    port: RegistryPort,
    rule: MergedRule | None,
    policy: PortPolicy | None,
) -> None:
    """Set the transport socket of a cluster.

    Args:
        context: the proxy.
        cluster: the cluster, changed in place.
        options: its HttpProtocolOptions, changed in place.
        service: the service it leads to.
        port: the port of it.
        rule: the DestinationRule that counts for it.
        policy: the policy of that rule that counts for it.
    """
    settings = policy.tls if policy is not None else None
    # Without a word about TLS, sidecars talk mutual TLS or plain text.
    chooses = settings is None and context.mesh.auto_mtls and _may_be_mutual(service, port, rule)
    if service.resolution == "DYNAMIC_DNS" and (chooses or (settings is not None and settings.mode == "ISTIO_MUTUAL")):
        _check_called_name(cluster, options, service, settings or ClientTLSSettings())
    if settings is not None and settings.mode in ("SIMPLE", "MUTUAL"):
        by_configmap = settings.credential_name.startswith("configmap://")
        selected = rule is not None and rule.selector is not None
        # A sidecar may not read Secrets by name, unless the rule was made for its very workload.
        if not settings.credential_name or by_configmap or context.is_gateway or selected:
            _originate(cluster, options, service, settings, context.mesh)
    mutual = settings is not None and settings.mode == "ISTIO_MUTUAL"
    if policy is not None and policy.proxy_protocol is not None and not mutual:
        # Of the choice between mutual TLS and plain text only the latter is left here.
        _proxy_protocol(cluster, policy.proxy_protocol, chooses=chooses)


def _may_be_mutual(service: ServiceRecord, port: RegistryPort, rule: MergedRule | None) -> bool:
    """Whether sidecars try mutual TLS with a service of which no rule says so."""
    policy = rule.traffic_policy if rule is not None else None
    balancer = policy.load_balancer if policy is not None else None
    if service.resolution == "PASSTHROUGH" or (balancer is not None and balancer.simple == "PASSTHROUGH"):
        # Where the caller picks the address, one endpoint without a sidecar decides for all.
        endpoints = service.endpoints_by_number(port)
        return bool(endpoints) and all(endpoint.tls_mode != "disabled" for endpoint in endpoints)
    return not service.mesh_external


def _check_called_name(
    cluster: JsonObject, options: JsonObject, service: ServiceRecord, settings: ClientTLSSettings
) -> None:
    """Let Envoy send and check the name that was called, where the rule does not say names of its own."""
    # With names that are found out per request, the certificate is always checked against the name that was called.
    dynamic = service.resolution == "DYNAMIC_DNS"
    upstream: JsonObject = {}
    if not settings.sni:
        upstream["auto_sni"] = True
    if not settings.insecure_skip_verify and (dynamic or not (settings.sni or settings.subject_alt_names)):
        upstream["auto_san_validation"] = True
    if upstream:
        options.setdefault("upstream_http_protocol_options", {}).update(upstream)
    if dynamic and len(upstream) < 2:
        cluster["cluster_type"]["typed_config"]["allow_insecure_cluster_options"] = True


def _originate(
    cluster: JsonObject, options: JsonObject, service: ServiceRecord, settings: ClientTLSSettings, mesh: MeshConfig
) -> None:
    names = list(settings.subject_alt_names)
    skip = bool(settings.insecure_skip_verify)
    _check_called_name(cluster, options, service, settings)
    if not (service.kubernetes or names or service.resolution == "DYNAMIC_DNS"):
        names = list(service.server_names)
    common: JsonObject = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}
    }
    validation: JsonObject = {}
    if names:
        validation["match_subject_alt_names"] = [{"exact": name} for name in names]
    mutual = settings.mode == "MUTUAL"
    if settings.credential_name:
        if mutual:
            common["tls_certificate_sds_secret_configs"] = [credential_secret(settings.credential_name)]
        trusted = credential_secret(f"{settings.credential_name}-cacert")
    else:
        if mutual:
            pair = f"file-cert:{settings.client_certificate}~{settings.private_key}"
            common["tls_certificate_sds_secret_configs"] = [file_secret(pair)]
        if settings.ca_crl:
            validation["crl"] = {"filename": settings.ca_crl}
        trusted = file_secret(f"file-root:{settings.ca_certificates or 'system'}")
    if skip and not settings.credential_name:
        common["validation_context"] = {}
    elif not skip:
        common["combined_validation_context"] = {
            "default_validation_context": validation,
            "validation_context_sds_secret_config": trusted,
        }
    if mesh.ecdh_curves:
        common["tls_params"]["ecdh_curves"] = list(mesh.ecdh_curves)
    if mesh.cipher_suites:
        common["tls_params"]["cipher_suites"] = list(mesh.cipher_suites)
    if "http2_protocol_options" in options.get("explicit_http_config", {}):
        common["alpn_protocols"] = ["h2"]
    typed: JsonObject = {"@type": _CONTEXT, "common_tls_context": common}
    if settings.sni:
        typed["sni"] = settings.sni
    cluster["transport_socket"] = {"name": TLS_SOCKET, "typed_config": typed}


def _proxy_protocol(cluster: JsonObject, settings: ProxyProtocol, *, chooses: bool) -> None:
    version = {"version": "V2"} if settings.version == "V2" else {}
    inner = cluster.get("transport_socket") or {
        "name": "envoy.transport_sockets.raw_buffer" if chooses else "raw_buffer",
        "typed_config": {"@type": _RAW_BUFFER},
    }
    socket = {
        "name": _PROXY_PROTOCOL_SOCKET,
        "typed_config": {"@type": _PROXY_PROTOCOL, "config": version, "transport_socket": inner},
    }
    if chooses:
        cluster["transport_socket_matches"] = [{"name": "tlsMode-disabled", "match": {}, "transport_socket": socket}]
    else:
        cluster["transport_socket"] = socket
