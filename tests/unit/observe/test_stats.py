"""Envoy's counters of one proxy in words."""

from __future__ import annotations

from labsupport.observe.stats import stats_of
from labsupport.records import Sample

WEB = "outbound|8080||web.default.svc.cluster.local"


def sample(name: str, value: float, *, pod: str = "client-1", cluster: str = WEB, **labels: str) -> Sample:
    return Sample(pod, f"envoy_cluster_{name}", {"envoy_cluster_name": cluster, **labels}, value)


def test_counters_of_the_clusters_that_were_called_are_told_in_words() -> None:
    told = stats_of(
        "client-1",
        [
            sample("upstream_rq_total", 1200),
            sample("upstream_rq_retry", 3),
            sample("upstream_rq_timeout", 0),
            sample("upstream_rq_xx", 7, envoy_response_code_class="5"),
            sample("upstream_rq_xx", 0, envoy_response_code_class="2"),
            sample("outlier_detection_ejections_active", 0),
            sample("nobody_knows", 5),
            sample("upstream_rq_total", 9, pod="web-1"),
            sample("upstream_rq_total", 0, cluster="outbound|80||idle.default.svc.cluster.local"),
            sample("upstream_rq_total", 5, cluster="xds-grpc"),
        ],
    )
    assert list(told.clusters) == [WEB]
    assert told.of("upstream_rq_retry") == {WEB: 3} and told.of("upstream_cx_total") == {}
    lines = repr(told).splitlines()
    assert lines[:3] == ["client-1, since its Envoy started", "", "outbound|8080||web"]
    assert "  1,200  upstream_rq_total                   requests sent on, each try counted" in lines
    assert any(line.startswith("      7  upstream_rq_5xx") for line in lines)
    assert any(line.startswith("      0  outlier_detection_ejections_active") for line in lines), "0 is an answer"
    assert not any("upstream_rq_timeout" in line for line in lines)


def test_a_proxy_that_was_not_used_says_so() -> None:
    assert "has sent nothing on yet" in repr(stats_of("client-1", [sample("upstream_rq_total", 0)]))
