"""The metrics of a lab: counted from the access logs of its proxies, and scraped again and again into a ring."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from labsupport import words
from labsupport.arguments import checked
from labsupport.engine.protocol import Engine
from labsupport.errors import EngineError, EngineLostError, LabError, UsageError
from labsupport.metrics.answers import Answer
from labsupport.metrics.counting import REQUESTS, Counters, ServiceOf
from labsupport.metrics.exposition import Endpoint, exposed
from labsupport.metrics.operators import Element
from labsupport.metrics.promql import evaluate, parsed, within
from labsupport.metrics.series import Store, labels_of
from labsupport.records import Pod

__all__ = ["EVERY_S", "Metrics"]

EVERY_S = 1.0
"""Seconds from one scrape to the next; Istio's own Prometheus takes 15."""
# Lines come a little after their requests are over.
_LATE_S = 5.0
# What a server's proxy wrote has no caller, if none has written after this long.
_SETTLE_S = 3.0
_POLL_S = 0.05


@checked
class Metrics:
    """What the proxies of a lab counted, and queries to it.

    A thread looks at the access logs once a second and keeps what it counted: a scrape. The last quarter of an hour is
    kept at least.

    Args:
        engine: the mesh.
        recent: the x-request-ids of requests that have just been answered, whose lines a query waits for.
        every_s: seconds from one scrape to the next.
    """

    def __init__(
        self, engine: Engine, *, recent: Callable[[], Iterable[str]] = tuple, every_s: float = EVERY_S
    ) -> None:
        self._engine = engine
        self._every_s = every_s
        self._recent = recent
        self._counters = Counters(policy="none" if engine.name == "embedded" else "unknown")
        self._store = Store()
        self._lock = threading.RLock()
        self._since_s = time.time()
        self._begin_s = self._since_s
        self._ended = threading.Event()
        self._endpoint: Endpoint | None = None
        self._thread = threading.Thread(target=self._watch, name="workshop-metrics", daemon=True)
        self._thread.start()
        self._scraped = engine.start_prometheus(lambda: self.url, every_s)

    @property
    def url(self) -> str:
        """Where a Prometheus of this machine can scrape them, such as ``http://127.0.0.1:41234/metrics``."""
        with self._lock:
            self._check()
            if self._endpoint is None:
                self._endpoint = Endpoint(self.text)
            return self._endpoint.url

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        with self._lock:
            self._count()
            return exposed(self._counters.histograms)

    def scrape(self) -> None:
        """Count what is new, and keep the values with the time."""
        with self._lock:
            now_s = self._count()
            last_ms = self._store.times_ms[-1] if self._store.times_ms else 0
            self._store.scrape(max(round(now_s * 1000), last_ms + 1), self._counters.values())

    def _count(self) -> float:
        """Count what is new, and tell up to which time."""
        with self._lock:
            self._check()
            now_s = time.time()
            records = self._engine.access_records(since_s=max(self._begin_s, self._since_s - _LATE_S))
            self._since_s = now_s
            pods = self._engine.pods() if records else []
            self._counters.add(records, pods, self._services(pods) if records else {}, now_s)
            return now_s

    def _services(self, pods: Iterable[Pod]) -> ServiceOf:
        behind: dict[str, list[tuple[str, str]]] = {}
        for service in self._engine.get("Service", namespace="*"):
            selector: Mapping[str, str] = service.raw.get("spec", {}).get("selector") or {}
            space = service.namespace or self._engine.namespace
            for pod in pods:
                if selector and pod.namespace == space and selector.items() <= pod.labels.items():
                    behind.setdefault(pod.name, []).append((service.name, space))
        return {name: tuple(sorted(found)) for name, found in behind.items()}

    def settle(self) -> None:
        """Wait until the requests that have been answered are counted, a few seconds at most, and scrape."""
        ids = list(self._recent())
        if ids:
            self._engine.access_records(request_ids=ids, timeout_s=_SETTLE_S / 2)
        deadline = time.monotonic() + _SETTLE_S
        self._count()
        while self._counters.waiting and time.monotonic() < deadline:
            self._ended.wait(_POLL_S)
            self._count()
        self.scrape()

    def query(self, query: str, *, scrape: bool = True) -> Answer:
        """Answer a query in PromQL at this moment, after all that was answered so far has been counted.

        Args:
            query: such as ``sum by (response_code) (istio_requests_total)``.
            scrape: False to ask about the last scrape, such as for several queries about the same moment.

        Raises:
            UsageError: it is none, or something of it is not known here.
        """
        expression = parsed(query)
        with self._lock:
            if scrape or not self._store.times_ms:
                self.settle()
            value = evaluate(expression, self._store, self._store.times_ms[-1])
        elements = (Element((), value),) if isinstance(value, float) else tuple(value)
        return Answer(query, elements, isinstance(value, float), "this lab")

    def ask(self, query: str) -> Answer:
        """Answer a query by a Prometheus where there is one, the cluster's or that of this machine, else as ``query``.

        That of this machine is asked about a scrape that has all that was answered so far, which takes a second. That
        of a cluster, which others may share, is asked about the proxies of this lab's namespace.

        Args:
            query: in PromQL.

        Raises:
            UsageError: it is none.
        """
        note = ""
        if self._scraped:
            self.settle()
        asked = within(query, self._engine.namespace) if self._engine.name == "cluster" else query
        try:
            told = self._engine.prometheus(asked, since_s=time.time())
        except EngineLostError:
            raise
        except EngineError as error:
            told, note = None, f"answered by this lab. {error}"
        if told is not None:
            return replace(_of_prometheus(query, told), note="" if self._scraped else self._age())
        if self._engine.name == "cluster":
            note = (
                "counted from the access logs by this lab: the cluster has no Prometheus in istio-system that answers. "
                "workshop cluster up --addons prometheus brings one."
            )
        return replace(self.query(query), note=note)

    def _age(self) -> str:
        """What a cluster's Prometheus, which scrapes each proxy now and then, does not know yet."""
        namespace = self._engine.namespace
        own = f'Each selector got namespace="{namespace}": the proxies of this lab are what counts.'
        later = "what came later is in it after the next scrape, every 15 seconds as a rule"
        told = self._engine.prometheus(within(f"time() - min(timestamp({REQUESTS}))", namespace))
        if told is None or not told["result"]:
            return f"{own} Prometheus has no request of theirs yet: {later}"
        age_s = float(told["result"][0]["value"][1])
        return f"{own} Prometheus last looked at all of them {age_s:.0f} s ago: {later}"

    def forget(self) -> None:
        """Begin again from nothing, after a reset of the lab."""
        with self._lock:
            self._counters.clear()
            self._store.clear()
            self._begin_s = self._since_s = time.time()
        self._scraped = self._engine.start_prometheus(lambda: self.url, self._every_s)

    def close(self) -> None:
        """End the thread and the endpoint; a second call does nothing."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        with self._lock:
            endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()

    def _check(self) -> None:
        if self._ended.is_set():
            raise UsageError("The lab of these metrics is closed. Open another one: lab = Lab()")

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            # A mesh that does not answer for a moment leaves a gap, as a target does that cannot be scraped.
            with suppress(LabError):
                self.scrape()

    @words.shown
    def __repr__(self) -> str:
        with self._lock:
            scrapes = words.plural(len(self._store.times_ms), "scrape")
            lines = [f"metrics of this lab: {len(self._store)} series, {scrapes}"]
        if not self._ended.is_set():
            lines += [f"beside it: istioctl dashboard {name}" for name in self._engine.dashboards()]
        return "\n".join(lines)


def _of_prometheus(query: str, told: Any) -> Answer:
    """What Prometheus' HTTP API answers."""
    kind, result = told["resultType"], told["result"]
    if kind == "scalar":
        return Answer(query, (Element((), float(result[1])),), True, "Prometheus")
    if kind != "vector":
        raise UsageError(f"PromQL: the answer is a {kind}; a query of one moment is needed.")
    elements = (Element(labels_of(found["metric"]), float(found["value"][1])) for found in result)
    return Answer(query, tuple(sorted(elements, key=lambda element: element.labels)), False, "Prometheus")
