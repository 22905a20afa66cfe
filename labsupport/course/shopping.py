"""What people who buy in the shop send, from logging in to the order."""

from __future__ import annotations

import base64
import functools
import json
import re
from typing import TYPE_CHECKING

from labsupport.arguments import a_kind, checked, whole
from labsupport.errors import UsageError

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["STEPS", "buy"]

_NADIA = base64.b64encode(b"nadia:socks").decode()
_STEPS: tuple[tuple[str, str, str | None], ...] = (
    ("GET", "/login", None),
    ("DELETE", "/cart", None),
    ("POST", "/cart", json.dumps({"id": "ember"})),
    ("POST", "/orders", None),
)
STEPS = len(_STEPS)
_MOST = 1_000
# What follows a name may be a date, which has a comma and no equals sign.
_COOKIE = re.compile(r"(?:^|, )([\w-]+)=([^;,]*)")


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
    from labsupport.lab.lab import Lab

    if not isinstance(lab, Lab):
        raise UsageError(f'buy: the first argument is {a_kind(type(lab))}. Give it the lab: buy(lab, "gateway:").')
    whole("customers", customers, 1, _MOST)
    way = str(entrance).rstrip("/")
    return functools.reduce(lambda seen, more: seen + more, (_one_buys(lab, way) for _ in range(customers)))


def _one_buys(lab: Lab, way: str) -> Observations:
    jar: dict[str, str] = {}
    sent = []
    for method, path, body in _STEPS:
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
        jar |= _COOKIE.findall(sent[-1][0].headers.get("set-cookie", ""))
    return functools.reduce(lambda seen, more: seen + more, sent)
