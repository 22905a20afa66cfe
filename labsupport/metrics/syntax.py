"""What ``promql-parser`` lacks: texts in backquotes, and the place where a query stops being one."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate, product

__all__ = ["UNPLACED", "quoted", "unexpected"]

UNPLACED = "invalid promql query"
"""What the parser says when it met a word that cannot stand where it does."""
_TOKEN = re.compile(
    r"(?P<rest>\s+|#[^\n]*)|(?P<raw>`[^`]*`)"
    r"""|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w:.]+|[=!]~|[=!<>]=|.""",
    re.DOTALL,
)
_CLOSING = {"(": ")", "{": "}", "[": "]"}
# Something of this kind can follow whatever the beginning of a query ends with.
_NEXT = ("", "x", "1", "(x)", "(a) (x)", '="b"', '"b"', "1m")
_AFTER = ("", "(x)", "x")
# What the parser says of single characters, before it looks at the order of words.
_OF_CHARACTERS = re.compile("unexpected|unclosed|unterminated|bad number")
_REMEDIES = {"=": " A comparison is written ==."}
_SHOWN = 20


def quoted(query: str) -> str:
    """The same query with each text in backquotes, in which a backslash is one, in quotes that escape it.

    Args:
        query: in PromQL.
    """
    return _TOKEN.sub(lambda found: _in_quotes(found["raw"]) if found["raw"] else found[0], query)


def _in_quotes(raw: str) -> str:
    escaped = raw[1:-1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def unexpected(query: str) -> str:
    """The first word with which a query can no longer become one, and what stands before it.

    Args:
        query: one of which the parser says no more than ``UNPLACED``.
    """
    tokens = [found for found in _TOKEN.finditer(query) if not found["rest"]]
    closers = list(accumulate((found[0] for found in tokens), _open_after, initial=""))

    def is_over(at: int) -> bool:
        return not _goes_on(query[: tokens[at].end()], closers[at + 1])

    # What cannot become a query cannot with more behind it either.
    at = bisect_left(range(len(tokens)), True, key=is_over)
    before = _end(query[: tokens[at - 1].end()]) if at else ""
    if at == len(tokens):
        return f"the query ends too early, after {before}."
    token = tokens[at][0]
    after = f" after {before}" if at else " at the beginning"
    return f"unexpected {token}{after}.{_REMEDIES.get(token, '')}"


def _open_after(closers: str, token: str) -> str:
    """What has to close after this word, from what had to before it."""
    if token in _CLOSING:
        return _CLOSING[token] + closers
    return closers.removeprefix(token) if token in _CLOSING.values() else closers


def _end(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN else f"...{words[-_SHOWN:]}"


def _goes_on(begin: str, closers: str) -> bool:
    return any(_is_one(f"{begin} {more}{closers} {after}") for more, after in product(_NEXT, _AFTER))


def _is_one(query: str) -> bool:
    import promql_parser

    try:
        promql_parser.parse(query)
    except ValueError as error:
        return str(error) != UNPLACED and not _OF_CHARACTERS.match(str(error))
    return True
