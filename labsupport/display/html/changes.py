"""What a change of the mesh did, as HTML: the plan of an apply, how long it took where, and refusals."""

from __future__ import annotations

from itertools import compress

from labsupport import words
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc
from labsupport.display.html.file_links import file_link
from labsupport.errors import MOST_SHOWN, ManifestError, Problem
from labsupport.records import ApplyResult, Leftovers, ObjectChange, ProxyChange

__all__ = ["apply_html", "leftovers_html", "manifest_error_html"]

# A sign besides the word, because colour alone says nothing to many.
_SIGNS = {"created": "+", "changed": "~", "unchanged": "=", "deleted": "−"}
_SHOWN_DETAILS = 12


def _change_row(change: ObjectChange) -> list[str]:
    shown = [el("code", esc(line)) for line in change.details[:_SHOWN_DETAILS]]
    if len(change.details) > _SHOWN_DETAILS:
        shown.append(f"and {len(change.details) - _SHOWN_DETAILS} more")
    sign = el("span", _SIGNS[change.action], aria_hidden="true", class_="m")
    return [
        esc(change.ref),
        el("span", f"{sign} {change.action}", class_="w"),
        "<br>".join(shown),
        el("span", file_link(change.source), class_="d"),
    ]


def apply_html(result: ApplyResult) -> str:
    """The plan of an apply, delete, patch or scale, and when it was in force."""
    acted = [change for change in result.changes if change.action != "unchanged"]
    if not result.changes:
        title, subtitle = "Nothing to do", ""
    elif not acted:
        title, subtitle = "Unchanged", "the mesh already is as written"
    elif result.proxies:
        where = words.plural(len(result.proxies), "proxy", "proxies")
        title, subtitle = f"In force after {words.duration(result.in_force_s)}", f"acknowledged by {where}"
    else:
        title, subtitle = f"Done after {words.duration(result.in_force_s)}", "no proxy had to learn of it"
    rows = [_change_row(change) for change in result.changes]
    # Columns that would be empty are left out: nobody wrote fields of what is deleted, or where a patch is from.
    used = [
        True,
        True,
        any(change.details for change in result.changes),
        any(change.source for change in result.changes),
    ]
    heads = list(compress(["object", "", "fields", "from"], used))
    rows = [list(compress(row, used)) for row in rows]
    body = [table(heads, rows, caption="objects")] if rows else []
    body += [_line("⚠ warning: ", text) for text in result.warnings]
    body += [_line("note: ", text, "d") for text in result.notes]
    if result.proxies:
        body.append(_proxies(result.proxies))
    return panel(title, *body, subtitle=subtitle, frame=bool(body))


def _line(prefix: str, text: str, class_: str | None = None) -> str:
    return el("div", esc(prefix), esc(text), class_=class_)


def _proxies(proxies: tuple[ProxyChange, ...]) -> str:
    ordered = sorted(proxies, key=lambda proxy: proxy.in_force_s)
    longest = max(proxy.in_force_s for proxy in ordered) or 1.0
    rows = []
    for proxy in ordered:
        wide = max(2.0, 120 * proxy.in_force_s / longest)
        bar = el("rect", width=wide, height=10.0, y=3.0, rx=2.0, fill="var(--ws-bar)")
        picture = el("svg", bar, width=124.0, height=16.0, aria_hidden="true")
        rows.append([esc(proxy.proxy), words.duration(proxy.in_force_s), picture, esc(", ".join(proxy.types))])
    inner = table(["proxy", "in force after", "", "pushed"], rows, numeric=frozenset({1}), caption="proxies")
    return el("details", el("summary", f"{words.plural(len(ordered), 'proxy', 'proxies')}, one by one"), inner)


def leftovers_html(left: Leftovers) -> str:
    """What a reset or close removed, and the proof."""
    removed = words.plural(len(left.removed), "object") + " removed"
    if not left.remaining:
        return panel("✓ Nothing is left", subtitle=removed, frame=False)
    items = el("ul", *(el("li", esc(item)) for item in left.remaining))
    return panel("✗ Something is left", items, subtitle=removed)


def _problem(problem: Problem) -> str:
    file = words.place(problem.file, problem.line)
    document = f"document {problem.document}" if problem.document > 1 else ""
    parts = [part for part in (file_link(file), esc(document), esc(problem.object)) if part]
    where = el("div", ", ".join(parts), class_="d") if parts else ""
    path = el("code", esc(problem.path)) + ": " if problem.path else ""
    remedy = f" {esc(problem.remedy)}" if problem.remedy else ""
    return el("li", where, path, el("b", esc(words.sentence(problem.message))), remedy)


def manifest_error_html(error: ManifestError) -> str:
    """Why manifests were refused, problem by problem."""
    count = words.plural(len(error.problems), "problem")
    shown = [_problem(problem) for problem in error.problems[:MOST_SHOWN]]
    if len(error.problems) > MOST_SHOWN:
        shown.append(el("li", f"… and {len(error.problems) - MOST_SHOWN:,} more"))
    return panel("✗ Refused", el("ul", *shown), subtitle=f"{count}, nothing was changed")
