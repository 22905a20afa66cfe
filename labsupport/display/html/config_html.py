"""A rule beside what Envoy got of it: one value is highlighted on both sides, defaults of Istio are named as such."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.text import el, esc
from labsupport.model.writing.lines import ConfigLine
from labsupport.observe.config.view import ConfigView

__all__ = ["config_html"]


def _lines(lines: Sequence[ConfigLine]) -> str:
    parts = []
    in_default = False
    for line in lines:
        if line.mark == "written":
            parts.append(el("mark", esc(line.text)))
        elif line.mark == "default":
            # A default may be many lines: it is named once, at its first.
            word = "" if in_default else el("span", "  # Istio's default", class_="ws-said")
            parts.append(el("span", esc(line.text), word, class_="d") + "\n")
        else:
            parts.append(esc(line.text) + "\n")
        in_default = line.mark == "default"
    # A highlighted line is a block of its own: no line break after it.
    return el("pre", "".join(parts).rstrip("\n"), tabindex="0")


def config_html(view: ConfigView) -> str:
    """The side-by-side view."""
    source = f" · {view.source}" if view.source else ""
    left = el(
        "section",
        el("div", "What was written", el("span", esc(source), class_="d"), class_="ws-head2"),
        _lines(view.written),
        aria_label="What was written",
        class_="ws-col",
    )
    version = f", version {view.version}" if view.version else ""
    where = f" · in the {view.role} of {view.proxy}{version}" if view.envoy_parts else ""
    pieces = [el("div", "What Envoy got", el("span", esc(where), class_="d"), class_="ws-head2")]
    for part in view.envoy_parts:
        pieces.append(el("div", esc(part.title), class_="d", style="margin-top:6px"))
        pieces.append(_lines(part.lines))
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
