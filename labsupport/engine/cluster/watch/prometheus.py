"""What watches a cluster: its Prometheus, asked by way of the API server, and which dashboards there are."""

from __future__ import annotations

from labsupport.engine.cluster.api.apierror import ApiError, first_line
from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import UsageError
from labsupport.records import Json

__all__ = ["ask", "dashboards"]

_SERVICES = "/api/v1/namespaces/istio-system/services"
_QUERY = f"{_SERVICES}/http:prometheus:9090/proxy/api/v1/query"
# By the Service that Istio's samples make: the name by which istioctl opens it.
_DASHBOARDS = {"prometheus": "prometheus", "kiali": "kiali", "grafana": "grafana", "tracing": "jaeger"}


def ask(connection: Connection, query: str) -> Json | None:
    """What the Service ``prometheus`` of ``istio-system`` answers, as in Istio's samples; None if nobody does.

    Args:
        connection: the cluster.
        query: in PromQL.

    Raises:
        UsageError: Prometheus refuses the query.
    """
    try:
        return connection.get(_QUERY, query=query)["data"]
    except ApiError as error:
        # Prometheus itself refuses with 400, and 422 where it cannot evaluate; else there is no such Service, no pod
        # behind it, or no right to ask.
        if error.status in (400, 422):
            raise UsageError(f"PromQL: {first_line(error)}") from None
        return None


def dashboards(connection: Connection) -> tuple[str, ...]:
    """The dashboards of Istio's samples that there are in ``istio-system``; none if that may not be read.

    Args:
        connection: the cluster.
    """
    try:
        there = {item["metadata"]["name"] for item in connection.get(_SERVICES)["items"]}
    except ApiError:
        return ()
    return tuple(name for service, name in _DASHBOARDS.items() if service in there)
