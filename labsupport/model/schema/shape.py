"""Checks of a raw mapping against a model, as kubectl's strict decoding and the API server's CRD schema do them.

A shape is compiled once from the pydantic class, so the class stays the only declaration of a field. The API server
runs the CEL rules of a CRD only on an object whose plain schema is satisfied; so does ``Shape.check``.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from labsupport.model.schema.base import Metadata, Schema
from labsupport.model.schema.duration import GoDuration
from labsupport.model.schema.formats import base64_of, format_problem
from labsupport.model.schema.issues import Issue, Report
from labsupport.model.schema.suggest import closest
from labsupport.model.schema.types import Format, IntOrStringMark, Rule, flatten
from labsupport.records import Json, JsonObject

__all__ = ["ListShape", "MapShape", "ObjectShape", "Shape", "TextShape", "meant", "shape_of"]

# More are no help.
_FEW = 6
_NO_LIST = "Leave out the hyphen: this is not a list."


def meant(name: str) -> str:
    """The remedy for a word that is close to one that exists."""
    return f"Did you mean {name}?"


def describe(value: object) -> str:
    """Say in words what a YAML value is."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, int | float):
        return f"a number ({str(value)[:40]})"
    if isinstance(value, str):
        return f"text ({value[:40]!r})"
    return "a list" if isinstance(value, list) else "a mapping"


@dataclass(slots=True)
class Shape:
    """What a value must look like; the base accepts everything."""

    rules: tuple[Rule, ...] = ()

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a value.

        Args:
            value: as read from YAML.
            path: its field path.
            report: where findings go.

        Returns:
            the value as an API server would keep it: unknown fields removed, whole floats as integers.
        """
        for rule in self.rules:
            report.rules.append((rule, value, path))
        return value


@dataclass(slots=True)
class TextShape(Shape):
    """Text, possibly one of a few words."""

    shortest: int = 0
    longest: int | None = None
    formats: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    duration: bool = False

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check text."""
        if isinstance(value, list) and "byte" in self.formats and (text := base64_of(value)) is not None:
            return text
        if not isinstance(value, str):
            remedy = ""
            if isinstance(value, bool | int | float):
                shown = str(value).lower() if isinstance(value, bool) else str(value)[:40]
                examples = "500ms or 1s" if isinstance(value, bool) else f"{shown}s or {shown}ms"
                remedy = f"Write it with a unit: {examples}." if self.duration else f'Put it in quotes: "{shown}".'
            elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
                remedy = f"Write {value[0][:40]} without the list."
            report.crd(path, f"expected {'a duration' if self.duration else 'text'}, got {describe(value)}", remedy)
            return value
        if self.words and value not in self.words:
            guess = closest(value, self.words)
            remedy = meant(guess) if guess else ""
            report.crd(path, f"{value[:60]!r} is not one of {', '.join(self.words)}", remedy)
        if len(value) < self.shortest:
            report.crd(path, "must not be empty")
        if self.longest is not None and len(value) > self.longest:
            report.crd(path, f"is longer than {self.longest} characters")
        for name in self.formats:
            problem = format_problem(name, value)
            if problem:
                report.crd(path, problem)
        for rule in self.rules:
            report.rules.append((rule, value, path))
        return value


@dataclass(slots=True)
class NumberShape(Shape):
    """A number, whole or not."""

    whole: bool = True
    least: float | None = None
    most: float | None = None

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a number."""
        if isinstance(value, float) and self.whole and value.is_integer():
            value = int(value)
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            remedy = ""
            if isinstance(value, str) and _is_number(value):
                remedy = f"Write it without quotes: {value.strip()}."
            elif isinstance(value, str) and _is_number(value.rstrip().removesuffix("%")):
                remedy = f"Write the number alone: {value.strip().removesuffix('%').strip()}."
            report.crd(
                path, f"expected {'a whole number' if self.whole else 'a number'}, got {describe(value)}", remedy
            )
            return value
        if self.whole and not -(2**63) <= float(value) < 2**63:  # JSON numbers pass through a double on their way
            report.crd(path, f"expected a 64-bit number, got {str(value)[:40]}")
            return value
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            low, high = self.least, self.most
            asked = f"at least {low:g}" if high is None or high > 1e6 else f"between {low:g} and {high:g}"
            if low is not None and low < -1e6:
                asked = "a 32-bit number"
            report.crd(path, f"must be {asked}, got {str(value)[:40]}")
        for rule in self.rules:
            report.rules.append((rule, value, path))
        return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class BooleanShape(Shape):
    """true or false."""

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a boolean."""
        if not isinstance(value, bool):
            remedy = ""
            if isinstance(value, str) and value.lower() in ("true", "false"):
                remedy = f"Write it without quotes: {value.lower()}."
            report.crd(path, f"expected true or false, got {describe(value)}", remedy)
        return value


@dataclass(slots=True)
class IntOrStringShape(Shape):
    """A number or text."""

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a number or text."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            report.crd(path, f"expected a whole number or text, got {describe(value)}")
        return value


def _item(shape: Shape, value: Json, path: str, report: Report, *, nulls: bool) -> Json:
    """Check an item of a list or a map; a Go program reads null as an empty text or an object without fields."""
    if value is not None or not nulls:
        return shape.check(value, path, report)
    return shape.check({}, path, report) if isinstance(shape, ObjectShape) else ""


@dataclass(slots=True)
class ListShape(Shape):
    """A list of equal things."""

    item: Shape = field(default_factory=Shape)
    shortest: int = 0
    longest: int | None = None
    nulls: bool = False
    """Whether null stands for an empty value, as in the built-in kinds."""

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a list and its items."""
        if not isinstance(value, list):
            remedy = f"Write it as a list: [{value[:40]}]." if isinstance(value, str) else ""
            if isinstance(value, dict):
                remedy = "Put a hyphen and a space before its first key."
            report.crd(path, f"expected a list, got {describe(value)}", remedy)
            return value
        if len(value) < self.shortest:
            report.crd(path, f"needs at least {self.shortest} {'entry' if self.shortest == 1 else 'entries'}")
        if self.longest is not None and len(value) > self.longest:
            report.crd(path, f"has {len(value)} entries; at most {self.longest} are allowed")
        cleaned = [
            _item(self.item, item, f"{path}[{index}]", report, nulls=self.nulls) for index, item in enumerate(value)
        ]
        for rule in self.rules:
            report.rules.append((rule, cleaned, path))
        return cleaned


@dataclass(slots=True)
class MapShape(Shape):
    """Values by free keys."""

    item: Shape = field(default_factory=Shape)
    shortest: int = 0
    longest: int | None = None
    nulls: bool = False
    """Whether null stands for an empty value, as in the built-in kinds; the API server drops it elsewhere."""

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a mapping and its values."""
        if not isinstance(value, dict):
            remedy = _NO_LIST if isinstance(value, list) else ""
            report.crd(path, f"expected a mapping (key: value), got {describe(value)}", remedy)
            return value
        if len(value) < self.shortest:
            report.crd(path, "must not be empty")
        if self.longest is not None and len(value) > self.longest:
            report.crd(path, f"has {len(value)} entries; at most {self.longest} are allowed")
        cleaned = {
            key: _item(self.item, item, f"{path}.{key}", report, nulls=self.nulls)
            for key, item in value.items()
            if item is not None or self.nulls
        }
        for rule in self.rules:
            report.rules.append((rule, cleaned, path))
        return cleaned


@dataclass(slots=True)
class ObjectShape(Shape):
    """The fields of one model class."""

    model: type[Schema] = Schema
    fields: dict[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open: bool = False

    def check(self, value: Json, path: str, report: Report) -> Json:
        """Check a mapping and its fields."""
        if not isinstance(value, dict):
            names = f": {', '.join(sorted(self.fields))}" if len(self.fields) <= _FEW else ""
            remedy = f"Write its fields below it, indented{names}."
            if isinstance(value, list):
                remedy = _NO_LIST
            report.crd(path, f"expected a mapping with fields, got {describe(value)}", remedy)
            return value
        cleaned: JsonObject = {}
        for key, item in value.items():
            shape = self.fields.get(key)
            place = f"{path}.{key}" if path else key
            if shape is None:
                if self.open:
                    cleaned[key] = item
                else:
                    message, remedy = _unknown_field(self, key, place)
                    by: Literal["strict", "object"] = "object" if self.model is Metadata else "strict"
                    report.issues.append(Issue(by, place, message, remedy))
            elif item is not None:  # null is unset: an API server drops it before it checks the schema
                cleaned[key] = shape.check(item, place, report)
        for name in self.required:
            if name in cleaned:
                continue
            if name == "metadata":
                report.issues.append(Issue("object", name, "is required", "Write metadata with a name below it."))
            else:
                report.crd(f"{path}.{name}" if path else name, "is required")
        for group in self.model.ONE_OF:
            given = [name for name in group if name in cleaned]
            if len(given) > 1:
                report.crd(path, f"only one of {' and '.join(given)} may be given", "Remove all but one.")
        for rule in (*self.rules, *self.model.RULES):
            report.rules.append((rule, cleaned, path))
        return cleaned


def _unknown_field(shape: ObjectShape, key: str, path: str) -> tuple[str, str]:
    """Word the message about an unknown field.

    Args:
        shape: the mapping that the field is in.
        key: the field as written.
        path: its path.

    Returns:
        message and remedy.
    """
    message = f"unknown field {key[:60]!r}"
    guess = closest(key, shape.fields)
    if guess:
        return message, meant(guess)
    parent = path[: -len(key) - 1] or "the top level"
    return message, f"{parent} has the fields {', '.join(sorted(shape.fields))}."


@cache
def shape_of(model: type[Schema]) -> ObjectShape:
    """Compile the shape of a model.

    Args:
        model: a class of this package.

    Returns:
        its shape; always the same object for the same class.
    """
    shape = ObjectShape(model=model, open=model.model_config.get("extra") == "allow")
    required = []
    for info in model.model_fields.values():
        names = _yaml_names(info)
        child = _compile(info.annotation, info.metadata)
        if isinstance(child, ListShape | MapShape):
            child.nulls = model.NULLS and isinstance(child.item, TextShape | ObjectShape)
        for name in names:
            shape.fields[name] = child
        if info.is_required():
            required.append(names[0])
    shape.required = tuple(required)
    return shape


def _yaml_names(info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias),)


def _compile(annotation: object, metadata: Iterable[object]) -> Shape:
    marks = flatten(metadata)
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *inner = get_args(annotation)
            marks = flatten(inner) + marks
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation):
            left = [part for part in get_args(annotation) if part is not type(None)]
            if len(left) > 1:
                break
            annotation = left[0]
        else:
            break
    shape = _plain(annotation, marks)
    shape.rules = tuple(mark for mark in marks if isinstance(mark, Rule))
    return shape


def _bound(value: object) -> float:
    assert isinstance(value, int | float)
    return value


def _plain(annotation: object, marks: list[object]) -> Shape:
    longest = min((mark.max_length for mark in marks if isinstance(mark, MaxLen)), default=None)
    shortest = max((mark.min_length for mark in marks if isinstance(mark, MinLen)), default=0)
    origin, args = get_origin(annotation), get_args(annotation)
    if any(isinstance(mark, IntOrStringMark) for mark in marks):
        return IntOrStringShape()
    formats = tuple(mark.name for mark in marks if isinstance(mark, Format))
    if annotation is GoDuration:
        return TextShape(duration=True)
    if annotation is str or (formats and annotation not in (int, float)):
        return TextShape(shortest=shortest, longest=longest, formats=formats)
    if origin is Literal:
        return TextShape(words=args)
    if annotation is bool:
        return BooleanShape()
    if annotation in (int, float):
        least = max((_bound(mark.ge) for mark in marks if isinstance(mark, Ge)), default=None)
        most = min((_bound(mark.le) for mark in marks if isinstance(mark, Le)), default=None)
        return NumberShape(whole=annotation is int, least=least, most=most)
    if origin is list:
        return ListShape(item=_compile(args[0], ()), shortest=shortest, longest=longest)
    if origin is dict:
        return MapShape(item=_compile(args[1], ()), shortest=shortest, longest=longest)
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        compiled = shape_of(annotation)
        return ObjectShape(model=compiled.model, fields=compiled.fields, required=compiled.required, open=compiled.open)
    return Shape()
