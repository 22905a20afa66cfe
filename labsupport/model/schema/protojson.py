"""Lenient decoding of a mapping into a model, as istiod decodes what an admission request carries.

istiod reads proto3 JSON: null is unset, numbers may be quoted, enums may be numbers, unknown fields are skipped, and
nothing is required. It sees an object even if the CRD's schema refuses it (``istioctl validate``, or a cluster whose
CRDs are older), so its verdict on such an object needs this decoder instead of the strict models.
"""

from __future__ import annotations

import binascii
import re
import types
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from typing import Annotated, Literal, TypeVar, Union, cast, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from labsupport.model.schema.base import Schema
from labsupport.model.schema.duration import GoDuration, parse_duration
from labsupport.model.schema.types import Format, flatten

__all__ = ["DecodeError", "decode"]

T = TypeVar("T", bound=Schema)
_WHOLE_TEXT = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?")
Decoder = Callable[[object, str], object]


class DecodeError(ValueError):
    """The value cannot be what the field holds.

    Attributes:
        path: field path.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def decode(model: type[T], raw: object, path: str) -> T:
    """Decode a mapping.

    Args:
        model: the class to make; its required fields may be None afterwards.
        raw: the mapping.
        path: its field path.

    Returns:
        an instance that was not validated.

    Raises:
        DecodeError: a value does not fit its field.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise DecodeError(path, "must be a mapping with fields")
    given = [[name for name in group if raw.get(name) is not None] for group in model.ONE_OF]
    # Of the members of a oneof that are given all are decoded, and the last one counts.
    beaten = {name for names in given for name in names[:-1]}
    values: dict[str, object] = {}
    written = set()
    for name, (keys, default, decoder) in _fields(model).items():
        key = next((key for key in keys if raw.get(key) is not None), None)
        values[name] = default() if key is None else decoder(raw[key], f"{path}.{key}")
        if key in beaten:
            values[name] = default()
        elif key is not None:
            written.add(name)
    return model.model_construct(_fields_set=written, **values)


@cache
def _fields(model: type[Schema]) -> dict[str, tuple[tuple[str, ...], Callable[[], object], Decoder]]:
    fields = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        keys = tuple(str(choice) for choice in alias.choices) if isinstance(alias, AliasChoices) else (str(alias),)
        decoder, zero = _decoder(info.annotation, info.metadata, plain=model.NULLS)
        default = zero if info.is_required() else _default(info)
        fields[name] = (keys, default, decoder)
    return fields


def _default(info: FieldInfo) -> Callable[[], object]:
    # Factories of the models take no argument; asking pydantic for the default inspects their signature every time.
    factory = info.default_factory
    return cast("Callable[[], object]", factory) if factory is not None else lambda: info.default


def _decoder(
    annotation: object, metadata: list[object], *, plain: bool = False
) -> tuple[Decoder, Callable[[], object]]:
    """Make the decoder of an annotation, and what an absent value becomes where the model requires one.

    Kubernetes' own kinds are plain JSON for a Go program: it takes any word for an enum, and no number in quotes.
    """
    marks = flatten(metadata)
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *inner = get_args(annotation)
            marks += flatten(inner)
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            break
    args = get_args(annotation)
    if origin is Literal:
        return _text if plain else _enum(args), lambda: args[0]
    if origin is list:
        return _list(_decoder(args[0], [], plain=plain)[0]), list
    if origin is dict:
        return _map(_decoder(args[1], [], plain=plain)[0]), dict
    if annotation is GoDuration:
        return _duration, lambda: None
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        nested = annotation
        return lambda value, path: decode(nested, value, path), lambda: None
    if annotation is str and any(isinstance(mark, Format) and mark.name in ("byte", "base64") for mark in marks):
        return _bytes, str
    scalars: dict[object, tuple[Decoder, Callable[[], object]]] = {
        str: (_text, str),
        bool: (_bool, bool),
        int: (_plain_int if plain else _int(marks), int),
        float: (_float, float),
    }
    return scalars.get(annotation, (lambda value, path: value, lambda: None))


def _list(item: Decoder) -> Decoder:
    def decoder(value: object, path: str) -> object:
        if not isinstance(value, list):
            raise DecodeError(path, "must be a list")
        return [item(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return decoder


def _map(item: Decoder) -> Decoder:
    def decoder(value: object, path: str) -> object:
        if not isinstance(value, dict):
            raise DecodeError(path, "must be a mapping")
        return {key: item(entry, f"{path}.{key}") for key, entry in value.items()}

    return decoder


def _enum(words: tuple[str, ...]) -> Decoder:
    def decoder(value: object, path: str) -> object:
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return words[value] if 0 <= value < len(words) else str(value)
        raise DecodeError(path, f"must be one of {', '.join(words)}")

    return decoder


def _text(value: object, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DecodeError(path, "must be text")
    return value


def _bytes(value: object, path: str) -> str:
    text = _text(value, path)
    try:
        b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError(path, "must be base64") from None
    return text


def _bool(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise DecodeError(path, "must be true or false")
    return value


def _float(value: object, path: str) -> float:
    if isinstance(value, str) and _NUMBER_TEXT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError(path, "must be a number")
    return float(value)


def _int(marks: list[object]) -> Decoder:
    """Make the decoder of the proto type that the range stands for: int32, uint32 or uint64."""
    signed = any(isinstance(mark, Ge) and mark.ge == -(2**31) for mark in marks)
    wide = not any(isinstance(mark, Le) for mark in marks)
    low, high = (-(2**31), 2**31) if signed else (0, 2**64 if wide else 2**32)

    def decoder(value: object, path: str) -> int:
        number = _whole(value, path)
        if not low <= number < high:
            raise DecodeError(path, "is out of range")
        return number

    return decoder


def _plain_int(value: object, path: str) -> int:
    if isinstance(value, str):
        raise DecodeError(path, "must be a whole number")
    return _whole(value, path)


def _whole(value: object, path: str) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and _WHOLE_TEXT.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DecodeError(path, "must be a whole number")
    return value


def _duration(value: object, path: str) -> GoDuration:
    if not isinstance(value, str):
        raise DecodeError(path, "must be a duration such as 500ms or 2s")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise DecodeError(path, str(error)) from None
