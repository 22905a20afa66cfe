"""What somebody who buys in the shop sends, from logging in to the order."""

from __future__ import annotations

import base64
import functools
import json
from typing import TYPE_CHECKING

from labsupport.arguments import a_kind
from labsupport.errors import UsageError

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["STEPS", "buy"]

_NADIA = base64.b64encode(b"nadia:socks").decode()
_SESSION = "5ea1" * 8
_STEPS: tuple[tuple[str, str, str | None], ...] = (
    ("GET", "/login", None),
    ("DELETE", "/cart", None),
    ("POST", "/cart", json.dumps({"id": "ember"})),
    ("POST", "/orders", None),
)
STEPS = len(_STEPS)


def buy(lab: Lab, entrance: str = "gateway:") -> Observations:
    """Have Nadia log in to the shop, empty her cart, put a pair of socks into it and order, one after the other.

    Each step is tried whatever became of the one before.

    Args:
        lab: where the shop runs.
        entrance: the way in, as for ``lab.send``, such as ``"nodeport:front-end"``.

    Returns:
        One response for each step; the last one is that of the order.

    Raises:
        NotFoundError: there is no such entrance.
        UsageError: it is no entrance.
    """
    from labsupport.lab.lab import Lab

    if not isinstance(lab, Lab):
        raise UsageError(f'buy: the first argument is {a_kind(type(lab))}. Give it the lab: buy(lab, "gateway:").')
    sent = [
        lab.send(
            f"{str(entrance).rstrip('/')}{path}",
            method=method,
            body=body,
            headers={"authorization": f"Basic {_NADIA}"} if path == "/login" else None,
            cookies={"shop_session": _SESSION},
            keep_body=True,
        )
        for method, path, body in _STEPS
    ]
    return functools.reduce(lambda seen, more: seen + more, sent)
