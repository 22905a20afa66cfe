"""The load client: a small HTTP service that is told what to send and streams back one record per request.

``POST /run`` starts a run and answers with one JSON object per line, in order of completion, and an empty line now and
then while there is nothing to tell; closing the stream ends the run. ``PUT /run/{run}`` and ``GET /run/{run}`` do the
same in two steps. ``PATCH /run/{run}`` changes its rate, ``POST /run/{run}/release`` lets go of what it holds, and
``DELETE /run/{run}`` lets it end. Runs as ``python app.py`` in a container, or is loaded by path and asked for
``create_app(env)``. README.md lists everything.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

# Loaded by path, this file's folder is not where Python looks for modules. The modules of each image have names that
# no other image uses, so several images can be loaded into one process. What all images share lies in the folder above;
# in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from client_guard import guarded
from client_run import Run
from client_send import Record
from client_spec import RunSpec, SpecError, parse_rate, parse_spec
from service import Service, serve

__all__ = ["create_app"]

FLUSH_S = 0.04
# A stream on which nothing happens says so, in case somebody between the caller and this client ends silent ones, or
# fails without a word.
HEARTBEAT_S = 2.0
# Runs that were prepared and never started; each is a few hundred bytes.
MAX_PREPARED = 100


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the load client from its environment.

    Args:
        env: the pod's environment; ``HTTP_PROXY`` or ``http_proxy`` is the proxy of every request by ``http``, and
            ``RUN_TOKEN`` what every order has to bring along.

    Returns:
        An ASGI application without global state.
    """
    service = Service(env, name="client")
    proxy = env.get("http_proxy") or env.get("HTTP_PROXY") or None
    token = env.get("RUN_TOKEN", "")
    runs: dict[str, Run] = {}
    prepared: dict[str, RunSpec] = {}

    async def index(request: Request) -> JSONResponse:
        return service.json({"runs": sorted(runs)})

    async def start(request: Request) -> ASGIApp:
        spec = parse_spec(await _json(request))
        return begin(spec.run or uuid.uuid4().hex, spec)

    async def prepare(request: Request) -> JSONResponse:
        name = request.path_params["run"]
        spec = parse_spec({**await _json(request), "run": name})
        if name in runs:
            raise HTTPException(409, f"a run named {name} is under way")
        while len(prepared) >= MAX_PREPARED:
            del prepared[next(iter(prepared))]
        prepared[name] = spec
        return service.json({"run": name, "prepared": True})

    async def start_prepared(request: Request) -> ASGIApp:
        name = request.path_params["run"]
        if name not in prepared:
            raise HTTPException(404, f"no run named {name} is prepared")
        return begin(name, prepared.pop(name))

    def begin(name: str, spec: RunSpec) -> ASGIApp:
        if name in runs:
            raise HTTPException(409, f"a run named {name} is under way")
        lines: list[str] = []
        runs[name] = run = Run(spec, proxy=proxy, emit=lambda record: lines.append(_line(record)))
        return Stream(run, lines, headers={"x-run": name}, ended=lambda: runs.pop(name, None))

    async def change(request: Request) -> JSONResponse:
        run = find(request)
        rate = parse_rate(await _json(request) if "rate" not in request.query_params else _rate(request))
        run.set_rate(rate)
        return service.json({"run": request.path_params["run"], "rate": rate})

    async def release(request: Request) -> JSONResponse:
        find(request).release()
        return service.json({"run": request.path_params["run"], "released": True})

    async def stop(request: Request) -> JSONResponse:
        find(request).stop()
        return service.json({"run": request.path_params["run"], "stopped": True})

    def find(request: Request) -> Run:
        name = request.path_params["run"]
        if name not in runs:
            raise HTTPException(404, f"no run named {name} is under way")
        return runs[name]

    async def refuse(request: Request, error: SpecError) -> JSONResponse:
        return service.json({"error": str(error), "field": error.field}, status=400)

    return service.app(
        [
            Route("/", index, methods=["GET"]),
            Route("/run", guarded(start, token), methods=["POST"]),
            Route("/run/{run}", guarded(prepare, token), methods=["PUT"]),
            Route("/run/{run}", guarded(start_prepared, token), methods=["GET"]),
            Route("/run/{run}", guarded(change, token), methods=["PATCH"]),
            Route("/run/{run}", guarded(stop, token), methods=["DELETE"]),
            Route("/run/{run}/release", guarded(release, token), methods=["POST"]),
        ],
        errors={SpecError: refuse},
    )


class Stream:
    """The reply to ``POST /run``: does the run and sends its records, a few times in each blink of an eye.

    Args:
        run: what to do.
        lines: where the run puts its records as JSON.
        headers: response headers.
        ended: called once when the run is over, however it ended.
    """

    def __init__(self, run: Run, lines: list[str], *, headers: Mapping[str, str], ended: Callable[[], object]) -> None:
        self._run = run
        self._lines = lines
        self._headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
        self._headers += [(key.encode(), value.encode()) for key, value in headers.items()]
        self._headers += [(b"x-heartbeat-s", str(HEARTBEAT_S).encode())]
        self._ended = ended
        self._sent = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one run (ASGI)."""
        work = asyncio.create_task(self._run.work())
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            # An empty piece makes the server send the headers now, so that the caller knows that the run exists.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            while not work.done() and not gone.done():
                await asyncio.wait((work, gone), timeout=FLUSH_S, return_when=asyncio.FIRST_COMPLETED)
                await self._flush(send, more=True)
            if work.done():
                work.result()
                await self._flush(send, more=False)
        finally:
            self._ended()
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _flush(self, send: Send, *, more: bool) -> None:
        if not self._lines and time.monotonic() - self._sent > HEARTBEAT_S:
            self._lines.append("\n")
        if self._lines or not more:
            self._sent = time.monotonic()
            body = "".join(self._lines).encode()
            self._lines.clear()
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise SpecError("body", f"is not JSON: {error}") from None


def _rate(request: Request) -> Any:
    try:
        return {"rate": json.loads(request.query_params["rate"])}
    except ValueError:
        raise SpecError("rate", f"must be a number, not {request.query_params['rate']!r}") from None


def _line(record: Record) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    serve(create_app, port=5000)
