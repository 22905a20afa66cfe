"""Notes about spellings of earlier times that still work, and settings that look as if they worked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labsupport.model.analysis.world import World
from labsupport.model.kinds.destinationrule import DestinationRule
from labsupport.model.kinds.trafficpolicy import TrafficPolicy
from labsupport.model.kinds.virtualservice import VirtualService
from labsupport.model.schema.base import IstioResource, Resource

__all__ = ["OLD", "analyse_spellings", "old_spellings"]

OLD = "OLD"
"""The code of these notes, for which ``istioctl analyze`` has none."""

_CONDITION = re.compile(r"spec\.http\[(\d+)\]\.match\[(\d+)\]\.(headers|withoutHeaders|queryParams)\.([^.]*)")


def analyse_spellings(world: World) -> None:
    """Add a note for each old spelling."""
    for resource in world.objects:
        for path, text in old_spellings(resource):
            world.note(OLD, "info", resource, path, text)


def old_spellings(resource: Resource) -> Iterator[tuple[str, str]]:
    """List what an object spells as in earlier times.

    Args:
        resource: any object.

    Yields:
        field path, and what to write today.
    """
    version = resource.raw.get("apiVersion")
    if isinstance(resource, IstioResource) and isinstance(version, str) and version.endswith("/v1alpha3"):
        yield "apiVersion", f"{version} is an old version of this kind; write {resource.GROUP}/{resource.VERSIONS[0]}"
    if isinstance(resource, VirtualService):
        yield from _ignored_case(resource)
        yield from _left_empty(resource)
    elif isinstance(resource, DestinationRule):
        yield from _balancing("spec.trafficPolicy", resource.spec.traffic_policy)
        for index, subset in enumerate(resource.spec.subsets):
            yield from _balancing(f"spec.subsets[{index}].trafficPolicy", subset.traffic_policy)


def _ignored_case(rule: VirtualService) -> Iterator[tuple[str, str]]:
    for number, http in enumerate(rule.spec.http):
        for index, match in enumerate(http.match):
            if match.ignore_uri_case and match.uri is not None and match.uri.regex:
                text = "ignoreUriCase has no effect on a regex; begin the regex with (?i)"
                yield f"spec.http[{number}].match[{index}].ignoreUriCase", text


def _left_empty(rule: VirtualService) -> Iterator[tuple[str, str]]:
    """Conditions without a value, which an API server drops: the rule takes more than was meant."""
    for path in rule.origin.lines:
        if written := _CONDITION.fullmatch(path):
            number, index, field, name = written.groups()
            match = rule.spec.http[int(number)].match[int(index)]
            given = {
                "headers": match.headers,
                "withoutHeaders": match.without_headers,
                "queryParams": match.query_params,
            }
            if name not in given[field]:
                yield path, f"{name} has no value and is dropped; {name}: {{}} stands for any value"


def _balancing(path: str, policy: TrafficPolicy | None) -> Iterator[tuple[str, str]]:
    if policy is None:
        return
    levels = [(path, policy.load_balancer)]
    levels += [
        (f"{path}.portLevelSettings[{index}]", setting.load_balancer)
        for index, setting in enumerate(policy.port_level_settings)
    ]
    for place, balancer in levels:
        if balancer is not None and balancer.simple == "LEAST_CONN":
            yield f"{place}.loadBalancer.simple", "LEAST_CONN is the old name of LEAST_REQUEST; write LEAST_REQUEST"
