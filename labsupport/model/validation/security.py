"""istiod's verdicts on the kinds of security.istio.io."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from labsupport.model.kinds.otheristio import PolicyTargetReference
from labsupport.model.kinds.security import (
    AuthorizationPolicySpec,
    AuthorizationRule,
    JWTRule,
    Operation,
    PeerAuthenticationSpec,
    RequestAuthenticationSpec,
    Source,
)
from labsupport.model.kinds.telemetry import TelemetrySpec
from labsupport.model.schema.protojson import DecodeError
from labsupport.model.schema.syntax import cidr_problem, port_problem
from labsupport.model.validation.common import check_workload_selector
from labsupport.model.validation.findings import Findings

__all__ = [
    "check_attachment",
    "check_authorization_policy",
    "check_peer_authentication",
    "check_request_authentication",
    "check_targets",
]

_TARGETS = frozenset(
    {
        ("", "Service"),
        ("core", "Service"),
        ("networking.istio.io", "ServiceEntry"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    }
)
_PLAIN_ATTRIBUTES = frozenset(
    {
        "source.namespace",
        "source.principal",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "connection.sni",
    }
)
_KEYED_ATTRIBUTES = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_SEGMENT = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_PUBLIC_PARTS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "oct": ("k",)}


def check_targets(references: Sequence[PolicyTargetReference | None], path: str, found: Findings) -> None:
    """Check what a policy is attached to.

    Args:
        references: the references; None stands for one that is not given.
        path: field path; of a list if there are several.
        found: where findings go.
    """
    for reference in references:
        if reference is None:
            continue
        if not reference.name:
            found.error(f"{path}.name", "is required")
        if reference.namespace:
            found.error(f"{path}.namespace", "must be left out: policies target only their own namespace")
        if (reference.group, reference.kind) not in _TARGETS:
            shown = f"{reference.group}/{reference.kind}"
            found.error(
                path, f"{shown[:80]} cannot be a target", "Targets are Service, ServiceEntry and Gateway API kinds."
            )


def check_attachment(
    spec: AuthorizationPolicySpec | RequestAuthenticationSpec | TelemetrySpec, found: Findings
) -> None:
    """Check which workloads or targets a policy is for.

    Args:
        spec: the policy's spec.
        found: where findings go.
    """
    check_workload_selector(spec.selector, "spec.selector", found)
    check_targets([spec.target_ref], "spec.targetRef", found)
    check_targets(spec.target_refs, "spec.targetRefs", found)


def check_authorization_policy(spec: AuthorizationPolicySpec, found: Findings) -> None:
    """Check an AuthorizationPolicy.

    Args:
        spec: its spec.
        found: where findings go.
    """
    check_attachment(spec, found)
    if spec.action in ("CUSTOM", "DENY") and not spec.rules:
        found.error("spec.rules", f"action {spec.action} needs a rule", "Write rules: [{}] for every request.")
    if spec.action == "CUSTOM":
        if spec.rules and (spec.provider is None or not spec.provider.name):
            found.error("spec.provider.name", "is required with action CUSTOM")
    elif spec.provider is not None:
        found.error("spec.provider", "goes only with action CUSTOM")
    for index, rule in enumerate(spec.rules):
        path = f"spec.rules[{index}]"
        if spec.action == "CUSTOM":
            _custom(rule, path, found)
        _rule(rule, path, spec.action, found)


def _custom(rule: AuthorizationRule, path: str, found: Findings) -> None:
    """Refuse what an external authorizer cannot use."""
    for number, entry in enumerate(rule.from_):
        source = entry.source
        if source is None:
            continue
        refused = {
            "namespaces": source.namespaces + source.not_namespaces,
            "serviceAccounts": source.service_accounts + source.not_service_accounts,
            "trustDomains": source.trust_domains + source.not_trust_domains,
            "principals": source.principals + source.not_principals,
            "requestPrincipals": source.request_principals + source.not_request_principals,
        }
        for name, values in refused.items():
            if values:
                found.error(f"{path}.from[{number}].source", f"{name} is not supported with action CUSTOM")
    keys = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal")
    for number, condition in enumerate(rule.when):
        if condition.key in keys or condition.key.startswith("request.auth."):
            found.error(f"{path}.when[{number}].key", f"{condition.key[:60]} is not supported with action CUSTOM")


def _rule(rule: AuthorizationRule, path: str, action: str, found: Findings) -> None:
    sources = [entry.source for entry in rule.from_]
    operations = [entry.operation for entry in rule.to]
    for number, source in enumerate(sources):
        _source(source, f"{path}.from[{number}].source", found)
    for number, operation in enumerate(operations):
        _operation(operation, f"{path}.to[{number}].operation", found)
    for number, condition in enumerate(rule.when):
        place = f"{path}.when[{number}]"
        if not condition.key:
            found.error(f"{place}.key", "must not be empty")
        elif not condition.values and not condition.not_values:
            found.error(place, "needs values or notValues")
        else:
            for name, values in (("values", condition.values), ("notValues", condition.not_values)):
                _attribute(condition.key, values, f"{place}.{name}", found)
    given = [source for source in sources if source is not None]
    asked = [operation for operation in operations if operation is not None]
    tcp_from = any(_has_tcp(source) for source in given)
    tcp_to = any(operation.ports or operation.not_ports for operation in asked)
    if action == "DENY" and ((given and not asked and not tcp_from) or (asked and not tcp_to)):
        message = "denies all traffic to TCP ports, too, because it names only HTTP attributes"
        found.warn(path, message, "Name the ports it is about.")


def _has_tcp(source: Source) -> bool:
    names = source.principals + source.not_principals + source.namespaces + source.not_namespaces
    blocks = source.ip_blocks + source.not_ip_blocks + source.remote_ip_blocks + source.not_remote_ip_blocks
    return bool(names + blocks + source.service_accounts + source.not_service_accounts)


def _source(source: Source | None, path: str, found: Findings) -> None:
    if source is None:
        found.error(path, "is required")
        return
    accounts = source.service_accounts + source.not_service_accounts
    if accounts and (source.principals or source.not_principals or source.namespaces or source.not_namespaces):
        found.error(path, "serviceAccounts cannot be given with principals or namespaces")
    domains = source.trust_domains + source.not_trust_domains
    plain = {
        "principals": source.principals + source.not_principals,
        "requestPrincipals": source.request_principals + source.not_request_principals,
        "namespaces": source.namespaces + source.not_namespaces,
    }
    blocks = source.ip_blocks + source.not_ip_blocks + source.remote_ip_blocks + source.not_remote_ip_blocks
    if not (accounts or domains or blocks or any(plain.values())):
        found.error(path, "must have at least one field")
    for name, values in plain.items():
        _not_empty(values, f"{path}.{name}", found)
    _each(blocks, f"{path}.ipBlocks", cidr_problem, found)
    _each(accounts, f"{path}.serviceAccounts", _account_problem, found)
    _each(domains, f"{path}.trustDomains", _domain_problem, found)


def _operation(operation: Operation | None, path: str, found: Findings) -> None:
    if operation is None:
        found.error(path, "is required")
        return
    lists = {
        "hosts": operation.hosts + operation.not_hosts,
        "methods": operation.methods + operation.not_methods,
        "paths": operation.paths + operation.not_paths,
        "ports": operation.ports + operation.not_ports,
    }
    if not any(lists.values()):
        found.error(path, "must have at least one field")
    for name, values in lists.items():
        _not_empty(values, f"{path}.{name}", found)
    _each(lists["ports"], f"{path}.ports", _port_problem, found)
    _each(lists["paths"], f"{path}.paths", _path_problem, found)


def _not_empty(values: Sequence[str], path: str, found: Findings) -> None:
    if "" in values:
        found.error(path, "an entry is empty")


def _each(values: Sequence[str], path: str, check: Callable[[str], str], found: Findings) -> None:
    for value in values:
        found.error(path, check(value))


def _port_problem(text: str) -> str:
    fine = text.isascii() and text.isdigit() and int(text[:20]) <= 65535
    return "" if fine else f"{text[:60]!r} is not a port number"


def _account_problem(text: str) -> str:
    parts = text.split("/")
    fine = len(parts) <= 2 and all(parts) and "*" not in text and len(text.encode()) <= 320
    return "" if fine else f"{text[:60]!r} must be a service account, or namespace/account"


def _wildcard_problem(text: str) -> str:
    stars = text.count("*")
    fine = text and (stars == 0 or (stars == 1 and (text.startswith("*") or text.endswith("*"))))
    return "" if fine else f"{text[:60]!r}: one * is allowed, at the start or at the end"


def _domain_problem(text: str) -> str:
    return f"{text[:60]!r} is not a trust domain" if "/" in text else _wildcard_problem(text)


def _path_problem(text: str) -> str:
    templated = "{*}" in text or "{**}" in text
    ended = False
    for segment in text.strip("/").split("/"):
        if segment in ("{*}", "{**}"):
            if ended:
                return f"{text[:60]!r}: {{**}} must be the last template"
            ended = segment == "{**}"
        elif "{" in segment or "}" in segment:
            return f"{text[:60]!r}: braces are allowed only as {{*}} and {{**}} between slashes"
        elif templated and not _SEGMENT.fullmatch(segment):
            return f"{text[:60]!r}: {segment[:40]!r} is not allowed beside a template"
    return ""


def _attribute(key: str, values: Sequence[str], path: str, found: Findings) -> None:
    if "" in values:
        found.error(path, "an entry is empty")
    elif key.startswith(_KEYED_ATTRIBUTES):
        start = key.find("[")
        if not (key.endswith("]") and 0 < start < len(key) - 2):
            found.error(path, f"the key {key[:60]!r} must have the form attribute[name]")
    elif key in ("source.ip", "remote.ip", "destination.ip"):
        _each(values, path, cidr_problem, found)
    elif key == "source.serviceAccount":
        if len(values) > 16:
            found.error(path, "may not have more than 16 entries")
        _each(values, path, _account_problem, found)
    elif key == "source.trustDomain":
        _each(values, path, _wildcard_problem, found)
    elif key == "destination.port":
        _each(values, path, _port_problem, found)
    elif key not in _PLAIN_ATTRIBUTES:
        found.error(path, f"{key[:60]!r} is not an attribute that conditions can use")


def check_peer_authentication(spec: PeerAuthenticationSpec, found: Findings) -> None:
    """Check a PeerAuthentication.

    Args:
        spec: its spec.
        found: where findings go.
    """
    if spec.port_level_mtls and (spec.selector is None or not spec.selector.match_labels):
        found.error("spec.portLevelMtls", "needs a selector with matchLabels")
    for port in spec.port_level_mtls:
        if not _WHOLE.fullmatch(port):  # istiod cannot even read it: the keys are numbers in the proto
            raise DecodeError(f"spec.portLevelMtls.{port}", "is not a port number")
        found.error(f"spec.portLevelMtls.{port}", port_problem(int(port)))
    check_workload_selector(spec.selector, "spec.selector", found)


def check_request_authentication(spec: RequestAuthenticationSpec, found: Findings) -> None:
    """Check a RequestAuthentication.

    Args:
        spec: its spec.
        found: where findings go.
    """
    check_attachment(spec, found)
    for index, rule in enumerate(spec.jwt_rules):
        _jwt(rule, f"spec.jwtRules[{index}]", found)


def _jwt(rule: JWTRule, path: str, found: Findings) -> None:
    if not rule.issuer and not rule.jwks_uri:
        found.error(path, "needs issuer or jwksUri")
    lists = {"audiences": rule.audiences, "fromParams": rule.from_params, "fromCookies": rule.from_cookies}
    lists["fromHeaders"] = [header.name for header in rule.from_headers]
    for name, values in lists.items():
        _not_empty(values, f"{path}.{name}", found)
    if rule.jwks:
        _jwks(rule.jwks, f"{path}.jwks", found)
    found.duration(f"{path}.timeout", rule.timeout)


def _jwks(text: str, path: str, found: Findings) -> None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        found.error(path, "is not JSON")
        return
    keys = parsed.get("keys", [parsed]) if isinstance(parsed, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        found.error(path, "is not a set of JSON web keys")
        return
    for index, key in enumerate(keys):
        parts = _PUBLIC_PARTS.get(str(key.get("kty")))
        if parts is None or not all(isinstance(key.get(part), str) for part in parts):
            found.error(path, f"key {index} is not a JSON web key")
        elif "d" in key or key["kty"] == "oct":
            found.warn(path, f"key {index} has private parts; only public keys are needed")
