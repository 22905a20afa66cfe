"""What the embedded mesh refuses by name, and what it accepts without effect."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch

from labsupport.controlplane.translate import gateway_api_refusal, unsupported
from labsupport.controlplane.translate.gateway.tls import CIPHERS
from labsupport.engine.embedded import collector, effects, harmful
from labsupport.engine.embedded.harmful import Refusal
from labsupport.engine.embedded.pods import demands
from labsupport.engine.embedded.pods.demands import CLUSTER
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.errors import ManifestError, Problem
from labsupport.model import (
    RULES,
    ConfigMap,
    Deployment,
    DestinationRule,
    Gateway,
    Resource,
    Service,
    ServiceEntry,
    Sidecar,
    VirtualService,
)
from labsupport.model.gatewayapi import ROUTES
from labsupport.model.hosts import CLUSTER_DOMAIN, looked_up
from labsupport.model.kinds.gateway import ServerTLSSettings
from labsupport.model.kinds.trafficpolicy import ClientTLSSettings, PortTrafficPolicy, TrafficPolicy
from labsupport.model.schema.syntax import is_ip

__all__ = ["notes", "problems", "taken_node_ports"]

_KUBERNETES = ("Namespace", "Service", "Deployment", "ConfigMap", "Secret", "ServiceAccount")
_RUNS = (*_KUBERNETES, "ReferenceGrant", "GatewayClass", "Telemetry")
_OF_ISTIO = "Write it as a VirtualService or Gateway of networking.istio.io/v1."
# Istio's own filters, certificates and extensions are not part of the Envoy that runs here.
_NEEDS_ISTIO = {
    "PeerAuthentication": "its sidecars have no certificates, so there is no mutual TLS",
    "RequestAuthentication": "it does not check tokens",
    "AuthorizationPolicy": "it does not enforce access policies",
    "EnvoyFilter": "the shape of its listeners differs from istiod's, so a patch would not fit",
    "WasmPlugin": "it fetches no extensions",
}
# RedirectAction.RedirectResponseCode of Envoy; istiod's validation takes every 3xx.
_REDIRECT_CODES = (301, 302, 303, 307, 308)
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_NODE_PORTS = range(30_000, 32_768)


def problems(objects: Iterable[Resource], images: Programs) -> list[Problem]:
    """Everything that this mesh cannot do, as problems with place and remedy."""
    problems: list[Problem] = []
    for resource in objects:
        for path, message, remedy in _refused(resource, images):
            origin = resource.origin
            line = origin.line_of(path) if path else origin.line
            problems.append(
                Problem(message, origin.file, origin.document, line, f"{resource.kind}/{resource.name}", path, remedy)
            )
    return problems


def taken_node_ports(objects: Iterable[Resource]) -> list[Problem]:
    """Node ports that are asked for twice; in a cluster there is one of each.

    Args:
        objects: all that there will be; of two that ask for the same, the later one is wrong.
    """
    owners: dict[tuple[str, int], Resource] = {}
    problems = []
    for service in objects:
        for index, port in enumerate(service.spec.ports if isinstance(service, Service) else ()):
            place = (port.protocol, port.node_port)
            if not port.node_port or place not in owners:
                owners[place] = service
                continue
            path, origin = f"spec.ports[{index}].nodePort", service.origin
            message = f"{port.node_port} is the node port of Service/{owners[place].name} already"
            remedy, line = "Take another one, or leave it out to get a free one.", origin.line_of(path)
            problems.append(
                Problem(message, origin.file, origin.document, line, f"Service/{service.name}", path, remedy)
            )
    return problems


def _refused(resource: Resource, images: Programs) -> Iterator[Refusal]:
    if resource.kind in _NEEDS_ISTIO:
        yield "", f"the embedded mesh has no {resource.kind}: {_NEEDS_ISTIO[resource.kind]}", CLUSTER
        return
    if reason := gateway_api_refusal(resource):
        yield "kind", reason, _OF_ISTIO
        return
    if resource.called not in (*_RUNS, *RULES):
        yield "", f"the embedded mesh does not run the kind {resource.kind}", f"It runs {', '.join((*_RUNS, *RULES))}."
        return
    for path, reason in unsupported(resource):
        yield path, reason, "" if isinstance(resource, ROUTES) else CLUSTER
    yield from _of_kind(resource, images)


@singledispatch
def _of_kind(resource: Resource, images: Programs) -> Iterator[Refusal]:
    """What is wrong with an object of a kind that has a form of its own below."""
    return iter(())


@_of_kind.register
def _deployment(deployment: Deployment, images: Programs) -> Iterator[Refusal]:
    yield from demands.refusals(deployment, images)


@_of_kind.register
def _service(service: Service, images: Programs) -> Iterator[Refusal]:
    if service.spec.cluster_ip == "None":
        yield "spec.clusterIP", "a headless Service needs pods with addresses of their own", CLUSTER
    if service.spec.type == "ExternalName":
        yield from _foreign(service.spec.external_name or "", "spec.externalName")
    # What the API server asks of node ports, so that a manifest does on a cluster what it does here.
    for index, port in enumerate(service.spec.ports):
        at = f"spec.ports[{index}].nodePort"
        if port.node_port and service.spec.type not in ("NodePort", "LoadBalancer"):
            yield (
                at,
                f"a Service of type {service.spec.type} has no node ports",
                "Write type: NodePort.",
            )
        elif port.node_port and port.node_port not in _NODE_PORTS:
            reason = f"{port.node_port} is not in the range of node ports, {_NODE_PORTS[0]}-{_NODE_PORTS[-1]}"
            yield at, reason, "Take a number of the range, or leave it out to get a free one."


@_of_kind.register
def _config_map(config_map: ConfigMap, images: Programs) -> Iterator[Refusal]:
    try:
        mesh = collector.mesh_of([config_map])
    except ManifestError as error:
        for problem in error.problems:
            yield "data.mesh", problem.message, "Correct it, or leave it out."
        return
    for name, provider in mesh.tracers:
        if provider.http is not None:
            reason = f"the provider {name} sends spans over HTTP, and the embedded mesh takes them over gRPC"
            yield "data.mesh", reason, "Leave http out, and name the port for OTLP over gRPC (4317)."


@_of_kind.register
def _virtual_service(virtual_service: VirtualService, images: Programs) -> Iterator[Refusal]:
    for index, rule in enumerate(virtual_service.spec.http):
        code = rule.redirect.redirect_code if rule.redirect is not None else 0
        if code and code not in _REDIRECT_CODES:
            yield (
                f"spec.http[{index}].redirect.redirectCode",
                f"Envoy has no redirect with status {code}; it would refuse the whole table, on a cluster too",
                f"Use {', '.join(str(known) for known in _REDIRECT_CODES)}.",
            )


@_of_kind.register
def _destination_rule(destination_rule: DestinationRule, images: Programs) -> Iterator[Refusal]:
    policies = [("spec.trafficPolicy", destination_rule.spec.traffic_policy)]
    policies += [
        (f"spec.subsets[{index}].trafficPolicy", subset.traffic_policy)
        for index, subset in enumerate(destination_rule.spec.subsets)
    ]
    for path, policy in policies:
        if policy is None:
            continue
        levels: list[tuple[str, TrafficPolicy | PortTrafficPolicy]] = [(path, policy)]
        levels += [
            (f"{path}.portLevelSettings[{index}]", level) for index, level in enumerate(policy.port_level_settings)
        ]
        for place, level in levels:
            if level.load_balancer is not None and level.load_balancer.simple == "PASSTHROUGH":
                yield f"{place}.loadBalancer.simple", "PASSTHROUGH needs captured connections", CLUSTER
            if level.load_balancer is not None and level.load_balancer.consistent_hash is not None:
                yield from harmful.of_hash(level.load_balancer.consistent_hash, f"{place}.loadBalancer.consistentHash")
            if level.tls is not None:
                yield from _originated(level.tls, f"{place}.tls")


@_of_kind.register
def _gateway(gateway: Gateway, images: Programs) -> Iterator[Refusal]:
    for index, server in enumerate(gateway.spec.servers):
        if server.bind not in ("", "0.0.0.0"):
            reason = "the gateway of the embedded mesh has one address"
            yield f"spec.servers[{index}].bind", reason, "Leave bind out."
        if server.tls is not None:
            yield from _files(server.tls, f"spec.servers[{index}].tls")
            yield from _unreadable(server.tls, f"spec.servers[{index}].tls")


@_of_kind.register
def _service_entry(service_entry: ServiceEntry, images: Programs) -> Iterator[Refusal]:
    resolution = service_entry.spec.resolution or "NONE"
    if resolution == "NONE":
        yield "spec.resolution", "resolution NONE needs captured connections", CLUSTER
    elif resolution == "DYNAMIC_DNS":
        yield "spec.resolution", "DYNAMIC_DNS looks up whatever a caller names", CLUSTER
    elif resolution != "STATIC":
        for index, endpoint in enumerate(service_entry.spec.endpoints):
            refused = _elsewhere if is_ip(endpoint.address) else _foreign
            yield from refused(endpoint.address, f"spec.endpoints[{index}].address")
        # Without endpoints the host itself is looked up.
        looked_up = service_entry.spec.endpoints or service_entry.spec.workload_selector is not None
        for index, host in enumerate(() if looked_up else service_entry.spec.hosts):
            yield from _foreign(host, f"spec.hosts[{index}]")
        return

    for index, endpoint in enumerate(service_entry.spec.endpoints):
        yield from _elsewhere(endpoint.address, f"spec.endpoints[{index}].address")


def _foreign(name: str, path: str) -> Iterator[Refusal]:
    """A name that leads to no Service of the lab; it is never looked up."""
    # A name server that finds another name for one looks for that as it is, and no resolver completes it.
    if not looked_up(f"{name.removesuffix('.')}." if path == "spec.externalName" else name):
        field = "an endpoint with the address " if path.startswith("spec.hosts") else ""
        yield (
            path,
            f"{name} would be looked up outside this machine, and the embedded mesh asks no name server",
            f"Name {field}<service>.<namespace>.svc.{CLUSTER_DOMAIN} to lead it to a Service of the lab. {CLUSTER}",
        )


def _elsewhere(address: str, path: str) -> Iterator[Refusal]:
    """An endpoint that no proxy of this machine may connect to."""
    remedy = f"Name 127.0.0.1 and a port on which something listens, or select pods of the lab. {CLUSTER}"
    if address.startswith("unix://"):
        yield path, "the embedded mesh connects to no sockets of other programs", remedy
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address) not in _LOOPBACK:
            yield path, f"{address} is no address of this machine, and the embedded mesh connects to no other", remedy


@_of_kind.register
def _sidecar(sidecar: Sidecar, images: Programs) -> Iterator[Refusal]:
    if sidecar.spec.ingress:
        yield "spec.ingress", "what reaches a pod of the embedded mesh goes to the ports of its container", CLUSTER
    for index, listener in enumerate(sidecar.spec.egress):
        at = f"spec.egress[{index}]"
        if listener.bind:
            yield f"{at}.bind", "a sidecar of the embedded mesh has one address for all that leaves", CLUSTER
        if listener.capture_mode == "NONE":
            yield f"{at}.captureMode", "the embedded mesh captures all or nothing", CLUSTER


def _unreadable(tls: ServerTLSSettings, path: str) -> Iterator[Refusal]:
    """What istiod lets pass, and Envoy then refuses with the whole listener."""
    if tls.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        return
    refused = "and Envoy would refuse the whole listener, on a cluster too"
    if tls.mode == "SIMPLE" and tls.subject_alt_names:
        reason = f"mode SIMPLE trusts no authority to say whose a client's certificate is, {refused}"
        yield f"{path}.subjectAltNames", reason, "Use mode MUTUAL, or leave subjectAltNames out."
    of_certificate, of_key = tls.verify_certificate_hash, tls.verify_certificate_spki
    for field, values, form, readable in (
        ("verifyCertificateHash", of_certificate, "the SHA-256 of a certificate in 64 hexadecimal digits", _is_hash),
        ("verifyCertificateSpki", of_key, "the SHA-256 of a public key in base64", _is_digest),
    ):
        for index, value in enumerate(values if _by_name(tls) else ()):
            if not readable(value):
                reason = f"{value[:80]!r} is not {form}, {refused}"
                yield f"{path}.{field}[{index}]", reason, "Correct it, or leave it out."
    for index, suite in enumerate(tls.cipher_suites):
        operator, name = suite[:1], suite[1:]
        if suite in ("", "ALL") or operator.isalnum():
            continue
        group = suite.removeprefix("[").removesuffix("]").split("|") if operator == "[" and suite[-1:] == "]" else []
        if (group and all(cipher in CIPHERS for cipher in group)) or (
            operator in ("-", "!") and name in CIPHERS and tls.cipher_suites[0] == "ALL" and index
        ):
            continue
        reason = f"{suite[:80]!r} leaves no list of ciphers that Envoy can read, {refused}"
        yield f"{path}.cipherSuites[{index}]", reason, "List the cipher suites by name, or leave cipherSuites out."


def _is_hash(text: str) -> bool:
    digits = text.replace(":", "") if re.fullmatch(r"..(:..){31}", text) else text
    return bool(re.fullmatch(r"[0-9A-Fa-f]{64}", digits))


def _is_digest(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        return False


def _originated(tls: ClientTLSSettings, path: str) -> Iterator[Refusal]:
    """What of the TLS that a proxy begins itself it cannot do here."""
    if tls.mode == "ISTIO_MUTUAL":
        yield f"{path}.mode", "sidecars here have no certificates, so ISTIO_MUTUAL cannot work", CLUSTER
    yield from _files(tls, path)


def _by_name(tls: ServerTLSSettings | ClientTLSSettings) -> bool:
    return bool(tls.credential_name or (isinstance(tls, ServerTLSSettings) and tls.credential_names))


_FILES = {
    "server_certificate", "client_certificate", "private_key", "ca_certificates", "ca_crl", "tls_certificates",
}  # fmt: skip


def _files(tls: ServerTLSSettings | ClientTLSSettings, path: str) -> Iterator[Refusal]:
    """Certificates that are named by files of the proxy's container, where they would be read."""
    if tls.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL") or _by_name(tls):
        return
    for name, value in tls.model_dump(by_alias=True, include=_FILES).items():
        # The one name that is no file: the authorities that the machine trusts.
        if not value or value == "system":
            continue
        reason = f"{name} names a file in the proxy's container, and proxies of the embedded mesh have none"
        remedy = "Put the certificate into a Secret, named as credentialName; labsupport.certificates makes both."
        yield f"{path}.{name}", reason, remedy


def notes(objects: Sequence[Resource], images: Programs, told: set[str]) -> list[str]:
    """What is accepted but does nothing here, and what another program plays, each told once.

    Args:
        objects: what is applied.
        images: the programs of this lab.
        told: what was told before; what is told now is added.
    """
    texts: dict[str, None] = {}
    played: dict[str, None] = {}
    for resource in objects:
        texts |= dict.fromkeys(field for field in effects.without_effect(resource) if field not in told)
        played |= dict.fromkeys(effects.mesh_wide(resource))
        if isinstance(resource, Deployment):
            played |= dict.fromkeys(demands.notes(resource, images))
    services = [resource for resource in objects if isinstance(resource, Service)]
    balanced = [
        f"Service/{service.name}: no load balancer gives it an address here; it is reached by its node port, as "
        f"loadbalancer:{service.name}/ and by what lab.urls() tells"
        for service in services
        if service.spec.type == "LoadBalancer"
    ]
    balanced += [
        f"Service/{service.name}: nothing leads from its externalIPs to this machine"
        for service in services
        if service.spec.external_ips
    ]
    balancers = [text for text in balanced if text not in told]
    stand_ins = [text for text in played if text not in told]
    told |= {*texts, *balancers, *stand_ins}
    return ([f"no effect on the embedded mesh: {', '.join(texts)}"] if texts else []) + balancers + stand_ins
