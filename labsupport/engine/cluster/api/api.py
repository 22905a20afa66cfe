"""Where the API server keeps which kind: paths by discovery, and requests for many objects at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.model import CLUSTER_SCOPED, api_versions
from labsupport.model.kinds.index import CALLED

__all__ = ["Api"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")
# The API server's own limits on one user are far above, and a laptop's API server gains nothing from more.
_WORKERS = 8


class Api:
    """Knows the paths of kinds in one namespace.

    Args:
        connection: the cluster.
        namespace: where the objects are.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection = connection
        self.namespace = namespace
        self._lock = threading.Lock()
        self._plurals: dict[str, dict[str, str]] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="workshop-cluster")

    def map(self, function: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
        """Call a function for each item, several at a time; after an error no more are begun, and it is raised."""
        futures = [self._workers.submit(function, argument) for argument in items]
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            # Those that wait for a cluster which does not answer would each take their own time-out.
            future.cancel()
        ended = [future for future in futures if future.done() and not future.cancelled()]
        errors = [error for future in ended if (error := future.exception())]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def _kinds(self, api_version: str) -> dict[str, str]:
        """Kind to plural, of one group and version; empty if the cluster does not serve it."""
        with self._lock:
            if api_version not in self._plurals:
                path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
                try:
                    served = self.connection.get(path)["resources"]
                except ApiError as error:
                    if not error.missing:
                        raise
                    served = []
                self._plurals[api_version] = {
                    resource["kind"]: resource["name"] for resource in served if "/" not in resource["name"]
                }
            return self._plurals[api_version]

    def path(self, api_version: str, kind: str, name: str = "") -> str:
        """Path of the objects of a kind, or of one; empty if the cluster does not know the kind."""
        plural = self._kinds(api_version).get(kind)
        if plural is None:
            return ""
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        inside = "" if kind in CLUSTER_SCOPED else f"/namespaces/{self.namespace}"
        return f"{base}{inside}/{plural}" + (f"/{name}" if name else "")

    def path_of(self, kind: str, name: str = "") -> str:
        """As ``path``, in the first version that the cluster serves of what the lab calls by this kind."""
        known = CALLED[kind]
        paths = (self.path(api_version, known.KIND, name) for api_version in api_versions(known))
        return next(filter(None, paths), "")

    def look_again(self, api_version: str) -> None:
        """Forget which kinds of a group and version there are: somebody may have installed them meanwhile."""
        with self._lock:
            self._plurals.pop(api_version, None)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind in the namespace; none if the cluster does not know it."""
        path = self.path_of(kind)
        if not path:
            return []
        listed = self.connection.get(path)
        # A list names kind and version once, for all of its items.
        head = {"apiVersion": listed["apiVersion"], "kind": CALLED[kind].KIND}
        return [{**head, **body} for body in listed["items"]]

    def all_items(self, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """The objects of several kinds; those that may not be read, or were removed meanwhile, are left out."""

        def of_kind(kind: str) -> list[dict[str, Any]]:
            try:
                return self.items(kind)
            except ApiError as error:
                if error.forbidden or error.missing:
                    return []
                raise

        return [body for items in self.map(of_kind, kinds) for body in items]

    def close(self) -> None:
        """End the threads."""
        self._workers.shutdown(wait=False, cancel_futures=True)
