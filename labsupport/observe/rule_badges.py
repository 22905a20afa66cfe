"""The rules in force on a service, each in a few words, as the service graph shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from labsupport import words
from labsupport.model.kinds.core import Service
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute, HTTPRouteMatch, HTTPRouteRule
from labsupport.model.kinds.gatewayapi.shared import BackendObjectReference, ParentReference
from labsupport.model.schema.base import Resource

__all__ = ["badges_of"]


def _host(name: Any) -> str:
    return str(name or "").split(".", 1)[0]


def _percent(value: Any) -> str:
    share = value.get("value") if isinstance(value, Mapping) else None
    return "" if share in (None, 100, 100.0) else f" of {share:g} %"


def _http(rule: Mapping[str, Any]) -> Iterator[str]:
    """Badges of one entry of ``VirtualService.spec.http``."""
    routes = rule.get("route") or []
    if len(routes) > 1:
        yield "weights " + "/".join(str(route.get("weight", 0)) for route in routes)
    fault = rule.get("fault") or {}
    users = _for_whom(rule)
    if delay := fault.get("delay"):
        yield f"delay {delay.get('fixedDelay', '')}{_percent(delay.get('percentage'))}{users}"
    if abort := fault.get("abort"):
        what = abort.get("httpStatus") or abort.get("grpcStatus") or ""
        yield f"abort {what}{_percent(abort.get('percentage'))}{users}"
    if "timeout" in rule:
        yield f"timeout {rule['timeout']}"
    retries = rule.get("retries")
    if isinstance(retries, Mapping) and "attempts" in retries:
        yield words.plural(int(retries["attempts"] or 0), "retry", "retries")
    mirrors = (
        [rule["mirror"]]
        if rule.get("mirror")
        else [entry.get("destination") or {} for entry in rule.get("mirrors") or []]
    )
    for mirror in mirrors:
        yield f"mirror to {mirror.get('subset') or _host(mirror.get('host'))}"
    if rule.get("redirect"):
        yield "redirect"
    if rule.get("rewrite"):
        yield "rewrite"


def _rule(rule: HTTPRouteRule) -> Iterator[str]:
    """Badges of one entry of ``HTTPRoute.spec.rules``."""
    if len(rule.backend_refs) > 1:
        yield "weights " + "/".join(str(backend.weight) for backend in rule.backend_refs)
    if rule.timeouts is not None and rule.timeouts.request:
        yield f"timeout {rule.timeouts.request}"
    if rule.retry is not None:
        yield words.plural(2 if rule.retry.attempts is None else rule.retry.attempts, "retry", "retries")
    for entry in rule.filters:
        if entry.request_mirror is not None:
            yield f"mirror to {entry.request_mirror.backend_ref.name}"
        elif entry.request_redirect is not None:
            yield "redirect"
        elif entry.url_rewrite is not None:
            yield "rewrite"


def _for_whom(rule: Mapping[str, Any]) -> str:
    """Who is concerned, if a single exact header says so: `` for jason``."""
    matches = rule.get("match") or []
    if len(matches) != 1:
        return " for some" if matches else ""
    headers = list((matches[0].get("headers") or {}).items())
    if len(matches[0]) == 1 and len(headers) == 1 and "exact" in (headers[0][1] or {}):
        return f" for {headers[0][1]['exact']}"
    return " for some"


def _policy(policy: Mapping[str, Any]) -> Iterator[str]:
    """Badges of a ``trafficPolicy``."""
    if "outlierDetection" in policy:
        yield "outlier detection"
    if "connectionPool" in policy:
        yield "circuit breaker"
    balancer = policy.get("loadBalancer") or {}
    if simple := balancer.get("simple"):
        yield str(simple)
    if "consistentHash" in balancer:
        yield "sticky (consistent hash)"


def badges_of(resources: Iterable[Resource]) -> dict[str, tuple[str, ...]]:
    """What rules do to each service.

    Args:
        resources: objects in force; others than VirtualService, HTTPRoute and DestinationRule say nothing here.

    Returns:
        Short name of a service to badges, without repetition, and its name with its namespace; a rule for a gateway's
        hosts counts for the services that it sends to.
    """
    badges_by_service: dict[str, list[str]] = {}
    resources = list(resources)
    apps = {
        (service.namespace, service.name): service.spec.selector.get("app", service.name)
        for service in resources
        if isinstance(service, Service)
    }
    for resource in resources:
        spec: Mapping[str, Any] = resource.raw.get("spec") or {}
        if resource.kind == "VirtualService":
            entries = spec.get("http") or []
            for entry in entries:
                written = [(route.get("destination") or {}).get("host") for route in entry.get("route") or []]
                for target in _services(written or spec.get("hosts") or [], resource.namespace):
                    badges_by_service.setdefault(target, []).extend(_http(entry))
            matching = sum(bool(entry.get("match")) for entry in entries)
            for host in _services(spec.get("hosts") or [], resource.namespace):
                if matching and host in badges_by_service:
                    badges_by_service[host].append(words.plural(matching, "match rule"))
        elif isinstance(resource, HTTPRoute):
            _add_route(resource, apps, badges_by_service)
        elif resource.kind == "DestinationRule":
            policies = [
                spec.get("trafficPolicy") or {},
                *(subset.get("trafficPolicy") or {} for subset in spec.get("subsets") or []),
            ]
            for policy in policies:
                for host in _services([spec.get("host")], resource.namespace):
                    badges_by_service.setdefault(host, []).extend(_policy(policy))
    return {name: tuple(dict.fromkeys(badges)) for name, badges in badges_by_service.items() if badges}


def _add_route(route: HTTPRoute, apps: Mapping[tuple[str, str], str], badges_by_service: dict[str, list[str]]) -> None:
    """Add the badges of a route: its Services for single versions are shown as the application that they are of."""

    def shown(references: Sequence[BackendObjectReference | ParentReference]) -> set[str]:
        names = set()
        for reference in references:
            space = reference.namespace or route.namespace
            app = apps.get((space, reference.name), reference.name)
            names |= {app, f"{app}.{space}"} if space else {app}
        return names

    parents = shown(route.spec.parent_refs)
    for rule in route.spec.rules:
        for target in shown(rule.backend_refs) or parents:
            badges_by_service.setdefault(target, []).extend(_rule(rule))
    matching = sum(any(_is_special(match) for match in rule.matches) for rule in route.spec.rules)
    for host in parents if matching else ():
        badges_by_service.setdefault(host, []).append(words.plural(matching, "match rule"))


def _is_special(match: HTTPRouteMatch) -> bool:
    every = match.path.type == "PathPrefix" and match.path.value == "/"
    return not every or bool(match.headers or match.query_params or match.method)


def _services(hosts: Iterable[Any], namespace: str) -> set[str]:
    """Short names of the services that hosts stand for, and the same with their namespace, as far as it is known."""
    names = set()
    for host in hosts:
        name, _, rest = str(host or "").partition(".")
        space = rest.partition(".")[0] or namespace
        names |= {name, f"{name}.{space}" if space else name}
    return names
