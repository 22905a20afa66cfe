"""Who a line of an access log is about: services and versions in place of pods and clusters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from labsupport.model import DestinationRule, Resource
from labsupport.model.hosts import fqdn
from labsupport.records import AccessRecord, Pod

__all__ = ["asked_of", "call_of", "named", "place_of", "service_of", "subset_labels", "told_apart"]

# Without the list of pods: Deployments of the course are called <service>-<version>.
_POD = re.compile(r"(?P<service>[a-z0-9-]+?)(?:-(?P<version>v\d+|safe|risk))?(?:-[a-z0-9]+){1,2}$")


_NAMESPACE = re.compile(r"\|[^|.]+\.([^|.]+)\.svc\.")


def service_of(cluster: str) -> tuple[str, str]:
    """Service and subset of ``outbound|9080|v1|reviews.default.svc.cluster.local``; empty for other clusters."""
    parts = cluster.split("|")
    if len(parts) != 4:
        return "", ""
    host = parts[3]
    # A ServiceEntry's host is a name of the Internet, of which the first label alone would say nothing.
    short = re.sub(r"\..*", "", host) if ".svc." in host or "." not in host else host
    return short, parts[2]


def place_of(cluster: str) -> tuple[str, str]:
    """Host, fully qualified, and subset of an outbound cluster; empty for other clusters."""
    parts = cluster.split("|")
    return (parts[3], parts[2]) if len(parts) == 4 else ("", "")


def subset_labels(objects: Iterable[Resource]) -> dict[tuple[str, str], Mapping[str, str]]:
    """The labels that pods of a subset have, by host and name of the subset, as ``place_of`` tells them of a cluster.

    Args:
        objects: of which the DestinationRules count.
    """
    rules = [rule for rule in objects if isinstance(rule, DestinationRule)]
    return {
        (fqdn(rule.spec.host, rule.namespace), subset.name): subset.labels
        for rule in rules
        for subset in rule.spec.subsets
    }


def named(pod: str, pods: Mapping[str, Pod]) -> tuple[str, str]:
    """Service and version of a pod.

    Args:
        pod: its name.
        pods: pods by name; one that has ended meanwhile is known by its name alone.
    """
    known = pods.get(pod)
    if known is not None:
        return known.service, known.version
    match = _POD.match(pod)
    return (match["service"], match["version"] or "") if match else (pod, "")


def call_of(record: AccessRecord, pods: Mapping[str, Pod]) -> tuple[tuple[str, str], tuple[str, str]]:
    """Who a log line is about.

    Args:
        record: the line.
        pods: pods by name.

    Returns:
        Service and version of the proxy's pod, and of who answered; for an inbound line, both are the same. Without an
        answer, the second is the service that was asked for, without a version.
    """
    own = named(record.pod, pods)
    if record.direction == "inbound":
        return own, own
    if record.upstream_pod:
        return own, named(record.upstream_pod, pods)
    return own, (asked_of(record.cluster, pods)[0], "")


def asked_of(cluster: str, pods: Mapping[str, Pod]) -> tuple[str, str]:
    """Service and subset of a cluster, the service named as those of pods that are told apart.

    Args:
        cluster: its name in Envoy.
        pods: pods by name.
    """
    asked, subset = service_of(cluster)
    space = _NAMESPACE.search(cluster)
    apart = f"{asked}.{space[1]}" if space is not None else ""
    return apart if any(pod.service == apart for pod in pods.values()) else asked, subset


def told_apart(pods: Iterable[Pod]) -> list[Pod]:
    """Pods whose service has its namespace behind its name, where several namespaces have one of that name.

    Args:
        pods: all pods.
    """
    listed = list(pods)
    spaces: dict[str, set[str]] = {}
    for pod in listed:
        spaces.setdefault(pod.service, set()).add(pod.namespace)
    return [
        replace(pod, labels={**pod.labels, "app": f"{pod.service}.{pod.namespace}"})
        if len(spaces[pod.service]) > 1
        else pod
        for pod in listed
    ]
