"""A program of an image as a real local process, as a container would run it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from labsupport.engine.embedded.pods.programs import find_programs

IMAGES = Path(__file__).parents[2] / "images"


def runnable(names: Iterable[str]) -> list[Any]:
    """Names of images as parameters; those whose packages are an extra that is not installed are skipped, but in CI."""
    lacked = {name: "" if os.environ.get("CI") else find_programs().lacks(name) for name in names}
    return [
        pytest.param(name, marks=[pytest.mark.skip(reason=f"the extra {extra} is not installed")] if extra else [])
        for name, extra in lacked.items()
    ]


@dataclass
class App:
    """A running program of an image."""

    name: str
    image: str
    port: int
    process: subprocess.Popen[bytes]
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, allow_redirects=False, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", timeout=60, allow_redirects=False, **options)

    def wait_for(self, path: str, accept: Callable[[requests.Response], bool], *, timeout_s: float = 60.0) -> None:
        """Poll until a reply is acceptable."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with warnings.catch_warnings():
                    # Whose certificate it shows is not the question here.
                    warnings.simplefilter("ignore")
                    if accept(requests.get(f"{self.url}{path}", timeout=5, verify=False)):
                        return
            except requests.ConnectionError:
                assert self.process.poll() is None, f"{self.name} ended with status {self.process.returncode}"
            assert time.monotonic() < deadline, f"{self.name}{path} was not as expected within {timeout_s:g} s"
            time.sleep(0.02)

    def run(self, **spec: Any) -> list[dict[str, Any]]:
        """Have the load client do a run to its end; returns its records."""
        reply = requests.post(f"{self.url}/run", json=spec, timeout=60)
        assert reply.status_code == 200, reply.text
        # Empty lines show that it is at it.
        return [json.loads(line) for line in reply.text.splitlines() if line]


StartApp = Callable[..., App]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(port: int, env: dict[str, str]) -> dict[str, str]:
    """The environment of a program: this process's, less proxies, plus its own."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return {**kept, "PORT": str(port), "HOST": "127.0.0.1", **env}


def start(image: str, **env: str) -> App:
    """Start a program without waiting until it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=IMAGES / image, env=environment(port, env), stdin=subprocess.DEVNULL
    )
    scheme = "https" if env.get("TLS_CERT") else "http"
    return App(name=env.get("POD_NAME", image), image=image, port=port, process=process, scheme=scheme)


def stop(apps: list[App]) -> None:
    """Stop programs, all at once."""
    for app in apps:
        app.process.terminate()
    for app in apps:
        try:
            app.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            app.process.kill()
            app.process.wait()
