"""Notes about fields that only the experimental channel of the Gateway API has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute
from labsupport.model.schema.base import Resource, Schema

__all__ = ["experimental_fields"]

_TEXT = "is of the Gateway API's experimental channel: a cluster with the standard CRDs does not know it"


def experimental_fields(resource: Resource) -> Iterator[tuple[str, str]]:
    """List the fields of an object that the standard channel of the Gateway API lacks.

    Args:
        resource: any object.

    Yields:
        field path, and a note.
    """
    if isinstance(resource, HTTPRoute):
        for index, rule in enumerate(resource.spec.rules):
            at = f"spec.rules[{index}]"
            given: dict[str, Schema | None] = {"retry": rule.retry, "sessionPersistence": rule.session_persistence}
            given |= {
                f"filters[{number}].externalAuth": entry.external_auth for number, entry in enumerate(rule.filters)
            }
            yield from _notes(at, given)
    elif isinstance(resource, GRPCRoute):
        for index, call_rule in enumerate(resource.spec.rules):
            yield from _notes(f"spec.rules[{index}]", {"sessionPersistence": call_rule.session_persistence})


def _notes(at: str, given: Mapping[str, Schema | None]) -> Iterator[tuple[str, str]]:
    for path, value in given.items():
        if value is not None:
            yield f"{at}.{path}", f"{path.rpartition('.')[2]} {_TEXT}"
