"""The split of one rule as something to turn: its weights, read from the VirtualService and written back to it."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labsupport import words
from labsupport.errors import NotFoundError, UsageError
from labsupport.explain.expected_shares import version_of
from labsupport.model.schema.base import Resource
from labsupport.model.writing.written import written
from labsupport.records import Ref

__all__ = ["Split", "SplitPart", "find_split", "in_hundredths", "parse_name", "patch_for"]

_NAME = re.compile(r"(?:VirtualService/)?([a-z0-9][a-z0-9.-]*?)(?:\[(\d+)\])?")


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


def parse_name(text: str) -> tuple[str, int | None]:
    """``web``, ``VirtualService/web`` or ``web[1]`` as name and index in ``spec.http``.

    Raises:
        UsageError: it is none of these.
    """
    match = _NAME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UsageError(f"weights={text!r}: name a VirtualService such as 'web', or one of its rules as 'web[1]'.")
    return match[1], None if match[2] is None else int(match[2])


def find_split(objects: Sequence[Resource], text: str) -> Split:
    """The split that a name stands for.

    Args:
        objects: objects of the mesh; the VirtualServices and DestinationRules count.
        text: such as ``web``, or ``web[1]`` for ``spec.http[1]``.

    Returns:
        The split, with weights that add up to 100 as shares of 100.

    Raises:
        NotFoundError: there is no such VirtualService.
        UsageError: it has no rule with several destinations, or several and none is named.
    """
    name, index = parse_name(text)
    rules = [resource for resource in objects if resource.kind == "VirtualService"]
    resource = next((rule for rule in rules if rule.name == name), None)
    if resource is None:
        known = ", ".join(rule.name for rule in rules) or "none"
        raise NotFoundError(f"There is no VirtualService/{name}, whose weights could be turned. There are: {known}.")
    ref = Ref("VirtualService", name)
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
        several = words.join((f"'{name}[{place}]'" for place in splits), "or")
        raise UsageError(f"{ref} has {len(splits)} rules with several destinations. Name one: weights={several}.")
    place = splits[0] if index is None else index
    route = http[place]["route"]
    shares = in_hundredths([int(entry.get("weight") or 0) for entry in route])
    return Split(ref, place, tuple(map(lambda entry, weight: _part(entry, weight, objects), route, shares)))


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
        raise UsageError(f"{split} has {len(route)} destinations now, not {len(weights)}: it was changed meanwhile.")
    for entry, weight in zip(route, weights, strict=True):
        entry["weight"] = weight
    return {"spec": {"http": http}}
