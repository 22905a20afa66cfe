"""Field types that the models share: what a CRD schema can say about one value, written as annotations.

``labsupport.model.schema.shape`` reads these annotations to check a manifest as the API server does; pydantic reads
the same ones to build the typed object. So every field is declared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator
from pydantic.fields import FieldInfo

from labsupport.model.schema.duration import GoDuration, parse_duration
from labsupport.records import Json

__all__ = [
    "AnyDuration",
    "Base64",
    "Bytes",
    "Double",
    "Duration",
    "Format",
    "Int32",
    "IntOrString",
    "Loose",
    "PortNumber",
    "Rule",
    "UInt32",
    "UInt64",
    "at_most_one",
    "flatten",
]


@dataclass(frozen=True)
class Rule:
    """One rule of a schema that plain types cannot say (a CEL rule of the CRD).

    Args:
        holds: tells whether a value that satisfies the plain schema also satisfies the rule.
        message: what is wrong if it does not, without a final full stop.
        at: the part of the field path that the message is about, such as ``.ports``; empty for the value itself.
        plain: whether it is part of the plain schema (a ``pattern``), which other rules rely on.
    """

    holds: Callable[[Json], bool]
    message: str
    at: str = ""
    plain: bool = False


@dataclass(frozen=True)
class Format:
    """An OpenAPI ``format`` that the API server enforces on a string."""

    name: str


@dataclass(frozen=True)
class IntOrStringMark:
    """Kubernetes' ``int-or-string``."""


def _duration(value: object) -> GoDuration:
    if isinstance(value, GoDuration):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is text such as 500ms, 2s or 1m30s")
    return parse_duration(value)


def _float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _at_least_1ms(value: str) -> bool:
    try:
        return parse_duration(value).nanoseconds >= 1_000_000
    except ValueError:
        return False


AnyDuration = Annotated[GoDuration, PlainValidator(_duration), PlainSerializer(str, return_type=str)]
"""Go duration text that the CRD does not look into."""

Duration = Annotated[AnyDuration, Rule(_at_least_1ms, "must be a duration of at least 1ms, such as 500ms, 2s or 1m30s")]
"""Go duration text of at least one millisecond (CEL ``duration(self) >= duration('1ms')``)."""

Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
UInt64 = Annotated[int, Field(ge=0)]
Double = Annotated[float, BeforeValidator(_float)]
PortNumber = Annotated[UInt32, Rule(lambda value: 0 < value <= 65535, "must be a port number, 1 to 65535")]
Base64 = Annotated[str, Format("base64")]
"""Base64 in Kubernetes' own kinds, which may be empty and have line ends."""

Bytes = Annotated[str, Format("byte")]
"""Base64 in a kind that is defined by a CRD."""

IntOrString = Annotated[int | str, IntOrStringMark()]
Loose = Json
"""Accepted as it is: Kubernetes knows the field, the course does not use it."""


def at_most_one(*names: str) -> Callable[[Mapping[str, Json]], bool]:
    """Make a rule that at most one of the fields is present.

    Args:
        names: YAML names of the fields.

    Returns:
        a predicate over the mapping.
    """
    return lambda value: sum(name in value for name in names) <= 1


def flatten(metadata: Iterable[object]) -> list[object]:
    """List the marks of an annotation, those inside ``Field(...)`` included.

    Args:
        metadata: what stands beside the type in ``Annotated``.

    Returns:
        constraints and marks.
    """
    flat: list[object] = []
    for item in metadata:
        flat += flatten(item.metadata) if isinstance(item, FieldInfo) else [item]
    return flat
