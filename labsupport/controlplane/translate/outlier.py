"""``trafficPolicy.outlierDetection``: when an endpoint is ejected."""

from __future__ import annotations

from labsupport.controlplane.registry.services import ServiceRecord
from labsupport.controlplane.translate.connection_pool import percent
from labsupport.controlplane.translate.names import duration
from labsupport.controlplane.translate.policy import PortPolicy
from labsupport.records import JsonObject

__all__ = ["apply_outlier_detection"]


def apply_outlier_detection(cluster: JsonObject, policy: PortPolicy | None, service: ServiceRecord) -> None:
    """Set outlier detection and the panic threshold of a cluster; nothing without the block."""
    rule = policy.outlier_detection if policy is not None else None
    if rule is None:
        return
    result: JsonObject = {"enforcing_success_rate": 0}
    for errors, count, enforcing in (
        (rule.consecutive_5xx_errors, "consecutive_5xx", "enforcing_consecutive_5xx"),
        (rule.consecutive_gateway_errors, "consecutive_gateway_failure", "enforcing_consecutive_gateway_failure"),
    ):
        if errors is not None:
            result[count] = errors
            result[enforcing] = 100 if errors else 0
    if rule.interval is not None:
        result["interval"] = duration(rule.interval)
    if rule.base_ejection_time is not None:
        result["base_ejection_time"] = duration(rule.base_ejection_time)
    if rule.max_ejection_percent:
        result["max_ejection_percent"] = rule.max_ejection_percent
    if rule.split_external_local_origin_errors:
        result["split_external_local_origin_errors"] = True
        if rule.consecutive_local_origin_failures:
            result["consecutive_local_origin_failure"] = rule.consecutive_local_origin_failures
            result["enforcing_consecutive_local_origin_failure"] = 100
        result["enforcing_local_origin_success_rate"] = 0
    cluster["outlier_detection"] = result
    # A service whose traffic prefers what is near lists its unready endpoints too, and no panic may pick those.
    threshold = 0 if service.traffic_distribution else rule.min_health_percent or 0
    cluster["common_lb_config"]["healthy_panic_threshold"] = percent(threshold)
