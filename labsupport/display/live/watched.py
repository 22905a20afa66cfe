"""What the picture of traffic needs of the traffic."""

from __future__ import annotations

from typing import Protocol

from labsupport.traffic.recording import TrafficSnapshot
from labsupport.traffic.rule_control import Steering

__all__ = ["WatchedTraffic"]


class WatchedTraffic(Protocol):
    """What the picture needs of ``BackgroundTraffic``."""

    steering: Steering | None

    def snapshot(self, since: int = 0) -> TrafficSnapshot:
        """What is new since a sequence number."""
        ...

    def start(self) -> object:
        """Begin to send."""
        ...

    def halt(self) -> None:
        """Send no more."""
        ...

    def resume(self) -> None:
        """Go on after a pause."""
        ...

    def set_rate(self, rate: float) -> None:
        """Change the rate."""
        ...
