"""An endpoint on this machine where a Prometheus, or a person, reads the metrics in Prometheus' text format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from labsupport.metrics.counting import DURATION, REQUESTS, Histogram
from labsupport.metrics.series import Labels

__all__ = ["Endpoint", "exposed"]

_LOOPBACK = "127.0.0.1"


class _Collector:
    """Istio's standard metrics, for the writer of the text format."""

    def __init__(self, histograms: Mapping[Labels, Histogram]) -> None:
        self._histograms = histograms

    def collect(self) -> Iterator[object]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        names = sorted({name for labels in self._histograms for name, _ in labels})
        requests = CounterMetricFamily(REQUESTS, "requests, as the proxies counted them", labels=names)
        durations = HistogramMetricFamily(DURATION, "how long requests took, in milliseconds", labels=names)
        for labels, histogram in self._histograms.items():
            pairs = dict(labels)
            values = [pairs.get(name, "") for name in names]
            requests.add_metric(values, histogram.count)
            durations.add_metric(values, buckets=list(histogram.cumulated()), sum_value=histogram.sum_ms)
        yield requests
        yield durations


def exposed(histograms: Mapping[Labels, Histogram]) -> bytes:
    """The metrics in Prometheus' text format.

    Args:
        histograms: durations by labels.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(dict(histograms)))  # type: ignore[arg-type]
    return generate_latest(registry)


class Endpoint:
    """Serves ``/metrics`` on 127.0.0.1, to whoever calls it by this address or by ``localhost``.

    Args:
        read: makes the text.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # A page of the Internet can point a name of its own to this machine, and read what a browser gets then.
                if self.headers.get("Host", "") not in hosts:
                    return self._answer(403, b"This address answers to its own name only.\n", "text/plain")
                if self.path.partition("?")[0] != "/metrics":
                    return self._answer(404, b"The metrics are at /metrics.\n", "text/plain")
                self._answer(200, read(), "text/plain; version=0.0.4; charset=utf-8")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: a notebook's output is no log."""

        self._server = ThreadingHTTPServer((_LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        hosts = _names(port)
        self.url = f"http://{_LOOPBACK}:{port}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="workshop-metrics-endpoint", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop; a second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _names(port: int) -> Iterable[str]:
    return frozenset(f"{host}:{port}" for host in (_LOOPBACK, "localhost"))
