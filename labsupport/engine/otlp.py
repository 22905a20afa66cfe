"""Reads spans as Envoy exports them (OTLP)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from labsupport.records import Span, untraced_id

__all__ = ["read_spans"]

_KINDS = {2: "server", 3: "client"}


@cache
def _message() -> Any:
    # The package xds-protos has the messages of OTLP, too.
    return import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2").ExportTraceServiceRequest


def read_spans(export: bytes) -> Iterator[Span]:
    """The spans of one ``ExportTraceServiceRequest``.

    Args:
        export: the message as it came.
    """
    for resource in _message().FromString(export).resource_spans:
        service = {item.key: item.value.string_value for item in resource.resource.attributes}.get("service.name", "")
        # The name that this field had before OTLP 0.19 has the same number.
        for scope in getattr(resource, "scope_spans", None) or resource.instrumentation_library_spans:
            for span in scope.spans:
                tags = {item.key: item.value.string_value for item in span.attributes}
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=_KINDS.get(span.kind, ""),
                    # sidecar~10.244.0.7~web-1.default~default.svc.cluster.local
                    pod=".".join(tags.get("node_id", "").split("~")[2:3]).rpartition(".")[0],
                    service=service,
                    start_s=span.start_time_unix_nano / 1e9,
                    duration_s=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    request_id=untraced_id(tags.get("guid:x-request-id", "")),
                    tags=tags,
                )
