"""Scalars in JSON of protobuf, as the jsonpb package of github.com/golang/protobuf reads them."""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["is_timestamp", "key_problem", "scalar_problem"]

_INTEGERS = {
    **dict.fromkeys(("INT32", "SINT32", "SFIXED32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("INT64", "SINT64", "SFIXED64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("UINT32", "FIXED32"), (0, 2**32 - 1)),
    **dict.fromkeys(("UINT64", "FIXED64"), (0, 2**64 - 1)),
}
# Words that istiod of Istio 1.31 knows and that the installed API of Envoy may be too old for.
_NEWER_WORDS = {
    "envoy.config.cluster.v3.UpstreamConnectionOptions.FirstAddressFamilyVersion": ("INTERNAL", "PIPE"),
    "envoy.config.route.v3.RateLimit.Action.MetaData.Source": ("CLUSTER_ENTRY", "CLUSTER_LOCALITY_ENTRY"),
    "envoy.extensions.filters.http.mcp.v3.Mcp.TrafficMode": ("NOOP",),
    "envoy.extensions.filters.http.oauth2.v3.OAuth2Config.AuthType": ("PRIVATE_KEY_JWT", "TLS_CLIENT_AUTH"),
    "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.ConnPoolSettings.ReadPolicy": (
        "LOCAL_ZONE_AFFINITY",
        "LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY",
    ),
    "envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2.AuthType": ("TLS_CLIENT_AUTH",),
    "envoy.extensions.transport_sockets.tls.v3.TlsParameters.CompliancePolicy": ("CNSA1_202603", "CNSA2_202603"),
}
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
# Halfway to what would be the next float; from there on Go says that a number is out of range.
_LARGEST = {"FLOAT": Decimal(2**128 - 2**103), "DOUBLE": Decimal(2**1024 - 2**970)}
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})([.,][0-9]+)?(Z|[-+]([0-9]{2}):([0-9]{2}))"
)


def key_problem(known: Any, key: str) -> str:
    """Say what is wrong with a key of a map that has other keys than texts.

    Args:
        known: descriptor of the key.
        key: the key.

    Returns:
        the problem, empty if there is none.
    """
    if _kind(known) == "BOOL":
        return "" if key.strip(" ") in ("true", "false", "null") else "must be true or false"
    return scalar_problem(known, key)


def _number(value: Any) -> Decimal | None:
    """The number that Go sees, None if there is none.

    Bare numbers are floats on their way through a Struct, and are printed with the fewest digits that make the float.
    What is in quotes is read as bare JSON, and its way of writing stays.
    """
    if isinstance(value, str):
        text = value.strip(" ")
        if not _JSON_NUMBER.fullmatch(text):
            return None
        try:
            return Decimal(text)
        except InvalidOperation:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    shortest = Decimal(repr(number or 0.0))
    # Go prints exponents from 1e21, and those are no whole numbers to it; nothing so large fits anyway.
    return Decimal(int(shortest)) if number.is_integer() else shortest


def _unset(value: Any) -> bool:
    """Whether a value is null, in quotes or not, which leaves a number as it is."""
    return value is None or (isinstance(value, str) and value.strip(" ") == "null")


def scalar_problem(known: Any, value: Any) -> str:
    """Say what is wrong with a value of a field that holds no message.

    Args:
        known: descriptor of the field.
        value: what stands for it, an item of it if it is a list.

    Returns:
        the problem, empty if there is none.
    """
    kind = _kind(known)
    if value is None:
        return ""
    if kind == "BOOL":
        return "" if isinstance(value, bool) else "must be true or false"
    if kind == "STRING":
        return "" if isinstance(value, str) else "must be a text"
    if kind == "BYTES":
        return _bytes_problem(value)
    if kind == "ENUM" and isinstance(value, str):
        words = {*known.enum_type.values_by_name, *_NEWER_WORDS.get(known.enum_type.full_name, ())}
        return "" if value in words else f"{value!r} is none of {', '.join(sorted(words)[:12])}"
    if _unset(value):
        return ""
    if kind not in _LARGEST:
        return _integer_problem(value, _INTEGERS["INT32" if kind == "ENUM" else kind])
    if value in ("NaN", "Infinity", "-Infinity"):
        return ""
    number = _number(value)
    return "" if number is not None and number.copy_abs() < _LARGEST[kind] else "must be a number"


def _kind(known: Any) -> str:
    names = ("BOOL", "STRING", "BYTES", "ENUM", "FLOAT", "DOUBLE", *_INTEGERS)
    return next(name for name in names if known.type == getattr(known, f"TYPE_{name}"))


def _integer_problem(value: Any, limits: tuple[int, int]) -> str:
    number = _number(value)
    if number is None or not _WHOLE.fullmatch(str(number)) or (str(number) == "-0" and limits[0] == 0):
        return "must be a whole number"
    return "" if limits[0] <= number <= limits[1] else f"must be from {limits[0]} to {limits[1]}"


def _bytes_problem(value: Any) -> str:
    if isinstance(value, list):
        # encoding/json takes a list of numbers for bytes, too.
        numbers = [item for item in value if item is not None]
        fits = all(not isinstance(item, str) and not _integer_problem(item, (0, 255)) for item in numbers)
        return "" if fits else "must be base64"
    try:
        b64decode(value.replace("\n", "").replace("\r", "") if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        return "must be base64"
    return ""


def is_timestamp(text: str) -> bool:
    """Whether a text is a time as Go's layout RFC3339Nano takes it.

    Args:
        text: for instance ``2026-01-31T00:00:00.5Z``.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    try:
        date(year or 4, month, day)
    except ValueError:
        return False
    zone = match[9] is None or (int(match[9]) <= 24 and int(match[10]) <= 60)
    return hour < 24 and minute < 60 and second < 60 and zone
