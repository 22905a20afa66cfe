"""YAML line by line with a mark on each line, for showing a manifest and Envoy's configuration side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["ConfigLine", "Mark", "MarkOf", "Path", "block", "flow", "key", "leaves"]

Mark = Literal["", "written", "default"]
Path = tuple[str | int, ...]
MarkOf = Callable[[Path, object], Mark]

# What YAML 1.1 reads as something else than text, or not at all, unless it is quoted.
_PLAIN = re.compile(r"[A-Za-z0-9_/.$(][^#:\[\]{}&*!%@`'\"\n]*(:[^ \n#][^#\[\]{}\n]*)*\Z")
_NOT_TEXT = re.compile(r"(?i)(true|false|yes|no|on|off|null|~|[-+]?\d[\d_]*(\.\d*)?(e[-+]?\d+)?)\Z")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class ConfigLine:
    """One line.

    Args:
        text: the line, indented.
        mark: ``written`` for a value that the manifest states, ``default`` for one that Istio adds, else empty.
    """

    text: str
    mark: Mark = ""


def block(
    value: Mapping[str, object] | Sequence[object], mark_of: MarkOf = lambda path, value: ""
) -> tuple[ConfigLine, ...]:
    """Write a mapping or list as YAML in block style.

    Args:
        value: plain data.
        mark_of: the mark of a field, given its path and value; a default covers all that is below it.
    """
    return tuple(_block(value, 0, (), mark_of, ""))


def flow(value: object) -> str:
    """A value as YAML on one line, such as ``{host: web, subset: v1}``."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_in_flow(str(key))}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    return _in_flow(value)


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """All values that are neither mappings nor lists, with their paths."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list | tuple):
        for index, below in enumerate(value):
            yield from leaves(below, (*path, index))
    else:
        yield path, value


def key(path: Sequence[str | int], value: object) -> str:
    """A value in a form in which a manifest and Envoy's configuration agree.

    Envoy has durations in seconds, percentages in parts of a million, and names of Secrets with what they are from.

    Args:
        path: where the value is.
        value: a plain value.
    """
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float):
        return f"{value / 10_000 if path[-1] == 'numerator' else value:g}"
    # Envoy's enums are in capitals where some of Istio's are not.
    text = str(value).removeprefix("kubernetes://").casefold()
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return f"{sum(float(number) * _SECONDS[unit] for number, unit in parts):g} s"
    return text


def _block(
    value: Mapping[str, object] | Sequence[object], indent: int, path: Path, mark_of: MarkOf, around: Mark
) -> Iterator[ConfigLine]:
    if isinstance(value, Mapping):
        entries: list[tuple[str, Path, object]] = [
            (f"{_scalar(str(key))}:", (*path, key), item) for key, item in value.items()
        ]
    else:
        entries = [("-", (*path, index), item) for index, item in enumerate(value)]
    for head, where, item in entries:
        mark = around or mark_of(where, item)
        lead = " " * indent + head
        if not isinstance(item, Mapping | list | tuple):
            yield ConfigLine(f"{lead} {_scalar(item)}", mark)
        elif not item:
            yield ConfigLine(f"{lead} {'{}' if isinstance(item, Mapping) else '[]'}", mark)
        elif head == "-":
            # The first line of an item stands on the line of its dash.
            first, *rest = _block(item, indent + 2, where, mark_of, mark)
            yield ConfigLine(f"{lead} {first.text.lstrip()}", first.mark)
            yield from rest
        else:
            yield ConfigLine(lead, mark)
            yield from _block(item, indent + 2, where, mark_of, mark)


def _in_flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and "," in value else _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = _PLAIN.match(value) and not _NOT_TEXT.match(value) and value == value.strip()
        return value if plain else json.dumps(value, ensure_ascii=False)
    return str(value)
