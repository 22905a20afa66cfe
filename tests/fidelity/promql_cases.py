"""Samples that look like a shop's, and odd ones, for queries that a real Prometheus has answered."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from labsupport.metrics.counting import BUCKETS_MS
from labsupport.metrics.series import NAME, Labels, Store, labels_of

__all__ = ["FOLDER", "GOLDEN", "MOMENTS_MS", "queries", "read_golden", "samples", "store"]

FOLDER = Path(__file__).parent / "promql"
GOLDEN = FOLDER / "golden.jsonl"
_BEGIN_MS = 1_700_000_000_000
# In the middle of the quick scrapes, of the slow ones, in a gap, at the last sample exactly, and long after.
MOMENTS_MS = tuple(_BEGIN_MS + offset for offset in (8_000, 21_500, 200_000, 401_234, 640_000, 905_000))


def queries() -> list[str]:
    """The queries, in the order of their file."""
    lines = (FOLDER / "queries.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _times_ms(draw: random.Random) -> Iterator[int]:
    """Scrapes each second, then every 15 s with some jitter, one missing; and one far from the others."""
    for second in range(20):
        yield _BEGIN_MS + 1000 * second + draw.randrange(40)
    for number in range(2, 42):
        if number != 25:
            yield _BEGIN_MS + 15_000 * number + draw.randrange(900)
    yield _BEGIN_MS + 640_000
    yield _BEGIN_MS + 880_000


def samples() -> list[tuple[int, dict[Labels, float]]]:
    """Times, and the value of each series then."""
    draw = random.Random("promql")
    counters: dict[Labels, float] = {}
    rates: dict[Labels, tuple[int, float]] = {}

    def counter(first: int, rate: float, name: str, **labels: str) -> Labels:
        made = labels_of({NAME: name, **labels})
        rates[made] = (first, rate)
        return made

    for service, version in (("carts", "v1"), ("carts", "v2"), ("orders", "v1")):
        for reporter in ("source", "destination"):
            for code, rate, first in (("200", 9.0, 0), ("503", 0.4, 12), ("404", 0.05, 30)):
                about = {"reporter": reporter, "destination_service_name": service, "version": version}
                counter(first, rate, "istio_requests_total", **about, response_code=code)
    resetting = counter(0, 3.0, "istio_requests_total", reporter="source", response_code="200", version="")
    made = []
    histograms: dict[tuple[str, str], list[float]] = {("carts", "v1"): [], ("orders", "v2"): []}
    for number, time_ms in enumerate(_times_ms(draw)):
        for labels, (first, rate) in rates.items():
            if number >= first:
                grown = rate * draw.expovariate(1) * (1 if number < 20 else 15)
                counters[labels] = counters.get(labels, 0.0) + round(grown)
        if number in (15, 33, 34):
            counters[resetting] = float(number == 33)
        now = dict(counters)
        for (service, version), durations in histograms.items():
            durations += [draw.lognormvariate(3.5, 1.6) for _ in range(draw.randrange(40))]
            about = {"destination_service_name": service, "version": version}
            prefix = "istio_request_duration_milliseconds"
            for bound in (*BUCKETS_MS, float("inf")):
                le = "+Inf" if bound == float("inf") else f"{bound:g}"
                up_to = float(sum(duration <= bound for duration in durations))
                now[labels_of({NAME: f"{prefix}_bucket", **about, "le": le})] = up_to
            now[labels_of({NAME: f"{prefix}_count", **about})] = float(len(durations))
            now[labels_of({NAME: f"{prefix}_sum", **about})] = sum(durations)
        for version, low in (("v1", -9.0), ("v2", 0.0)):
            now[labels_of({NAME: "level", "version": version})] = round(low + draw.random() * 9, 1)
        now[labels_of({NAME: "level", "version": "none"})] = 0.0
        now[labels_of({NAME: "home", "destination_service_name": "carts", "side": "back"})] = 1.0
        # A histogram whose counts fall, with two spellings of a bound, one that is none, and a bound below zero.
        odd = {"-1": 2, "0.5": 5, "1": 4, "1.0": 1, "x": 7, "2": 9, "+Inf": 8}
        for le, count in odd.items():
            now[labels_of({NAME: "odd_bucket", "le": le})] = float(count * (number + 1))
        made.append((time_ms, now))
    return made


@cache
def store() -> Store:
    """The samples as scrapes."""
    made = Store()
    for time_ms, values in samples():
        made.scrape(time_ms, values)
    return made


def read_golden() -> dict[tuple[str, int], dict[str, object]]:
    """Prometheus' answers by query and moment."""
    answers = map(json.loads, GOLDEN.read_text().splitlines())
    return {(query, MOMENTS_MS[moment]): answer for query, moment, answer in answers}
