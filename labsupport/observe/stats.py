"""Envoy's counters of one proxy, with what each of them counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labsupport import words
from labsupport.records import Sample

__all__ = ["ProxyStats", "stats_of"]

_PREFIX = "envoy_cluster_"
_CLUSTER = "envoy_cluster_name"
_CLASS = "envoy_response_code_class"
# The first ones are shown of every cluster that was called, the others where they count something.
_ALWAYS = {
    "upstream_rq_total": "requests sent on, each try counted",
    "upstream_rq_retry": "tries after the first one",
    "upstream_rq_pending_overflow": "requests refused, because the connection pool was full",
    "outlier_detection_ejections_active": "endpoints that are ejected now",
}
_COUNTERS = {
    **_ALWAYS,
    "upstream_rq_4xx": "answers 4xx",
    "upstream_rq_5xx": "answers 5xx, those of Envoy itself included",
    "upstream_rq_retry_success": "tries after the first one that went well",
    "upstream_rq_retry_limit_exceeded": "requests given up after the last try",
    "upstream_rq_retry_overflow": "tries not made, because too many were under way",
    "upstream_rq_active_overflow": "requests refused, because too many were under way",
    "upstream_rq_timeout": "requests ended by the timeout of the rule",
    "upstream_rq_per_try_timeout": "tries ended by perTryTimeout",
    "upstream_rq_active": "requests under way now",
    "upstream_cx_total": "connections opened",
    "upstream_cx_active": "connections open now",
    "upstream_cx_overflow": "times that the limit of connections was met",
    "upstream_cx_connect_fail": "connections that failed",
    "outlier_detection_ejections_enforced_total": "ejections so far",
    "outlier_detection_ejections_overflow": "ejections not made, because too many endpoints were out",
    "membership_total": "endpoints",
    "membership_healthy": "endpoints that take traffic",
}


@dataclass(frozen=True, slots=True, repr=False)
class ProxyStats:
    """Counters of one Envoy since it started.

    Args:
        pod: its pod.
        clusters: by cluster, values by Envoy's name of the counter (``upstream_rq_retry``), of clusters that were
            called.
    """

    pod: str
    clusters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def of(self, counter: str) -> Mapping[str, int]:
        """One counter by cluster, as far as Envoy has it.

        Args:
            counter: Envoy's name, such as ``upstream_rq_retry``.
        """
        return {cluster: values[counter] for cluster, values in self.clusters.items() if counter in values}

    @words.shown
    def __repr__(self) -> str:
        if not self.clusters:
            return f"{self.pod} has sent nothing on yet"
        lines = [f"{self.pod}, since its Envoy started"]
        for cluster, values in self.clusters.items():
            shown = {name: values[name] for name in _COUNTERS if name in values and (values[name] or name in _ALWAYS)}
            wide = max(len(f"{value:,}") for value in shown.values())
            broad = max(map(len, shown))
            lines += ["", words.cluster(cluster)]
            lines += [f"  {value:>{wide},}  {name:<{broad}}  {_COUNTERS[name]}" for name, value in shown.items()]
        return "\n".join(lines)


def stats_of(pod: str, samples: Iterable[Sample]) -> ProxyStats:
    """Choose and name the counters of one proxy.

    Args:
        pod: its pod.
        samples: statistics of any proxies.
    """
    clusters: dict[str, dict[str, int]] = {}
    for sample in samples:
        cluster = sample.labels.get(_CLUSTER, "")
        if sample.pod != pod or not cluster.startswith(("outbound|", "inbound|")):
            continue
        name = sample.name.removeprefix(_PREFIX)
        if name == "upstream_rq_xx":
            name = f"upstream_rq_{sample.labels.get(_CLASS, '')}xx"
        if name in _COUNTERS:
            clusters.setdefault(cluster, {})[name] = int(sample.value)
    called = {name: values for name, values in sorted(clusters.items()) if _called(values)}
    return ProxyStats(pod, called)


def _called(values: Mapping[str, int]) -> bool:
    # A request that a full pool refuses is sent nowhere, and counted all the same.
    return any(value for name, value in values.items() if name.startswith("upstream_rq_"))
