"""A change on its way from the control plane to the proxies: who was told what, and who acknowledged it when."""

from __future__ import annotations

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc, num, wrapped
from labsupport.observe.pushed import XDS, Pushed
from labsupport.records import ProxyChange

__all__ = ["push_figure"]

_WIDE = 640.0
_PLANE, _PROXY, _PROXY_WIDE = 116.0, 222.0, 192.0
_BAR, _BAR_END = 428.0, 560.0
_ROW, _HIGH, _LINE = 34.0, 24.0, 16.0
_SHOWN = 12
# The first part of the motion is the telling, which nobody measured; the rest is to scale.
_TELL_S, _PLAY_S = 0.8, 2.4


def push_figure(pushed: Pushed) -> Figure:
    """The way of a change to the proxies, which plays once in slow motion where motion is welcome.

    Args:
        pushed: who was told what, and acknowledged it when.

    Returns:
        A figure with a table of all proxies.
    """
    shown = pushed.proxies[:_SHOWN]
    head = wrapped(words.join(pushed.changed), _WIDE)
    parts = [el("text", esc(line), x=0.0, y=14 + _LINE * place, class_="b") for place, line in enumerate(head)]
    top = 14 + _LINE * len(head) + 4
    bottom = top + _ROW * len(shown) - (_ROW - _HIGH)
    parts.append(el("text", "acknowledged after", x=_BAR, y=top - 6, class_="d"))
    parts.append(_plane(top, bottom))
    parts += [_row(proxy, top + _ROW * place, pushed.in_force_s) for place, proxy in enumerate(shown)]
    notes = []
    if len(pushed.proxies) > len(shown):
        more = words.plural(len(pushed.proxies) - len(shown), "more proxy", "more proxies")
        notes.append(f"and {more}, the last one after {words.duration(pushed.in_force_s)}")
    notes.append("sent: " + ", ".join(f"{name} = {XDS.get(name, 'configuration')}" for name in pushed.types))
    notes += pushed.left_alone
    y = bottom + 8
    for line in [line for note in notes for line in wrapped(note, _WIDE)]:
        y += _LINE
        parts.append(el("text", esc(line), x=0.0, y=y, class_="d"))
    where = words.plural(len(pushed.proxies), "proxy", "proxies")
    subtitle = f"in force after {words.duration(pushed.in_force_s)}: {where} acknowledged it"
    rows = [
        [esc(proxy.proxy), esc(", ".join(proxy.types)), words.duration(proxy.in_force_s)] for proxy in pushed.proxies
    ]
    numbers = table(["proxy", "sent", "acknowledged after"], rows, numeric=frozenset({2}), caption="proxies")
    return Figure(
        "From the control plane to the proxies", subtitle, "".join(parts), _WIDE, y + 8, f"{pushed!r}", numbers
    )


def _plane(top: float, bottom: float) -> str:
    middle = (top + bottom) / 2
    tall = bottom - top > 2 * _LINE
    frame = el(
        "rect", x=2.0, y=top, width=_PLANE - 2, height=bottom - top, rx=6.0, fill="var(--ws-bg)", stroke="var(--ws-dim)"
    )
    said = [("control plane", "b"), ("istiod", "d")] if tall else [("istiod", "b")]
    y = middle + 4.5 - (len(said) - 1) * _LINE / 2
    lines = (
        el("text", text, x=_PLANE / 2 + 1, y=y + _LINE * place, text_anchor="middle", class_=look)
        for place, (text, look) in enumerate(said)
    )
    return el("g", frame, *lines, class_="ws-box")


def _row(proxy: ProxyChange, top: float, longest_s: float) -> str:
    middle = top + _HIGH / 2
    share = proxy.in_force_s / longest_s if longest_s else 1.0
    end = _BAR + max(3.0, (_BAR_END - _BAR) * share)
    way = f"M{num(_PLANE)} {num(middle)}H{num(_PROXY - 8)}"
    types = clip(", ".join(proxy.types), _PROXY - _PLANE - 14)
    frame = {"x": _PROXY, "y": top, "width": _PROXY_WIDE, "height": _HIGH, "rx": 6.0}
    name = clip(proxy.proxy, _PROXY_WIDE - 16)
    ready_s = _TELL_S + _PLAY_S * share
    dot = el(
        "circle",
        cx=_PROXY - 8,
        cy=middle,
        r=4.0,
        fill="var(--ws-c0)",
        class_="ws-go",
        style=f"animation-duration:{_TELL_S}s",
    )
    grows = f"animation-duration:{_PLAY_S * share:.2f}s;animation-delay:{_TELL_S}s"
    done = f"✓ {words.duration(proxy.in_force_s)}"
    return "".join(
        (
            el("path", d=way, fill="none", stroke="var(--ws-bar)", stroke_width=1.6),
            el("path", d=f"M{num(_PROXY - 8)} {num(middle - 5)}l8 5l-8 5z", fill="var(--ws-bar)"),
            el("text", esc(types), x=(_PLANE + _PROXY - 8) / 2, y=middle - 4, text_anchor="middle", class_="d"),
            dot,
            el(
                "g",
                el("title", esc(proxy.proxy)),
                el("rect", **frame, fill="var(--ws-bg)", stroke="var(--ws-dim)"),
                el("text", esc(name), x=_PROXY + 8, y=middle + 4.5),
                class_="ws-box",
            ),
            el("rect", x=_BAR, y=middle - 4, width=_BAR_END - _BAR, height=8.0, rx=2.0, fill="var(--ws-track)"),
            el(
                "rect",
                x=_BAR,
                y=middle - 4,
                width=end - _BAR,
                height=8.0,
                rx=2.0,
                fill="var(--ws-bar)",
                class_="ws-grow",
                style=grows,
            ),
            el(
                "text",
                esc(done),
                x=_WIDE - 4,
                y=middle + 4.5,
                text_anchor="end",
                class_="b ws-come",
                style=f"animation-delay:{ready_s:.2f}s",
            ),
        )
    )
