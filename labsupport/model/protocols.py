"""Protocols of ports, as Istio's protocol selection defines them."""

from __future__ import annotations

__all__ = [
    "APP_PROTOCOLS",
    "SERVER_FIRST",
    "is_grpc",
    "is_http",
    "is_http2",
    "is_http_or_sniffed",
    "is_tcp",
    "is_tls",
    "kubernetes_protocol",
    "listener_kind",
    "parse",
]

# What is written in manifests, in lower case, to the name used everywhere else. "" stands for automatic detection.
_NAMES = {
    "tcp": "TCP",
    "udp": "UDP",
    "grpc": "GRPC",
    "grpc-web": "GRPC-Web",
    "http": "HTTP",
    "http_proxy": "HTTP_PROXY",
    "http2": "HTTP2",
    "https": "HTTPS",
    "tls": "TLS",
    "mongo": "Mongo",
    "redis": "Redis",
    "mysql": "MySQL",
}
_HTTP2 = frozenset({"HTTP2", "GRPC", "GRPC-Web"})
_HTTP = _HTTP2 | {"HTTP", "HTTP_PROXY"}
_TLS = frozenset({"HTTPS", "TLS"})
_TCP = _TLS | {"TCP", "Mongo", "Redis", "MySQL"}
APP_PROTOCOLS = {"kubernetes.io/h2c": "HTTP2", "kubernetes.io/ws": "HTTP", "kubernetes.io/wss": "HTTPS"}
# Ports of protocols where the server speaks first, so that detection would only wait in vain.
SERVER_FIRST = frozenset({25, 53, 3306, 27017})


def parse(text: str) -> str:
    """Protocol named in an Istio object; an empty text for one that has to be detected."""
    return _NAMES.get(text.lower(), "")


def kubernetes_protocol(number: int, name: str, transport: str, app_protocol: str | None) -> str:
    """Protocol of a Kubernetes Service port, from ``appProtocol`` or else the part of its name before a hyphen."""
    if transport == "UDP":
        return "UDP"
    text = name
    if app_protocol is not None:
        if app_protocol in APP_PROTOCOLS:
            return APP_PROTOCOLS[app_protocol]
        text = app_protocol
    if text[:8].lower() == "grpc-web":
        return "GRPC-Web"
    protocol = parse(text.partition("-")[0])
    return "TCP" if not protocol and number in SERVER_FIRST else protocol


def is_http(protocol: str) -> bool:
    """Whether requests of this protocol are routed by HTTP rules."""
    return protocol in _HTTP


def is_http2(protocol: str) -> bool:
    """Whether the server speaks HTTP/2."""
    return protocol in _HTTP2


def is_http_or_sniffed(protocol: str) -> bool:
    """Whether HTTP rules apply, at least to what is detected as HTTP."""
    return not protocol or protocol in _HTTP


def is_grpc(protocol: str) -> bool:
    """Whether the protocol is gRPC in one of its forms."""
    return protocol in ("GRPC", "GRPC-Web")


def is_tcp(protocol: str) -> bool:
    """Whether connections, not requests, are routed."""
    return protocol in _TCP


def is_tls(protocol: str) -> bool:
    """Whether connections are routed by their server name."""
    return protocol in _TLS


def listener_kind(protocol: str) -> str:
    """How a sidecar listens for it: ``http``, ``tcp``, ``auto`` or an empty text for not at all."""
    if protocol in _HTTP:
        return "http"
    if protocol in _TCP:
        return "tcp"
    return "" if protocol == "UDP" else "auto"
