"""Whether a mapping is JSON of a message of Envoy's API, as istiod reads the value of an EnvoyFilter's patch.

istiod decodes it with the jsonpb package of github.com/golang/protobuf, which differs from today's protojson, and so
from ``google.protobuf.json_format``: numbers in quotes are bare JSON, enums have any number, durations are Go's, and
of a oneof the last field counts. So the descriptors are walked here. What an ``Any`` may hold is what is linked into
istiod (``envoy_messages.txt``), whichever version of Envoy's API is installed beside this package.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from labsupport.model.schema.duration import parse_duration
from labsupport.model.validation.protoscalar import is_timestamp, key_problem, scalar_problem

__all__ = ["MESSAGES", "Reading", "linked", "read_message"]

# The message that each applyTo is about.
MESSAGES: Mapping[str, str] = {
    "LISTENER": "envoy.config.listener.v3.Listener",
    "FILTER_CHAIN": "envoy.config.listener.v3.FilterChain",
    "NETWORK_FILTER": "envoy.config.listener.v3.Filter",
    "LISTENER_FILTER": "envoy.config.listener.v3.ListenerFilter",
    "HTTP_FILTER": "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    "ROUTE_CONFIGURATION": "envoy.config.route.v3.RouteConfiguration",
    "VIRTUAL_HOST": "envoy.config.route.v3.VirtualHost",
    "HTTP_ROUTE": "envoy.config.route.v3.Route",
    "CLUSTER": "envoy.config.cluster.v3.Cluster",
    "EXTENSION_CONFIG": "envoy.config.core.v3.TypedExtensionConfig",
    "BOOTSTRAP": "envoy.config.bootstrap.v3.Bootstrap",
}
_GOOGLE = "google.protobuf."
_WRAPPED = ("Bool", "Bytes", "String", "Int32", "UInt32", "Float", "Int64", "UInt64", "Double")
_WRAPPERS = frozenset(f"{_GOOGLE}{name}Value" for name in _WRAPPED)
_ROOTS = frozenset({"cel", "envoy", "google", "opencensus", "opentelemetry", "udpa", "xds"})
_OWN_JSON = ("Empty", "Any", "Duration", "Timestamp", "Struct", "Value", "ListValue")
_SPECIAL = _WRAPPERS | {f"{_GOOGLE}{name}" for name in _OWN_JSON}


@dataclass(slots=True)
class Reading:
    """What was found while a message was read.

    Args:
        errors: path and text of what istiod cannot decode.
        unknown: path and text of fields that the message does not have.
        untyped: names of extensions without ``typed_config``.
    """

    errors: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    untyped: list[str] = field(default_factory=list)


@cache
def linked() -> frozenset[str]:
    """Full names of the messages that istiod of Istio 1.31 can find for an ``Any``."""
    names: set[str] = set()
    package = ""
    for line in Path(__file__).with_name("envoy_messages.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            names.update(f"{package}.{name}" for name in line.split())
        else:
            package = line
    return frozenset(names)


@cache
def _descriptor(message: str) -> Any:
    """The descriptor of a message, None if the installed API of Envoy does not have it.

    Callers ask only for names that istiod knows: a manifest must not choose what is imported.
    """
    from google.protobuf import descriptor_pool

    parts = message.split(".")
    if parts[0] not in _ROOTS:
        return None
    package = ".".join(part for part in parts if part[:1].islower())
    try:
        if message.startswith(_GOOGLE):
            for name in ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"):
                importlib.import_module(f"google.protobuf.{name}_pb2")
        else:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                if module.name.endswith("_pb2"):
                    importlib.import_module(f"{package}.{module.name}")
        return descriptor_pool.Default().FindMessageTypeByName(message)
    except (ImportError, KeyError):
        return None


def read_message(message: str, value: Any, path: str) -> Reading:
    """Read JSON of a message.

    Args:
        message: its full name, one of ``MESSAGES``.
        value: what stands for it.
        path: where that is.

    Returns:
        what was found; nothing if the value is well-formed.
    """
    reading = Reading()
    descriptor = _descriptor(message)
    if descriptor is not None:
        _message(descriptor, value, path, reading)
        if not reading.unknown and not reading.errors:
            _untyped(descriptor, value, reading)
    return reading


def _message(descriptor: Any, value: Any, path: str, reading: Reading) -> None:
    if value is None:
        return
    if descriptor.full_name in _SPECIAL:
        _special(descriptor, value, path, reading)
    elif not isinstance(value, dict):
        reading.errors.append((path, f"must be a mapping with the fields of {descriptor.full_name}"))
    else:
        _fields(descriptor, value, path, reading)


def _fields(descriptor: Any, value: Mapping[str, Any], path: str, reading: Reading) -> None:
    left = dict(value)
    for known in descriptor.fields:
        found = None
        for name in dict.fromkeys((known.name, known.json_name)):
            if name in left:
                found, place = left.pop(name), f"{path}.{name}"
        if found is not None:
            _field(known, found, place, reading)
    for name in left:
        reading.unknown.append(
            (f"{path}.{name}", f"is no field of {descriptor.full_name} in the API of Envoy that is installed")
        )


def _field(known: Any, value: Any, path: str, reading: Reading) -> None:
    if not known.is_repeated:
        _single(known, value, path, reading)
    elif known.message_type is not None and known.message_type.GetOptions().map_entry:
        if not isinstance(value, dict):
            reading.errors.append((path, "must be a mapping"))
            return
        key_type = known.message_type.fields_by_name["key"]
        for key, item in value.items():
            if key_type.type != key_type.TYPE_STRING and key_problem(key_type, str(key)):
                reading.errors.append((f"{path}.{key}", "has a key of the wrong type"))
            _single(known.message_type.fields_by_name["value"], item, f"{path}.{key}", reading)
    elif not isinstance(value, list):
        reading.errors.append((path, "must be a list"))
    else:
        for index, item in enumerate(value):
            _single(known, item, f"{path}[{index}]", reading)


def _single(known: Any, value: Any, path: str, reading: Reading) -> None:
    if known.message_type is not None:
        _message(known.message_type, value, path, reading)
    elif problem := scalar_problem(known, value):
        reading.errors.append((path, problem))


def _special(descriptor: Any, value: Any, path: str, reading: Reading) -> None:
    """Read one of the messages that have a JSON form of their own."""
    name = descriptor.full_name
    problem = ""
    if name == f"{_GOOGLE}Any":
        _any(value, path, reading)
    elif name in _WRAPPERS:
        problem = scalar_problem(descriptor.fields[0], value)
    elif name == f"{_GOOGLE}Duration":
        try:
            parse_duration(value if isinstance(value, str) else "")
        except ValueError:
            problem = f"{value!r} is not a duration: write a number with a unit, such as 500ms, 2s or 1m30s"
    elif name == f"{_GOOGLE}Timestamp":
        problem = (
            "" if isinstance(value, str) and is_timestamp(value) else "must be a time such as 2026-01-31T00:00:00Z"
        )
    elif name in (f"{_GOOGLE}Struct", f"{_GOOGLE}Empty"):
        problem = "" if isinstance(value, dict) else "must be a mapping"
        if not problem and name == f"{_GOOGLE}Empty":
            reading.unknown.extend((f"{path}.{key}", f"is no field of {name}") for key in value)
    elif name == f"{_GOOGLE}ListValue":
        problem = "" if isinstance(value, list) else "must be a list"
    if problem:
        reading.errors.append((path, problem))


def _any(value: Any, path: str, reading: Reading) -> None:
    if not isinstance(value, dict):
        reading.errors.append((path, "must be a mapping with @type"))
        return
    url = value.get("@type")
    if "@type" not in value or not isinstance(url, str):
        reading.errors.append((f"{path}.@type", "is required: the type of this message"))
        return
    message = url.rpartition("/")[2]
    if message not in linked():
        hint = "; use version 3 of Envoy's API" if ".v2." in message else ""
        reading.errors.append((f"{path}.@type", f"there is no message {message!r}{hint}"))
        return
    descriptor = _descriptor(message)
    if message in _SPECIAL:
        if "value" not in value:
            reading.errors.append((f"{path}.value", f"is required with @type {message}"))
        elif descriptor is not None:
            _message(descriptor, value["value"], f"{path}.value", reading)
    elif descriptor is not None:
        _fields(descriptor, {name: item for name, item in value.items() if name != "@type"}, path, reading)


def _untyped(descriptor: Any, value: Any, reading: Reading) -> None:
    """Find extensions that are chosen by name; istiod does not look into lists and ``Any``."""
    if not isinstance(value, dict) or descriptor.full_name in _SPECIAL:
        return
    given = {
        known.name: item
        for known in descriptor.fields
        for name in (known.name, known.json_name)
        if (item := value.get(name)) is not None
    }
    if "typed_config" in descriptor.fields_by_name and not given.keys() & {"typed_config", "config_discovery"}:
        reading.untyped.append(str(given.get("name", "")))
    for known in descriptor.fields:
        if known.name in given and known.message_type is not None and not known.is_repeated:
            _untyped(known.message_type, given[known.name], reading)
