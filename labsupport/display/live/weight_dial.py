"""The weights of a rule that a person turns in a picture: one patch at a time, and only the last position counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import slot_of
from labsupport.display.drawing.text import el
from labsupport.errors import LabError
from labsupport.traffic.rule_control import Steering
from labsupport.traffic.weights import RuleName, Split

__all__ = ["WeightDial"]

# Of a slider that is dragged, a position is put in force this often at most: each leaves a line in the picture.
_INTERVAL_S = 0.5


class WeightDial:
    """Turns the weights of one rule, in a thread of its own that lives while there is something to do.

    A change may take seconds on a cluster; the picture goes on meanwhile.

    Args:
        steering: reads and writes the rule.
        rule: its name.
        wake: called from any thread when there is something new to show.

    Raises:
        NotFoundError: there is no such VirtualService.
        UsageError: it does not split.
    """

    def __init__(self, steering: Steering, rule: RuleName, wake: Callable[[], None]) -> None:
        self.rule = rule
        self.problem = ""
        self._steering, self._wake = steering, wake
        self._lock = threading.Lock()
        self._asked: list[int] | None = None
        self._doing: list[int] | None = None
        self._working = False
        self._split = steering.split(rule)

    @property
    def split(self) -> Split:
        """The rule as it was read last."""
        return self._split

    def ask(self, weights: object) -> None:
        """Have new weights put in force; of several that are asked for meanwhile, only the last ones are.

        Args:
            weights: what the browser sent.
        """
        if not isinstance(weights, Sequence) or not all(isinstance(weight, int) for weight in weights):
            return
        with self._lock:
            self._asked = list(weights)
            if self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="weights", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._doing, self._asked = self._asked, None
                if self._doing is None:
                    self._working = False
                    break
            begun = time.monotonic()
            self.problem = self._turn(self._doing)
            self._wake()
            # Not a wait for anything: the rate at which a drag may change the mesh.
            threading.Event().wait(max(0.0, begun + _INTERVAL_S - time.monotonic()))
        self._wake()

    def _turn(self, weights: list[int]) -> str:
        try:
            self._steering.turn(self.rule, weights)
        except LabError as error:
            return f"The weights were not changed. {error}"
        # Nobody sees this thread; what goes wrong in it is to be seen where the slider is.
        except Exception as error:
            return f"The weights were not changed. {type(error).__name__}: {error}"
        return ""

    def state(self) -> dict[str, Any]:
        """What the sliders show."""
        problem = ""
        try:
            self._split = self._steering.split(self.rule)
        except LabError as error:
            problem = str(error)
        with self._lock:
            asked = self._asked or self._doing
        parts = self._split.parts
        return {
            "rule": str(self._split.ref),
            "parts": [
                {"name": part.version, "mark": _mark(part.version), "key": slot_of(part.version).key} for part in parts
            ],
            "weights": asked if asked is not None and len(asked) == len(parts) else list(self._split.weights),
            "busy": asked is not None,
            "ready": not problem,
            "problem": self.problem or problem,
        }


def _mark(version: str) -> str:
    return el("svg", mark(slot_of(version), 6.0, 7.0, 4.4), width=12.0, height=14.0, aria_hidden="true")
