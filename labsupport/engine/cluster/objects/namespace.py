"""A learner's namespace: made, taken over, and removed; nothing outside it is touched."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import time
import uuid

from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import FIELD_MANAGER, MANAGED_BY, Connection
from labsupport.engine.cluster.api.istio import istio_of
from labsupport.engine.cluster.api.rights import require
from labsupport.errors import EngineError, EngineLostError, UsageError, WaitTimeoutError

__all__ = ["HOLDER", "LabNamespace", "chosen_name"]

HOLDER = "istio-traffic-workshop/holder"
_VARIABLE = "WORKSHOP_NAMESPACE"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_ENDING_S = 60.0
# How long an answer about the holder may be taken for granted by calls that change nothing.
_FRESH_S = 1.0


def chosen_name(given: str | None) -> str:
    """The namespace of this learner: as given, ``WORKSHOP_NAMESPACE``, or ``workshop-<user>``.

    Raises:
        UsageError: it is no name of a namespace.
    """
    name = given or os.environ.get(_VARIABLE)
    if not name:
        # In a JupyterHub all pods run as the same user.
        user = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
        name = f"workshop-{re.sub(r'[^a-z0-9]+', '-', user.lower()).strip('-') or 'me'}"[:63].rstrip("-")
    if not _NAME.match(name):
        raise UsageError(f"namespace={name!r}: a namespace has lower-case letters, digits and '-', 63 at most.")
    return name


class LabNamespace:
    """The namespace of one lab, and who holds it.

    Args:
        connection: the cluster.
        name: of the namespace.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.holder = f"{uuid.uuid4().hex} {socket.gethostname()} {os.getpid()}"
        self._path = f"/api/v1/namespaces/{name}"
        self._seen = 0.0

    def _get(self) -> dict[str, object] | None:
        try:
            namespace: dict[str, object] = self._connection.get(self._path)
        except ApiError as error:
            if error.missing:
                return None
            raise
        return namespace

    def open(self) -> None:
        """Make the namespace if it is not there, check that it is ours, and take it over.

        Raises:
            EngineError: it belongs to somebody else, or rights are missing.
            WaitTimeoutError: it is still being deleted.
        """
        injection = dict(istio_of(self._connection).injection)
        namespace = self._gone_if_ending()
        if namespace is not None:
            self._check_ours(namespace)
        require(self._connection, self.name, create=namespace is None)
        labels = {MANAGED_BY[0]: MANAGED_BY[1], **injection}
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.name, "labels": labels, "annotations": {HOLDER: self.holder}},
        }
        if namespace is None:
            self._connection.request("POST", "/api/v1/namespaces", query={"fieldManager": FIELD_MANAGER}, body=body)
        else:
            self._take_over(namespace, labels)
        self._seen = time.monotonic()

    def _take_over(self, namespace: dict[str, object], labels: dict[str, str]) -> None:
        """Write our name on it; labels that are right already need no right to change them."""
        metadata: dict[str, dict[str, str]] = namespace["metadata"]  # type: ignore[assignment]
        other = {"istio-injection", "istio.io/rev"} - labels.keys()
        wrong = {key: value for key, value in labels.items() if metadata.get("labels", {}).get(key) != value}
        change: dict[str, object] = {"annotations": {HOLDER: self.holder}}
        stale = {key: None for key in other if key in metadata.get("labels", {})}
        if wrong or stale:
            change["labels"] = {**wrong, **stale}
        try:
            self._connection.request(
                "PATCH",
                self._path,
                query={"fieldManager": FIELD_MANAGER},
                body=json.dumps({"metadata": change}),
                content_type="application/merge-patch+json",
            )
        except ApiError as error:
            # A teacher may have made it for somebody who may not change namespaces; then nobody else holds it either.
            if not error.forbidden or wrong:
                raise
            self.holder = ""

    def _gone_if_ending(self) -> dict[str, object] | None:
        deadline = time.monotonic() + _ENDING_S
        while True:
            namespace = self._get()
            if namespace is None or not namespace["metadata"].get("deletionTimestamp"):  # type: ignore[attr-defined]
                return namespace
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"namespace {self.name!r} is still being deleted after {_ENDING_S:.0f} s. Wait, or use another one "
                    'with Lab(engine="cluster", namespace=...)'
                )
            time.sleep(0.2)

    def _check_ours(self, namespace: dict[str, object]) -> None:
        labels = namespace["metadata"].get("labels") or {}  # type: ignore[attr-defined]
        if labels.get(MANAGED_BY[0]) != MANAGED_BY[1]:
            raise EngineError(
                f"namespace {self.name!r} of context {self._connection.context!r} was not made by the workshop, so "
                'nothing in it is touched. Choose another one: Lab(engine="cluster", namespace="..."), or label it: '
                f"kubectl label namespace {self.name} {MANAGED_BY[0]}={MANAGED_BY[1]}; a lab removes everything in it."
            )

    def check(self, *, fresh: bool = False) -> None:
        """See that this lab still holds the namespace.

        Args:
            fresh: ask the cluster now, even if it said so a moment ago.

        Raises:
            EngineLostError: another lab took it over, or it is gone.
        """
        if not self.holder or (not fresh and time.monotonic() - self._seen < _FRESH_S):
            return
        namespace = self._get()
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):  # type: ignore[attr-defined]
            raise EngineLostError(f"namespace {self.name!r} is gone. Open a new lab with Lab()")
        holder = (namespace["metadata"].get("annotations") or {}).get(HOLDER, "")  # type: ignore[attr-defined]
        if holder != self.holder:
            where = " (process {2} on {1})".format(*holder.split()) if len(holder.split()) == 3 else ""
            raise EngineLostError(
                f"another lab took over namespace {self.name!r}{where}. One lab uses a namespace at a time: open a new "
                'one with Lab(), or give each its own: Lab(engine="cluster", namespace="...")'
            )
        self._seen = time.monotonic()

    def delete(self, *, timeout_s: float = _ENDING_S) -> bool:
        """Delete the namespace with everything in it, if it is ours.

        Returns:
            whether there was one.

        Raises:
            EngineError: it was not made by the workshop.
            WaitTimeoutError: it is not gone in time.
        """
        namespace = self._get()
        if namespace is None:
            return False
        self._check_ours(namespace)
        self._connection.request("DELETE", self._path)
        deadline = time.monotonic() + timeout_s
        while self._get() is not None:
            if time.monotonic() > deadline:
                raise WaitTimeoutError(f"namespace {self.name!r} is still being deleted after {timeout_s:.0f} s")
            time.sleep(0.2)
        return True
