"""RE2 expressions, run by Python's ``re``.

Validation has refused what is not RE2, so only what both understand differently has to be put right: RE2's classes are
ASCII, flags may stand anywhere, and some escapes have other names.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["full_match", "substitute"]

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
}
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?(\)|:)")
_REPEAT = re.compile(r"\{\d+(?:,\d*)?\}")
_POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")


def full_match(pattern: str, text: str) -> bool:
    """Whether an RE2 expression matches the whole text."""
    compiled = _compile(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None


def substitute(pattern: str, replacement: str, text: str) -> str:
    r"""Replace every match, as ``regex_rewrite`` does; ``\1`` is the first group, ``\0`` the whole match."""
    compiled = _compile(pattern)
    if compiled is None:
        return text

    def put(match: re.Match[str]) -> str:
        return re.sub(r"\\(\\|\d)", lambda ref: "\\" if ref[1] == "\\" else (match[int(ref[1])] or ""), replacement)

    return compiled.sub(put, text)


@lru_cache(maxsize=512)
def _compile(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(_translate(pattern), re.ASCII)
    except re.error:
        return None


def _translate(pattern: str) -> str:
    """Rewrite what Python would read differently; flags in the middle become groups up to the end of theirs."""
    out: list[str] = []
    # How many flag groups were opened inside each open parenthesis.
    opened = [0]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith(r"\Q", position):
            end = pattern.find(r"\E", position)
            out.append(re.escape(pattern[position + 2 : end if end >= 0 else len(pattern)]))
            position = end + 2 if end >= 0 else len(pattern)
        elif character == "\\":
            escape, position = _escape(pattern, position)
            out.append(escape)
        elif character == "[":
            text, position = _class(pattern, position)
            out.append(text)
        elif flags := _FLAGS.match(pattern, position):
            on, off = flags[1].replace("U", ""), (flags[2] or "").replace("U", "")
            head = f"(?{on}{'-' + off if off else ''}:"
            out.append(head if on or off else "(?:")
            if flags[3] == ":":
                opened.append(0)
            else:
                opened[-1] += 1
            position = flags.end()
        elif character == "(":
            out.append("(")
            opened.append(0)
            position += 1
        elif character == ")":
            out.append(")" * (opened.pop() + 1) if len(opened) > 1 else ")")
            position += 1
        elif character == "|" and opened[-1]:
            # A flag reaches over alternatives to the end of its group, and so does the group made of it.
            out.append("|")
            position += 1
        elif character == "{" and not _REPEAT.match(pattern, position):
            out.append(r"\{")
            position += 1
        elif character == "$":
            # Outside of multi-line mode, RE2's $ is the very end of the text.
            out.append(r"(?!\n)$" if "m" not in pattern else "$")
            position += 1
        else:
            out.append(character)
            position += 1
    return "".join(out) + ")" * opened[0]


def _escape(pattern: str, position: int) -> tuple[str, int]:
    rest = pattern[position + 1 : position + 2]
    if rest == "z":
        return r"\Z", position + 2
    if rest == "C":
        return r"[\s\S]", position + 2
    if pattern.startswith("x{", position + 1):
        end = pattern.find("}", position)
        return re.escape(chr(int(pattern[position + 3 : end], 16))), end + 1
    return pattern[position : position + 2], position + 2


def _class(pattern: str, position: int) -> tuple[str, int]:
    """A bracket expression, with POSIX classes written out."""
    out = ["["]
    position += 1
    if pattern.startswith("^", position):
        out.append("^")
        position += 1
    first = True
    while position < len(pattern):
        posix = _POSIX_CLASS.match(pattern, position)
        if posix and posix[2] in _POSIX and not posix[1]:
            out.append(_POSIX[posix[2]])
            position = posix.end()
        elif pattern[position] == "]" and not first:
            return "".join(out) + "]", position + 1
        elif pattern[position] == "\\":
            escape, position = _escape(pattern, position)
            out.append(escape)
        else:
            # Python warns of brackets and doubled operators that it may read as set operations one day.
            out.append(f"\\{pattern[position]}" if pattern[position] in "[]&~|" else pattern[position])
            position += 1
        first = False
    return "".join(out), position
