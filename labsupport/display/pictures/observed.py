"""Static pictures of observations: shares with intervals, before and after, a batch in the course of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from labsupport import words
from labsupport.arguments import checked
from labsupport.display.drawing.figure import Figure, panel, svg
from labsupport.display.drawing.marks import version_mark
from labsupport.display.drawing.palette import NEUTRAL, look_of
from labsupport.display.drawing.part import Part
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc
from labsupport.display.pictures.causes import cause
from labsupport.display.pictures.choices import choices_strip
from labsupport.display.pictures.share_rows import (
    LEVEL,
    ShareRow,
    expected_shares,
    label_width,
    legend,
    make_rows,
    rows_table,
    share_row,
)
from labsupport.display.pictures.users_part import homes_in, users_part
from labsupport.records import Response
from labsupport.traffic.homes import Homes
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import NONE, By, Share

__all__ = ["compare_figure", "observations_html", "response_html", "share_figure", "share_html"]

_WIDE = 560.0
_ROW = 48.0


def _rows(share: Share, expected: Mapping[str, float] | None, keys: Iterable[str] = ()) -> list[ShareRow]:
    counts = {**dict.fromkeys(keys, 0), **share.counts}
    rows = make_rows(counts, share.n, expected, choices=share.choices)
    return [replace(row, slot=look_of(row.key, by=share.by)) for row in rows]


def _plain(rows: Iterable[ShareRow]) -> list[ShareRow]:
    """Rows without looks of their own, where looks tell what became of users."""
    return [replace(row, slot=NEUTRAL) for row in rows]


def _draw(rows: Sequence[ShareRow]) -> tuple[str, float]:
    names = label_width(rows)
    body = "".join(share_row(row, 10 + _ROW * place, wide=_WIDE, names=names) for place, row in enumerate(rows))
    return body, 14 + _ROW * len(rows)


@checked
def share_figure(
    observations: Observations | Share,
    *,
    expected: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    title: str = "Shares",
) -> Figure:
    """How responses are divided, each share with its exact interval, beside the expected ones.

    Args:
        observations: observations, or a share of them.
        expected: relative weights by key.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        title: title of the figure.

    Returns:
        A figure.
    """
    share = observations if isinstance(observations, Share) else observations.share(by, service=service)
    rows, users = _rows(share, expected), None
    if isinstance(observations, Observations) and by == "pod":
        users = users_part(homes_in(None, observations, service=service), wide=_WIDE, labels=("", ""))
    rows = _plain(rows) if users else rows
    body, height = _draw(rows)
    body += legend(0.0, height + 14, expected=bool(expected))
    of = f" of {share.service}" if share.service else ""
    height += 22
    subtitle = f"by {share.by}{of}, {share.sample}"
    summary = f"{title} {subtitle}: " + ("; ".join(row.in_words() for row in rows) or "no responses") + "."
    if isinstance(observations, Observations):
        strip = choices_strip(observations, wide=_WIDE, service=service)
        if strip is not None:
            body += el("g", strip.body, transform=f"translate(0 {height + 6:g})")
            height += strip.height + 6
            summary += f" {strip.told}."
    numbers = rows_table(rows)
    if users is not None:
        body += el("g", users.body, transform=f"translate(0 {height + 12:g})")
        height, summary, numbers = height + users.height + 12, f"{summary} {users.told}.", numbers + users.table
    return Figure(title, subtitle, body, _WIDE, height, summary, numbers)


@checked
def compare_figure(
    before: Observations,
    after: Observations,
    *,
    expected: Mapping[str, float] | None = None,
    expected_before: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    labels: tuple[str, str] = ("before", "after"),
    title: str = "Before and after",
) -> Figure:
    """Two observations beside each other: shares with intervals, errors and latency.

    Args:
        before: the first observations.
        after: the second ones.
        expected: relative weights by key that hold for ``after``.
        expected_before: the same for ``before``.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        labels: what the two are called.
        title: title of the figure.

    Returns:
        A figure.
    """
    shares = [seen.share(by, service=service) for seen in (before, after)]
    keys = {key for share in shares for key in share.counts}
    keys |= {*expected_shares(expected), *expected_shares(expected_before)}
    half, gap = 430.0, 40.0
    homes = homes_in(before, after, service=service) if by == "pod" else Homes({}, {})
    columns, tables, said = [], [], []
    sides = zip((before, after), shares, labels, (expected_before, expected), strict=True)
    for seen, share, label, weights in sides:
        rows = _rows(share, weights if expected_shares(weights) else None, keys)
        rows = _plain(rows) if homes.after else rows
        names = label_width(rows)
        bars = "".join(share_row(row, 26 + _ROW * index, wide=half, names=names) for index, row in enumerate(rows))
        errors, chance, times = "no responses", "", ""
        if len(seen):
            served = seen.outcomes.interval("ok", level=LEVEL)
            errors = f"errors {words.percent(len(seen.errors) / len(seen))}"
            chance = f" · {words.percent_range(1 - served.high, 1 - served.low)}"
            times = f"latency p50 {words.duration(seen.p50_s)}, p95 {words.duration(seen.p95_s)}"
        y = 26 + _ROW * len(rows) + 16
        head = el("tspan", f" · {share.sample}", class_="d")
        foot = el("text", errors, el("tspan", chance, class_="d"), x=0.0, y=y)
        time = el("text", times, x=0.0, y=y + 18)
        head = el("text", esc(label), head, x=0.0, y=14.0, class_="b")
        columns.append(head + bars + foot + time)
        tables.append(el("div", el("div", esc(label), class_="d"), rows_table(rows)))
        told = [*(row.in_words() for row in rows), errors, times] if len(seen) else [errors]
        said.append(f"{label}: {'; '.join(told)}.")
    height = 26 + _ROW * len(keys) + 42
    subtitle = f"by {shares[0].by}" + (f" of {service}" if service else "")
    both = el("div", *tables, class_="ws-row")

    def placed(right: float, down: float) -> tuple[tuple[str, float, float], Part | None]:
        moved = (f"translate({place * right:g} {place * down:g})" for place in range(2))
        body = "".join(el("g", column, transform=where) for column, where in zip(columns, moved, strict=True))
        wide, high = right + half, down + height
        below = users_part(homes, wide=wide, labels=labels)
        if below is None:
            return (body, wide, high), None
        body += el("g", below.body, transform=f"translate(0 {high + 12:g})")
        return (body, wide, high + 12 + below.height), below

    (beside, users), (stacked, _) = placed(half + gap, 0), placed(0, height + 12)
    if users is not None:
        said.append(f"{users.told}.")
        both += users.table
    return Figure(title, subtitle, *beside, f"{title}, {' '.join(said)}", both, stacked)


def share_html(share: Share) -> str:
    """A share as bars with intervals."""
    return share_figure(share)._repr_html_()


def _facts(seen: Observations) -> str:
    causes: dict[str, int] = {}
    for response in seen:
        why = cause(response)
        if why:
            causes[why] = causes.get(why, 0) + 1
    ranked = sorted(causes.items(), key=lambda item: -item[1])
    failed = sum(causes.values())
    if not failed:
        # One that is not kept has failed, too: a tick would tell of more than was looked at.
        errors = "✓ all ok" if seen.window is None else "no errors among these"
    else:
        shown = [f"{esc(why)}: {count:,}" for why, count in ranked[:5]]
        more = [f"and {words.plural(len(ranked) - 5, 'more cause')}"] if len(ranked) > 5 else []
        head = el("b", f"✗ {words.percent(failed / len(seen))} errors", class_="e")
        errors = "<br>".join([head, *shown, *more])
    if seen.window is not None and seen.window.errors:
        errors += el("div", f"✗ {words.plural(seen.window.errors, 'request')} before these failed", class_="e")
    quantiles = [[f"p{100 * q:g}", words.duration(seen.quantile(q))] for q in (0.5, 0.9, 0.99)]
    quantiles.append(["longest", words.duration(seen.max_s)])
    times = table(["latency", ""], [[esc(name), value] for name, value in quantiles], numeric=frozenset({1}))
    return el("div", el("div", errors), el("div", times, class_="ws-gap"))


def observations_html(seen: Observations) -> str:
    """Observations at a glance: who answered, what failed, how long it took."""
    if not seen:
        return panel("Observations", "no responses" + (f" among {seen.window}" if seen.window else ""))
    rate = f", {words.rate(seen.rate)}" if len(seen) > 1 and seen.rate else ""
    subtitle = f"{words.plural(len(seen), 'response')} in {words.duration(seen.duration_s)}{rate}"
    if seen.window is not None:
        subtitle += f", from {seen.window}"
    share = seen.share()
    rows = _rows(share, None)
    picture = ""
    if set(share.counts) != {NONE}:
        body, height = _draw(rows)
        label = "share by version: " + "; ".join(row.in_words() for row in rows)
        strip = choices_strip(seen, wide=_WIDE)
        if strip is not None:
            body += el("g", strip.body, transform=f"translate(0 {height + 6:g})")
            height += strip.height + 6
            label += f"; {strip.told}"
        picture = svg(body, width=_WIDE, height=height, label=label)
    numbers = el("details", el("summary", "the numbers as a table"), rows_table(rows)) if picture else ""
    return panel("Observations", el("div", picture, _facts(seen), class_="ws-row"), numbers, subtitle=subtitle)


def response_html(response: Response) -> str:
    """What the client saw of one request: how it ended, who took part, and how to find it again."""
    why = cause(response)
    ended = el("b", "✗ " + esc(why), class_="e") if why else f"✓ {esc(response.status or '')} ok".replace("  ", " ")
    hops = ", ".join(
        el("span", esc(hop.service), " ", version_mark(hop.version), title=hop.pod, class_="w") for hop in response.path
    )
    rows = [["outcome", ended], ["took part", hops or el("span", "nobody", class_="d")]]
    rows.append(["duration", words.duration(response.duration_s)])
    rows += [[f"header {esc(name)}", el("code", esc(value))] for name, value in response.headers.items()]
    if response.tls:
        told = response.tls
        certificate = f"{told.get('subject', '–')}, signed by {told.get('issuer', '–')}"
        spoken = ", ".join(filter(None, (told.get("version"), told.get("cipher"), told.get("alpn"))))
        rows += [["TLS", esc(spoken)], ["certificate", esc(certificate)]]
    if response.user:
        rows.append(["user", esc(response.user)])
    if response.error:
        rows.append(["error", esc(response.error)])
    if response.body:
        rows.append(["body", el("pre", esc(_beginning(response.body)))])
    rows.append(["x-request-id", el("code", esc(response.request_id or "–"))])
    return panel("Response", table(["", ""], rows, caption="one request"), subtitle=f"request {response.index}")


def _beginning(text: str, longest: int = 2_000) -> str:
    """The beginning of a long text."""
    return text if len(text) <= longest else f"{text[:longest]} … {words.plural(len(text) - longest, 'more character')}"
