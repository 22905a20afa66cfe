"""Takes the spans of all Envoys of a lab: OTLP over gRPC, on the socket that they get their configuration from."""

from __future__ import annotations

from collections import deque
from typing import Any

import grpc

__all__ = ["SpanReceiver"]

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
# A span of Envoy has about 1 kB.
_KEPT_BYTES = 32 << 20
_PART_BYTES = 4 << 20


class SpanReceiver:
    """Keeps what Envoys export, undecoded, until somebody asks for it; the oldest goes when there is too much."""

    def __init__(self) -> None:
        self._exports: deque[bytes] = deque()
        self._size = 0
        self._begin = 0

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server needs to serve it."""
        export = grpc.unary_unary_rpc_method_handler(self._export)
        return grpc.method_handlers_generic_handler(_SERVICE, {"Export": export})

    async def _export(self, request: bytes, context: Any) -> bytes:
        self._exports.append(request)
        self._size += len(request)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._exports.popleft())
            self._begin += 1
        # An ExportTraceServiceResponse in which nothing is refused.
        return b""

    def since(self, number: int) -> tuple[int, list[bytes]]:
        """Exports from a number on, as many as fit one answer.

        Args:
            number: of the first one, as an earlier call returned it; 0 for the first of all.

        Returns:
            The number to ask with next time, and each ``ExportTraceServiceRequest`` as it came.
        """
        first = max(number, self._begin)
        found: list[bytes] = []
        size = 0
        for place in range(first - self._begin, len(self._exports)):
            if size > _PART_BYTES:
                break
            found.append(self._exports[place])
            size += len(found[-1])
        return first + len(found), found
