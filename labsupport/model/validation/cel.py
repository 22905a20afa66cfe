"""Whether a text is an expression of the Common Expression Language, as filters of access logs must be.

Follows the grammar of the CEL specification and the macros that are part of it. Types and names of attributes are not
looked at, as istiod does not know them either.
"""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

__all__ = ["expression_problem"]

Shape = Literal["name", "field", "other"]

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_RAW = r"\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"[^\"\n\r]*\"|'[^'\n\r]*'"
_QUOTED = (
    rf"\"\"\"(?:{_ESCAPE}|[^\\])*?\"\"\"|'''(?:{_ESCAPE}|[^\\])*?'''"
    rf"|\"(?:{_ESCAPE}|[^\\\"\n\r])*\"|'(?:{_ESCAPE}|[^\\'\n\r])*'"
)
_TOKEN = re.compile(
    rf"""(?P<blank>[\t\x20\r\n\f]+|//[^\n]*)
    |(?P<text>[bB]?(?:[rR](?:{_RAW})|(?:{_QUOTED})))
    |(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<unsigned>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    |(?P<whole>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<escaped>`[A-Za-z0-9_.\-/\x20]+`)
    |(?P<sign>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])""",
    re.VERBOSE,
)
# Escapes of characters in bytes, and of what is no character; not in raw texts, whose prefix has an r.
_IN_BYTES = re.compile(r"^[bB](?![rR])(?:[^\\]|\\[^uU])*\\[uU]")
_SURROGATE = re.compile(
    r"^(?![rR])(?:[^\\]|\\.)*?\\(?:u[dD][89a-fA-F]|U0000[dD][89a-fA-F]|U00(?:1[1-9a-fA-F]|[2-9a-fA-F])|U(?!00))",
    re.DOTALL,
)
_KEYWORDS = {"true", "false", "null", "in"}
_RESERVED = re.compile(
    "as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while"
)
_BINARY = frozenset(["==", "!=", "<=", ">=", "<", ">", "&&", "||", "+", "-", "*", "/", "%", "in"])
_LOOPS = {"all": {2}, "exists": {2}, "exists_one": {2}, "filter": {2}, "map": {2, 3}}


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


class _NotCelError(Exception):
    pass


def expression_problem(text: str) -> str:
    """Say what keeps a text from being a CEL expression.

    Args:
        text: what a filter says.

    Returns:
        What is wrong and at which character; empty if it is an expression.
    """
    if not text.strip():
        return "must not be empty"
    try:
        reader = _Reader(_tokens(text))
        reader.expression()
        reader.need("")
    except _NotCelError as error:
        return f"is not a CEL expression: {error}"
    except RecursionError:
        return "is not a CEL expression: nested too deeply"
    return ""


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NotCelError(f"{text[position]!r} at character {position + 1} has no meaning")
        kind = str(match.lastgroup)
        if kind == "name" and match.group() in _KEYWORDS:
            kind = "sign" if match.group() == "in" else "literal"
        if kind != "blank":
            found.append(_Token(kind, match.group(), position + 1))
        position = match.end()
    return [*found, _Token("end", "", position + 1)]


class _Reader:
    """Reads expressions off a list of tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._next
        self._position += token.kind != "end"
        return token

    def _sign(self, *texts: str) -> bool:
        """Take the next token if it is one of these signs."""
        if self._next.kind == "sign" and self._next.text in texts:
            self._take()
            return True
        return False

    def need(self, text: str) -> None:
        """Take a sign that has to come now; empty for the end."""
        if self._next.text != text or self._next.kind not in ("sign", "end"):
            raise _NotCelError(f"{self._here()}, expected {repr(text) if text else 'the end'}")
        self._take()

    def _here(self) -> str:
        token = self._next
        return f"{token.text!r} at character {token.column}" if token.text else "it ends too early"

    def expression(self) -> Shape:
        """Read operands with operators between them, and the choice that may follow."""
        shape = self._operand()
        while self._next.kind == "sign" and self._next.text in _BINARY:
            self._take()
            self._operand()
            shape = "other"
        if self._sign("?"):
            # The first branch is no choice itself unless in brackets.
            self._operand()
            while self._next.kind == "sign" and self._next.text in _BINARY:
                self._take()
                self._operand()
            self.need(":")
            self.expression()
            shape = "other"
        return shape

    def _operand(self) -> Shape:
        before = self._position
        if self._sign("!"):
            while self._sign("!"):
                pass
        else:
            while self._sign("-"):
                pass
        negated = self._position > before
        if self._next.text == "-" and self._tokens[self._position + 1].kind in ("whole", "float"):
            self._take()
        shape = self._primary()
        while True:
            if self._sign("."):
                member = self._take()
                if member.kind not in ("name", "escaped"):
                    raise _NotCelError(f"no field name after the dot before character {member.column}")
                shape = "field"
                if member.kind == "name" and self._sign("("):
                    self._arguments(member.text, loops=True)
                    shape = "other"
            elif self._sign("["):
                self.expression()
                self.need("]")
                shape = "other"
            else:
                return "other" if negated else shape

    def _primary(self) -> Shape:
        if self._sign("("):
            shape = self.expression()
            self.need(")")
            return shape
        if self._sign("["):
            self._items("]")
            return "other"
        if self._sign("{"):
            self._items("}")
            return "other"
        dotted = self._sign(".")
        token = self._next
        if token.kind == "name":
            return self._name()
        if dotted or token.kind not in ("text", "float", "unsigned", "whole", "literal"):
            raise _NotCelError(f"{self._here()}, expected a value")
        if token.kind == "text" and (_IN_BYTES if token.text[0] in "bB" else _SURROGATE).search(token.text):
            raise _NotCelError(f"an escape in the text at character {token.column} stands for nothing")
        self._number(token, self._tokens[self._position - 1].text == "-")
        self._take()
        return "other"

    def _name(self) -> Shape:
        end = self._position + 1
        while self._tokens[end].text == "." and self._tokens[end + 1].kind == "name":
            end += 2
        if self._tokens[end].text == "{":
            self._position = end + 1
            self._items("}", fields=True)
            return "other"
        name = self._take()
        if _RESERVED.fullmatch(name.text):
            raise _NotCelError(f"{name.text!r} at character {name.column} is a reserved word")
        if self._sign("("):
            self._arguments(name.text, loops=False)
            return "field" if name.text == "has" else "other"  # the macro stands for a field itself
        return "name"

    def _arguments(self, function: str, *, loops: bool) -> None:
        column = self._next.column
        shapes: list[Shape] = []
        if not self._sign(")"):
            shapes.append(self.expression())
            while self._sign(","):
                shapes.append(self.expression())
            self.need(")")
        if loops and len(shapes) in _LOOPS.get(function, ()) and shapes[0] != "name":
            raise _NotCelError(f"{function} needs a plain name at character {column}")
        if not loops and function == "has" and len(shapes) == 1 and shapes[0] != "field":
            raise _NotCelError(f"has needs a field such as a.b at character {column}")

    def _items(self, end: str, *, fields: bool = False) -> None:
        if self._sign(","):  # the grammar lets a comma end even an empty list
            self.need(end)
            return
        while not self._sign(end):
            if fields:
                name = self._take()
                if name.kind not in ("name", "escaped"):
                    raise _NotCelError(f"no field name at character {name.column}")
            else:
                self.expression()
            if end == "}":
                self.need(":")
                self.expression()
            if self._next.text != end:
                self.need(",")

    def _number(self, token: _Token, negative: bool) -> None:
        if token.kind == "float":
            fits = math.isfinite(float(token.text))
        elif token.kind in ("whole", "unsigned"):
            digits = token.text.rstrip("uU")
            value = int(digits, 16 if digits.startswith("0x") else 10) if len(digits) < 4000 else math.inf
            fits = value < 2**64 if token.kind == "unsigned" else value < 2**63 + negative
        else:
            return
        if not fits:
            raise _NotCelError(f"{token.text!r} at character {token.column} is too large")
