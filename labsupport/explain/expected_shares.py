"""The shares that the rules in force want of some traffic, by version: what a picture compares the seen ones with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labsupport.errors import LabError
from labsupport.explain import Explanation, RoutedTo, explain
from labsupport.model.schema.base import Resource
from labsupport.model.writing.written import written
from labsupport.records import Pod, TrafficSpec
from labsupport.urls import Target, parse_url

__all__ = ["expected_shares", "explanation_of", "version_of"]


def expected_shares(
    explanation: Explanation | None,
    objects: Sequence[Resource],
    pods: Sequence[Pod],
    spec: TrafficSpec,
    *,
    service: str = "",
    namespace: str,
) -> dict[str, float] | None:
    """What the rules in force want of some traffic.

    Args:
        explanation: of the traffic, from ``explanation_of`` with the same arguments.
        objects: all objects of the mesh.
        pods: all pods.
        spec: what is sent.
        service: the versions of this service on the way of the requests; empty: of whoever answers the client.
        namespace: the lab's namespace.

    Returns:
        Share by version, from 0 to 1; None where no rule says it, or where it differs from request to request
        (``match`` on what the requests of this traffic do not have in common).
    """
    if explanation is None:
        return None
    elsewhere = _elsewhere(parse_url(spec.url), service)
    varied = elsewhere or spec.users or any("{" in value for value in (*spec.headers.values(), *spec.cookies.values()))
    if explanation.chosen is None or (varied and not _same_for_all(explanation)):
        return None
    near, shares = _near(objects, namespace), dict[str, float]()
    for destination in explanation.destinations:
        version = _version(destination, near, pods)
        if not version:
            return None
        shares[version] = shares.get(version, 0.0) + destination.share
    return shares or None


def explanation_of(
    objects: Sequence[Resource], pods: Sequence[Pod], spec: TrafficSpec, *, service: str = "", namespace: str
) -> Explanation | None:
    """Why some traffic goes where it goes, or that of the first who calls a service on its way.

    Args:
        objects: all objects of the mesh.
        pods: all pods.
        spec: what is sent.
        service: a service on the way of the requests; empty: whoever answers the client.
        namespace: the lab's namespace.

    Returns:
        The explanation; None where nobody calls, or nothing can be said.
    """
    near = _near(objects, namespace)
    try:
        target = parse_url(spec.url)
        caller = next((pod for pod in pods if spec.source in (pod.name, pod.workload)), None)
        headers, url = dict(spec.headers), spec.url
        if _elsewhere(target, service):
            port = _port(near, service)
            caller = next((pod for pod in pods if pod.injected and pod.ready and pod.service != service), None)
            if caller is None or not port:
                return None
            url, headers = f"http://{service}:{port}/", {}
        return explain(
            objects,
            pods,
            url=url,
            headers=headers,
            method=spec.method,
            source=caller if caller is not None else "outside",
            namespace=namespace,
        )
    except LabError:
        return None


def _near(objects: Sequence[Resource], namespace: str) -> list[Resource]:
    # A short name is that of the lab's own service, whoever else has one of the name.
    return sorted(objects, key=lambda resource: resource.namespace not in ("", namespace))


def _elsewhere(target: Target, service: str) -> bool:
    return bool(service) and not _is_target(target, service)


def _is_target(target: Target, service: str) -> bool:
    return target.via != "gateway" and target.service.split(".")[0] == service


def _same_for_all(explanation: Explanation) -> bool:
    """Whether every request takes the rule: none before it, and nothing in it, depends on the request."""
    tried = [rule for rule in explanation.rules if rule.verdict in ("chosen", "no match")]
    return len(tried) == 1 and not any(entry.conditions for entry in tried[0].entries)


def _version(destination: RoutedTo, objects: Sequence[Resource], pods: Sequence[Pod]) -> str:
    versions = {pod.version for pod in pods if pod.name in destination.pods}
    if versions:
        return versions.pop() if len(versions) == 1 else ""
    # A subset whose pods are gone is expected all the same.
    return version_of(objects, destination.host, destination.subset) if destination.subset else ""


def version_of(objects: Sequence[Resource], host: str, subset: str) -> str:
    """The version that a subset stands for.

    Args:
        objects: objects, of which the DestinationRules count, the nearest first.
        host: of the destination, short or fully qualified.
        subset: its name.

    Returns:
        The ``version`` label of the subset, else the subset's name.
    """
    for resource in objects:
        spec = _spec(resource) if resource.kind == "DestinationRule" else {}
        if str(spec.get("host", "")).split(".")[0] != host.split(".")[0]:
            continue
        for part in spec.get("subsets") or []:
            if part.get("name") == subset:
                return str((part.get("labels") or {}).get("version") or subset)
    return subset


def _port(objects: Sequence[Resource], service: str) -> int:
    """The first port of a service; 0 if there is no such service."""
    for resource in objects:
        if resource.kind == "Service" and resource.name == service:
            ports = _spec(resource).get("ports") or []
            return int(ports[0].get("port", 0)) if ports else 0
    return 0


def _spec(resource: Resource) -> Mapping[str, Any]:
    return written(resource).get("spec") or {}
