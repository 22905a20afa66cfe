"""A small API server over HTTP on 127.0.0.1: answers what it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Responder = Callable[[str, str, Any], Answer | None]


class FakeApiServer:
    """Answers by path (with query, or without); a function answers what has no entry.

    Attributes:
        asked: ``(method, path with query, body)`` of each request.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.respond: Responder = lambda method, path, body: None
        self.asked: list[tuple[str, str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length).decode() if length else ""
                body = json.loads(text) if text else None
                fake.asked.append((self.command, self.path, body))
                respond = fake.respond(self.command, self.path, body)
                respond = respond or fake.answers.get(self.path) or fake.answers.get(self.path.partition("?")[0])
                status, said, *more = respond or (404, status_object(404, "NotFound", f"{self.path} not found"))
                data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def status_object(code: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> dict[str, Any]:
    details = {"causes": causes} if causes else {}
    said = {"code": code, "reason": reason, "message": message, "details": details}
    return {"kind": "Status", "status": "Failure", **said}


def write_kubeconfig(place: Path, url: str, *, token: str = "secret") -> Path:
    place.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "clusters": [{"name": "fake", "cluster": {"server": url}}],
                "users": [{"name": "learner", "user": {"token": token}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "learner"}}],
            }
        )
    )
    return place


@contextmanager
def fake_api_server() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    try:
        yield server
    finally:
        server.close()
