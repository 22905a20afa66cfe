"""Why a request goes where it goes, as a picture in HTML: the rules in order, what failed, the way taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport import words
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.marks import version_mark
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc
from labsupport.display.html.file_links import file_link
from labsupport.display.pictures.explain_picture import way_html
from labsupport.explain.effects import effect_of
from labsupport.explain.explanation import Explanation
from labsupport.explain.records import Place, Policy, PredictedOutcome, RoutedTo, RuleTrace

if TYPE_CHECKING:
    from labsupport.observe.confirm import Explained

__all__ = ["explained_html", "explanation_html"]

_SIGNS = {"chosen": "▶", "no match": "✗", "not reached": "·", "not for this proxy": "·"}
_PODS = 6


def _place(place: Place | None) -> str:
    return el("span", file_link(str(place)) if place is not None else "Istio's default", class_="d")


def _rule(rule: RuleTrace) -> str:
    sign = el("span", _SIGNS[rule.verdict], aria_hidden="true", class_="ws-sign")
    verdict = el("b", esc(rule.verdict))
    head = el("div", sign, verdict, ": ", esc(rule.title), " ", _place(rule.place))
    body = ""
    if rule.verdict in ("chosen", "no match"):
        lines = []
        for number, entry in enumerate(rule.entries, start=1):
            which = f"match {number}: " if len(rule.entries) > 1 else ""
            failed = entry.failed
            if failed is not None:
                said = [el("code", esc(failed.field)), " wanted ", el("code", esc(failed.wanted)), ", got "]
                lines.append(el("div", which, el("span", "✗ ", class_="e"), *said, el("code", esc(failed.got))))
                if failed.hint:
                    lines.append(el("div", esc(failed.hint), class_="ws-said"))
            else:
                held = words.join(f"{condition.field} {condition.wanted}" for condition in entry.conditions)
                lines.append(el("div", which, "✓ ", esc(held or "takes every request")))
        if not rule.entries:
            lines.append(el("div", "✓ no match list: takes every request"))
        body = el("div", *lines, class_="ws-in")
    state = {"chosen": "ws-step ws-on", "no match": "ws-step"}.get(rule.verdict, "ws-step ws-off")
    return el("li", head, body, class_=state)


def _policies(policies: tuple[Policy, ...]) -> str:
    return "".join(
        el(
            "div",
            el("code", esc(policy.name), title=_does(policy)),
            f": {esc(policy.text)} ",
            _origin(policy),
            class_="ws-in",
        )
        for policy in policies
    )


def _does(policy: Policy) -> str | None:
    effect = effect_of(policy.name)
    return None if effect is None else effect.does


def _origin(policy: Policy) -> str:
    return _place(policy.place) + el("span", esc(f", for {policy.level}") if policy.level else "", class_="d")


def _in_force(destinations: tuple[RoutedTo, ...]) -> str:
    """What DestinationRules put in force, once for all destinations that have the same."""
    alike: dict[tuple[Policy, ...], list[str]] = {}
    for to in destinations:
        alike.setdefault(to.policies, []).append(f"{to.host}:{to.port}" + (f" subset {to.subset}" if to.subset else ""))
    return "".join(
        el("div", f"in force for {esc(words.join(names))}:", _policies(policies), class_="ws-gap")
        for policies, names in alike.items()
        if policies
    )


def _pods(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _PODS} more" if len(names) > _PODS else ""
    return esc(", ".join(names[:_PODS]) + more) if names else "–"


def _destination(to: RoutedTo) -> list[str]:
    subset = version_mark(to.subset) if to.subset else "all pods"
    told = ", then ".join(_pods(pods) for pods in (to.first, to.later) if pods) or "–"
    problem = el("b", f"✗ {to.problem}: ", class_="e") + esc(to.reason) if to.problem else told
    return [f"{esc(to.host)}:{to.port}" if to.host else "nobody", subset, words.percent(to.share), problem]


def _outcome(outcome: PredictedOutcome) -> list[str]:
    status = " ".join(part for part in (str(outcome.status or ""), outcome.flags) if part)
    return [words.percent(outcome.share), esc(outcome.text), esc(status), esc(outcome.location)]


def _body(told: Explanation) -> str:
    parts = [way_html(told)]
    if told.hops:
        arrows = ' <span aria-hidden="true">→</span> '.join(esc(hop) for hop in told.hops)
        parts.append(el("div", arrows, aria_label="hops", class_="ws-gap"))
    for ignored in told.ignored:
        parts.append(el("div", "⚠ ", el("b", esc(ignored.object)), f": {esc(ignored.reason)} ", _place(ignored.place)))
    if told.decision:
        parts.append(el("div", el("b", esc(told.decision)), class_="ws-gap"))
    parts += [_policies(told.policies), _in_force(told.destinations)]
    changed = [
        f"{what} {value}" for what, value in (("path", told.upstream_path), ("host", told.upstream_authority)) if value
    ]
    if changed and any(outcome.kind == "forwarded" for outcome in told.outcomes):
        parts.append(el("div", f"the application sees {esc(words.join(changed))}", class_="d"))
    lists = _lists(told)
    if lists:
        parts.append(el("details", el("summary", "the rules as a list, the numbers as tables"), lists, class_="ws-gap"))
    return "".join(parts)


def _lists(told: Explanation) -> str:
    """What the picture shows, as lists and tables with every name in full."""
    parts = []
    if told.rules:
        parts.append(el("ol", *map(_rule, told.rules), class_="ws-steps", aria_label="rules in order"))
    if told.destinations:
        rows = [_destination(to) for to in told.destinations]
        heads = ["destination", "subset", "share", "pods"]
        parts.append(el("div", table(heads, rows, numeric=frozenset({2}), caption="destinations"), class_="ws-gap"))
    if told.outcomes:
        rows = [_outcome(outcome) for outcome in told.outcomes]
        if not any(outcome.location for outcome in told.outcomes):
            rows = [row[:-1] for row in rows]
        heads = ["share", "how it ends", "status, flags", "location"][: len(rows[0])]
        parts.append(el("div", table(heads, rows, caption="outcomes"), class_="ws-gap"))
    return "".join(parts)


def _subtitle(told: Explanation) -> str:
    headers = "".join(f", {name}: {value}" for name, value in told.headers.items())
    where = f", decided in the {told.proxy_kind} of {told.proxy}" if told.proxy else ", no proxy on the caller's side"
    return f"{told.asked}{headers} from {told.source}{where}"


def explanation_html(told: Explanation) -> str:
    """An explanation from the manifests alone."""
    return panel("Why", _body(told), subtitle=_subtitle(told))


def explained_html(told: Explained) -> str:
    """An explanation, held against one real request."""
    sign = {True: "✓ ", False: "✗ ", None: "○ "}[told.agrees]
    findings = "".join(
        el("div", sign if not place else "", esc(text), class_="e" if told.agrees is False else None)
        for place, text in enumerate(told.findings)
    )
    body = _body(told.explanation) + el("div", findings, class_="ws-gap", role="status")
    return panel("Why", body, subtitle=_subtitle(told.explanation))
