"""RE2 expressions, run by RE2 itself as in Istio and Envoy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

__all__ = ["full_match", "substitute"]


def full_match(pattern: str, text: str) -> bool:
    """Whether an expression matches the whole text, as Envoy's ``safe_regex`` asks for.

    Args:
        pattern: the expression; one that is not RE2 matches nothing.
        text: what it is held against.
    """
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None


def substitute(pattern: str, replacement: str, text: str) -> str:
    r"""Replace every match, as Envoy's ``regex_rewrite`` does.

    Args:
        pattern: the expression; one that is not RE2 changes nothing.
        replacement: ``\1`` is the first group, ``\0`` the whole match, ``\\`` a backslash; one with a group that the
            expression does not have changes nothing.
        text: in which it is looked for.
    """
    compiled = _compile(pattern)
    if compiled is None or _greatest_group(replacement) > compiled.groups:
        return text
    parts: list[str] = []
    end, last = 0, -1
    for match in compiled.finditer(text):
        # RE2 replaces nothing empty right after what it has replaced.
        if match.start() == match.end() == last:
            continue
        parts += [text[end : match.start()], *_filled(replacement, match)]
        end = last = match.end()
    return "".join([*parts, text[end:]])


def _greatest_group(replacement: str) -> int:
    # A pair of backslashes is one that is meant, so what stands behind it is no group.
    return max((int(part[1]) for part in re.findall(r"\\.", replacement) if part[1].isdigit()), default=0)


def _filled(replacement: str, match: Any) -> Iterator[str]:
    escaped = False
    for character in replacement:
        if not escaped and character == "\\":
            escaped = True
            continue
        if escaped and character.isdigit():
            yield match.group(int(character)) or ""
        else:
            yield character
        escaped = False


@lru_cache(maxsize=512)
def _compile(pattern: str) -> Any:
    # Only explanations need it, and importing it takes time.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None
