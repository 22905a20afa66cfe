"""Numbers in words for plain text: shares, durations and counts as messages and plain representations show them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

__all__ = [
    "THIS_CELL",
    "cluster",
    "duration",
    "join",
    "labels",
    "natural_key",
    "percent",
    "percent_range",
    "place",
    "plural",
    "rate",
    "reason",
    "sentence",
    "shares",
    "shown",
    "visible",
]

_Text = TypeVar("_Text", bound=Callable[..., str])


# Control characters but line ends and tabs, marks of direction, separators of lines, halves of surrogate pairs, tags.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\ufffe\uffff\U000e0000-\U000e007f]"
)
_CLUSTER_SUFFIX = re.compile(r"(\.[\w-]+)?\.svc\.cluster\.local$")
THIS_CELL = "this cell"
"""What the text of a cell is called in the output of the cell itself."""


def visible(text: str) -> str:
    """Text for people's eyes: what would steer a terminal, turn the direction of letters or break XML, as its escape.

    Line ends and tabs stay, and JSON stays the same JSON. Whatever people are shown goes through here:
    manifests, headers and logs come from strangers.
    """
    return text if text.isprintable() else _UNSEEN.sub(_escape, text)


def shown(method: _Text) -> _Text:
    """Let a method that gives text for people, such as ``__repr__``, give ``visible`` text; a decorator."""

    @functools.wraps(method)
    def careful(self: Any, *args: Any, **options: Any) -> str:
        return visible(method(self, *args, **options))

    return careful  # type: ignore[return-value]


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 32:
        return f"\\x{code:02x}"
    # JSON has escaped those already; these are as it writes them.
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def percent(share: float) -> str:
    """A share from 0 to 1 such as ``9.8 %``; only exactly 0 and 1 are shown as ``0 %`` and ``100 %``."""
    value = 100 * share
    if value in (0.0, 100.0):
        return f"{value:.0f} %"
    if 0.05 <= value <= 99.95:
        return f"{value:.1f} %"
    if 0.005 <= value <= 99.995:
        return f"{value:.2f} %"
    return "< 0.01 %" if value < 50 else "> 99.99 %"


def percent_range(low: float, high: float) -> str:
    """An interval of shares such as ``6.4–14.0 %``."""
    return f"{_bound(low)}–{_bound(high)} %"


def cluster(name: str) -> str:
    """A cluster's name without what is the same everywhere: ``outbound|9080|v1|reviews``."""
    return _CLUSTER_SUFFIX.sub("", name)


def duration(seconds: float) -> str:
    """A duration such as ``0.4 ms``, ``12 ms``, ``1.25 s`` or ``83 s``."""
    if seconds >= 9.95:
        return f"{seconds:.0f} s"
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    value = 1000 * seconds
    return f"{value:.0f} ms" if value >= 9.95 or value == 0 else f"{value:.1f} ms"


def rate(per_second: float) -> str:
    """Requests per second such as ``476/s`` or ``0.5/s``."""
    return f"{per_second:.0f}/s" if per_second >= 9.95 or per_second == int(per_second) else f"{per_second:.1f}/s"


def plural(count: int, noun: str, several: str = "") -> str:
    """A count with its noun, such as ``1 proxy`` or ``12,345 requests``."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def place(file: str, line: int) -> str:
    """Where something was written: ``web.yaml:18``, or ``line 18 of %%manifest 02.1`` for the text of a cell.

    Args:
        file: a file, or what a cell begins with; empty if unknown.
        line: from 1; 0 if unknown.
    """
    if not line:
        return file
    if not file:
        return f"line {line}"
    # With a colon it reads as the number of the cell, which a notebook shows as In [18].
    return f"line {line} of {file}" if file.startswith("%%") or file == THIS_CELL else f"{file}:{line}"


def join(items: Iterable[object], last: str = "and") -> str:
    """A list in words: ``a, b and c``; empty text for no items."""
    words = [str(item) for item in items]
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def sentence(text: str) -> str:
    """A clause as a sentence: with a full stop, unless it ends already, as a question does."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def reason(error: BaseException) -> str:
    """The innermost reason of a failure, without the names of Python's classes, numbers and a final full stop."""
    inner = getattr(error, "reason", None)
    text = (str(inner if isinstance(inner, BaseException) else error).strip() or type(error).__name__).splitlines()[0]
    text = re.sub(r"^<?[\w.]+\(.*?\)>?: ", "", text)
    text = re.sub(r"\[Errno -?\d+\] | \(_ssl\.c:\d+\)| \((read|connect) timeout=\S+\)", "", text)
    return text.rstrip(".") or type(error).__name__


def shares(parts: Mapping[str, float]) -> str:
    """Shares by key, such as ``90.0 % safe and 10.0 % risk``; ``nothing`` if there are none."""
    return join(f"{percent(share)} {key}" for key, share in parts.items()) or "nothing"


def labels(pairs: Mapping[str, str]) -> str:
    """Labels as kubectl writes them, such as ``app=web,version=v1``; ``-`` for none."""
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or "-"


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``v2`` before ``v10``."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _bound(share: float) -> str:
    return f"{100 * share:.0f}" if share in (0.0, 1.0) else f"{100 * share:.1f}"
