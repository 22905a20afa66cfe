"""Makes up requests as a mesh would log them, and knows which lines belong together."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labsupport.records import AccessRecord, Pod

SERVICES = ("page", "reviews", "ratings", "details")
PODS = [
    Pod(f"{service}-{version}-{number}", "default", f"{service}-{version}", {"app": service, "version": version}, True)
    for service in SERVICES
    for version in ("v1", "v2")
    for number in (1, 2)
]


@dataclass
class Simulation:
    """One request.

    Args:
        seed: of the dice.
        equal: whether calls of a service by the same caller have the same path, and so can be told by time alone.
        counted: whether the log has attempt counts and marks copies, as Istio's default format does not.
        skews: by how much each pod's clock is wrong, in seconds.
    """

    seed: int
    equal: bool = True
    counted: bool = False
    skews: Mapping[str, float] = field(default_factory=dict)
    lines: list[AccessRecord] = field(default_factory=list)
    # Truth: for every server's line the caller's line, and for every caller's line the server's line it was made for.
    served_by: dict[int, int] = field(default_factory=dict)
    made_for: dict[int, int] = field(default_factory=dict)
    copies: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.call(0.0, "client-1", "page", depth=0, path="/page", maker=None)

    def written(self) -> list[AccessRecord]:
        """The lines, in milliseconds, in the order in which they are read."""
        logged = [
            replace(
                line,
                time_s=int((line.time_s + self.skews.get(line.pod, 0.0)) * 1000) / 1000,
                duration_s=int(line.duration_s * 1000) / 1000,
                attempt=line.attempt if self.counted else 1,
                mirrored=self.counted and place in self.copies,
            )
            for place, line in enumerate(self.lines)
        ]
        return logged

    def add(self, at: float, pod: str, direction: str, path: str, **more: object) -> int:
        # All lines of a request have one id; here it says which line it is, which nobody may use to pair them.
        line = AccessRecord(str(len(self.lines)), 1_000_000 + at, pod, direction, "GET", "x", path, **more)
        self.lines.append(line)
        return len(self.lines) - 1

    def serve(
        self, at: float, pod: str, service: str, path: str, depth: int, attempt: int, fails: bool
    ) -> tuple[int, float]:
        """A request at a server; returns its line and when it ended."""
        place = self.add(at, pod, "inbound", path, attempt=attempt)
        end = at + self.dice.uniform(0.004, 0.03)
        if not fails and depth < 2:
            below = {"page": ("reviews", "details"), "reviews": ("ratings",)}.get(service, ())
            for target in below:
                begin = at + self.dice.uniform(0.004, 0.01)
                for number in range(self.dice.choice((1, 1, 2))):
                    inner = "/x" if self.equal else f"/{target}/{place}/{number}"
                    # Calls of one application follow each other by some milliseconds, as the work between them takes.
                    begin += 0.012 * number
                    done = self.call(begin, pod, target, depth + 1, inner, place)
                    end = max(end, done + 0.005)
        status = 503 if fails else 200
        self.lines[place] = replace(self.lines[place], status=status, duration_s=end - at)
        return place, end

    def call(self, at: float, pod: str, service: str, depth: int, path: str, maker: int | None) -> float:
        """A call with its tries and copies; returns when it ended."""
        version = self.dice.choice(("v1", "v2"))
        cluster = f"outbound|80|{version}|{service}.default.svc.cluster.local"
        place = self.add(at, pod, "outbound", path, cluster=cluster)
        if maker is not None:
            self.made_for[place] = maker
        servers = [pod.name for pod in PODS if pod.service == service and pod.version == version]
        others = [pod.name for pod in PODS if pod.service == service and pod.version != version]
        if self.dice.random() < 0.25:
            copy, _ = self.serve(at + 0.002, self.dice.choice(others), service, path, 2, 1, False)
            self.served_by[copy] = place
            self.copies.add(copy)
        begin, tries = at + 0.001, self.dice.choice((1, 1, 1, 2, 3))
        for number in range(1, tries + 1):
            server = self.dice.choice(servers)
            served, end = self.serve(begin, server, service, path, depth, number, number < tries)
            self.served_by[served] = place
            begin = end + self.dice.uniform(0.012, 0.04)
        self.lines[place] = replace(self.lines[place], status=200, upstream_pod=server, duration_s=end + 0.002 - at)
        return end + 0.002
