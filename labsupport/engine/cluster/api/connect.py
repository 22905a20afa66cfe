"""The way to a cluster: the official client's connections, with its failures in the words of our errors."""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from labsupport import words
from labsupport.engine.cluster.api.apierror import first_line, refusal
from labsupport.errors import EngineError, EngineLostError, UsageError

__all__ = ["FIELD_MANAGER", "MANAGED_BY", "TIMEOUT_S", "ApiReply", "Connection"]

FIELD_MANAGER = "istio-traffic-workshop"
MANAGED_BY = ("app.kubernetes.io/managed-by", "istio-traffic-workshop")
TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 3.0
# What may be sent again without harm when a kept connection turns out to be closed.
_REPEATABLE = ("GET", "PATCH", "PUT")
_HANDSHAKE = re.compile(r"Handshake status (\d+)")
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ApiReply:
    """What the API server answered.

    Args:
        status: HTTP status.
        text: the body.
        warnings: texts of ``Warning`` headers, such as those of admission webhooks.
    """

    status: int
    text: str
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        """The body as JSON; None for an empty one."""
        return json.loads(self.text) if self.text else None


class Connection:
    """One cluster, as one context of the kubeconfig (or the pod that this runs in) reaches it.

    Every failure is an ``EngineError``: ``ApiError`` when the server says no, ``EngineLostError`` when it is silent.
    All calls have a time-out, so that a cluster that has gone away is noticed within ten seconds. Any thread may call.

    Args:
        context: name of the kubeconfig's context; the current one by default.
        timeout_s: how long one request may take, in seconds.

    Raises:
        UsageError: there is no such context.
        EngineError: there is no usable kubeconfig.
    """

    def __init__(self, context: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self.context, self._configuration = _configuration(context)
        self.server: str = self._configuration.host.rstrip("/")
        self._lock = threading.Lock()
        self._client: Any = None
        self._version: tuple[int, ...] | None = None

    # --- the official client -----------------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        """The ``kubernetes.client.ApiClient`` of this cluster."""
        with self._lock:
            if self._client is None:
                from kubernetes.client import ApiClient

                self._client = ApiClient(self._configuration)
            return self._client

    @property
    def core(self) -> Any:
        """``kubernetes.client.CoreV1Api``; call its methods through ``call``."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.client)

    def call(self, function: Callable[..., _Result], *args: Any, **options: Any) -> _Result:
        """Call a method of the official client, with a time-out, and with our errors.

        Raises:
            ApiError: the server said no.
            EngineLostError: it does not answer.
        """
        from kubernetes.client import ApiException

        options.setdefault("_request_timeout", self.timeout_s)
        try:
            return function(*args, **options)
        except ApiException as error:
            raise self._api_exception(error) from None
        except Exception as error:
            if not _is_transport(error):
                raise
            raise self.lost(error) from None

    def _api_exception(self, error: Any) -> EngineError:
        text = error.body if isinstance(error.body, str) else (error.body or b"").decode("utf-8", "replace")
        status = int(error.status or 0)
        if not status and (match := _HANDSHAKE.search(str(error.reason))):
            # A refused upgrade to a websocket carries the server's answer in the text of the exception.
            status = int(match[1])
            start, end = str(error.reason).find("{"), str(error.reason).rfind("}")
            text = str(error.reason)[start : end + 1] if 0 <= start < end else ""
        if not status:
            return self.lost(error)
        return refusal(status, text, str(error.reason), self.context)

    # --- plain requests ----------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
    ) -> ApiReply:
        """Send one request to the API server and read the whole answer.

        Args:
            method: HTTP method.
            path: such as ``/api/v1/namespaces/default/pods``.
            query: parameters of the query.
            body: sent as JSON, unless it is text or bytes.
            content_type: of the body.
            timeout_s: for the whole exchange, in seconds.

        Raises:
            ApiError: the server said no (status 400 and above).
            EngineLostError: it does not answer.
        """
        limit = timeout_s or self.timeout_s
        deadline = time.monotonic() + limit
        repeat = method in _REPEATABLE
        while True:
            left = max(0.5, deadline - time.monotonic())
            try:
                response = self.open(
                    method, path, query=query, body=body, content_type=content_type, timeout_s=left, preload=True
                )
            except EngineLostError as error:
                # A connection that was kept may have been closed by the server just now; a new one tells.
                if not repeat or not _was_dropped(error.__context__):
                    raise
                repeat = False
                continue
            wait = _asked_to_wait(response)
            if wait is None or time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        text = response.data.decode("utf-8", "replace")
        if response.status >= 400:
            raise refusal(response.status, text, response.reason or "", self.context)
        headers = response.headers.getlist("Warning") if "Warning" in response.headers else []
        warnings = tuple(_unescaped(warning) for line in headers for warning in _WARNING.findall(line))
        return ApiReply(response.status, text, warnings, dict(response.headers))

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
        preload: bool = False,
    ) -> Any:
        """Send one request and return urllib3's response, whatever its status: to read a body as it arrives.

        The body is not read yet: the caller reads it (failures of that are the caller's, see ``lost``) and closes it.

        Raises:
            EngineLostError: the server does not answer.
        """
        import urllib3

        headers = {"Accept": "application/json, */*", "User-Agent": FIELD_MANAGER}
        for setting in self._configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        data: str | bytes | None = None
        if body is not None:
            data = body if isinstance(body, str | bytes) else json.dumps(body)
            headers["Content-Type"] = content_type
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        limit = timeout_s or self.timeout_s
        timeout = urllib3.Timeout(
            connect=min(CONNECT_TIMEOUT_S, limit),
            read=limit,
            total=limit if preload else None,
        )
        try:
            return self.client.rest_client.pool_manager.urlopen(
                method,
                url,
                body=data,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=preload,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.lost(error) from None

    def get(self, path: str, **query: str) -> Any:
        """GET one path and return its JSON; errors as of ``request``."""
        return self.request("GET", path, query=query).body

    def lost(self, error: BaseException) -> EngineLostError:
        """The error for a cluster that does not answer."""
        cause = words.reason(error)
        return EngineLostError(
            f"the cluster of context {self.context!r} does not answer at {self.server}: {cause}. "
            "See that it runs and that this machine reaches it (kubectl get nodes), then open a new lab with Lab()"
        )

    # --- what it is --------------------------------------------------------------------------------------------

    def version(self) -> tuple[int, ...]:
        """Major and minor version of Kubernetes, such as ``(1, 34)``, read once."""
        if self._version is None:
            version = self.get("/version")
            self._version = (int(version["major"]), int(re.sub(r"\D.*", "", version["minor"])))
        return self._version

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.rest_client.pool_manager.clear()

    def __repr__(self) -> str:
        return f"<Connection {self.context} {self.server}>"


def _configuration(context: str | None) -> tuple[str, Any]:
    from kubernetes.client import Configuration

    config: Any = importlib.import_module("kubernetes.config")
    wanted = context or os.environ.get("WORKSHOP_CONTEXT") or None
    made = Configuration()
    # The client looks at the variable only once, when it is imported; in a notebook it may be set later.
    file = os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        contexts, current = config.list_kube_config_contexts(config_file=file)
    except (config.ConfigException, OSError) as error:
        if wanted is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=made)
            return "in-cluster", made
        raise EngineError(
            f"no cluster is known here: no usable kubeconfig at {file} ({first_line(error)}). Make a cluster with: "
            "workshop cluster up; or set KUBECONFIG to the kubeconfig of one with Istio. No cluster is needed for "
            'Lab(engine="embedded")'
        ) from None
    names = [entry["name"] for entry in contexts]
    if wanted is not None and wanted not in names:
        raise UsageError(f"context={wanted!r}: the kubeconfig has the contexts {', '.join(names) or 'none'}.")
    chosen = wanted or (current or {}).get("name")
    try:
        config.load_kube_config(config_file=file, context=chosen, client_configuration=made)
    except (config.ConfigException, OSError) as error:
        raise EngineError(f"context {chosen!r} of the kubeconfig cannot be used: {first_line(error)}") from None
    if not made.verify_ssl:
        import warnings

        from urllib3.exceptions import InsecureRequestWarning

        # Whoever wrote insecure-skip-tls-verify knows; one warning for each request would bury a notebook.
        warnings.filterwarnings("ignore", category=InsecureRequestWarning)
    return str(chosen), made


def _is_transport(error: BaseException) -> bool:
    from urllib3.exceptions import HTTPError
    from websocket import WebSocketException

    return isinstance(error, HTTPError | WebSocketException | OSError)


def _was_dropped(error: BaseException | None) -> bool:
    from urllib3.exceptions import ProtocolError

    return isinstance(error, ProtocolError)


def _asked_to_wait(response: Any) -> float | None:
    """Seconds that a busy API server asks to wait (429 or 503 with ``Retry-After``)."""
    if response.status not in (429, 503) or not str(response.headers.get("Retry-After", "")).isdigit():
        return None
    return max(0.2, float(response.headers["Retry-After"]))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
