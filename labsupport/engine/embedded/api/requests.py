"""What a request is about, read from its path and headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.kinds import ApiKind, api_kind
from labsupport.engine.embedded.api.protobuf import decoded
from labsupport.errors import ManifestError
from labsupport.model.reading.documents import read
from labsupport.records import Json, JsonObject

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Target", "body", "hung_up", "mapping", "shape", "target", "verb"]

_CONTROLLERS = "kubectl-"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path leads to.

    Args:
        entry: the resource.
        version: the version of its group.
        namespace: empty for all, or for what lives in none.
        name: of one object; empty for all.
        subresource: such as ``log``; empty for the object itself.
        within: the path behind the subresource ``proxy``.
    """

    entry: ApiKind
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    within: str = ""


def target(path: str) -> Target:
    """Read a path below ``/api/v1`` or ``/apis/<group>/<version>``.

    Raises:
        Refused: it leads nowhere.
    """
    nowhere = Refused(404, "the server could not find the requested resource")
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise nowhere
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    entry = api_kind(group, version, rest[0])
    within = "/".join(rest[3:])
    if entry is None or (rest[3:] and rest[2] != "proxy") or (namespace and not entry.namespaced):
        raise nowhere
    name, subresource = [*rest[1:3], "", ""][:2]
    if subresource and subresource not in {sub for sub, _, _ in entry.subresources}:
        raise nowhere
    return Target(entry, version, namespace, name, subresource, within)


def hung_up(request: web.Request) -> bool:
    """Whether nobody listens any more."""
    return request.transport is None or request.transport.is_closing()


def shape(accept: str) -> str:
    """The form of answer that a client wants: ``Table``, ``PartialObjectMetadata`` or empty for the objects.

    Args:
        accept: its header; what stands first is liked best.
    """
    for wish in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in wish.split(";")[1:])
        if parameters.get("as") and parameters.get("v", "v1") == "v1":
            return parameters["as"].removesuffix("List")
        if wish.split(";")[0].strip() in ("application/json", "*/*"):
            return ""
    return ""


def body(content_type: str, data: bytes) -> Json:
    """The body of a request.

    Args:
        content_type: its header.
        data: the body.

    Raises:
        Refused: it is nothing that can be read.
    """
    form = content_type.partition(";")[0].strip()
    if form == "application/vnd.kubernetes.protobuf":
        return decoded(data)
    try:
        if "yaml" in form:
            (document,) = read(data.decode("utf-8"))
            return document.raw
        return json.loads(data) if data else {}
    except (ValueError, RecursionError, ManifestError) as error:
        raise Refused(400, f"the body of the request cannot be read: {error}") from None


def mapping(given: Json) -> JsonObject:
    """A body that has to be an object.

    Raises:
        Refused: it is none.
    """
    if not isinstance(given, dict):
        raise Refused(400, "the body of the request is no object")
    return given


def verb(method: str, query: Mapping[str, str]) -> str:
    """The word for a change in pictures of traffic.

    Args:
        method: of the request.
        query: its parameters.
    """
    manager = query.get("fieldManager", "")
    if manager == "kubectl-client-side-apply" or query.get("force") or manager == "kubectl":
        return "kubectl apply"
    if manager.startswith(_CONTROLLERS):
        return f"kubectl {manager.removeprefix(_CONTROLLERS)}"
    words = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
    return words.get(method, "change")
