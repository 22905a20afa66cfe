"""Conditions of a rule, one by one, against a request and the proxy that has it.

Follows ``HTTPMatchRequest`` of VirtualService: entries are alternatives, the conditions inside one must all hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from labsupport.explain.hints import (
    about_authority,
    about_path,
    about_text,
    absent_header,
    absent_label,
    absent_parameter,
)
from labsupport.explain.records import Condition, MatchEntry, Place
from labsupport.explain.regex import full_match
from labsupport.explain.request import Request, query_values
from labsupport.model import HTTPMatchRequest, StringMatch
from labsupport.model.hosts import gateway_name

__all__ = ["Viewpoint", "applies_to_proxy", "compare", "judge", "operator_of", "takes_everything"]

At = Callable[[str], Place]
"""Place of a field below the match entry, by its path there."""


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """The proxy that decides, as far as conditions look at it.

    Args:
        gateway: ``mesh`` for a sidecar, else ``namespace/name`` of the Gateway.
        port: service port, or the number written in the Gateway's server.
        namespace: of the proxy's pod.
        labels: of the proxy's pod.
        tls: whether the Gateway's server has a ``tls`` block.
    """

    gateway: str
    port: int
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    tls: bool = False


def judge(
    match: HTTPMatchRequest, request: Request, view: Viewpoint, owner: str, at: At, *, whole_elements: bool = False
) -> MatchEntry:
    """Compare every condition of a match entry with a request.

    Args:
        match: the entry.
        request: the request.
        view: the proxy that has it.
        owner: namespace of the VirtualService, in which gateway names are read.
        at: tells where a field of the entry was written.
        whole_elements: whether a prefix counts elements of the path, as in the Gateway API.

    Returns:
        The entry with all its conditions; those about the proxy come first, as they are looked at first.
    """
    conditions = [*_about_proxy(match, view, owner, at)]
    if match.uri is not None:
        if whole_elements and match.uri.prefix not in (None, "/"):
            conditions.append(_elements(str(match.uri.prefix).removesuffix("/"), request.path, at("uri")))
        else:
            said = _uri(match.uri, match.ignore_uri_case, request, at("uri"))
            conditions += [replace(condition, field="path") for condition in said] if whole_elements else said
    for name in ("method", "scheme", "authority"):
        wanted: StringMatch | None = getattr(match, name)
        if wanted is not None:
            conditions.append(_text(name, wanted, request.header(f":{name}"), at(name)))
    values = query_values(request.query)
    for name, wanted in match.headers.items():
        condition = _text(f"headers[{name}]", wanted, request.header(name), at(f"headers.{name}"))
        if not condition.holds and request.header(name) is None:
            hint = absent_header(name, request.headers, request.header("cookie"), values)
            condition = replace(condition, hint=hint)
        conditions.append(condition)
    for name, wanted in match.without_headers.items():
        conditions.append(_without(name, wanted, request.header(name), at(f"withoutHeaders.{name}")))
    for name, wanted in match.query_params.items():
        condition = _text(f"queryParams[{name}]", wanted, values.get(name), at(f"queryParams.{name}"))
        if not condition.holds and name not in values:
            condition = replace(condition, hint=absent_parameter(name, values, request.headers))
        conditions.append(condition)
    return MatchEntry(name=match.name, conditions=tuple(conditions), place=at(""))


def applies_to_proxy(match: HTTPMatchRequest, view: Viewpoint, owner: str) -> bool:
    """Whether the control plane makes a route of this entry for the proxy at all."""
    return all(condition.holds for condition in _about_proxy(match, view, owner, lambda path: Place("")))


def takes_everything(match: HTTPMatchRequest) -> bool:
    """Whether the route of this entry takes every request, so that nothing after it is made.

    As in istiod, an empty prefix is none, and neither is anything with a condition on method, headers or query.
    """
    uri = match.uri
    any_path = uri is None or operator_of(uri) is None or uri.prefix == "/" or uri.regex == ".*"
    others = (match.method, match.scheme, match.authority)
    return any_path and not (match.headers or match.without_headers or match.query_params or any(others))


def _about_proxy(match: HTTPMatchRequest, view: Viewpoint, owner: str, at: At) -> list[Condition]:
    conditions = []
    if match.port:
        conditions.append(Condition("port", str(match.port), str(view.port), match.port == view.port, at("port")))
    if match.gateways:
        names = [gateway_name(name, owner) for name in match.gateways]
        holds = view.gateway in names
        hint = "name mesh, too, for sidecars" if not holds and view.gateway == "mesh" else ""
        conditions.append(Condition("gateways", " or ".join(names), view.gateway, holds, at("gateways"), hint))
        # As in istiod, an entry that names gateways is not asked about its sources any more.
        return conditions
    for key, value in match.source_labels.items():
        got = view.labels.get(key)
        holds = got == value
        hint = "" if holds else absent_label(key, view.labels) if got is None else about_text("exact", value, got)
        where = at(f"sourceLabels.{key}")
        conditions.append(Condition(f"sourceLabels[{key}]", _quoted(value), _quoted(got), holds, where, hint))
    if match.source_namespace:
        holds = match.source_namespace == view.namespace
        conditions.append(
            Condition(
                "sourceNamespace",
                _quoted(match.source_namespace),
                _quoted(view.namespace),
                holds,
                at("sourceNamespace"),
            )
        )
    return conditions


def _uri(wanted: StringMatch, ignore_case: bool, request: Request, place: Place) -> list[Condition]:
    operator = operator_of(wanted)
    if operator is None:
        return []
    kind, text = operator
    path = request.path
    fold = ignore_case and kind != "regex"
    holds = compare(kind, text.lower() if fold else text, path.lower() if fold else path)
    note = ", in any case" if fold else ""
    hint = "" if holds else about_path(kind, text, path, any_case=fold)
    if not holds and request.query and compare(kind, text, f"{path}?{request.query}"):
        hint = "the query is no part of the uri; match it by queryParams"
    return [Condition("uri", f"{kind} {_quoted(text)}{note}", _quoted(path), holds, place, hint)]


def _elements(prefix: str, path: str, place: Place) -> Condition:
    holds = path == prefix or path.startswith(f"{prefix}/")
    hint = ""
    if not holds:
        hint = about_path("prefix", prefix, path, any_case=False)
        if path.startswith(prefix):
            hint = "a prefix of the Gateway API ends where an element of the path ends"
    return Condition("path", f"prefix {_quoted(prefix)} by elements", _quoted(path), holds, place, hint)


def _text(name: str, wanted: StringMatch, got: str | None, place: Place) -> Condition:
    operator = operator_of(wanted)
    if operator is None:
        return Condition(name, "any value", _quoted(got), got is not None, place)
    kind, text = operator
    holds = got is not None and compare(kind, text, got)
    about = about_authority if name == "authority" else about_text
    hint = "" if holds else about(kind, text, got)
    return Condition(name, f"{kind} {_quoted(text)}", _quoted(got), holds, place, hint)


def _without(name: str, wanted: StringMatch, got: str | None, place: Place) -> Condition:
    field_name = f"withoutHeaders[{name}]"
    operator = operator_of(wanted)
    # A lone star is no expression, but istiod reads it as presence here.
    if operator is None or operator == ("regex", "*"):
        return Condition(field_name, "no such header", _quoted(got), got is None, place)
    kind, text = operator
    # Envoy compares a missing header as if it were empty (``treat_missing_header_as_empty``).
    holds = not compare(kind, text, got or "")
    return Condition(field_name, f"not {kind} {_quoted(text)}", _quoted(got), holds, place)


def operator_of(match: StringMatch) -> tuple[str, str] | None:
    """Operator and text of a StringMatch; None without an operator."""
    for kind in ("exact", "prefix", "regex"):
        text = getattr(match, kind)
        if text is not None:
            return kind, text
    return None


def compare(kind: str, wanted: str, got: str) -> bool:
    """Whether a text is equal to, begins with, or as a whole matches another, by ``kind``."""
    if kind == "exact":
        return got == wanted
    return got.startswith(wanted) if kind == "prefix" else full_match(wanted, got)


def _quoted(text: str | None) -> str:
    return "nothing" if text is None else f'"{text}"'
