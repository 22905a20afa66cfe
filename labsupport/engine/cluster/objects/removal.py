"""Removing a learner's whole namespace, from outside any lab."""

from __future__ import annotations

from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.objects.namespace import LabNamespace, chosen_name

__all__ = ["remove_namespace"]


def remove_namespace(*, namespace: str | None = None, context: str | None = None) -> tuple[str, bool]:
    """Delete a learner's namespace with everything in it; a lab that still uses it is told at its next call.

    Args:
        namespace: ``WORKSHOP_NAMESPACE``, else ``workshop-<user>``.
        context: context of the kubeconfig; ``WORKSHOP_CONTEXT``, else the current one.

    Returns:
        its name, and whether there was one.

    Raises:
        EngineError: it was not made by the workshop, or may not be deleted.
        EngineLostError: the cluster does not answer.
        WaitTimeoutError: it is not gone in time.
    """
    name = chosen_name(namespace)
    connection = Connection(context)
    try:
        return name, LabNamespace(connection, name).delete()
    finally:
        connection.close()
