"""``match`` of an ``http`` rule: what Envoy compares, and what the control plane decides before."""

from __future__ import annotations

from collections.abc import Mapping

from labsupport.model.kinds.virtualservice import HTTPMatchRequest, StringMatch
from labsupport.records import JsonObject

__all__ = ["applies", "is_catch_all", "route_match", "string_match"]

_CLAIM = "@request.auth.claims"


def applies(
    match: HTTPMatchRequest | None, *, port: int, gateways: frozenset[str], labels: Mapping[str, str], namespace: str
) -> bool:
    """Whether a ``match`` entry can hold for requests through one proxy at all.

    Args:
        match: the entry; None stands for a rule without any.
        port: the port that routes are made for.
        gateways: names they are made for: ``mesh``, or that of a gateway.
        labels: labels of the proxy's pod.
        namespace: the proxy's namespace.

    Returns:
        Whether port, gateways, sourceLabels and sourceNamespace allow it; with ``gateways`` the source does not count.
    """
    if match is None:
        return True
    if match.port and match.port != port:
        return False
    if match.gateways:
        return any(name in gateways for name in match.gateways)
    if not match.source_labels.items() <= labels.items():
        return False
    return not match.source_namespace or bool(match.source_namespace == namespace)


def string_match(text: StringMatch) -> JsonObject | None:
    """A StringMatch as Envoy's StringMatcher; None without an operator."""
    if text.exact is not None:
        return {"exact": text.exact}
    if text.prefix is not None:
        return {"prefix": text.prefix}
    if text.regex is not None:
        return {"safe_regex": {"regex": text.regex} if text.regex else {}}
    return None


def route_match(match: HTTPMatchRequest | None, *, whole_elements: bool = False) -> JsonObject:
    """The RouteMatch of one ``match`` entry.

    Args:
        match: the entry; None stands for a rule without any.
        whole_elements: whether a prefix counts elements of the path, as in the Gateway API, and no characters.
    """
    if match is None:
        return {"prefix": "/"}
    result: JsonObject = {}
    uri = match.uri
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        result["prefix"] = "/"
    elif uri.exact is not None:
        result["path"] = uri.exact
    elif uri.prefix is not None and whole_elements and uri.prefix != "/":
        result["path_separated_prefix"] = uri.prefix.removesuffix("/")
    elif uri.prefix is not None:
        result["prefix"] = uri.prefix
    else:
        result["safe_regex"] = {"regex": uri.regex}
    result["case_sensitive"] = not match.ignore_uri_case
    headers: list[JsonObject] = []
    claims: list[JsonObject] = []
    for name, text in match.headers.items():
        if name.startswith(_CLAIM):
            claims.append(_claim(name, text))
        else:
            headers.append(_header(name, text))
    for name, text in match.without_headers.items():
        if name.startswith(_CLAIM):
            claims.append({**_claim(name, text), "invert": True})
            continue
        matcher = _header(name, text)
        matcher["invert_match"] = True
        if not _asks_for_presence(text):
            matcher["treat_missing_header_as_empty"] = True
        headers.append(matcher)
    headers.sort(key=lambda matcher: str(matcher["name"]))
    for name, wanted in ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme)):
        if wanted is not None:
            headers.append(_header(name, wanted))
    if headers:
        result["headers"] = headers
    if match.query_params:
        result["query_parameters"] = [_condition(name, text) for name, text in sorted(match.query_params.items())]
    if claims:
        result["dynamic_metadata"] = claims
    return result


def is_catch_all(route: JsonObject) -> bool:
    """Whether a route takes every request that reaches it."""
    match = route["match"]
    everything = (
        match.get("prefix") == "/"
        or match.get("path_separated_prefix") == "/"
        or match.get("safe_regex", {}).get("regex") == ".*"
    )
    return everything and not any(key in match for key in ("headers", "query_parameters", "dynamic_metadata"))


def _asks_for_presence(text: StringMatch) -> bool:
    return text.exact is None and text.prefix is None and text.regex in (None, "*")


def _condition(name: str, text: StringMatch) -> JsonObject:
    if _asks_for_presence(text):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(text)}


_header = _condition


def _claim(name: str, text: StringMatch) -> JsonObject:
    """A condition on a claim of the request's JWT, as ``@request.auth.claims`` keys ask for it."""
    rest = name[len(_CLAIM) :]
    claims = rest[1:].split(".") if rest.startswith(".") else rest[1:-1].split("][")
    value: JsonObject = {"string_match": string_match(text) or {}}
    # A claim may be a text or a list of texts.
    either = {"value_matchers": [{"list_match": {"one_of": value}}, value]}
    return {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, *({"key": claim} for claim in claims)],
        "value": {"or_match": either},
    }
