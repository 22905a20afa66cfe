"""``trafficPolicy.loadBalancer``: how a cluster chooses among its endpoints."""

from __future__ import annotations

from labsupport.controlplane.registry.services import ServiceRecord
from labsupport.controlplane.translate.connection_pool import percent
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.locality import apply_to_cluster, effective_setting
from labsupport.controlplane.translate.names import duration
from labsupport.controlplane.translate.policy import PortPolicy
from labsupport.model.kinds.loadbalancer import ConsistentHashLB, LoadBalancerSettings
from labsupport.records import JsonObject

__all__ = ["apply_load_balancer"]

_PERSISTENT_SESSION = "istio.io/persistent-session"
_DEFAULT_RING_SIZE = 1024


def apply_load_balancer(
    context: Context, service: ServiceRecord, cluster: JsonObject, policy: PortPolicy | None
) -> None:
    """Set ``lb_policy`` with its configuration, and what locality asks for.

    Args:
        context: the proxy.
        service: the service the cluster belongs to.
        cluster: the cluster, changed in place; its outlier detection is set already.
        policy: what counts for it.
    """
    settings = policy.load_balancer if policy is not None else None
    # Unready endpoints are sent as UNHEALTHY, so that Envoy must not fall back to them in panic.
    cluster["common_lb_config"].setdefault("healthy_panic_threshold", {})
    if _PERSISTENT_SESSION in service.labels:
        cluster["common_lb_config"]["override_host_status"] = {
            "statuses": ["HEALTHY", "DRAINING", "UNKNOWN", "DEGRADED"]
        }
    apply_to_cluster(context, cluster, effective_setting(context.mesh, settings, service), service)
    if cluster["type"] == "ORIGINAL_DST":
        cluster["lb_policy"] = "CLUSTER_PROVIDED"
        return
    simple = settings.simple if settings is not None else None
    if simple == "RANDOM":
        cluster["lb_policy"] = "RANDOM"
    elif simple == "ROUND_ROBIN":
        # Envoy's own default, which proto JSON leaves out.
        _slow_start(cluster, "round_robin_lb_config", settings)
    elif simple == "PASSTHROUGH":
        cluster["lb_policy"] = "CLUSTER_PROVIDED"
        cluster["type"] = "ORIGINAL_DST"
        cluster.pop("load_assignment", None)
    else:
        cluster["lb_policy"] = "LEAST_REQUEST"
        _slow_start(cluster, "least_request_lb_config", settings)
    if settings is not None and settings.consistent_hash is not None:
        _consistent_hash(cluster, settings.consistent_hash)


def _slow_start(cluster: JsonObject, name: str, settings: LoadBalancerSettings | None) -> None:
    if settings is None:
        return
    if settings.warmup is not None:
        warmup = settings.warmup
        aggression = 1.0 if warmup.aggression is None else warmup.aggression
        minimum = 10.0 if warmup.minimum_percent is None else warmup.minimum_percent
        start: JsonObject = {
            "slow_start_window": duration(warmup.duration),
            "aggression": {"default_value": _number(aggression), "runtime_key": "("},
            "min_weight_percent": percent(minimum),
        }
        cluster[name] = {"slow_start_config": start}
    elif settings.warmup_duration_secs is not None:
        cluster[name] = {"slow_start_config": {"slow_start_window": duration(settings.warmup_duration_secs)}}


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _consistent_hash(cluster: JsonObject, consistent: ConsistentHashLB) -> None:
    if consistent.maglev is not None:
        cluster["lb_policy"] = "MAGLEV"
        if consistent.maglev.table_size:
            _only_config(cluster, "maglev_lb_config", {"table_size": str(consistent.maglev.table_size)})
        return
    cluster["lb_policy"] = "RING_HASH"
    if consistent.ring_hash is not None:
        size = consistent.ring_hash.minimum_ring_size
    else:
        size = consistent.minimum_ring_size or _DEFAULT_RING_SIZE
    if size:
        _only_config(cluster, "ring_hash_lb_config", {"minimum_ring_size": str(size)})


def _only_config(cluster: JsonObject, name: str, config: JsonObject) -> None:
    for other in ("round_robin_lb_config", "least_request_lb_config"):
        cluster.pop(other, None)
    cluster[name] = config
