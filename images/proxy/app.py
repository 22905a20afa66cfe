"""Stands before a prediction API and passes on what it is sent, and what is answered.

README.md lists the environment variables. Runs as ``python app.py`` in a container, or is loaded by path and asked for
``create_app(env)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. What all images share lies in the folder
# above; in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from service import Service, Settings, serve
from service_body import body_of
from service_calls import DEFAULT_FORWARD, Caller

__all__ = ["create_app"]

MODEL = "predict-server"
FORWARD = f"user,{DEFAULT_FORWARD}"


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    service = Service(env, name="proxy")
    most_bytes = service.settings.whole("MAX_BYTES", default=8_000_000, low=1, high=100_000_000)
    caller = Caller(Settings({"FORWARD_HEADERS": FORWARD, **env}), {MODEL: (10.0, 1)}, port=5000)
    router = APIRouter()

    @router.get("/", summary="Who answers here")
    async def index() -> JSONResponse:
        return service.json()

    @router.post(
        "/predict",
        summary="Ask the model, and pass on its answer",
        responses={
            413: {"description": "The body is too large"},
            502: {"description": "The model is not there, or answers something else than JSON"},
            504: {"description": "The model takes too long"},
        },
    )
    async def predicted(request: Request) -> JSONResponse:
        body = await body_of(request, most=most_bytes)
        kind = request.headers.get("content-type", "application/octet-stream")
        sent = {"method": "POST", "query": request.url.query, "body": body, "extra": [("content-type", kind)]}
        answer = await caller.ask(MODEL, "/predict", request, **sent)
        if answer.status == 200 or isinstance(answer.data, dict):
            passed = {"x-path": service.took_part([answer])}
            return JSONResponse(answer.data, status_code=answer.status, headers=passed)
        status = answer.status or (504 if answer.late else 502)
        return service.json({"error": answer.reason}, used=[answer], status=status)

    def api(**given: Any) -> FastAPI:
        app = FastAPI(title="proxy", description=__doc__.partition("\n")[0], version="1", redoc_url=None, **given)
        app.include_router(router)
        return app

    return service.app((), make=api, closing=[caller.close])


if __name__ == "__main__":
    serve(create_app, port=5000)
