"""From proto JSON to serialised xDS resources, each distinct one once.

Generated modules are imported when a type is first met: the package of a message names the folder that its module
lies in (``envoy.config.route.v3`` is ``envoy/config/route/v3``). So every type can be used in an ``Any``, and a mesh
pays only for those it uses.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from google.protobuf import any_pb2, json_format, symbol_database

from labsupport.records import JsonObject

__all__ = ["ORDER", "TYPE_URLS", "Encoded", "Encoder", "XdsType", "origins", "resource_name"]

XdsType = Literal["CDS", "EDS", "LDS", "SRDS", "RDS", "SDS"]

# The order in which Envoy's documentation ("eventual consistency considerations") wants updates to be sent.
ORDER: tuple[XdsType, ...] = ("CDS", "EDS", "LDS", "SRDS", "RDS", "SDS")

_PREFIX = "type.googleapis.com/"
_MESSAGES: Mapping[XdsType, str] = {
    "CDS": "envoy.config.cluster.v3.Cluster",
    "EDS": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "LDS": "envoy.config.listener.v3.Listener",
    "SRDS": "envoy.config.route.v3.ScopedRouteConfiguration",
    "RDS": "envoy.config.route.v3.RouteConfiguration",
    "SDS": "envoy.extensions.transport_sockets.tls.v3.Secret",
}
TYPE_URLS: Mapping[XdsType, str] = {kind: _PREFIX + message for kind, message in _MESSAGES.items()}

_known: set[str] = set()


def _load(message: str) -> None:
    """Import the generated modules of a message's package, so that it can be named in an ``Any``."""
    package, _, _ = message.rpartition(".")
    if package in _known:
        return
    _known.add(package)
    if package.startswith("google.protobuf"):
        importlib.import_module("google.protobuf.wrappers_pb2")
        importlib.import_module("google.protobuf.struct_pb2")
        return
    try:
        folder = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(folder.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def _any_types(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        url = value.get("@type")
        if isinstance(url, str):
            yield url.rpartition("/")[2]
        for item in value.values():
            yield from _any_types(item)
    elif isinstance(value, list):
        for item in value:
            yield from _any_types(item)


def origins(value: Any) -> Iterator[str]:
    """Istio marks what a rule made: ``metadata.filter_metadata.istio.config`` is the path of the rule's object."""
    if isinstance(value, dict):
        mark = value.get("filter_metadata", {}).get("istio", {}) if "filter_metadata" in value else {}
        if isinstance(mark, dict) and isinstance(mark.get("config"), str):
            yield mark["config"]
        for item in value.values():
            yield from origins(item)
    elif isinstance(value, list):
        for item in value:
            yield from origins(item)


def _values(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for item in value.values():
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)


def _references(kind: XdsType, resource: JsonObject) -> Iterator[str]:
    if kind == "CDS" and resource.get("type") == "EDS":
        yield resource.get("eds_cluster_config", {}).get("service_name") or resource_name(resource)
    elif kind == "LDS":
        yield from (rds["route_config_name"] for rds in _values(resource, "rds"))
    elif kind == "SRDS":
        yield resource["route_configuration_name"]


def resource_name(resource: Mapping[str, Any]) -> str:
    """The name by which xDS knows a resource."""
    return str(resource.get("name") or resource.get("cluster_name"))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One serialised resource. Two are equal if their bytes are.

    Args:
        name: its xDS name.
        any: the ``google.protobuf.Any`` that goes over the wire.
        json: what it was made from.
        origins: config paths of the rules that it holds something of.
        references: the endpoints that a cluster refers to, or the route tables that a listener or a scope does.
    """

    name: str
    # Neither is shown: a secret's bytes are a private key.
    any: any_pb2.Any = field(repr=False)
    json: JsonObject = field(repr=False)
    origins: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and (self is other or self.any.value == other.any.value)

    def __hash__(self) -> int:
        return hash(self.any.value)


class Encoder:
    """Serialises resources, and remembers what it made of each dict object.

    The translation gives the same dict object for equal resources of different proxies, so identity is the first key;
    the remembered entry holds the dict, which keeps its identity from being reused. What is made anew each time, such
    as the listeners of each proxy, is found by its name and by being equal.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[XdsType, int], tuple[JsonObject, Encoded]] = {}
        self._used: set[tuple[XdsType, int]] = set()
        self._by_name: dict[tuple[XdsType, str], list[Encoded]] = {}

    def encode(self, kind: XdsType, resource: JsonObject) -> Encoded:
        """Serialise one resource.

        Raises:
            ValueError: it is not valid proto JSON of its type; the message names the field.
        """
        key = (kind, id(resource))
        self._used.add(key)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = (resource, self._equal(kind, resource) or self._encode(kind, resource))
        return made[1]

    def _equal(self, kind: XdsType, resource: JsonObject) -> Encoded | None:
        known = self._by_name.get((kind, resource_name(resource)), ())
        return next((encoded for encoded in known if encoded.json == resource), None)

    def _encode(self, kind: XdsType, resource: JsonObject) -> Encoded:
        for name in (_MESSAGES[kind], *_any_types(resource)):
            _load(name)
        message = symbol_database.Default().GetSymbol(_MESSAGES[kind])()
        try:
            json_format.ParseDict(resource, message)
        except json_format.ParseError as error:
            raise ValueError(f"{kind} {resource_name(resource)}: {error}") from error
        packed = any_pb2.Any()
        packed.type_url = TYPE_URLS[kind]
        packed.value = message.SerializeToString(deterministic=True)
        marks, references = frozenset(origins(resource)), frozenset(_references(kind, resource))
        made = Encoded(resource_name(resource), packed, resource, marks, references)
        self._by_name.setdefault((kind, made.name), []).append(made)
        return made

    def forget_unused(self) -> None:
        """Drop what was not asked for since the last call."""
        self._made = {key: made for key, made in self._made.items() if key in self._used}
        self._used = set()
        self._by_name = {}
        for (kind, _), (_, encoded) in self._made.items():
            named = self._by_name.setdefault((kind, encoded.name), [])
            if encoded not in named:
                named.append(encoded)
