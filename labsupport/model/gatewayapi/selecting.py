"""Label selectors of the Gateway API: which namespaces a listener takes routes of."""

from __future__ import annotations

import re
from collections.abc import Mapping

from labsupport.model.kinds.gatewayapi.gateway import LabelSelector, Requirement

__all__ = ["selects"]

_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def _is_key(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and not (len(prefix) <= 253 and _PREFIX.fullmatch(prefix)):
        return False
    return bool(name) and _VALUE.fullmatch(name) is not None


def _is_sound(item: Requirement) -> bool:
    needs_values = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}.get(item.operator)
    return (
        needs_values is not None
        and bool(item.values) == needs_values
        and _is_key(item.key)
        and all(_VALUE.fullmatch(value) for value in item.values)
    )


def _holds(item: Requirement, labels: Mapping[str, str]) -> bool:
    if item.operator == "In":
        return labels.get(item.key) in item.values
    if item.operator == "NotIn":
        return labels.get(item.key) not in item.values
    return (item.key in labels) == (item.operator == "Exists")


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a selector chooses an object; one that Kubernetes cannot read chooses none.

    Args:
        selector: ``matchLabels`` and ``matchExpressions``, all of which must hold.
        labels: of the object.
    """
    listed = [Requirement(key=key, operator="In", values=[value]) for key, value in selector.match_labels.items()]
    listed += selector.match_expressions
    return all(map(_is_sound, listed)) and all(_holds(item, labels) for item in listed)
