"""Kinds of Istio that are known by name but are not about routing; their ``spec`` is kept as it was written."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from labsupport.model.base import Istio

__all__ = [
    "AuthorizationPolicy",
    "EnvoyFilter",
    "OtherIstio",
    "PeerAuthentication",
    "ProxyConfig",
    "RequestAuthentication",
    "Telemetry",
    "TrafficExtension",
    "WasmPlugin",
    "WorkloadGroup",
]


class OtherIstio(Istio):
    """A kind of Istio outside the course's subject.

    Attributes:
        PURPOSE: what the kind is for, in a few words.
    """

    PURPOSE: ClassVar[str] = ""

    spec: dict[str, Any] = Field(default_factory=dict)


class EnvoyFilter(OtherIstio):
    """Patches of the generated Envoy configuration."""

    KIND = "EnvoyFilter"
    GROUP = "networking.istio.io"
    VERSIONS = ("v1alpha3",)
    PURPOSE = "patches Envoy's configuration by hand"


class ProxyConfig(OtherIstio):
    """Settings of proxies."""

    KIND = "ProxyConfig"
    GROUP = "networking.istio.io"
    VERSIONS = ("v1beta1",)
    PURPOSE = "sets options of proxies"


class WorkloadGroup(OtherIstio):
    """A template of WorkloadEntries."""

    KIND = "WorkloadGroup"
    GROUP = "networking.istio.io"
    VERSIONS = ("v1", "v1beta1", "v1alpha3")
    PURPOSE = "describes workloads that are not pods"


class AuthorizationPolicy(OtherIstio):
    """Who may call whom."""

    KIND = "AuthorizationPolicy"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "decides who may call whom"


class PeerAuthentication(OtherIstio):
    """Mutual TLS between workloads."""

    KIND = "PeerAuthentication"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "sets mutual TLS between workloads"


class RequestAuthentication(OtherIstio):
    """Checks of JWTs."""

    KIND = "RequestAuthentication"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "checks the tokens of requests"


class Telemetry(OtherIstio):
    """Metrics, access logs and traces."""

    KIND = "Telemetry"
    GROUP = "telemetry.istio.io"
    VERSIONS = ("v1", "v1alpha1")
    PURPOSE = "configures metrics, access logs and traces"


class WasmPlugin(OtherIstio):
    """Extensions of proxies in WebAssembly."""

    KIND = "WasmPlugin"
    GROUP = "extensions.istio.io"
    VERSIONS = ("v1alpha1",)
    PURPOSE = "extends proxies by WebAssembly"


class TrafficExtension(OtherIstio):
    """Extensions of proxies in WebAssembly or Lua."""

    KIND = "TrafficExtension"
    GROUP = "extensions.istio.io"
    VERSIONS = ("v1alpha1",)
    PURPOSE = "extends proxies by WebAssembly or Lua"
