"""Whether a gateway's server has what it needs for TLS: certificates with their keys, and whom to trust."""

from __future__ import annotations

from labsupport.explain.catalog import Catalog, meant
from labsupport.model import ConfigMap, Secret, Server
from labsupport.model.gatewayapi.certificates import authority_problem, pair_problem

__all__ = ["lacking"]

_MUTUAL = ("MUTUAL", "OPTIONAL_MUTUAL")
_SUFFIX = "-cacert"
# The certificate that a proxy has from its mesh.
_BUILT_IN = "builtin://"


def lacking(catalog: Catalog, server: Server, namespace: str) -> str:
    """Why a server that ends TLS closes every connection; empty if it has what it needs.

    Args:
        catalog: what there is.
        server: the server.
        namespace: of the gateway's pod.
    """
    tls = server.tls
    if tls is None or tls.mode not in ("SIMPLE", *_MUTUAL):
        return ""
    names = tls.credential_names or [name for name in (tls.credential_name,) if name]
    if not names:
        # Only of a listener of the Gateway API nothing may be left.
        own = tls.server_certificate or tls.tls_certificates
        return "" if own else "the server has no certificate: the first of those that its listener names is of no use"
    for name in names:
        if problem := _certificate(catalog, name, namespace):
            return f"the server has no certificate: {problem}"
    if tls.mode in _MUTUAL:
        trusted = tls.ca_cert_credential_name or f"{names[0]}{_SUFFIX}"
        if problem := _authority(catalog, trusted, namespace):
            return f"the server asks for the client's certificate ({tls.mode}), and knows nobody to trust: {problem}"
    return ""


def _certificate(catalog: Catalog, name: str, namespace: str) -> str:
    if name == _BUILT_IN:
        return ""
    if name.endswith(_SUFFIX):
        return f"Istio reads {name} as whom to trust, and as no certificate with its key"
    spaces, own = _place(catalog, name, namespace)
    holder = _found(catalog, "Secret", spaces, [own])
    if isinstance(holder, Secret):
        problem = pair_problem(holder)
        return f"Secret {own}: {problem}" if problem else ""
    hint = meant(own, {known for kind, space, known in catalog.holders if kind == "Secret" and space in spaces})
    return f"there is no Secret {own}" + (f"; {hint}" if hint else "")


def _authority(catalog: Catalog, name: str, namespace: str) -> str:
    """By its name there is a Secret of its own, or it is in that of the server."""
    spaces, own = _place(catalog, name, namespace)
    short = own.removesuffix(_SUFFIX)
    kind, names = ("ConfigMap", [short]) if name.startswith("configmap:") else ("Secret", [own, short])
    if kind == "Secret" and short == own:
        return f"Istio reads whom to trust from names that end in {_SUFFIX} only, and not from {own}"
    holder = _found(catalog, kind, spaces, names)
    if holder is None:
        return f"there is no {kind} {own}"
    problem = authority_problem(holder)
    return f"{kind} {holder.name}: {problem}" if problem else ""


def _place(catalog: Catalog, name: str, namespace: str) -> tuple[list[str], str]:
    """Where a name is looked up, and what is looked up there; only listeners may name another namespace."""
    scheme, _, place = name.rpartition("://")
    space, _, own = place.rpartition("/")
    if not space:
        return list(dict.fromkeys((namespace, catalog.namespace))), own
    return [space] if scheme in ("kubernetes-gateway", "configmap") or space == namespace else [], own


def _found(catalog: Catalog, kind: str, spaces: list[str], names: list[str]) -> Secret | ConfigMap | None:
    places = ((kind, space, name) for space in spaces for name in names)
    return next((catalog.holders[place] for place in places if place in catalog.holders), None)
