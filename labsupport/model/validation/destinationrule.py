"""istiod's verdict on a DestinationRule (``ValidateDestinationRule``)."""

from __future__ import annotations

from labsupport.model.kinds.destinationrule import DestinationRuleSpec
from labsupport.model.kinds.trafficpolicy import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
    TunnelSettings,
)
from labsupport.model.schema.syntax import fqdn_problem, host_problem, is_ip, port_problem
from labsupport.model.validation.common import check_export_to, check_workload_selector, subset_name_problem
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.loadbalancer import check_load_balancer

__all__ = ["check_connection_pool", "check_destination_rule", "check_outlier_detection"]

_EMPTY = "must have at least one field"


def check_destination_rule(spec: DestinationRuleSpec, findings: Findings) -> None:
    """Check a DestinationRule.

    Args:
        spec: its spec.
        findings: where findings go.
    """
    findings.error("spec.host", host_problem(spec.host))
    _policy(spec.traffic_policy, "spec.trafficPolicy", findings)
    names: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        place = f"spec.subsets[{index}]"
        if subset.name in names:
            findings.error(f"{place}.name", f"there is already a subset {subset.name[:60]!r}", "Rename one of them.")
        names.add(subset.name)
        findings.error(f"{place}.name", subset_name_problem(subset.name))
        findings.label_map(f"{place}.labels", subset.labels)
        _policy(subset.traffic_policy, f"{place}.trafficPolicy", findings.silent())
    selector = spec.workload_selector
    check_export_to(spec.export_to, "spec.exportTo", findings, selector=selector is not None)
    check_workload_selector(selector, "spec.workloadSelector", findings)


def _policy(policy: TrafficPolicy | None, path: str, findings: Findings) -> None:
    if policy is None:
        return
    blocks = (policy.load_balancer, policy.connection_pool, policy.outlier_detection, policy.tls, policy.tunnel)
    if all(block is None for block in (*blocks, policy.proxy_protocol, policy.retry_budget)):
        if not policy.port_level_settings:
            findings.error(path, _EMPTY)
            return
    elif policy.tunnel is not None and policy.proxy_protocol is not None:
        findings.error(path, "tunnel and proxyProtocol cannot be given together", "Remove one of them.")
        return
    check_outlier_detection(policy.outlier_detection, f"{path}.outlierDetection", findings)
    check_connection_pool(policy.connection_pool, f"{path}.connectionPool", findings)
    check_load_balancer(policy.load_balancer, policy.outlier_detection, f"{path}.loadBalancer", findings)
    _tls(policy.tls, f"{path}.tls", findings)
    for index, port in enumerate(policy.port_level_settings):
        _port_policy(port, f"{path}.portLevelSettings[{index}]", findings.silent())
    _tunnel(policy.tunnel, f"{path}.tunnel", findings)


def _port_policy(policy: PortTrafficPolicy, path: str, findings: Findings) -> None:
    if policy.port is None:
        findings.error(f"{path}.port", "is required")
    blocks = (policy.load_balancer, policy.connection_pool, policy.outlier_detection, policy.tls)
    if all(block is None for block in blocks):
        findings.error(path, "must have at least one of loadBalancer, connectionPool, outlierDetection and tls")
        return
    check_outlier_detection(policy.outlier_detection, f"{path}.outlierDetection", findings)
    check_connection_pool(policy.connection_pool, f"{path}.connectionPool", findings)
    check_load_balancer(policy.load_balancer, policy.outlier_detection, f"{path}.loadBalancer", findings)
    _tls(policy.tls, f"{path}.tls", findings)


def check_outlier_detection(outlier: OutlierDetection | None, path: str, findings: Findings) -> None:
    """Check ``outlierDetection``.

    Args:
        outlier: may be absent.
        path: its field path.
        findings: where findings go.
    """
    if outlier is None:
        return
    findings.duration(f"{path}.baseEjectionTime", outlier.base_ejection_time)
    findings.duration(f"{path}.interval", outlier.interval)
    if outlier.consecutive_errors:
        remedy = "Use consecutive5xxErrors or consecutiveGatewayErrors."
        findings.warn(f"{path}.consecutiveErrors", "consecutiveErrors is deprecated and has no effect", remedy)
    if not outlier.split_external_local_origin_errors and (outlier.consecutive_local_origin_failures or 0) > 0:
        message = "has an effect only with splitExternalLocalOriginErrors: true"
        findings.error(f"{path}.consecutiveLocalOriginFailures", message)
    percents = (("maxEjectionPercent", outlier.max_ejection_percent), ("minHealthPercent", outlier.min_health_percent))
    for name, value in percents:
        if not 0 <= value <= 100:
            findings.error(f"{path}.{name}", f"must be between 0 and 100, got {value}")


def check_connection_pool(pool: ConnectionPoolSettings | None, path: str, findings: Findings) -> None:
    """Check ``connectionPool``.

    Args:
        pool: may be absent.
        path: its field path.
        findings: where findings go.
    """
    if pool is None:
        return
    if pool.http is None and pool.tcp is None:
        findings.error(path, "must have http or tcp")
        return
    http, tcp = pool.http, pool.tcp
    if http is not None:
        counts = {
            "http1MaxPendingRequests": http.http1_max_pending_requests,
            "http2MaxRequests": http.http2_max_requests,
            "maxRequestsPerConnection": http.max_requests_per_connection,
            "maxRetries": http.max_retries,
            "maxConcurrentStreams": http.max_concurrent_streams,
        }
        for name, value in counts.items():
            if value < 0:
                findings.error(f"{path}.http.{name}", "must not be negative")
        findings.duration(f"{path}.http.idleTimeout", http.idle_timeout)
        if http.h2_upgrade_policy == "UPGRADE" and http.use_client_protocol:
            message = "useClientProtocol cannot go together with h2UpgradePolicy: UPGRADE"
            findings.error(f"{path}.http.useClientProtocol", message)
        if http.http2_keep_alive is not None:
            keep_alive = http.http2_keep_alive
            for name, duration in (("interval", keep_alive.interval), ("timeout", keep_alive.timeout)):
                place = f"{path}.http.http2KeepAlive.{name}"
                if duration is None:
                    findings.error(place, "is required")
                findings.duration(place, duration)
    if tcp is not None:
        if tcp.max_connections < 0:
            findings.error(f"{path}.tcp.maxConnections", "must not be negative")
        findings.duration(f"{path}.tcp.connectTimeout", tcp.connect_timeout)
        findings.duration(f"{path}.tcp.maxConnectionDuration", tcp.max_connection_duration)
        idle = tcp.idle_timeout
        if idle is not None and abs(idle.nanoseconds) >= 1_000_000:  # less counts as 0, which turns it off
            findings.duration(f"{path}.tcp.idleTimeout", idle)
        if tcp.tcp_keepalive is not None:
            findings.duration(f"{path}.tcp.tcpKeepalive.time", tcp.tcp_keepalive.time)
            findings.duration(f"{path}.tcp.tcpKeepalive.interval", tcp.tcp_keepalive.interval)


def _tls(tls: ClientTLSSettings | None, path: str, findings: Findings) -> None:
    if tls is None:
        return
    _config_map(tls.credential_name, f"{path}.credentialName", findings)
    simple, mutual = tls.mode == "SIMPLE", tls.mode == "MUTUAL"
    if tls.insecure_skip_verify and (simple or mutual):
        checks = {"caCertificates": bool(tls.ca_certificates), "subjectAltNames": bool(tls.subject_alt_names)}
        checks["credentialName"] = simple and bool(tls.credential_name)
        given = [name for name, there in checks.items() if there]
        if given:
            findings.error(f"{path}.insecureSkipVerify", f"verifies nothing, so {' and '.join(given)} cannot be given")
    if (simple or mutual) and tls.credential_name:
        if tls.client_certificate or tls.ca_certificates or tls.private_key or tls.ca_crl:
            findings.error(
                f"{path}.credentialName", "goes with no certificate, key or CRL files", "Remove one of them."
            )
        return
    if mutual:
        needed = (("clientCertificate", tls.client_certificate), ("privateKey", tls.private_key))
        for name, value in needed:
            if not value:
                findings.error(f"{path}.{name}", "is required with mode MUTUAL")


def _config_map(name: str, path: str, findings: Findings) -> None:
    if not name.startswith("configmap://"):
        return
    parts = name.removeprefix("configmap://").split("/")
    if len(parts) < 2 or not parts[0] or not parts[1]:
        findings.error(path, "must have the form configmap://namespace/name")
    elif parts[0] != findings.namespace:
        findings.error(path, f"the ConfigMap must be in the rule's own namespace {findings.namespace}")


def _tunnel(tunnel: TunnelSettings | None, path: str, findings: Findings) -> None:
    if tunnel is None:
        return
    if tunnel.protocol not in ("", "CONNECT", "POST"):
        findings.error(f"{path}.protocol", "must be CONNECT or POST")
    if not is_ip(tunnel.target_host):
        findings.error(f"{path}.targetHost", fqdn_problem(tunnel.target_host))
    findings.error(f"{path}.targetPort", port_problem(tunnel.target_port))
