"""Warnings about rules and matches that can never be used (``analyzeUnreachableHTTPRules``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport.model.kinds.virtualservice import (
    HTTPMatchRequest,
    HTTPRoute,
    StringMatch,
    TCPRoute,
    TLSRoute,
    VirtualServiceSpec,
)
from labsupport.model.schema.base import Schema
from labsupport.model.validation.findings import Findings

__all__ = ["INEFFECTIVE", "UNREACHABLE", "warn_unreachable"]

UNREACHABLE = "IST0130"
INEFFECTIVE = "IST0131"


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A match by URI prefix, as far as the check of overlaps looks at it."""

    path: str
    rule: str
    prefix: str
    port: int
    method: str
    authority: str
    maps: tuple[Mapping[str, str], ...]


def warn_unreachable(spec: VirtualServiceSpec, findings: Findings) -> None:
    """Warn about rules and matches that earlier ones make useless.

    Args:
        spec: spec of a VirtualService.
        findings: where warnings go.
    """
    prefixes = _walk(spec.http, "spec.http", findings)
    _walk(spec.tcp, "spec.tcp", findings)
    _walk(spec.tls, "spec.tls", findings)
    # Looked up by each beginning of a prefix: comparing every two of many matches would take minutes.
    seen: dict[str, list[_Prefix]] = {}
    for later in prefixes:
        for length in range(1, len(later.prefix)):
            for first in seen.get(later.prefix[:length], ()):
                if _covers(first, later):
                    message = (
                        f"never holds: prefix {first.prefix!r} in {first.rule} comes first and covers {later.prefix!r}"
                    )
                    findings.warn(later.path, message, "Put the longer prefix first.", INEFFECTIVE)
        seen.setdefault(later.prefix, []).append(later)


def _name(route: Schema, path: str) -> str:
    name = route.name if isinstance(route, HTTPRoute) else ""
    return f"rule {name!r}" if name else path


def _key(match: Schema) -> str:
    return json.dumps(match.model_dump(exclude={"name"}, warnings=False), sort_keys=True, default=str)


def _walk(routes: Sequence[HTTPRoute | TCPRoute | TLSRoute], path: str, findings: Findings) -> list[_Prefix]:
    seen: dict[str, str] = {}
    catch_all = ""
    prefixes: list[_Prefix] = []
    for index, route in enumerate(routes):
        place = f"{path}[{index}]"
        name = _name(route, place)
        if not route.match:
            if catch_all:
                findings.warn(place, f"is never used: {catch_all} has no match either and comes first", "", UNREACHABLE)
            catch_all = name
            continue
        duplicates = 0
        for number, match in enumerate(route.match):
            where = f"{place}.match[{number}]"
            if catch_all:
                remedy = "Put the rule without match last."
                message = f"is never reached: {catch_all} has no match, so it takes every request"
                findings.warn(where, message, remedy, UNREACHABLE)
                continue
            key = _key(match)
            if key in seen:
                findings.warn(where, f"never holds: {seen[key]} has the same match and comes first", "", INEFFECTIVE)
                duplicates += 1
                continue
            seen[key] = name
            if isinstance(match, HTTPMatchRequest) and match.uri is not None and _effective(match.uri)[0] == "prefix:":
                prefixes.append(_prefix(match, where, name))
        if duplicates == len(route.match):
            findings.warn(place, "is never used: earlier rules have all its matches", "", UNREACHABLE)
    return [entry for entry in prefixes if entry.prefix]


def _effective(condition: StringMatch | None) -> tuple[str, str]:
    if condition is None or condition.regex is not None:
        return "", ""
    if condition.prefix is not None:
        return ("prefix:", condition.prefix) if condition.prefix else ("", "")
    return ("exact:", condition.exact) if condition.exact else ("", "")


def _text(condition: StringMatch | None) -> str:
    return "".join(_effective(condition))


def _prefix(match: HTTPMatchRequest, path: str, rule: str) -> _Prefix:
    maps = tuple(
        {name: _text(condition) for name, condition in entries.items()}
        for entries in (match.headers, match.query_params, match.without_headers)
    )
    prefix = _effective(match.uri)[1]
    method = _text(match.method) or "exact:GET"
    return _Prefix(path, rule, prefix, match.port, method, _text(match.authority), maps)


def _covers(first: _Prefix, later: _Prefix) -> bool:
    if not later.prefix.startswith(first.prefix) or later.port != first.port:
        return False
    # The direction of these comparisons is istiod's: the earlier text must extend the later one.
    if not (first.method.startswith(later.method) and first.authority.startswith(later.authority)):
        return False
    return all(
        len(mine) == len(theirs)
        and all(name in theirs and text.startswith(theirs[name]) for name, text in mine.items())
        for mine, theirs in zip(first.maps, later.maps, strict=True)
    )
