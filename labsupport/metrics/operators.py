"""Operators of PromQL: which elements of two vectors belong together, and which labels the result has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.errors import UsageError
from labsupport.metrics.functions import BINARY, COMPARISONS, lacking
from labsupport.metrics.series import NAME, Labels, braced, labels_of

__all__ = ["Element", "combined", "key_of", "matched", "only", "unnamed", "with_scalar", "without"]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an instant vector."""

    labels: Labels
    value: float


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """Some labels.

    Args:
        labels: of an element.
        names: of those that are kept.
    """
    wanted = set(names)
    return tuple(pair for pair in labels if pair[0] in wanted)


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """All labels but some.

    Args:
        labels: of an element.
        names: of those that are left out.
    """
    unwanted = set(names)
    return tuple(pair for pair in labels if pair[0] not in unwanted)


def unnamed(elements: Sequence[Element], values: Sequence[float]) -> list[Element]:
    """Elements with other values, which are no longer what the metric's name says.

    Args:
        elements: as they were.
        values: a value for each.

    Raises:
        UsageError: two of them differ by the metric's name alone.
    """
    made: dict[Labels, float] = {}
    for element, value in zip(elements, values, strict=True):
        labels = without(element.labels, (NAME,))
        if labels in made:
            raise UsageError(f"PromQL: without the metric's name two series are equal: {braced(labels)}")
        made[labels] = value
    return [Element(labels, value) for labels, value in made.items()]


def combined(operator: str, left: float, right: float) -> float:
    """Two numbers put together; a comparison gives 1 or 0.

    Args:
        operator: as it is written.
        left: number on its left side.
        right: number on its right side.
    """
    if operator in COMPARISONS:
        return float(COMPARISONS[operator](left, right))
    return BINARY[operator](left, right)


def with_scalar(
    operator: str, elements: list[Element], scalar: float, as_bool: bool, *, swapped: bool
) -> list[Element]:
    """A vector and a number put together.

    Args:
        operator: as it is written.
        elements: of the vector.
        scalar: the number.
        as_bool: whether a comparison gives 1 or 0, and does not choose.
        swapped: whether the number is on the left side.
    """

    def sides(value: float) -> tuple[float, float]:
        return (scalar, value) if swapped else (value, scalar)

    if operator in COMPARISONS and not as_bool:
        return [element for element in elements if COMPARISONS[operator](*sides(element.value))]
    return unnamed(elements, [combined(operator, *sides(element.value)) for element in elements])


def key_of(modifier: Any) -> Callable[[Labels], Labels]:
    """What has to be equal for two elements to be put together.

    Args:
        modifier: ``on``, ``ignoring`` and ``group_left``, as the parser has them; None without any.
    """
    matching = modifier.matching if modifier is not None else None
    if matching is None:
        return lambda labels: without(labels, (NAME,))
    names = tuple(matching.labels)
    if str(matching.type).endswith("Include"):
        return lambda labels: only(labels, names)
    return lambda labels: without(labels, (*names, NAME))


def matched(operator: str, left: list[Element], right: list[Element], as_bool: bool, modifier: Any) -> list[Element]:
    """Two vectors put together, by elements with equal labels.

    Args:
        operator: as it is written.
        left: the vector on its left side.
        right: the vector on its right side.
        as_bool: whether a comparison gives 1 or 0, and does not choose.
        modifier: as for ``key_of``.

    Raises:
        UsageError: it is not clear which element belongs to which.
    """
    fill = getattr(modifier, "fill_values", None)
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise lacking("the modifier fill")
    if not left or not right:
        return []
    key, card = key_of(modifier), str(modifier.card) if modifier is not None else "OneToOne"
    swapped, grouped = card.endswith("OneToMany"), not card.endswith("OneToOne")
    many, one = (right, left) if swapped else (left, right)
    by_key: dict[Labels, Element] = {}
    for element in one:
        if key(element.labels) in by_key:
            side = "left" if swapped else "right"
            raise UsageError(
                f"PromQL: several series on the {side} side of {operator} have the labels "
                f"{braced(key(element.labels))}; say which labels count with on(...), or sum by (...)."
            )
        by_key[key(element.labels)] = element
    found, met = [], set()
    for element in many:
        other = by_key.get(key(element.labels))
        if other is None:
            continue
        values = (other.value, element.value) if swapped else (element.value, other.value)
        keep = operator not in COMPARISONS or COMPARISONS[operator](*values)
        labels = _result_labels(element.labels, other.labels, operator, as_bool, modifier, key, grouped)
        mark = (key(element.labels), labels) if grouped else (key(element.labels), ())
        if mark in met:
            raise UsageError(
                f"PromQL: several series on the left side of {operator} meet the same one on the right; "
                "say so with group_left, or sum by (...)."
            )
        met.add(mark)
        if as_bool or keep:
            # Without bool a comparison lets the left value through.
            value = combined(operator, *values) if as_bool or operator in BINARY else values[0]
            found.append(Element(labels, value))
    return found


def _result_labels(
    many: Labels,
    one: Labels,
    operator: str,
    as_bool: bool,
    modifier: Any,
    key: Callable[[Labels], Labels],
    grouped: bool,
) -> Labels:
    named = operator in COMPARISONS and not as_bool
    if not grouped:
        matching = modifier.matching if modifier is not None else None
        if matching is not None and str(matching.type).endswith("Include"):
            return key(many)
        kept = many if named else without(many, (NAME,))
        return kept if matching is None else without(kept, matching.labels)
    labels = dict(many if named else without(many, (NAME,)))
    theirs = dict(one)
    for name in modifier.group_labels or ():
        labels[name] = theirs.get(name, "")
    return labels_of(labels)
