"""Runs the load client as a program of this machine, and ends with the process that started it.

``python -m labsupport.engine.cluster.localclient`` prints the port it listens on (127.0.0.1 only) and serves until its
standard input ends, which it does even when the parent is killed.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from labsupport import paths
from labsupport.errors import EngineError

__all__ = ["LocalClient"]

_START_S = 15.0


class LocalClient:
    """A load client outside the cluster, started when it is first asked for.

    Attributes:
        token: what it wants to be shown with every order.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def port(self) -> int:
        """The local port of its HTTP API.

        Raises:
            EngineError: it does not start; carries its last words.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._port

    def _start(self) -> None:
        # What it sends goes to where it is told, and not through a proxy of this machine.
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        roots = (str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH"))
        environment["RUN_TOKEN"] = self.token
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
        process = subprocess.Popen(
            # A learner's file of the same name as one of our modules must not be taken for it.
            [sys.executable, "-P", "-m", "labsupport.engine.cluster.localclient"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        timer = threading.Timer(_START_S, process.kill)
        timer.start()
        said = b""
        try:
            for line in process.stdout:
                if line.startswith(b"port "):
                    self._process, self._port = process, int(line.split()[1])
                    return
                said = line
        finally:
            timer.cancel()
        process.wait()
        raise EngineError(f"the load client outside the cluster does not start: {said.decode('utf-8', 'replace')}")

    def close(self) -> None:
        """End it."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _application() -> Any:
    """The course's own load client, loaded by its path as in its image."""
    path = paths.images() / "client" / "app.py"
    spec = importlib.util.spec_from_file_location("workshop_client_app", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.create_app({"SERVICE_NAME": "outside", "POD_NAME": "outside", "RUN_TOKEN": os.environ["RUN_TOKEN"]})


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        continue
    # Nobody is left to answer, so nothing is to be finished.
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(_application(), log_level="warning", access_log=False, timeout_keep_alive=3900)
    print(f"port {listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
