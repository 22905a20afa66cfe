"""Label and field selectors of a list or a watch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.tables import at
from labsupport.records import JsonObject

__all__ = ["field_selector", "label_selector"]

Selector = Callable[[JsonObject], bool]
_SET = re.compile(r"\s*([^\s!=(),]+)\s+(in|notin)\s+\(([^)]*)\)\s*\Z")
_EQUAL = re.compile(r"\s*([^\s!=(),]+)\s*(==|!=|=)\s*([^\s!=(),]*)\s*\Z")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s!=(),]+)\s*\Z")
_COMMA = re.compile(r",(?![^(]*\))")


def label_selector(text: str) -> Selector:
    """What chooses objects by their labels.

    Args:
        text: such as ``app=web,version in (v1, v2),!canary``; empty for all.

    Raises:
        Refused: it is none.
    """
    wishes = [_wish(part) for part in _COMMA.split(text)] if text.strip() else []

    def chosen(content: JsonObject) -> bool:
        labels = content["metadata"].get("labels") or {}
        return all(wish(labels) for wish in wishes)

    return chosen


def _wish(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(text):
        key, inside = match[1], match[2] == "in"
        words = {word.strip() for word in match[3].split(",")}
        # As in Kubernetes, an object without the label is not in any set.
        return lambda labels: (labels.get(key) in words) == inside
    if match := _EQUAL.match(text):
        key, equal, value = match[1], match[2] != "!=", match[3]
        return lambda labels: (labels.get(key) == value) == equal
    if match := _EXISTS.match(text):
        there, key = not match[1], match[2]
        return lambda labels: (key in labels) == there
    raise Refused(400, f'unable to parse requirement: "{text}" is no label selector')


def field_selector(text: str) -> Selector:
    """What chooses objects by their fields.

    Args:
        text: such as ``metadata.name=web,status.phase!=Running``; empty for all.

    Raises:
        Refused: it is none.
    """
    wishes = []
    for part in filter(None, text.split(",")):
        match = _EQUAL.match(part)
        if match is None:
            raise Refused(400, f"invalid selector: '{part}'; can't understand '{part}'")
        wishes.append((match[1], match[2] != "!=", match[3]))
    return lambda content: all((_text(content, path) == value) == equal for path, equal, value in wishes)


def _text(content: JsonObject, path: str) -> str:
    value = at(content, path)
    return "" if value is None else str(value)
