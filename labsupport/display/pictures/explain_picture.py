"""The way of a request through the rules, drawn: each rule with what failed first, the one taken, where it leads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labsupport import words
from labsupport.display.drawing.figure import Figure, svg
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import slot_of
from labsupport.display.drawing.text import clip, el, esc, num, width, wrapped
from labsupport.explain.explanation import Explanation
from labsupport.explain.records import ANSWERED_BEFORE, MatchEntry, PredictedOutcome, RoutedTo, RuleTrace

__all__ = ["way_figure", "way_html"]

_LINE, _HEAD, _PAD, _GAP, _BETWEEN = 16.0, 20.0, 8.0, 18.0, 12.0
_ENTRIES, _LATER, _ENDS = 3, 2, 6
_SIGNS = {"chosen": "✓", "no match": "✗", "not reached": "·", "not for this proxy": "·"}


@dataclass(frozen=True, slots=True)
class _ExplainFrame:
    """Where things are: rules on the left, what they lead to on the right.

    Args:
        wide: width of the picture.
        rules: width of a rule.
        ends: width of a destination.
    """

    wide: float
    rules: float
    ends: float


_WIDE, _NARROW = _ExplainFrame(920.0, 520.0, 310.0), _ExplainFrame(640.0, 350.0, 236.0)


@dataclass(frozen=True, slots=True)
class _Box:
    """Lines of text in a frame.

    Args:
        lines: text and CSS classes of each.
        look: ``chosen``, ``off`` or empty.
        version: whose colour and shape it has; empty for none.
        share: how much of the traffic comes here, from 0 to 1.
        failed: whether it ends in an error.
        place: file and line, beside the first line.
    """

    lines: tuple[tuple[str, str], ...]
    look: str = ""
    place: str = ""
    version: str = ""
    share: float = 0.0
    failed: bool = False

    @property
    def high(self) -> float:
        return _HEAD + _LINE * (len(self.lines) - 1) + _PAD


def _why(entry: MatchEntry, many: bool, number: int, room: float) -> list[tuple[str, str]]:
    which = f"match {number}: " if many else ""
    failed = entry.failed
    if failed is None:
        held = words.join(f"{condition.field} {condition.wanted}" for condition in entry.conditions)
        return [(f"{which}✓ {held or 'takes every request'}", "")]
    said = [(f"{which}✗ {failed.field} wanted {failed.wanted}, got {failed.got}", "e")]
    if width(said[0][0]) > room:
        # In two lines rather than shortened: what was wanted and what came are what it is about.
        said = [(f"{which}✗ {failed.field} wanted {failed.wanted},", "e"), (f"   got {failed.got}", "e")]
    return [*said, (failed.hint, "d")] if failed.hint else said


def _rule(rule: RuleTrace, room: float) -> _Box:
    head = f"{_SIGNS.get(rule.verdict, '·')} {rule.verdict}: {rule.title}"
    place = str(rule.place)
    if rule.verdict not in ("chosen", "no match"):
        return _Box(((head, "d"),), "off", place)
    # Of a chosen rule, the entry that holds is what counts.
    entries = [entry for entry in rule.entries if rule.verdict == "no match" or entry.failed is None] or list(
        rule.entries
    )
    many = len(rule.entries) > 1
    lines = [line for entry in entries[:_ENTRIES] for line in _why(entry, many, rule.entries.index(entry) + 1, room)]
    if len(entries) > _ENTRIES:
        lines.append((f"and {len(entries) - _ENTRIES} more", "d"))
    lines = lines or [("✓ no match list: takes every request", "")]
    return _Box(((head, "b"), *lines), "chosen" if rule.verdict == "chosen" else "", place)


def _rules(told: Explanation, room: float) -> list[_Box]:
    reached = [rule for rule in told.rules if rule.verdict in ("chosen", "no match")]
    later = [rule for rule in told.rules if rule not in reached]
    boxes = [_rule(rule, room) for rule in (*reached, *later[:_LATER])]
    if len(later) > _LATER:
        boxes.append(_Box(((f"· {words.plural(len(later) - _LATER, 'more rule')}, not reached", "d"),), "off"))
    if not any(box.look == "chosen" for box in boxes):
        after = len(reached)
        boxes.insert(after, _Box(((told.decision or "no rule", "b"),), "chosen"))
    return boxes


def _name(to: RoutedTo) -> str:
    place = f"{to.host.partition('.')[0]}:{to.port}" if to.host else "nobody"
    return place + (f", subset {to.subset}" if to.subset else "")


def _end(to: RoutedTo) -> _Box:
    what = f"✗ {to.status} {to.problem}" if to.problem else words.plural(len(to.pods), "pod")
    line = f"{words.percent(to.share)} · {what}"
    lines = ((_name(to), "b"), (line, "e" if to.problem else "d"))
    return _Box(lines, version=to.subset, share=to.share, failed=bool(to.problem))


def _answer(outcome: PredictedOutcome) -> _Box:
    status = " ".join(part for part in (str(outcome.status or ""), outcome.flags) if part) or "answered"
    failed = outcome.status >= 400
    line = f"{words.percent(outcome.share)} · {outcome.text}", "e" if failed else "d"
    return _Box(((status, "b"), line), share=outcome.share, failed=failed)


def _ends(told: Explanation) -> list[_Box]:
    made = [_answer(outcome) for outcome in told.outcomes if outcome.kind in ANSWERED_BEFORE]
    made += [_end(to) for to in told.destinations if to.share or (len(told.destinations) == 1 and not made)]
    made = made or [_answer(outcome) for outcome in told.outcomes]
    for to in told.mirrors:
        copied = (f"{words.percent(to.share)} copied,", "d"), ("answers thrown away", "d")
        made.append(_Box(((_name(to), "b"), *copied), "off", version=to.subset))
    if len(made) > _ENDS:
        made = [*made[:_ENDS], _Box(((f"and {len(made) - _ENDS} more", "d"),))]
    return made


def _fitted(box: _Box, wide: float) -> _Box:
    """The box with lines that are too long for it broken: there is room below, and none of them is to be shortened."""
    lines: list[tuple[str, str]] = []
    for place, (text, look) in enumerate(box.lines):
        room, bold = wide - (28.0 if box.version else 12.0) - (20 if place else 10), "b" in look
        fits = width(text, bold=bold) <= room
        # Lines that go on are further in than first ones.
        lines += [(part, look) for part in ([text] if fits else wrapped(text, room - 10, bold=bold))]
    return replace(box, lines=tuple(lines))


def _drawn(box: _Box, x: float, y: float, wide: float) -> str:
    edge = "var(--ws-ce)" if box.failed else "var(--ws-c1)" if box.look == "chosen" else "var(--ws-dim)"
    frame = {"x": x, "y": y, "width": wide, "height": box.high, "rx": 6.0, "fill": "var(--ws-bg)", "stroke": edge}
    parts = [el("rect", **frame, stroke_dasharray="4 4" if box.look == "off" else None)]
    if box.look == "chosen":
        parts.append(el("rect", **{**frame, "fill": "var(--ws-hl)", "stroke_width": 2.0}))
    left = 12.0
    if box.version:
        parts.append(mark(slot_of(box.version), x + 15, y + 15 - 4, 4.6))
        left = 28.0
    room = wide - left - 10
    if box.place and width(box.lines[0][0], bold=True) + width(box.place) + 16 < room:
        # Dimmed letters on the highlight would be too faint.
        look = None if box.look == "chosen" else "d"
        parts.append(el("text", esc(box.place), x=x + wide - 10, y=y + 15, text_anchor="end", class_=look))
    for place, (text, look) in enumerate(box.lines):
        shown = clip(text, room - (10 if place else 0), bold="b" in look)
        at = {"x": x + left + (10 if place and not box.version else 0), "y": y + 15 + _LINE * place}
        parts.append(el("g", el("title", esc(text)), el("text", esc(shown), **at, class_=look or None)))
    return el("g", *parts, class_="ws-box")


def _way(told: Explanation, frame: _ExplainFrame) -> tuple[str, float, float]:
    rules = [_fitted(box, frame.rules) for box in _rules(told, frame.rules - 32)]
    ends = [_fitted(box, frame.ends) for box in _ends(told)]
    headers = [(f"{name}: {value}", "") for name, value in told.headers.items()]
    asked = (f"{told.source.partition(' ')[0]} asks", "d"), (told.asked, "b")
    request = _fitted(_Box((*asked, *headers)), frame.rules)
    x, y, parts = 2.0, 2.0, [_drawn(request, 2.0, 2.0, frame.rules)]
    middle = x + 26
    chosen = (y, request.high)
    y += request.high
    for box in rules:
        if box.look != "off" or chosen[0] == 2.0:
            parts.append(_arrow(f"M{num(middle)} {num(y)}V{num(y + _BETWEEN - 5)}", middle, y + _BETWEEN, down=True))
        y += _BETWEEN
        parts.append(_drawn(box, x, y, frame.rules))
        chosen = (y, box.high) if box.look == "chosen" else chosen
        y += box.high
    total = sum(box.high for box in ends) + _GAP * max(0, len(ends) - 1)
    begin = chosen[0] + chosen[1] / 2
    top = max(2.0, begin - total / 2)
    right, left = x + frame.rules, frame.wide - frame.ends - 2
    for box in ends:
        to, half = top + box.high / 2, (right + left) / 2
        way = f"M{num(right)} {num(begin)}C{num(half)} {num(begin)} {num(half)} {num(to)} {num(left - 8)} {num(to)}"
        parts.append(_arrow(way, left, to, thick=1.4 + 3.6 * box.share, failed=box.failed))
        parts.append(_drawn(box, left, top, frame.ends))
        top += box.high + _GAP
    return "".join(parts), frame.wide, max(y, top - _GAP) + 4


def _arrow(path: str, x: float, y: float, *, down: bool = False, thick: float = 1.6, failed: bool = False) -> str:
    colour = "var(--ws-ce)" if failed else "var(--ws-bar)"
    tip = f"M{num(x - 4)} {num(y - 7)}h8l-4 7z" if down else f"M{num(x - 8)} {num(y - 5)}l8 5l-8 5z"
    return el("path", d=path, fill="none", stroke=colour, stroke_width=thick) + el("path", d=tip, fill=colour)


def _summary(told: Explanation) -> str:
    rules = [" ".join(text for text, _ in box.lines) for box in _rules(told, _WIDE.wide)]
    ends = [" ".join(text for text, _ in box.lines) for box in _ends(told)]
    sentences = [*rules, f"It leads to: {'; '.join(ends)}" if ends else ""]
    return " ".join(words.sentence(sentence.rstrip()) for sentence in sentences if sentence)


def way_figure(told: Explanation) -> Figure:
    """The way of a request through the rules.

    Args:
        told: why a request goes where it goes.
    """
    body, wide, high = _way(told, _WIDE)
    title, subtitle = "The way through the rules", f"{told.asked} from {told.source}"
    return Figure(title, subtitle, body, wide, high, _summary(told), narrow=_way(told, _NARROW))


def way_html(told: Explanation) -> str:
    """The picture for a wide and for a narrow place, with what it shows in words.

    Args:
        told: why a request goes where it goes.
    """
    made = []
    for name, frame in (("ws-big", _WIDE), ("ws-small", _NARROW)):
        body, wide, high = _way(told, frame)
        label = f"The way of {told.asked} through the rules"
        image = svg(body, width=wide, height=high, label=label, description=_summary(told))
        made.append(el("div", image, class_=name))
    return el("div", *made, class_="ws-fit")
