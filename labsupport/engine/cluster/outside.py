"""The namespace of a lab on a cluster, looked at from another process: a terminal's. Nothing is changed in it."""

from __future__ import annotations

import time

from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.namespace import chosen_name
from labsupport.engine.cluster.objects.objects import ObjectStore
from labsupport.engine.cluster.watch.inforce import Watcher
from labsupport.engine.cluster.watch.proxies import Proxies
from labsupport.errors import UsageError
from labsupport.records import JsonObject, Ref

__all__ = ["OpenNamespace"]


class OpenNamespace:
    """A lab's namespace.

    Args:
        namespace: its name; ``WORKSHOP_NAMESPACE``, else ``workshop-<user>``.
        context: context of the kubeconfig; ``WORKSHOP_CONTEXT``, else the current one.
    """

    def __init__(self, *, namespace: str | None = None, context: str | None = None) -> None:
        self._namespace = chosen_name(namespace)
        self._connection = Connection(context)
        self._proxies = Proxies(self._connection, self._namespace)

    def pods(self) -> list[JsonObject]:
        """All pods, as the API shows them."""
        return list(self._connection.get(f"/api/v1/namespaces/{self._namespace}/pods")["items"])

    def admin(self, pod: JsonObject, path: str) -> str:
        """A page of the admin interface of a pod's Envoy.

        Args:
            pod: as ``pods`` tells it.
            path: such as ``config_dump?include_eds``.

        Raises:
            EngineError: its Envoy does not answer, or the right to create ``pods/exec`` is missing.
        """
        return self._proxies.exec(pod["metadata"]["name"], path)

    def wait(self, rule: Ref, *, timeout_s: float) -> str:
        """Wait until a rule is in force: until every proxy holds what would not be there without it.

        Args:
            rule: which.
            timeout_s: how long to wait.

        Returns:
            How many proxies have it.

        Raises:
            NotFoundError: there is no such rule.
            WaitTimeoutError: it is not in force in time; says which proxy lacks what.
        """
        if rule.namespace not in ("", self._namespace):
            raise UsageError(f"{rule}: the lab is in the namespace {self._namespace}, and looks into no other.")
        api = Api(self._connection, self._namespace)
        try:
            store = ObjectStore(api, Images())
            store.find(rule)
            objects = store.read()
            watcher = Watcher(self._connection, self._namespace)
            others = [resource for resource in objects if (resource.called, resource.name) != (rule.kind, rule.name)]
            mark = watcher.before(others)
            proxies, notes = watcher.wait(mark, objects, time.monotonic() + timeout_s)
        finally:
            api.close()
        return "; ".join((f"{len(proxies)}/{len(proxies)} proxies up to date.", *notes))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
