"""A rule beside what Envoy got of it: one value is highlighted on both sides, defaults of Istio are named as such."""

from __future__ import annotations

import re
from collections.abc import Sequence

from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.palette import slot_of
from labsupport.display.drawing.text import el, esc
from labsupport.display.html.file_links import file_link
from labsupport.model.writing.lines import ConfigLine
from labsupport.observe.config.view import ConfigView

__all__ = ["config_html"]

_CLUSTER = re.compile(r"\b(?:in|out)bound\|\d+\|([^|]+)\|")
# In a VirtualService the name of a subset, in a DestinationRule that of an entry of its list.
_SUBSET = re.compile(r"^\s*(?:- )?(?:subset|name): (\S+)$")


def _subsets(view: ConfigView) -> frozenset[str]:
    """Subsets that clusters of the proxy are named after."""
    lines = (line.text for part in view.envoy_parts for line in part.lines)
    return frozenset(match[1] for line in lines for match in _CLUSTER.finditer(line))


def _linked(text: str, subsets: frozenset[str]) -> str:
    """A line in which each subset has its own colour, as the value of a rule and in the name of a cluster."""
    match = _CLUSTER.search(text) or _SUBSET.search(text)
    if match is None or match[1] not in subsets:
        return esc(text)
    start, end = match.span(1)
    name = el("span", el("span", esc(match[1])), class_=f"ws-c{slot_of(match[1]).key} ws-of")
    return esc(text[:start]) + name + esc(text[end:])


def _lines(lines: Sequence[ConfigLine], subsets: frozenset[str]) -> str:
    parts = []
    in_default = False
    for line in lines:
        # What does not fit goes on below, two characters further in than it began.
        hang = f"--ws-in:{len(line.text) - len(line.text.lstrip()) + 2}ch"
        text = _linked(line.text, subsets)
        if line.mark == "written":
            parts.append(el("mark", text, class_="ws-line", style=hang))
            in_default = False
            continue
        if line.mark == "default" and not in_default:
            # A default may be many lines: it is named once, at its first.
            text += el("span", "  # Istio's default", class_="ws-said")
        in_default = line.mark == "default"
        parts.append(el("span", text, class_="ws-line d" if in_default else "ws-line", style=hang))
    return el("pre", *parts, tabindex="0")


def config_html(view: ConfigView) -> str:
    """The side-by-side view."""
    source = f" · {file_link(view.source)}" if view.source else ""
    subsets = _subsets(view)
    left = el(
        "section",
        el("div", "What was written", el("span", source, class_="d"), class_="ws-head2"),
        _lines(view.written, subsets),
        aria_label="What was written",
        class_="ws-col",
    )
    version = f", version {view.version}" if view.version else ""
    where = f" · in the {view.role} of {view.proxy}{version}" if view.envoy_parts else ""
    pieces = [el("div", "What Envoy got", el("span", esc(where), class_="d"), class_="ws-head2")]
    for part in view.envoy_parts:
        pieces.append(el("div", esc(part.title), class_="d", style="margin-top:6px"))
        pieces.append(_lines(part.lines, subsets))
        if part.alike:
            pieces.append(el("div", "the same: ", esc(", ".join(part.alike)), class_="d ws-said"))
    if view.note:
        pieces.append(el("div", esc(view.note), style="margin-top:6px"))
    right = el("section", *pieces, aria_label="What Envoy got", class_="ws-col")
    marked = any(line.mark == "written" for line in view.written)
    legend = el(
        "div", el("span", "highlighted", class_="ws-on-word"), " values of the rule, on both sides", class_="d ws-gap"
    )
    return panel(
        str(view.ref),
        el("div", left, right, class_="ws-cols"),
        legend if marked else "",
        subtitle="what a rule becomes",
    )
