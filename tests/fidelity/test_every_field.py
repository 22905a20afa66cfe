"""Each field of Istio's kinds changes what proxies get, or stands in a list that says why it does not.

A field is taken away from an object of the corpus, or changed, until some proxy's translation is another one although
nothing else is refused. So the corpus, which equals istiod's answers, is also known to ask about every field.
"""

from __future__ import annotations

import copy
import typing
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import pytest
import yaml
from cases import Case, cases, themes

from labsupport.controlplane.offline.translate_files import run
from labsupport.engine.embedded.effects import PASSED_OVER
from labsupport.model.kinds.index import RULES, class_of, find_kind
from labsupport.model.schema.base import Metadata, Schema
from labsupport.records import Json, JsonObject

Field = tuple[type[Schema], str]
# All rules, of Istio and of the Gateway API.
TRANSLATED = (*RULES, "WorkloadEntry")
PARTS = ("clusters", "listeners", "routes", "endpoints")
# By name of the model. Istio's validation refuses two; the third names a file, which the embedded mesh refuses.
REFUSED = {("Delay", "exponential_delay"), ("Abort", "http2_error"), ("TLSCertificate", "ca_certificates")}
# A warning says so when it is read.
WARNED = {("OutlierDetection", "consecutive_errors")}
# What a port of a sidecar is called, and nothing else.
NAMES = {("SidecarPort", "name")}
# The type of a filter goes with the field beside it; because of the others istiod makes nothing of the whole route, and
# says so in its status.
OF_FILTERS = {
    ("HTTPFilter", "type"),
    ("GRPCFilter", "type"),
    ("HTTPPathModifier", "type"),
    *(("LocalReference", name) for name in ("group", "name")),
    ("ExternalAuth", "protocol"),
    ("_ForwardBody", "max_size"),
    ("_GRPCAuth", "allowed_headers"),
    *(("_HTTPAuth", name) for name in ("path", "allowed_headers", "allowed_response_headers")),
}
# Of Gateways of the Gateway API: istiod does not read the first, two go onto the pods, the last is refused by name.
OF_GATEWAYS = {
    ("GatewaySpec", "default_scope"),
    ("Infrastructure", "labels"),
    ("Infrastructure", "annotations"),
    ("ListenerNamespaces", "from_"),
}
MOST_TRIES = 40


@dataclass(frozen=True)
class Place:
    """A field that is given: the case, the document in it, and the path there."""

    case: Case
    document: int
    path: tuple[str | int, ...]


def models(annotation: object) -> list[type[Schema]]:
    """The models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return [] if annotation is Metadata else [annotation]
    return [model for argument in typing.get_args(annotation) for model in models(argument)]


def names(model: type[Schema], name: str) -> list[str]:
    """How a field is spelt in YAML."""
    field = model.model_fields[name]
    return [str(choice) for choice in getattr(field.validation_alias, "choices", [field.validation_alias])]


def leaves(model: type[Schema], seen: set[type[Schema]]) -> Iterator[Field]:
    """The fields of a kind that hold values and no further fields."""
    seen.add(model)
    for name, field in model.model_fields.items():
        inner = models(field.annotation)
        if name in ("api_version", "kind", "metadata", "status"):
            continue
        if not inner:
            yield model, name
        for each in inner:
            if each not in seen:
                yield from leaves(each, seen)


def given(model: type[Schema], raw: Json, path: tuple[str | int, ...]) -> Iterator[tuple[Field, tuple[str | int, ...]]]:
    """All fields that a mapping, a list or what lies in them gives."""
    if isinstance(raw, list):
        for index, item in enumerate(raw):
            yield from given(model, item, (*path, index))
    for name in model.model_fields if isinstance(raw, dict) else ():
        for key in names(model, name):
            if key not in raw:
                continue
            yield (model, name), (*path, key)
            value = raw[key]
            for inner in models(model.model_fields[name].annotation):
                yield from given(inner, value, (*path, key))
                # A mapping of names to models, such as headers.
                for entry in value if isinstance(value, dict) else ():
                    yield from given(inner, value[entry], (*path, key, entry))


@cache
def documents(case: Case) -> list[Json]:
    return list(yaml.load_all(case.manifests, Loader=yaml.CSafeLoader))


@cache
def places() -> dict[Field, list[Place]]:
    """Where the corpus gives each field, the smallest cases first."""
    listed: dict[Field, list[Place]] = defaultdict(list)
    for case in sorted((case for theme in themes() for case in cases(theme)), key=lambda case: len(case.text)):
        for index, document in enumerate(documents(case)):
            if isinstance(document, dict) and document.get("kind") in TRANSLATED:
                for field, path in given(class_of(document), document, ()):
                    listed[field].append(Place(case, index, path))
    return listed


@cache
def translated(case: Case, proxy: str) -> JsonObject:
    return run([case.base_text, case.manifests], proxy)


def others(value: Json) -> list[Json]:
    """Values that may do for another one of the same form."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, 7, 101]
    if isinstance(value, str):
        return [f"{value}x", "7s", "TCP", f"x.{value}", "other/*", "region9/zone9"]
    if isinstance(value, list) and value:
        return [value[1:]] if len(value) > 1 else [[other] for other in others(value[0])]
    if isinstance(value, dict) and value:
        first = next(iter(value))
        return [{**{key: inner for key, inner in value.items() if key != first}, f"{first}x": value[first]}]
    return []


def changed(place: Place) -> Iterator[list[Json]]:
    """The documents without the field, then with other values of it."""
    for other in ("(none)", *others(_at(documents(place.case)[place.document], place.path))):
        made = copy.deepcopy(documents(place.case))
        holder = _at(made[place.document], place.path[:-1])
        if other == "(none)":
            del holder[place.path[-1]]
        else:
            holder[place.path[-1]] = other
        yield made


def _at(raw: Json, path: Sequence[str | int]) -> Json:
    for key in path:
        raw = raw[key]
    return raw


def acts(place: Place) -> bool:
    """Whether a change of this field changes what some proxy gets."""
    for made in changed(place):
        text = yaml.dump_all(made, Dumper=yaml.CSafeDumper)
        for proxy in place.case.proxies:
            before, after = translated(place.case, proxy), run([place.case.base_text, text], proxy)
            if len(before["info"]["rejected"]) != len(after["info"]["rejected"]):
                break
            if any(before[part] != after[part] for part in PARTS):
                return True
    return False


ALL = {field for kind in TRANSLATED for field in leaves(find_kind(kind), set())}
APART = (
    {(model.__name__, name) for model, fields in PASSED_OVER.items() for name in fields}
    | REFUSED
    | WARNED
    | NAMES
    | OF_FILTERS
    | OF_GATEWAYS
)
BY_NAME = {(model.__name__, name): (model, name) for model, name in ALL}


def test_what_stands_apart_are_fields() -> None:
    assert len(ALL) > 200
    assert BY_NAME.keys() >= APART


@pytest.mark.parametrize("model", sorted({model.__name__ for model, _ in ALL}))
def test_every_field_changes_what_some_proxy_gets(model: str) -> None:
    fields = [field for name, field in BY_NAME.items() if name[0] == model and name not in APART]
    silent = [field[1] for field in fields if not any(map(acts, places()[field][:MOST_TRIES]))]
    assert silent == []
