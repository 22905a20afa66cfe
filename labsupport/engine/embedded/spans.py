"""Reads the spans that a lab has taken, and waits until all of a request are there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from labsupport.engine.otlp import read_spans
from labsupport.records import AccessRecord, Span, untraced_id

__all__ = ["SpanReader"]

# A proxy exports what it has every tenth of a second. What comes later than these is not waited for: where all that is
# there fits together, and where a span names a parent that is not there.
_QUIET_S = {True: 0.25, False: 0.5}
_KEPT = 100_000


class SpanReader:
    """Keeps the spans of one lab by trace.

    Args:
        ask: asks the supervisor for exports from a number on.
        records: finds the access-log lines of some requests, and waits until they are written.
    """

    def __init__(
        self,
        ask: Callable[[int], tuple[int, list[bytes]]],
        records: Callable[[set[str], float], list[AccessRecord]],
    ) -> None:
        self._ask = ask
        self._records = records
        self._next = 0
        self._traces: dict[str, dict[str, Span]] = {}
        self._of: dict[str, set[str]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forget what was read, after a reset."""
        with self._lock:
            self._traces, self._of, self._count = {}, {}, 0

    def spans(self, request_ids: Iterable[str], *, timeout_s: float) -> list[Span]:
        """The spans of some requests; see ``Engine.spans``."""
        wanted = set(map(untraced_id, request_ids))
        deadline = time.monotonic() + timeout_s
        expected = Counter(item.request_id for item in self._records(wanted, timeout_s) if item.sampled)
        count, changed = -1, time.monotonic()
        while True:
            with self._lock:
                self._advance()
                found = self._found(wanted)
            now = time.monotonic()
            if len(found) != count:
                count, changed = len(found), now
            had = Counter(span.request_id for span in found)
            if all(had[request] >= lines for request, lines in expected.items()):
                # Lines may still be to come, and a gateway makes more spans than lines, one for each try
                # (spawn_upstream_span): a span whose parent is not there yet tells of them. A parent that is nobody's
                # here never comes.
                known = {span.span_id for span in found}
                whole = all(not span.parent_id or span.parent_id in known for span in found)
                if now - changed > _QUIET_S[whole]:
                    return found
            if now > deadline:
                return found
            time.sleep(0.02)

    def _found(self, wanted: set[str]) -> list[Span]:
        traces = {trace for request in wanted for trace in self._of.get(request, ())}
        spans = [span for trace in traces for span in self._traces.get(trace, {}).values()]
        return sorted(spans, key=lambda span: (span.start_s, -span.duration_s))

    def _advance(self) -> None:
        while True:
            self._next, exports = self._ask(self._next)
            if not exports:
                return
            for export in exports:
                for span in read_spans(export):
                    self._keep(span)

    def _keep(self, span: Span) -> None:
        self._traces.setdefault(span.trace_id, {})[span.span_id] = span
        if span.request_id:
            self._of.setdefault(span.request_id, set()).add(span.trace_id)
        self._count += 1
        while self._count > _KEPT and len(self._traces) > 1:
            oldest = self._traces.pop(next(iter(self._traces)))
            self._count -= len(oldest)
            for gone in oldest.values():
                self._of.get(gone.request_id, set()).discard(gone.trace_id)
                if not self._of.get(gone.request_id, True):
                    del self._of[gone.request_id]
