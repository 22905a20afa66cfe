"""Keeps the values of Secrets out of what is shown: a size instead of a value."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Mapping

from labsupport import words
from labsupport.records import Json, JsonObject

__all__ = ["LAST_APPLIED", "Hidden", "redacted"]

_FIELDS = ("data", "stringData")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation that kubectl leaves in an object that it applied: the object once more, values and all."""


class Hidden:
    """A value that is compared but not shown; its text tells its size.

    Args:
        value: the value as written.
        encoded: whether it is written in base64.
    """

    __slots__ = ("_value", "size")

    def __init__(self, value: object, *, encoded: bool) -> None:
        self._value = value
        text = str(value)
        self.size = len(text.encode())
        if encoded:
            with contextlib.suppress(binascii.Error, ValueError):
                self.size = len(base64.b64decode(text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._value == other._value

    def __hash__(self) -> int:
        return hash(str(self._value))

    def __repr__(self) -> str:
        return f"<redacted, {words.plural(self.size, 'byte')}>"


def redacted(content: Mapping[str, Json], *, kind: str = "") -> JsonObject:
    """An object as a mapping, without bookkeeping, and with what a Secret holds hidden.

    Args:
        content: the object.
        kind: its kind, where the mapping does not say it.
    """
    made = dict(content)
    for field in _FIELDS if (kind or made.get("kind")) == "Secret" else ():
        values = made.get(field)
        if isinstance(values, Mapping):
            made[field] = {key: Hidden(value, encoded=field == "data") for key, value in values.items()}
    return _without_bookkeeping(made)


def _without_bookkeeping(content: Mapping[str, Json]) -> JsonObject:
    """An object without what a client of the API keeps in it for itself: what it applied last, and who owns what."""
    made = dict(content)
    metadata = made.get("metadata")
    if not isinstance(metadata, Mapping):
        return made
    made["metadata"] = metadata = {key: value for key, value in metadata.items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and LAST_APPLIED in annotations:
        kept = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        metadata.pop("annotations")
        metadata |= {"annotations": kept} if kept else {}
    return made
