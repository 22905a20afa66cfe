"""What people send to the shop: those who look at its page, and those who buy, from logging in to the order."""

from __future__ import annotations

import base64
import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.arguments import checked, whole
from labsupport.course.needs import check_lab
from labsupport.traffic.share import NONE

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import Response
    from labsupport.traffic.observations import Observations

__all__ = ["STEPS", "Visits", "buy", "cookies_of", "visit"]

_NADIA = base64.b64encode(b"nadia:socks").decode()
_STEPS: tuple[tuple[str, str, str | None], ...] = (
    ("GET", "/login", None),
    ("DELETE", "/cart", None),
    ("POST", "/cart", json.dumps({"id": "ember"})),
    ("POST", "/orders", None),
)
STEPS = len(_STEPS)
_MOST = 1_000
_MOST_PAGES = 40
# Name, value and attributes. Among these may be a date, which has a comma and no equals sign after it.
_COOKIE = re.compile(r"(?:^|, )([\w-]+)=([^;,]*)((?:;(?:(?!, [\w-]+=).)*)?)")
_PATH = re.compile(r";\s*path=(/[^;]*)", re.IGNORECASE)
_OVER = re.compile(r";\s*max-age=(?:-|0+\s*(?:;|$))", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Visits:
    """Pages of the shop, as browsers got them.

    Args:
        seen: the responses, with their bodies.
    """

    seen: Observations

    @words.shown
    def __repr__(self) -> str:
        counts = self.seen.share("version").counts
        # Without a version it is no page of the shop, but a proxy's error, or nothing.
        counted = [f"{version} {count}" if version != NONE else f"{count} lost" for version, count in counts.items()]
        return f"{words.plural(len(self.seen), 'page')}: {', '.join(counted)}"


@checked
def visit(lab: Lab, url: str = "gateway:/", *, count: int = 20, users: int = 0) -> Visits:
    """Load the page of the shop as browsers do, and show what they got.

    Args:
        lab: where the shop runs.
        url: which page, as for ``lab.send``, such as ``"nodeport:front-end/"``.
        count: how often, 40 at most.
        users: 0 for newcomers all, or how many customers load it in turn, each with a browser that keeps its cookies.

    Raises:
        NotFoundError: there is no such entrance.
        UsageError: an argument makes no sense.
    """
    check_lab("visit(lab)", lab)
    whole("count", count, 1, _MOST_PAGES)
    return Visits(lab.send(url, count=count, users=users, headers={"accept": "text/html"}, keep_body=True))


@checked
def buy(lab: Lab, entrance: str = "gateway:", *, customers: int = 1) -> Observations:
    """Have customers log in to the shop, empty the cart, put a pair of socks into it and order, one after the other.

    Each customer is Nadia with a browser of her own, which keeps the cookies that it gets. Each step is tried whatever
    became of the one before.

    Args:
        lab: where the shop runs.
        entrance: the way in, as for ``lab.send``, such as ``"nodeport:front-end"``.
        customers: how many.

    Returns:
        Four responses for each customer, in order; the last one is that of the order.

    Raises:
        NotFoundError: there is no such entrance.
        UsageError: it is no entrance, or an argument is out of its range.
    """
    check_lab("buy(lab)", lab)
    whole("customers", customers, 1, _MOST)
    way = str(entrance).rstrip("/")
    return functools.reduce(lambda seen, more: seen + more, (_one_buys(lab, way) for _ in range(customers)))


def cookies_of(response: Response, path: str = "/") -> dict[str, str]:
    """What a browser keeps of a response of ``buy``, and sends with a request for a path, by name."""
    kept = {}
    for name, value, attributes in _COOKIE.findall(response.headers.get("set-cookie", "")):
        # Without one it is the folder of the page; the shop has no other than "/".
        place = found[1] if (found := _PATH.search(attributes)) else "/"
        if not _OVER.search(attributes) and f"{path}/".startswith(f"{place.rstrip('/')}/"):
            kept[name] = value
    return kept


def _one_buys(lab: Lab, way: str) -> Observations:
    sent: list[Observations] = []
    for method, path, body in _STEPS:
        jar: dict[str, str] = {}
        for earlier in sent:
            jar |= cookies_of(earlier[0], path)
        sent.append(
            lab.send(
                f"{way}{path}",
                method=method,
                body=body,
                headers={"authorization": f"Basic {_NADIA}"} if path == "/login" else None,
                cookies=jar,
                keep_headers=["set-cookie"],
                keep_body=True,
            )
        )
    return functools.reduce(lambda seen, more: seen + more, sent)
