"""What each field of a rule makes Envoy do, which response flag may tell of it, and where it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["EFFECTS", "Effect", "effect_of"]


class Effect(NamedTuple):
    """What a field of a rule does.

    Args:
        example: the field as it may be written, in one line.
        does: a sentence on Envoy.
        flags: response flags that its requests may have in the access log.
        lab: the call of the lab that shows it.
        work: the command that shows it on a cluster.
    """

    example: str
    does: str
    flags: tuple[str, ...]
    lab: str
    work: str


_ROUTES, _CLUSTERS = "istioctl proxy-config routes POD", "istioctl proxy-config clusters POD"
_ENDPOINTS = "istioctl proxy-config endpoints POD"
_RULE, _POLICY = 'lab.config("vs/NAME")', 'lab.config("dr/NAME")'
_LOG = "kubectl logs POD -c istio-proxy"

EFFECTS: Mapping[str, Mapping[str, Effect]] = {
    "VirtualService": {
        "match": Effect(
            "match: [{headers: {user: {exact: jason}}}]",
            "Tries the rules from top to bottom: the first that fits takes the request. None fits: 404.",
            ("NR",),
            'lab.rules("vs/NAME", seen)',
            _ROUTES,
        ),
        "route": Effect(
            "route: [{destination: {host: v1}, weight: 90}, {destination: {host: v2}, weight: 10}]",
            "Draws a destination for each request, by weight. It has to be there: 503.",
            ("NC", "UH"),
            "lab.explain(url)",
            _ROUTES,
        ),
        "rewrite": Effect(
            "rewrite: {uri: /}",
            "Changes path or host once a rule has matched; the pod sees the new one.",
            (),
            _RULE,
            _ROUTES,
        ),
        "redirect": Effect(
            "redirect: {uri: /new}", "Answers itself, 301 if nothing else is said; no pod is asked.", (), _RULE, _ROUTES
        ),
        "directResponse": Effect(
            "directResponse: {status: 410}", "Answers itself; no pod is asked.", (), _RULE, _ROUTES
        ),
        "headers": Effect(
            "headers: {request: {set: {team: blue}}}",
            "Sets, adds or removes headers of request or response.",
            (),
            _RULE,
            _ROUTES,
        ),
        "corsPolicy": Effect(
            'corsPolicy: {allowOrigins: [{exact: "http://a.example"}]}',
            "Answers preflights itself, and tells browsers who may ask.",
            (),
            _RULE,
            _ROUTES,
        ),
        "fault.delay": Effect(
            "fault: {delay: {fixedDelay: 2s, percentage: {value: 100}}}",
            "Holds the request back, once, before timeout and retries of this rule begin.",
            ("DI",),
            "lab.journey(seen)",
            _LOG,
        ),
        "fault.abort": Effect(
            "fault: {abort: {httpStatus: 500, percentage: {value: 10}}}",
            "Answers itself, before timeout and retries of this rule begin.",
            ("FI",),
            "lab.explain(url)",
            _LOG,
        ),
        "timeout": Effect(
            "timeout: 2s", "Gives up when all tries together took so long: 504.", ("UT",), "lab.journey(seen)", _LOG
        ),
        "retries": Effect(
            "retries: {attempts: 2, perTryTimeout: 1s, retryOn: 5xx}",
            "Tries again what retryOn names, at another pod if there is one. Without it: twice, if no pod took it.",
            ("URX",),
            "lab.journey(seen)",
            _LOG,
        ),
        "mirror": Effect(
            "mirror: {host: web, subset: v2}",
            "Sends a copy, and throws its answer away.",
            (),
            "lab.journey(seen)",
            _LOG,
        ),
    },
    "DestinationRule": {
        "subsets": Effect(
            "subsets: [{name: v1, labels: {version: v1}}]",
            "Makes a cluster of each: the ready pods with these labels.",
            ("UH",),
            _POLICY,
            _ENDPOINTS,
        ),
        "loadBalancer.simple": Effect(
            "loadBalancer: {simple: ROUND_ROBIN}",
            "Says which pod gets the next request. Without it: the less busy of two drawn.",
            (),
            _POLICY,
            _CLUSTERS,
        ),
        "loadBalancer.consistentHash": Effect(
            "loadBalancer: {consistentHash: {httpHeaderName: user}}",
            "Leads the same value to the same pod, as long as the pods stay.",
            (),
            _POLICY,
            _CLUSTERS,
        ),
        "connectionPool": Effect(
            "connectionPool: {http: {http2MaxRequests: 10}}",
            "Counts connections and requests, each proxy for itself; what is too much is answered 503.",
            ("UO",),
            'lab.pools("CALLER")',
            _CLUSTERS,
        ),
        "outlierDetection": Effect(
            "outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 50}",
            "Takes a pod out after errors in a row, for a time; as many at once as maxEjectionPercent allows.",
            ("UH",),
            _POLICY,
            _ENDPOINTS,
        ),
        "tls": Effect("tls: {mode: SIMPLE}", "Speaks TLS to the pods, as mode says.", ("UF",), _POLICY, _CLUSTERS),
    },
    "Gateway": {
        "servers": Effect(
            "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]",
            "Listens at the gateway, for these hosts. Others: 404.",
            ("NR",),
            'lab.config("gw/NAME")',
            "istioctl proxy-config listeners GATEWAY-POD",
        ),
    },
    "ServiceEntry": {
        "hosts": Effect(
            "hosts: [api.example]",
            "Knows these hosts as if they were Services.",
            (),
            'lab.config("se/NAME")',
            _CLUSTERS,
        ),
    },
    "Sidecar": {
        "egress": Effect(
            "egress: [{hosts: [./*]}]", "Knows these hosts alone.", (), 'lab.config("sidecar/NAME")', _CLUSTERS
        ),
    },
}


def effect_of(policy: str) -> Effect | None:
    """What a policy of an explanation does; None for one that is in no table.

    Args:
        policy: its name, such as ``timeout``.
    """
    wanted = {"mirrors": "mirror"}.get(policy, policy)
    known = (item for fields in EFFECTS.values() for item in fields.items())
    return next((effect for name, effect in known if name == wanted or name.startswith(f"{wanted}.")), None)
