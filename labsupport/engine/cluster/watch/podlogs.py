"""The logs of a pod's program and of its Envoy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from labsupport.engine.additions import PROXY
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.watch.pods import has_proxy, program
from labsupport.errors import NotFoundError

__all__ = ["read_log"]


def read_log(connection: Connection, pod: Mapping[str, Any], *, container: Literal["app", "proxy"], lines: int) -> str:
    """The last lines of a log; empty for a container that has not started yet.

    Args:
        connection: the cluster.
        pod: as the API server has it.
        container: ``app`` (the pod's program) or ``proxy`` (its Envoy).
        lines: how many.

    Raises:
        NotFoundError: the pod has no such container.
    """
    metadata = pod["metadata"]
    own = program(pod)
    if container == "proxy" and not has_proxy(pod):
        raise NotFoundError(f"pod {metadata['name']} has no sidecar")
    if container == "app" and own is None:
        raise NotFoundError(
            f"pod {metadata['name']} is a gateway: it has an Envoy and no program. Ask for container='proxy'"
        )
    wanted = PROXY if container == "proxy" or own is None else own["name"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    try:
        text = connection.request("GET", path, query={"container": wanted, "tailLines": str(lines)}).text
    except ApiError as error:
        if error.status != 400 or "waiting to start" not in error.server_text:
            raise
        return ""
    return text.rstrip("\n")
