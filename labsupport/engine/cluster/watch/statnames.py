"""Labels of Envoy's statistics by Envoy's own names: Istio's bootstrap gives them shorter ones (``stats_tags``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from labsupport.records import Sample

__all__ = ["envoy_names"]

_SHORTENED = frozenset(
    {
        "cluster_name",
        "http_conn_manager_listener_prefix",
        "http_conn_manager_prefix",
        "listener_address",
        "response_code",
        "response_code_class",
        "tcp_prefix",
    }
)


def envoy_names(samples: Iterable[Sample]) -> list[Sample]:
    """The same statistics with labels as Envoy names them; Istio's own metrics (``istio_...``) stay as they are."""
    return [
        replace(
            sample, labels={f"envoy_{key}" if key in _SHORTENED else key: value for key, value in sample.labels.items()}
        )
        if sample.name.startswith("envoy_")
        else sample
        for sample in samples
    ]
