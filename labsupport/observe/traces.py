"""Requests as traces: the spans that proxies made of them, as trees, and what keeps a request from being one trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labsupport import words
from labsupport.arguments import checked
from labsupport.observe.workloads import named
from labsupport.records import Pod, Span

__all__ = ["SpanRow", "Trace", "Traces", "traces_of"]

_BAR = 24


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span in the tree of its trace.

    Args:
        span: the span.
        depth: how many spans it is a part of.
        who: service and version of its pod; what its proxy calls itself if there is no such pod any more.
        version: version of its pod; empty if unknown.
        start_s: when it began, in seconds since the trace began.
    """

    span: Span
    depth: int
    who: str
    version: str
    start_s: float

    @property
    def label(self) -> str:
        """Whose span it is, and which side of a call."""
        return " · ".join(part for part in (self.who, self.span.kind) if part)

    @property
    def operation(self) -> str:
        """Its name without what is the same everywhere."""
        return self.span.name.replace(".svc.cluster.local", "").replace(".default:", ":")

    @property
    def status(self) -> str:
        """The HTTP status that it tells; empty for none."""
        status = self.span.tags.get("http.status_code", "")
        return "" if status == "0" else status

    @property
    def failed(self) -> bool:
        """Whether it tells of an error."""
        return not self.status or self.status >= "500"

    @property
    def flags(self) -> str:
        """Envoy's response flags; empty for none."""
        return self.span.tags.get("response_flags", "-").strip("-")


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """Spans with one trace id.

    Args:
        trace_id: in hexadecimal digits.
        request_ids: x-request-ids of the requests that it is of.
        rows: its spans in the order of the tree.
    """

    trace_id: str
    request_ids: tuple[str, ...]
    rows: tuple[SpanRow, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Its spans, in the order of the tree."""
        return tuple(row.span for row in self.rows)

    @property
    def duration_s(self) -> float:
        """From the begin of the first span to the end of the last one."""
        return max(row.start_s + row.span.duration_s for row in self.rows)

    @property
    def title(self) -> str:
        """Whose trace it is, in a few words."""
        size = words.plural(len(self.rows), "span")
        return f"trace {self.trace_id[:8]}…, {size}, {words.duration(self.duration_s)}"

    @words.shown
    def __repr__(self) -> str:
        names = ["  " * row.depth + row.label for row in self.rows]
        wide = max(map(len, names))
        operations = max(len(row.operation) for row in self.rows)
        lines = [self.title]
        for row, name in zip(self.rows, names, strict=True):
            told = " ".join(part for part in (row.status or "–", row.flags) if part)
            took = words.duration(row.span.duration_s)
            lines.append(f"  {name:{wide}}  {row.operation:{operations}}  {took:>7}  {self._bar(row)}  {told}")
        return "\n".join(lines)

    def _bar(self, row: SpanRow) -> str:
        scale = _BAR / (self.duration_s or 1.0)
        begin = min(round(row.start_s * scale), _BAR - 1)
        length = max(1, min(round(row.span.duration_s * scale), _BAR - begin))
        return f"{' ' * begin}{'█' * length}".ljust(_BAR)


@checked
class Traces(tuple[Trace, ...]):
    """Traces in order of time, of requests that were asked for.

    Attributes:
        asked: how many requests were asked for.
        untraced: x-request-ids of those that no span tells of.
        torn: x-request-ids of those whose spans are in more than one trace.
        note: what else is worth knowing, such as where spans go instead.
    """

    asked: int
    untraced: tuple[str, ...]
    torn: tuple[str, ...]
    note: str

    def __new__(cls, traces: Iterable[Trace] = (), *, asked: Iterable[str] = (), note: str = "") -> Traces:
        """Put traces in order, and find out which requests have none, or more than one.

        Args:
            traces: in any order.
            asked: x-request-ids of the requests that were asked for.
            note: what else is worth knowing.
        """
        made = super().__new__(cls, sorted(traces, key=lambda trace: trace.rows[0].span.start_s))
        wanted = tuple(dict.fromkeys(asked))
        of = Counter(request for trace in made for request in trace.request_ids)
        made.asked, made.note = len(wanted), note
        made.untraced = tuple(request for request in wanted if not of[request])
        made.torn = tuple(request for request in wanted if of[request] > 1)
        return made

    @property
    def spans(self) -> tuple[Span, ...]:
        """All their spans."""
        return tuple(span for trace in self for span in trace.spans)

    @property
    def title(self) -> str:
        """How many there are, in words."""
        requests = words.plural(self.asked, "request")
        return f"{words.plural(len(self), 'trace')} of {requests}, {words.plural(len(self.spans), 'span')}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said besides."""
        lines = []
        if self.torn:
            are = "is" if len(self.torn) == 1 else "are"
            lines.append(
                f"{words.plural(len(self.torn), 'request')} {are} in pieces: somebody on the way did not pass the "
                "headers of the trace on (traceparent)."
            )
        if self.untraced and not self.note:
            have = "has" if len(self.untraced) == 1 else "have"
            lines.append(f"{words.plural(len(self.untraced), 'request')} {have} no trace: no proxy sampled them.")
        return (*lines, self.note) if self.note else tuple(lines)

    @words.shown
    def __repr__(self) -> str:
        return "\n".join((self.title, *map(repr, self[:1]), *self.remarks))


def traces_of(spans: Sequence[Span], *, asked: Iterable[str], pods: Iterable[Pod] = (), note: str = "") -> Traces:
    """Put spans together.

    Args:
        spans: of all traces of some requests.
        asked: x-request-ids of these requests.
        pods: pods, for the names of services and versions.
        note: what else is worth knowing.
    """
    known = {pod.name: pod for pod in pods}
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return Traces((_trace(own, known) for own in by_trace.values()), asked=asked, note=note)


def _trace(spans: Sequence[Span], pods: Mapping[str, Pod]) -> Trace:
    there = {span.span_id for span in spans}
    inner: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_s, -span.duration_s)):
        # The parent may be of somebody who sends no spans.
        inner.setdefault(span.parent_id if span.parent_id in there else "", []).append(span)
    zero = min(span.start_s for span in spans)
    rows: list[SpanRow] = []
    waiting = [(span, 0) for span in reversed([*inner.get("", ()), *spans])]
    seen: set[str] = set()
    while waiting:
        span, depth = waiting.pop()
        # Each is shown once, also those of a circle, which leads to no first one.
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        service, version = named(span.pod, pods) if span.pod in pods else (span.service, "")
        who = " ".join(part for part in (service, version) if part)
        rows.append(SpanRow(span, depth, who, version, span.start_s - zero))
        waiting += [(child, depth + 1) for child in reversed(inner.get(span.span_id, []))]
    requests = dict.fromkeys(row.span.request_id for row in rows if row.span.request_id)
    return Trace(spans[0].trace_id, tuple(requests), tuple(rows))
