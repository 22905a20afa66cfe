"""Spans become trees: in order, in pieces, without their parent; and what is said of requests without any."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from labsupport.display import show
from labsupport.engine.otlp import read_spans
from labsupport.observe.traces import traces_of
from labsupport.records import Pod, Span

PODS = [
    Pod("client-1", "default", "client", {"app": "client"}),
    Pod("web-v1-1", "default", "web-v1", {"app": "web", "version": "v1"}),
]


def span(own: str, parent: str, kind: str, pod: str, start_s: float, *, trace: str = "aaaa", **tags: str) -> Span:
    told = {"http.status_code": "200", "response_flags": "-", **tags}
    name = "web.default.svc.cluster.local:8080/*"
    return Span(trace, own, parent, name, kind, pod, f"{pod}.default", start_s, 0.1, "id-1", told)


def test_spans_are_put_below_the_span_that_they_are_a_part_of() -> None:
    found = [
        span("s3", "s1", "client", "client-1", 1.06),
        span("s2", "s1", "server", "web-v1-1", 1.05),
        span("s1", "", "client", "client-1", 1.0),
    ]
    (trace,) = traces = traces_of(found, asked=["id-1"], pods=PODS)
    assert [(row.depth, row.label, row.version) for row in trace.rows] == [
        (0, "client · client", ""),
        (1, "web v1 · server", "v1"),
        (1, "client · client", ""),
    ]
    assert round(trace.duration_s, 6) == 0.16 and trace.request_ids == ("id-1",)
    assert traces.title == "1 trace of 1 request, 3 spans" and traces.remarks == ()
    assert "  client · client    web:8080/*   100 ms" in repr(traces)
    assert "web v1 · server" in show(traces).svg()


def test_a_span_whose_parent_is_not_there_is_shown_all_the_same() -> None:
    (trace,) = traces_of([span("s2", "gone", "server", "web-v1-1", 1.0)], asked=["id-1"], pods=PODS)
    assert [(row.depth, row.who) for row in trace.rows] == [(0, "web v1")]


def test_a_circle_of_parents_hides_no_other_span() -> None:
    found = [span("s1", "s2", "client", "client-1", 1.0), span("s2", "s1", "server", "web-v1-1", 1.0)]
    found.append(span("s3", "", "client", "client-1", 1.0))
    (trace,) = traces_of(found, asked=["id-1"], pods=PODS)
    assert sorted(item.span_id for item in trace.spans) == ["s1", "s2", "s3"]


def test_a_request_in_pieces_and_one_without_a_trace_are_told() -> None:
    found = [
        span("s1", "", "client", "client-1", 1.0, trace="aaaa"),
        span("s2", "", "server", "web-v1-1", 1.1, trace="bbbb"),
    ]
    traces = traces_of(found, asked=["id-1", "id-2"], pods=PODS)
    assert (traces.torn, traces.untraced) == (("id-1",), ("id-2",))
    assert [line.partition(":")[0] for line in traces.remarks] == [
        "1 request is in pieces",
        "1 request has no trace",
    ]


def test_where_spans_go_elsewhere_nothing_else_is_said_of_requests_without_one() -> None:
    traces = traces_of([], asked=["id-1"], note="Spans go to Jaeger.")
    assert repr(traces) == "0 traces of 1 request, 0 spans\nSpans go to Jaeger."
    assert "Spans go to Jaeger." in show(traces).svg()


def test_a_failure_is_told_by_status_and_flags() -> None:
    found = [span("s1", "", "client", "client-1", 1.0, **{"http.status_code": "503", "response_flags": "UH"})]
    (trace,) = traces_of(found, asked=["id-1"], pods=PODS)
    assert trace.rows[0].failed and repr(trace).endswith("503 UH")


def test_an_export_of_envoy_is_read() -> None:
    export = trace_service_pb2.ExportTraceServiceRequest()
    resource = export.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "web.default"
    scopes = "scope_spans" if "scope_spans" in resource.DESCRIPTOR.fields_by_name else "instrumentation_library_spans"
    made = getattr(resource, scopes).add().spans.add(
        trace_id=b"\x01\x02", span_id=b"\x03", parent_span_id=b"\x04", name="web:8080/*", kind=2,
        start_time_unix_nano=1_500_000_000, end_time_unix_nano=1_750_000_000,
    )  # fmt: skip
    tags = {
        "guid:x-request-id": "673c8e7c-e43f-9931-859d-b5bb609358cb",
        "node_id": "sidecar~10.244.0.7~web-v1-1.default~default.svc.cluster.local",
    }
    for key, value in tags.items():
        made.attributes.add(key=key).value.string_value = value
    (read,) = read_spans(export.SerializeToString())
    assert (read.trace_id, read.span_id, read.parent_id, read.kind) == ("0102", "03", "04", "server")
    assert (read.pod, read.service, read.start_s, read.duration_s) == ("web-v1-1", "web.default", 1.5, 0.25)
    # By the id that the client sent, without Envoy's mark of tracing.
    assert read.request_id == "673c8e7c-e43f-4931-859d-b5bb609358cb"
