"""The split of one rule as something to turn: its weights, read from the VirtualService and written back to it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labsupport import words
from labsupport.errors import NotFoundError, UsageError
from labsupport.explain.expected_shares import version_of
from labsupport.model.schema.base import Resource
from labsupport.model.writing.written import written
from labsupport.records import Ref

__all__ = ["RuleName", "Split", "SplitPart", "find_split", "in_hundredths", "patch_for"]


@dataclass(frozen=True, slots=True)
class RuleName:
    """Names one rule of a VirtualService.

    Args:
        ref: the VirtualService.
        place: index in ``spec.http``; None for the only rule with several destinations.
    """

    ref: Ref
    place: int | None = None


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One destination of a split.

    Args:
        host: of the destination, as written.
        version: version of its subset; the host without a subset.
        weight: its part of 100.
    """

    host: str
    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class Split:
    """The weighted destinations of one rule of a VirtualService.

    Args:
        ref: the VirtualService.
        rule: index in ``spec.http``.
        parts: its destinations in the order written; their weights add up to 100.
    """

    ref: Ref
    rule: int
    parts: tuple[SplitPart, ...]

    @property
    def weights(self) -> tuple[int, ...]:
        """The weights in the order written."""
        return tuple(part.weight for part in self.parts)

    def __str__(self) -> str:
        return f"{self.ref}, http[{self.rule}]"


def find_split(objects: Sequence[Resource], rule: RuleName, *, namespace: str = "") -> Split:
    """The split that a name stands for.

    Args:
        objects: objects of the mesh; the VirtualServices and DestinationRules count.
        rule: the name of the rule.
        namespace: the lab's own, where a name without one looks.

    Returns:
        The split, with weights that add up to 100 as shares of 100.

    Raises:
        NotFoundError: there is no such VirtualService.
        UsageError: it has no rule with several destinations, or several and none is named.
    """
    ref, index = rule.ref, rule.place
    within = ref.namespace or namespace
    services = [resource for resource in objects if resource.kind == "VirtualService"]
    there = [resource for resource in services if not within or resource.namespace in ("", within)]
    resource = next((service for service in there if service.name == ref.name), None)
    if resource is None and ref.namespace not in ("", namespace):
        # A dot may belong to the name.
        dotted = Ref(ref.kind, f"{ref.name}.{ref.namespace}")
        own = [service for service in services if not namespace or service.namespace in ("", namespace)]
        if any(service.name == dotted.name for service in own):
            return find_split(objects, RuleName(dotted, index), namespace=namespace)
    if resource is None:
        known = ", ".join(service.name for service in there) or "none"
        raise NotFoundError(f"There is no {ref}, whose weights could be turned. There are: {known}.")
    http = (written(resource).get("spec") or {}).get("http") or []
    splits = [place for place, rule in enumerate(http) if len(rule.get("route") or []) > 1]
    if index is not None and index not in splits:
        has = words.join(f"http[{place}]" for place in splits) or "none"
        raise UsageError(f"{ref}: http[{index}] has not several destinations. Rules that have: {has}.")
    if not splits:
        raise UsageError(
            f"{ref} has no rule with several destinations, so there is no weight to turn. "
            "List every version, with weight: 0 where it is to get nothing."
        )
    if index is None and len(splits) > 1:
        several = words.join((f"'vs/{ref.name}[{place}]'" for place in splits), "or")
        raise UsageError(f"{ref} has {len(splits)} rules with several destinations. Name one: rule={several}.")
    place = splits[0] if index is None else index
    route = http[place]["route"]
    shares = in_hundredths([int(entry.get("weight") or 0) for entry in route])
    near = sorted(objects, key=lambda other: other.namespace not in ("", within))
    return Split(ref, place, tuple(map(lambda entry, weight: _part(entry, weight, near), route, shares)))


def _part(entry: dict[str, Any], weight: int, objects: Sequence[Resource]) -> SplitPart:
    destination = entry.get("destination") or {}
    host, subset = str(destination.get("host", "")), str(destination.get("subset") or "")
    return SplitPart(host, version_of(objects, host, subset) if subset else host, weight)


def in_hundredths(weights: Sequence[int]) -> list[int]:
    """Weights as whole parts of 100 that add up to 100 (Istio takes them as relative); even ones if all are 0."""
    total = sum(weights)
    given = list(weights) if total else [1] * len(weights)
    exact = [100 * weight / sum(given) for weight in given]
    made = [int(value) for value in exact]
    # The largest remainders get what rounding down has left over.
    order = sorted(range(len(made)), key=lambda place: made[place] - exact[place])
    for place in order[: 100 - sum(made)]:
        made[place] += 1
    return made


def patch_for(resource: Resource, split: Split, weights: Sequence[int]) -> dict[str, Any]:
    """The JSON merge patch that gives a split new weights; lists are replaced whole, so it holds all of ``spec.http``.

    Args:
        resource: the VirtualService as it is now.
        split: which of its rules.
        weights: parts of 100, in the order of the destinations.

    Returns:
        The patch.

    Raises:
        UsageError: the weights do not fit the rule, or do not add up to 100.
    """
    if not all(isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 100 for weight in weights):
        raise UsageError(f"weights={list(weights)}: give whole numbers from 0 to 100.")
    if sum(weights) != 100:
        raise UsageError(f"weights={list(weights)} add up to {sum(weights)}, not to 100.")
    http = copy.deepcopy((written(resource).get("spec") or {}).get("http") or [])
    route = http[split.rule].get("route") or [] if split.rule < len(http) else []
    if len(route) != len(weights):
        raise UsageError(
            f"{split} has {words.plural(len(route), 'destination')} now, not {len(weights)}: it was changed meanwhile."
        )
    for entry, weight in zip(route, weights, strict=True):
        entry["weight"] = weight
    return {"spec": {"http": http}}
