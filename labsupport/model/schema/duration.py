"""Durations in Go's syntax, as in every duration field of Istio (``time.ParseDuration``)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Self

__all__ = ["GoDuration", "parse_duration"]

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_MAX_NS = 2**63


class GoDuration(timedelta):
    """A duration that keeps Go's nanoseconds and the text it was written as.

    Args:
        nanoseconds: the exact length.
        text: how it was written.
    """

    nanoseconds: int
    text: str

    def __new__(cls, nanoseconds: int, text: str = "") -> Self:
        """Make one of that length; ``timedelta`` itself is rounded to microseconds."""
        self = super().__new__(cls, microseconds=nanoseconds / 1000)
        self.nanoseconds = nanoseconds
        self.text = text or f"{nanoseconds / 1e9:g}s"
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[int, str]]:
        return type(self), (self.nanoseconds, self.text)

    def __str__(self) -> str:
        return self.text


def parse_duration(text: str) -> GoDuration:
    """Parse Go duration text such as ``1h30m``, ``0.5s`` or ``0``.

    Args:
        text: an optional sign, then numbers with units ns, us, ms, s, m, h.

    Returns:
        the duration.

    Raises:
        ValueError: it is not Go duration text, or longer than about 292 years.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text[1:] if text.startswith("+") else text)
    if rest == "0":
        return GoDuration(0, text)
    total = 0
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None or not (part[1] or part[2]) or part[3] not in _UNITS_NS:
            break
        unit = _UNITS_NS[part[3]]
        fraction = part[2] or ""
        total += int(part[1] or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        position = part.end()
        if total > _MAX_NS:
            break
    if not rest or position < len(rest) or total > _MAX_NS - (sign > 0):
        raise ValueError(f"{text!r} is not a duration: write a number with a unit, such as 500ms, 2s or 1m30s")
    return GoDuration(sign * total, text)
