"""Runs one command in a container of a pod and returns what it prints (``pods/exec`` over a websocket).

The official client's ``stream`` exchanges a method of the client that it is used with and cannot bound the time of
connecting, so that threads would disturb each other and a cluster that has gone away would block for minutes. The
protocol itself is small: frames begin with the number of a channel, and channel 3 closes with a ``Status`` object.
"""

from __future__ import annotations

import functools
import json
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import EngineError, WaitTimeoutError

__all__ = ["run_in_pod"]

# https://kubernetes.io/docs/reference/using-api/ "Streaming": v5 adds only the closing of single channels.
_PROTOCOL = "v4.channel.k8s.io"
_OUT, _ERR, _STATUS = 1, 2, 3
_CONNECT_S = 3.0


def run_in_pod(
    connection: Connection, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout_s: float
) -> str:
    """Run a command in a pod.

    Args:
        connection: the cluster.
        namespace: the pod's namespace.
        pod: its name.
        container: one of its containers.
        command: program and arguments; no shell is involved.
        timeout_s: for all of it, in seconds.

    Returns:
        What the command printed on its standard output.

    Raises:
        ApiError: the right is missing, or there is no such pod or container.
        EngineError: the command failed; carries what it printed.
        WaitTimeoutError: it did not end in time.
        EngineLostError: the cluster does not answer.
    """
    deadline = time.monotonic() + timeout_s
    asked = [("command", word) for word in command]
    query = urlencode([*asked, ("container", container), ("stdout", "true"), ("stderr", "true")])
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/exec"

    def attempt(*, _request_timeout: float) -> tuple[bytes, bytes, bytes]:
        socket = _open(connection, f"{path}?{query}", min(_request_timeout, _CONNECT_S))
        try:
            return _read(socket, deadline)
        finally:
            socket.close()

    try:
        out, err, status = connection.call(attempt, _request_timeout=timeout_s)
    except _TookTooLong:
        raise WaitTimeoutError(f"{' '.join(command)} in pod {pod} did not end within {timeout_s:g} s") from None
    ended = json.loads(status) if status else {}
    if ended.get("status") != "Success":
        said = err.decode("utf-8", "replace").strip() or ended.get("message") or "the connection ended early"
        raise EngineError(f"{' '.join(command)} in pod {pod} failed: {said}")
    return out.decode("utf-8", "replace")


class _TookTooLong(Exception):
    pass


def _open(connection: Connection, target: str, timeout_s: float) -> Any:
    from kubernetes.client import ApiException
    from websocket import WebSocket, WebSocketBadStatusException

    configuration: Any = connection.client.configuration
    parts = urlsplit(connection.server)
    secure = parts.scheme == "https"
    options: dict[str, Any] = {"timeout": timeout_s, "subprotocols": [_PROTOCOL], "suppress_origin": True}
    options["header"] = [
        f"{setting['key']}: {setting['value']}"
        for setting in configuration.auth_settings().values()
        if setting["in"] == "header" and setting["value"]
    ]
    if configuration.proxy:
        proxy = urlsplit(configuration.proxy)
        options |= {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
        if configuration.no_proxy:
            options["http_no_proxy"] = configuration.no_proxy.split(",")
    tls: dict[str, Any] = {}
    if secure:
        tls["context"] = _context(
            configuration.verify_ssl,
            configuration.assert_hostname is not False,
            configuration.ssl_ca_cert,
            configuration.cert_file,
            configuration.key_file,
        )
        if configuration.tls_server_name:
            tls["server_hostname"] = configuration.tls_server_name
    made: Any = WebSocket(sslopt=tls, enable_multithread=False, skip_utf8_validation=True)
    try:
        made.connect(f"{'wss' if secure else 'ws'}://{parts.netloc}{parts.path}{target}", **options)
    except WebSocketBadStatusException as error:
        # The same exception as for a plain request, so that it is explained in the same words.
        refused = ApiException(status=error.status_code, reason=f"HTTP {error.status_code}")
        body = error.resp_body or b""
        refused.body = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        raise refused from None
    return made


@functools.lru_cache(maxsize=8)
def _context(verify: bool, by_name: bool, authorities: str | None, certificate: str | None, key: str | None) -> Any:
    context = ssl.create_default_context(cafile=authorities)
    if not verify or not by_name:
        context.check_hostname = False
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def _read(socket: Any, deadline: float) -> tuple[bytes, bytes, bytes]:
    """Everything that comes on the channels until the server closes."""
    from websocket import ABNF, WebSocketConnectionClosedException, WebSocketTimeoutException

    channels: dict[int, list[bytes]] = {_OUT: [], _ERR: [], _STATUS: []}
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TookTooLong
        socket.settimeout(left)
        try:
            opcode, data = socket.recv_data()
        except WebSocketTimeoutException:
            raise _TookTooLong from None
        except WebSocketConnectionClosedException:
            break
        if opcode == ABNF.OPCODE_CLOSE:
            break
        if data and data[0] in channels:
            channels[data[0]].append(data[1:])
            if data[0] == _STATUS:
                break
    return tuple(b"".join(channels[channel]) for channel in (_OUT, _ERR, _STATUS))  # type: ignore[return-value]
