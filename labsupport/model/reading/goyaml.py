"""YAML text to plain data with lines, by the rules of go-yaml 2, which kubectl uses.

libyaml's events are put together here rather than by PyYAML's composer, because that one recurses (a few thousand
brackets would end the process), resolves scalars differently, and lets a later duplicate of a key win silently.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import yaml

from labsupport.records import Json, JsonObject

__all__ = ["Composer", "Tree", "YamlProblem", "resolve_scalar"]

MAX_DEPTH: Final = 200
MAX_NODES: Final = 250_000
MAX_PATH: Final = 1_000

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_INT_LIKE: Final = re.compile(r"([-+]?)0([xX][0-9a-fA-F]+|[oO]?[0-7]+|[bB][01]+)")
_TAG: Final = "tag:yaml.org,2002:"
_KNOWN_TAGS: Final = frozenset({"str", "bool", "int", "float", "null", "timestamp"})


class YamlProblem(Exception):
    """The text cannot be read on from here."""

    def __init__(self, message: str, line: int, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Tree:
    """One YAML document.

    Args:
        value: mappings, lists and scalars.
        line: where it starts, from 1.
        lines: field path to line.
        problems: what is wrong with it although it can be read.
    """

    value: Json
    line: int
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[YamlProblem] = field(default_factory=list)


@dataclass(slots=True)
class _YamlNode:
    value: Scalar
    kind: Literal["scalar", "list", "mapping"]
    line: int
    children: list[_YamlNode] = field(default_factory=list)  # the items of a list, or keys and values in turn
    size: int = 1
    depth: int = 1
    closed: bool = True


def resolve_scalar(text: str) -> Scalar:
    """Tell what a plain (unquoted) scalar stands for.

    Args:
        text: as written.

    Returns:
        None, a bool, int, float or the text itself; timestamps and sexagesimal numbers stay text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    if _DECIMAL.fullmatch(digits):
        return _bounded(digits, 10)
    based = _INT_LIKE.fullmatch(digits)
    if based is not None:
        body = based[2].lower()
        base = {"x": 16, "b": 2}.get(body[0], 8)
        return _bounded(based[1] + body.lstrip("xob"), base)
    if _FLOAT.fullmatch(digits):
        value = float(digits)
        return value if math.isfinite(value) else text
    return text


def _bounded(digits: str, base: int) -> int | float | str:
    if len(digits) < 70:
        value = int(digits, base)
        if -(2**63) <= value < 2**64:
            return value
    return float(digits) if base == 10 and len(digits) < 300 else digits  # only the float form is left


class Composer:
    """Puts the documents of a text together.

    Args:
        text: YAML, possibly several documents.
        loose: read on where kubectl's strict decoding objects: of equal keys the last counts, and a tag that nobody
            knows makes text.
    """

    def __init__(self, text: str, *, loose: bool = False) -> None:
        self._text = text
        self._loose = loose

    def documents(self) -> Iterator[Tree]:
        """Yield the documents one after the other.

        Returns:
            an iterator of trees; a syntax error comes when the iteration gets there.

        Raises:
            YamlProblem: the text cannot be read on.
        """
        lone = _SURROGATE.search(self._text)
        if lone is not None:
            line = self._text.count("\n", 0, lone.start()) + 1
            raise YamlProblem("a character that is half of a surrogate pair", line)
        try:
            for event in (events := yaml.parse(self._text, Loader=yaml.CSafeLoader)):
                if isinstance(event, yaml.DocumentStartEvent):
                    root = self._compose(events)
                    yield self._construct(root)
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
            raise YamlProblem(f"a character that YAML does not allow (#x{error.character:04x})", line) from None
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error) from None

    def _syntax(self, error: yaml.MarkedYAMLError) -> YamlProblem:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        remedy = ""
        written = self._text.splitlines()[line - 1 : line]
        if "\t" in (written[0][: len(written[0]) - len(written[0].lstrip())] if written else ""):
            remedy = "Indent with spaces: YAML does not allow tabs."
        elif error.problem and "mapping values are not allowed" in error.problem:
            remedy = "Check the indentation, and the space after each colon; put text with a colon in quotes."
        elif error.problem and ("expected" in error.problem or "did not find" in error.problem):
            remedy = "Check the indentation of this line and the one before, and that quotes and brackets are closed."
        what = " ".join(part for part in (error.context, error.problem) if part)
        column = f", column {mark.column + 1}" if mark is not None else ""
        return YamlProblem(f"this is not YAML: {what}{column}", line, remedy)

    def _compose(self, events: Iterator[yaml.Event]) -> _YamlNode:
        anchors: dict[str, _YamlNode] = {}
        stack: list[_YamlNode] = []
        while True:
            event = next(events)
            line = event.start_mark.line + 1 if event.start_mark is not None else 0
            node: _YamlNode
            if isinstance(event, yaml.ScalarEvent):
                node = _YamlNode(self._scalar(event, line), "scalar", line)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    raise YamlProblem(f"there is no anchor &{event.anchor} before this alias", line)
                node = anchors[event.anchor]
                if not node.closed:
                    raise YamlProblem(f"the anchor &{event.anchor} contains itself", line)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                kind: Literal["list", "mapping"] = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
                node = _YamlNode(None, kind, line, closed=False)
                if event.anchor:
                    anchors[event.anchor] = node
                stack.append(node)
                if len(stack) > MAX_DEPTH:
                    raise YamlProblem(f"nested more than {MAX_DEPTH} levels deep", line)
                continue
            else:  # the end of a list or mapping
                node = stack.pop()
                node.closed = True
            if isinstance(event, yaml.ScalarEvent) and event.anchor:
                anchors[event.anchor] = node
            self._count(node, line)
            if not stack:
                return node
            parent = stack[-1]
            parent.size += node.size
            parent.depth = max(parent.depth, node.depth + 1)
            parent.children.append(node)

    @staticmethod
    def _count(node: _YamlNode, line: int) -> None:
        if node.depth > MAX_DEPTH:
            raise YamlProblem(f"the aliases nest it more than {MAX_DEPTH} levels deep", line)
        if node.size > MAX_NODES:
            message = f"the document has more than {MAX_NODES:,} values, those of aliases counted where they are used"
            raise YamlProblem(message, line, "Part it into several objects.")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        tag = event.tag or ""
        if (event.implicit[0] and not tag) or tag == "!":
            return resolve_scalar(event.value) if event.implicit[0] else event.value
        if not tag or tag == _TAG + "str":
            return event.value
        short = tag.removeprefix(_TAG)
        if self._loose and short == "binary":
            try:
                return b64decode(event.value, validate=True).decode(errors="replace")
            except ValueError:
                raise YamlProblem("the tag !!binary needs base64", line) from None
        if self._loose and not (short != tag and short in _KNOWN_TAGS):
            return event.value
        value = resolve_scalar(event.value)
        fits: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if short == "timestamp":
            return event.value
        if short not in fits or not isinstance(value, fits[short]) or (short != "bool" and isinstance(value, bool)):
            raise YamlProblem(f"the tag {event.tag} does not fit here", line, "Leave it out.")
        return float(value) if isinstance(value, int) and short == "float" else value

    def _construct(self, root: _YamlNode) -> Tree:
        tree = Tree(None, root.line)
        value = self._value(root, "", tree)
        return Tree(value, tree.line, tree.lines, tree.problems)

    def _value(self, node: _YamlNode, path: str, tree: Tree) -> Json:
        # Recursion is bounded by MAX_DEPTH, the work by MAX_NODES; aliases are counted in both.
        if node.kind == "scalar":
            if isinstance(node.value, float) and not math.isfinite(node.value):
                tree.problems.append(YamlProblem(f"{path}: infinity and NaN are not allowed", node.line))
                return None
            return node.value
        if node.kind == "list":
            items = []
            for index, child in enumerate(node.children):
                place = f"{path}[{index}]"
                tree.lines[place] = child.line
                items.append(self._value(child, place, tree))
            return items
        result: JsonObject = {}
        seen: dict[str, int] = {}
        for key, child in zip(node.children[::2], node.children[1::2], strict=True):
            if key.kind == "scalar" and key.value == "<<":
                self._merge(child, path, result, tree)
                continue
            name = self._key(key, path, tree)
            if name in seen and not self._loose:
                message = f"the key {name!r} is given twice (first in line {seen[name]})"
                tree.problems.append(YamlProblem(message, key.line, "Keep one of them."))
                continue
            seen[name] = key.line
            place = f"{path}.{name}" if path else name
            if len(place) > MAX_PATH:
                # Every field below would repeat it.
                message = f"the key {name[:40]!r} makes a field path of more than {MAX_PATH:,} characters"
                raise YamlProblem(message, key.line, "Use shorter keys, or nest less.")
            tree.lines[place] = key.line
            result[name] = self._value(child, place, tree)
        return result

    def _merge(self, node: _YamlNode, path: str, result: JsonObject, tree: Tree) -> None:
        """Take the keys of other mappings over: also those that were written before, but none that comes after."""
        sources = node.children if node.kind == "list" else [node]
        for source in sources:
            if source.kind != "mapping":
                tree.problems.append(YamlProblem("<< needs a mapping or a list of mappings", node.line))
                return
        for source in reversed(sources):
            merged = self._value(source, path, Tree(None, 0, {}, tree.problems))
            for name, value in merged.items():
                result[name] = value
                tree.lines[f"{path}.{name}" if path else name] = node.line

    @staticmethod
    def _key(key: _YamlNode, path: str, tree: Tree) -> str:
        if isinstance(key.value, str):
            return key.value
        if key.kind != "scalar" or key.value is None:
            what = "null" if key.kind == "scalar" else f"a {key.kind}"
            remedy = "Put it in quotes." if key.kind == "scalar" else "Curly braces around a placeholder need quotes."
            tree.problems.append(YamlProblem(f"a key must be text, not {what}", key.line, remedy))
            return f"<{what}>"
        return str(key.value).lower() if isinstance(key.value, bool) else f"{key.value}"
