"""The Prometheus of a cluster, asked by way of the API server."""

from __future__ import annotations

from labsupport.engine.cluster.api.apierror import ApiError, first_line
from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import UsageError
from labsupport.records import Json

__all__ = ["ask"]

_QUERY = "/api/v1/namespaces/istio-system/services/http:prometheus:9090/proxy/api/v1/query"


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
