"""VirtualServices ready for use: names expanded, delegates merged in, sorted by age and indexed by gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from labsupport.controlplane.registry.memo import MEMO
from labsupport.model.hosts import fqdn, gateway_name
from labsupport.model.kinds.virtualservice import (
    Destination,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRoute,
    HTTPRouteDestination,
    L4MatchAttributes,
    RouteDestination,
    StringMatch,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from labsupport.model.schema.syntax import is_ip

__all__ = ["VirtualServiceIndex", "VirtualServiceRule"]

_Sends = TypeVar("_Sends", HTTPRouteDestination, RouteDestination, HTTPMirrorPolicy)
_Matches = TypeVar("_Matches", HTTPMatchRequest, L4MatchAttributes, TLSMatchAttributes)
_L4Rule = TypeVar("_L4Rule", TCPRoute, TLSRoute)


@dataclass(frozen=True, eq=False)
class VirtualServiceRule:
    """A VirtualService with full names and with its delegates' rules in place.

    Args:
        name, namespace: of the object.
        hosts: fully qualified.
        gateways: ``mesh`` or ``namespace/name``.
        http, tcp, tls: rules in order.
        export_to: ``*`` or the namespaces that see it.
        converted: whether it stands for routes of the Gateway API, which differ in what a path prefix and a missing
            destination mean.
    """

    name: str
    namespace: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    http: tuple[HTTPRoute, ...]
    tcp: tuple[TCPRoute, ...]
    tls: tuple[TLSRoute, ...]
    export_to: frozenset[str]
    converted: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def full_name(self) -> str:
        """Name and namespace, as in names of statistics."""
        return f"{self.name}.{self.namespace}"

    @cached_property
    def destination_hosts(self) -> tuple[str, ...]:
        """Hosts that its ``http`` rules send to, mirrors included."""
        hosts: dict[str, None] = {}
        for rule in self.http:
            mirrors = [mirror.destination for mirror in rule.mirrors]
            for target in (*(route.destination for route in rule.route), *mirrors, rule.mirror):
                if target is not None:
                    hosts.setdefault(target.host)
        return tuple(hosts)

    @cached_property
    def looks_at_source(self) -> bool:
        """Whether a match asks for labels or the namespace of the client."""
        return any(match.source_labels or match.source_namespace for rule in self.http for match in rule.match)

    def destinations(self, namespace: str) -> dict[str, set[int]]:
        """Hosts and ports (0 for any) that its rules may send to, left out what only other namespaces can match."""
        ports_by_host: dict[str, set[int]] = {}

        def add(destination: Destination) -> None:
            ports_by_host.setdefault(destination.host, set()).add(destination.port.number if destination.port else 0)

        for rule in self.http:
            sources = [match.source_namespace for match in rule.match if match.source_namespace]
            if namespace and sources and namespace not in sources:
                continue
            for route in rule.route:
                add(route.destination)
            if rule.mirror is not None:
                add(rule.mirror)
            for mirror in rule.mirrors:
                if mirror.destination is not None:
                    add(mirror.destination)
        for routes in (*(rule.route for rule in self.tcp), *(rule.route for rule in self.tls)):
            for target in routes:
                add(target.destination)
        return ports_by_host


class VirtualServiceIndex:
    """All VirtualServices, by the gateway they are bound to and by the namespaces that see them.

    Args:
        objects: VirtualServices with their age in seconds since the epoch.
        default_export_to: who sees those without ``exportTo``.
        converted: VirtualServices that stand for routes of the Gateway API, with their age.
    """

    def __init__(
        self,
        objects: Iterable[tuple[VirtualService, float]],
        default_export_to: frozenset[str] = frozenset("*"),
        converted: Iterable[tuple[VirtualService, float]] = (),
    ) -> None:
        written = list(objects)
        delegates = {(rule.namespace, rule.name): rule for rule, _ in written if not rule.spec.hosts}
        aged = [(age, _known_rule(rule, delegates, default_export_to)) for rule, age in written if rule.spec.hosts]
        aged += [(age, _converted_rule(rule, default_export_to)) for rule, age in converted]
        self.rules = [rule for _, rule in sorted(aged, key=lambda item: (item[0], item[1].name, item[1].namespace))]
        self._public: dict[str, list[VirtualServiceRule]] = {}
        self._private: dict[tuple[str, str], list[VirtualServiceRule]] = {}
        self._exported: dict[tuple[str, str], list[VirtualServiceRule]] = {}
        for rule in self.rules:
            for gateway in rule.gateways:
                if "*" in rule.export_to:
                    self._public.setdefault(gateway, []).append(rule)
                    continue
                for namespace in rule.export_to - {"~"}:
                    index = self._private if namespace == rule.namespace else self._exported
                    index.setdefault((namespace, gateway), []).append(rule)

    def for_gateway(self, namespace: str, gateway: str) -> list[VirtualServiceRule]:
        """Rules bound to a gateway (or ``mesh``) that proxies of a namespace see: its private ones come first.

        Among those of one kind a route of the Gateway API from the client's own namespace beats every other rule.
        """
        key = (namespace, gateway)
        return [
            rule
            for group in (self._private.get(key, ()), self._exported.get(key, ()), self._public.get(gateway, ()))
            for rule in sorted(group, key=lambda rule: not (rule.converted and rule.namespace == namespace))
        ]


def _known_rule(
    resource: VirtualService, delegates: Mapping[tuple[str, str], VirtualService], default: frozenset[str]
) -> VirtualServiceRule:
    names = [route.delegate for route in resource.spec.http if route.delegate is not None]
    used = tuple(delegates.get((name.namespace or resource.namespace, name.name)) for name in names)
    return MEMO.get("VirtualServiceRule", (resource, *used), default, lambda: _rule(resource, delegates, default))


def _converted_rule(resource: VirtualService, default: frozenset[str]) -> VirtualServiceRule:
    def make() -> VirtualServiceRule:
        return VirtualServiceRule(
            name=resource.name,
            namespace=resource.namespace,
            hosts=tuple(resource.spec.hosts),
            gateways=tuple(resource.spec.gateways),
            http=tuple(resource.spec.http),
            tcp=tuple(resource.spec.tcp),
            tls=tuple(resource.spec.tls),
            export_to=_export_to(resource, default),
            converted=True,
        )

    return MEMO.get("converted rule", (resource,), default, make)


def _rule(
    resource: VirtualService, delegates: Mapping[tuple[str, str], VirtualService], default: frozenset[str]
) -> VirtualServiceRule:
    spec, namespace = resource.spec, resource.namespace
    http: list[HTTPRoute] = []
    for route in spec.http:
        if route.delegate is None:
            http.append(_expand_http(route, namespace))
            continue
        where = route.delegate.namespace or namespace
        delegate = delegates.get((where, route.delegate.name))
        if delegate is None:
            continue
        visible = _export_to(delegate, default)
        if "*" not in visible and namespace not in visible:
            continue
        root = _expand_http(route, namespace)
        http += _merge_delegate(root, [_expand_http(sub, where) for sub in delegate.spec.http])
    return VirtualServiceRule(
        name=resource.name,
        namespace=namespace,
        hosts=tuple(_fqdn(host, namespace) for host in spec.hosts),
        gateways=tuple(gateway_name(name, namespace) for name in spec.gateways) or ("mesh",),
        http=tuple(http),
        tcp=tuple(_expand_l4(route, namespace) for route in spec.tcp),
        tls=tuple(_expand_l4(route, namespace) for route in spec.tls),
        export_to=_export_to(resource, default),
    )


def _export_to(resource: VirtualService, default: frozenset[str]) -> frozenset[str]:
    written = resource.spec.export_to or default
    return frozenset(resource.namespace if space == "." else space for space in written)


def _fqdn(host: str, namespace: str) -> str:
    return host if is_ip(host) else fqdn(host, namespace)


def _expand_destination(destination: Destination, namespace: str) -> Destination:
    host = _fqdn(destination.host, namespace)
    return destination if host == destination.host else destination.model_copy(update={"host": host})


def _expand_routes(routes: Sequence[_Sends], namespace: str) -> tuple[_Sends, ...]:
    expanded = []
    for route in routes:
        if route.destination is None:
            expanded.append(route)
            continue
        destination = _expand_destination(route.destination, namespace)
        if destination is not route.destination:
            route = route.model_copy(update={"destination": destination})
        expanded.append(route)
    return tuple(expanded)


def _expand_matches(matches: Sequence[_Matches], namespace: str) -> tuple[_Matches, ...]:
    return tuple(
        match.model_copy(update={"gateways": tuple(gateway_name(name, namespace) for name in match.gateways)})
        if match.gateways
        else match
        for match in matches
    )


def _expand_http(rule: HTTPRoute, namespace: str) -> HTTPRoute:
    update: dict[str, object] = {
        "match": _expand_matches(rule.match, namespace),
        "route": _expand_routes(rule.route, namespace),
    }
    if rule.mirror is not None:
        update["mirror"] = _expand_destination(rule.mirror, namespace)
    if rule.mirrors:
        update["mirrors"] = _expand_routes(rule.mirrors, namespace)
    return rule.model_copy(update=update)


def _expand_l4(rule: _L4Rule, namespace: str) -> _L4Rule:
    return rule.model_copy(
        update={"match": _expand_matches(rule.match, namespace), "route": _expand_routes(rule.route, namespace)}
    )


_INHERITED = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "headers",
)


def _join(root: str, own: str) -> str:
    return "-".join(part for part in (root, own) if part)


def _merge_delegate(root: HTTPRoute, rules: Iterable[HTTPRoute]) -> list[HTTPRoute]:
    """The delegate's rules as part of the root: fields of the delegate win, matches are combined."""
    merged = []
    for rule in rules:
        matches = _merge_matches(root.match, rule.match)
        if matches is None:
            continue
        update: dict[str, object] = {"match": matches, "name": _join(root.name or "", rule.name or "")}
        for field in _INHERITED:
            if getattr(rule, field) is None and getattr(root, field) is not None:
                update[field] = getattr(root, field)
        if not rule.mirrors and root.mirrors:
            update["mirrors"] = root.mirrors
        merged.append(rule.model_copy(update=update))
    return merged


def _merge_matches(
    root: Sequence[HTTPMatchRequest], own: Sequence[HTTPMatchRequest]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Every own match with every root match it is compatible with; None if one of them fits nowhere."""
    if not root:
        return tuple(own)
    if not own:
        return tuple(root)
    merged = []
    for leaf in own:
        fitting = [_merge_match(match, leaf) for match in root if not _conflict(match, leaf)]
        if not fitting:
            return None
        merged += fitting
    return tuple(merged)


def _merge_match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    update: dict[str, object] = {
        "name": _join(root.name or "", leaf.name or ""),
        "headers": {**root.headers, **leaf.headers},
        "without_headers": {**root.without_headers, **leaf.without_headers},
        "query_params": {**root.query_params, **leaf.query_params},
        "source_labels": {**root.source_labels, **leaf.source_labels},
    }
    for field in ("uri", "scheme", "method", "authority"):
        if getattr(leaf, field) is None:
            update[field] = getattr(root, field)
    for field in ("port", "source_namespace", "gateways", "stat_prefix"):
        if not getattr(leaf, field):
            update[field] = getattr(root, field)
    return leaf.model_copy(update=update)


def _conflict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    for field in ("uri", "scheme", "method", "authority"):
        if _text_conflict(getattr(root, field), getattr(leaf, field)):
            return True
    for field in ("headers", "without_headers", "query_params"):
        of_root = getattr(root, field)
        if any(_text_conflict(of_root.get(key), value) for key, value in getattr(leaf, field).items()):
            return True
    if bool(root.ignore_uri_case) != bool(leaf.ignore_uri_case):
        return True
    if root.port and leaf.port and root.port != leaf.port:
        return True
    if root.source_namespace and leaf.source_namespace != root.source_namespace:
        return True
    if any(root.source_labels.get(key, value) != value for key, value in leaf.source_labels.items()):
        return True
    if root.gateways and leaf.gateways:
        return len(root.gateways) < len(leaf.gateways) or not set(leaf.gateways) <= set(root.gateways)
    return False


def _text_conflict(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether a delegate's condition is not a narrower form of the root's, as ``delegate`` documents it."""
    if root is None or leaf is None:
        return False
    root_any, leaf_any = (bool(text.exact or text.prefix or text.regex) for text in (root, leaf))
    if (root.regex and leaf_any) or (leaf.regex and root_any):
        return True
    if root.exact:
        return bool(leaf.prefix) or (leaf.exact or "") != root.exact
    if root.prefix and (narrower := leaf.prefix or leaf.exact):
        return not narrower.startswith(root.prefix)
    return True
