"""The metrics of a lab: scraped again and again, asked, read from outside, ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from small_engine import SmallEngine

from labsupport.errors import UsageError
from labsupport.metrics.watching import Metrics
from labsupport.records import AccessRecord, Pod

PODS = [
    Pod("client-5f-1", "default", "client", {"app": "client"}, injected=True),
    Pod("web-77-1", "default", "web", {"app": "web"}, injected=True),
]
LINE = AccessRecord(
    "r-0", 0.0, "client-5f-1", "outbound", "GET", "web", "/", 200, "", "", "",
    "outbound|80||web.default.svc.cluster.local", "web-77-1", 0.003, 1, False, "HTTP/1.1",
)  # fmt: skip


class Logging(SmallEngine):
    def __init__(self) -> None:
        super().__init__(pods=PODS)
        self.lines: list[AccessRecord] = []
        self.told: Any = None
        self.ages: list[Any] = []
        self.asked: list[str] = []

    def write(self, count: int, **changes: Any) -> None:
        begin = len(self.lines)
        self.lines += [
            replace(LINE, request_id=f"r-{begin + number}", time_s=time.time(), **changes) for number in range(count)
        ]

    def access_records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        return [line for line in self.lines if since_s is None or line.time_s + line.duration_s >= since_s]

    def prometheus(self, query: str, *, since_s: float = 0.0) -> Any:
        self.asked.append(query)
        if query.startswith("time() - min(timestamp("):
            return self.told and {"resultType": "vector", "result": self.ages}
        return self.told

    def dashboards(self) -> tuple[str, ...]:
        return ("kiali",)


@pytest.fixture
def engine() -> Logging:
    return Logging()


@pytest.fixture
def metrics(engine: Logging) -> Iterator[Metrics]:
    metrics = Metrics(engine)
    yield metrics
    metrics.close()


def test_a_query_counts_what_was_written_before_it(engine: Logging, metrics: Metrics) -> None:
    engine.write(7)
    engine.write(2, status=503)

    found = metrics.query("sum by (response_code) (istio_requests_total)")
    assert found.by("response_code") == {"200": 7, "503": 2}
    assert metrics.query("count(istio_requests_total) > 5").elements == ()


def test_lines_of_before_and_of_before_a_reset_do_not_count(engine: Logging) -> None:
    engine.lines.append(replace(LINE, time_s=time.time() - 60))
    metrics = Metrics(engine)
    try:
        engine.write(3, duration_s=0.0)
        assert metrics.query("sum(istio_requests_total)").value == 3
        metrics.forget()
        assert len(metrics.query("istio_requests_total")) == 0
    finally:
        metrics.close()


def test_it_is_scraped_without_being_asked(engine: Logging, metrics: Metrics) -> None:
    asked = threading.Event()
    once = engine.access_records

    def told(**arguments: Any) -> list[AccessRecord]:
        asked.set()
        return once(**arguments)

    engine.access_records = told  # type: ignore[method-assign]
    assert asked.wait(20)


def test_the_endpoint_speaks_prometheus_text_format_to_its_own_name_only(engine: Logging, metrics: Metrics) -> None:
    engine.write(4)
    metrics.query("istio_requests_total")

    page = requests.get(metrics.url, timeout=10)
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    assert [sample.value for sample in families["istio_requests"].samples] == [4]
    buckets = families["istio_request_duration_milliseconds"].samples
    assert {sample.labels.get("le"): sample.value for sample in buckets if sample.name.endswith("_bucket")}["5"] == 4
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert requests.get(metrics.url, headers={"Host": "evil.example"}, timeout=10).status_code == 403
    assert requests.get(metrics.url.replace("/metrics", "/other"), timeout=10).status_code == 404
    # Who listens on every address of a machine is met here, too.
    with pytest.raises(requests.ConnectionError):
        requests.get(metrics.url.replace("127.0.0.1", "127.0.0.2"), timeout=10)


def test_it_listens_only_when_somebody_wants_it_and_not_after_the_end(engine: Logging) -> None:
    metrics = Metrics(engine)
    url = metrics.url
    metrics.close()
    metrics.close()

    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)
    with pytest.raises(UsageError, match="closed"):
        metrics.query("up")
    with pytest.raises(UsageError, match="closed"):
        _ = metrics.url


def test_a_cluster_with_prometheus_answers_itself_and_it_is_said_how_old_that_is(
    engine: Logging, metrics: Metrics
) -> None:
    engine.told = {"resultType": "vector", "result": [{"metric": {"job": "a"}, "value": [1.5, "7"]}]}
    assert metrics.ask("up").by("job") == {"a": 7}
    assert "no request of theirs yet" in metrics.ask("up").note
    engine.ages = [{"metric": {}, "value": [1.5, "11.6"]}]
    assert "last looked at all of them 12 s ago" in metrics.ask("up").note
    engine.told = {"resultType": "scalar", "result": [1.5, "NaN"]}
    assert metrics.ask("NaN").scalar
    engine.told = {"resultType": "matrix", "result": []}
    with pytest.raises(UsageError, match="a query of one moment"):
        metrics.ask("up[1m]")


def test_a_cluster_that_others_share_is_asked_about_the_proxies_of_this_lab(engine: Logging, metrics: Metrics) -> None:
    engine.told = {"resultType": "scalar", "result": [1.5, "20"]}
    engine.name, engine.namespace = "cluster", "workshop-ada"
    assert 'namespace="workshop-ada"' in metrics.ask('sum(rate(up{job="a"}[1m])) / count({__name__=~"x.+"} or b)').note
    assert [" ".join(query.split()) for query in engine.asked] == [
        'sum(rate(up{job="a",namespace="workshop-ada"}[1m])) / '
        'count({__name__=~"x.+",namespace="workshop-ada"} or b{namespace="workshop-ada"})',
        'time() - min(timestamp(istio_requests_total{namespace="workshop-ada"}))',
    ]
    with pytest.raises(UsageError, match="PromQL"):
        metrics.ask("sum(")
    assert len(engine.asked) == 2


def test_it_says_what_it_has_and_what_else_there_is_to_look_at(engine: Logging, metrics: Metrics) -> None:
    engine.write(1)
    metrics.query("istio_requests_total")
    assert "23 series" in repr(metrics) and "istioctl dashboard kiali" in repr(metrics)
    metrics.close()
    assert "dashboard" not in repr(metrics)


def test_a_cluster_without_prometheus_is_told_how_to_get_it(engine: Logging, metrics: Metrics) -> None:
    engine.write(1)
    assert metrics.ask("istio_requests_total").note == ""
    engine.name = "cluster"
    assert "--addons prometheus" in metrics.ask("istio_requests_total").note
