"""OpenAPI v3 of the kinds, made from the shapes of the model: for ``kubectl explain`` and clients that validate."""

from __future__ import annotations

import inspect
from functools import cache

from labsupport.engine.embedded.api.kinds import ApiKind, group_versions, kinds_of
from labsupport.engine.embedded.api.patches import APPLY, JSON, MERGE
from labsupport.model.schema.shape import (
    BooleanShape,
    IntOrStringShape,
    ListShape,
    MapShape,
    NumberShape,
    ObjectShape,
    Shape,
    TextShape,
    shape_of,
)
from labsupport.records import JsonObject

__all__ = ["document", "index"]

_QUERY = ("dryRun", "fieldManager", "fieldValidation")


def index() -> JsonObject:
    """``/openapi/v3``: where the document of each version is."""
    paths = {}
    for group, versions in group_versions():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}"}
    return {"paths": paths}


@cache
def document(group: str, version: str) -> JsonObject:
    """The document of a version.

    Args:
        group: the API group.
        version: one of its versions.
    """
    schemas: JsonObject = {}
    paths: JsonObject = {}
    for entry in kinds_of(group, version):
        name = _name(entry, version)
        model = entry.model
        schema: JsonObject = {"type": "object"}
        if model is not None:
            # Kubernetes' own kinds name their parts; a CRD has all in one piece.
            schema = _fields(shape_of(model), schemas if entry.built_in else None)
        kinds = [{"group": group, "version": version, "kind": entry.manifest_kind}]
        schemas[name] = {**schema, "x-kubernetes-group-version-kind": kinds}
        paths |= _paths(entry, version, name)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "workshop"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _name(entry: ApiKind, version: str) -> str:
    group = ".".join(reversed((entry.group or "core.api.k8s.io").split(".")))
    return f"{group}.{version}.{entry.manifest_kind}"


def _first_words(model: type) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0].replace("``", "")


def _paths(entry: ApiKind, version: str, name: str) -> JsonObject:
    base = f"/apis/{entry.group}/{version}" if entry.group else f"/api/{version}"
    place = "/namespaces/{namespace}" if entry.namespaced else ""
    about = {"group": entry.group, "version": version, "kind": entry.manifest_kind}
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": _reference(name)}}}}
    query = [
        {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for parameter in _QUERY
    ]

    def operation(action: str, *forms: str) -> JsonObject:
        made: JsonObject = {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": about,
            "responses": answer,
        }
        if forms:
            content = {form: {"schema": _reference(name)} for form in forms}
            made |= {"requestBody": {"content": content}, "parameters": query}
        return made

    listed = {"get": operation("list")}
    single = {"get": operation("get")}
    if "create" in entry.verbs:
        listed["post"] = operation("post", "application/json")
        single |= {
            "put": operation("put", "application/json"),
            # Strategic merge patches are taken, too, but not told of: a client would look here for the keys of lists,
            # which the shapes do not know. So it uses those that it has built in.
            "patch": operation("patch", JSON, MERGE, APPLY),
            "delete": operation("delete"),
        }
    return {f"{base}{place}/{entry.plural}": listed, f"{base}{place}/{entry.plural}/{{name}}": single}


def _reference(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema(shape: Shape, schemas: JsonObject | None) -> JsonObject:
    if isinstance(shape, ObjectShape):
        return _fields(shape, None) if schemas is None else _named(shape, schemas)
    if isinstance(shape, ListShape):
        return {"type": "array", "items": _schema(shape.item, schemas)}
    if isinstance(shape, MapShape):
        return {"type": "object", "additionalProperties": _schema(shape.item, schemas)}
    if isinstance(shape, TextShape):
        return {"type": "string"} | ({"enum": list(shape.words)} if shape.words else {})
    if isinstance(shape, NumberShape):
        return {"type": "integer" if shape.whole else "number"}
    if isinstance(shape, BooleanShape):
        return {"type": "boolean"}
    if isinstance(shape, IntOrStringShape):
        if schemas is None:
            return {"x-kubernetes-int-or-string": True}
        schemas["workshop.IntOrString"] = {
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        }
        return {"allOf": [_reference("workshop.IntOrString")]}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _named(shape: ObjectShape, schemas: JsonObject) -> JsonObject:
    name = f"workshop.{shape.model.__name__}"
    if name not in schemas:
        # Known before its fields are: a part may hold itself.
        schemas[name] = {}
        schemas[name] = _fields(shape, schemas)
    return {"allOf": [_reference(name)], "default": {}}


def _fields(shape: ObjectShape, schemas: JsonObject | None) -> JsonObject:
    made: JsonObject = {"type": "object", "description": _first_words(shape.model)}
    made["properties"] = {field: _schema(inner, schemas) for field, inner in shape.fields.items()}
    if shape.required:
        made["required"] = list(shape.required)
    if shape.open:
        made["x-kubernetes-preserve-unknown-fields"] = True
    return made
