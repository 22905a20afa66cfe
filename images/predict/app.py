"""A prediction API: takes a picture, and answers what stands in its middle, as a mask and cut out.

Its versions differ only in ``GRAB_CUT_ITERS``. README.md lists the environment variables. Runs as ``python app.py`` in
a container, or is loaded by path and asked for ``create_app(env)``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message

# Loaded by path, this file's folder is not where Python looks for modules. What all images share lies in the folder
# above; in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from predict_cut import predict
from service import Service, serve
from service_body import body_of

__all__ = ["create_app"]

FIELD = "image"
_MULTIPART, _JSON = "multipart/form-data", "application/json"
_FORMS = f'send {_JSON} {{"{FIELD}": "<base64>"}}, or {_MULTIPART} with a file in the field {FIELD}'
# What stands around a picture in a body.
_FRAME_BYTES = 64 * 1024


class Prediction(BaseModel):
    """What the model says about a picture."""

    service: str
    version: str
    pod: str
    iterations: int = Field(description="of GrabCut")
    width: int
    height: int
    share: float = Field(description="part of the pixels that belong to the object")
    mask: str = Field(description="PNG as base64: white where the object is")
    cutout: str = Field(description="PNG as base64: the object, all else transparent")
    took_ms: float = Field(description="time in this pod, from the file to the answer, without waiting for a turn")
    cpu_ms: float = Field(description="time of a processor for it")


class Refusal(BaseModel):
    """Why there is no prediction."""

    service: str
    version: str
    pod: str
    error: str


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    service = Service(env, name="predict")
    iterations = service.settings.whole("GRAB_CUT_ITERS", default=5, low=1, high=100)
    most_bytes = service.settings.whole("MAX_BYTES", default=4_000_000, low=1, high=100_000_000)
    most_pixels = service.settings.whole("MAX_PIXELS", default=1_000_000, low=1, high=25_000_000)
    logged = service.settings.flag("LOG_ANSWERS")
    # One picture at a time, as a server with one worker does; the others wait for their turn.
    turn = asyncio.Lock()
    router = APIRouter()

    @router.get("/", summary="Who answers here")
    async def index() -> JSONResponse:
        return service.json({"iterations": iterations})

    @router.post(
        "/predict",
        summary="Find what stands in the middle of a picture",
        response_model=Prediction,
        responses={status: {"model": Refusal} for status in (400, 413, 415)},
        openapi_extra={"requestBody": _REQUEST},
    )
    async def predicted(request: Request) -> JSONResponse:
        # Base64 takes four letters for three bytes.
        data = await _picture(request, most=most_bytes * 4 // 3 + _FRAME_BYTES)
        if len(data) > most_bytes:
            raise HTTPException(413, f"the image has {len(data)} bytes, and {most_bytes} are allowed")
        async with turn:
            if await request.is_disconnected():
                raise HTTPException(499, "nobody waits for this answer any more")
            answer = await run_in_threadpool(predict, data, iterations=iterations, most_pixels=most_pixels)
        if logged:
            # Who gets copies of requests answers nobody: what it says is to be found here.
            request_id = request.headers.get("x-request-id", "-")
            print("answer", request_id, answer["cpu_ms"], answer["mask"], flush=True)
        return service.json(answer)

    def api(**given: Any) -> FastAPI:
        app = FastAPI(title="predict", description=__doc__.partition("\n")[0], version="1", redoc_url=None, **given)
        app.include_router(router)
        return app

    return service.app((), make=api)


_REQUEST = {
    "required": True,
    "content": {
        kind: {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "string", "description": "a PNG or JPEG file", **form}},
            }
        }
        for kind, form in ((_MULTIPART, {"format": "binary"}), (_JSON, {"contentEncoding": "base64"}))
    },
}


async def _picture(request: Request, *, most: int) -> bytes:
    """The file in a request, however it is sent."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_MULTIPART, _JSON):
        raise HTTPException(415, f"{_FORMS}, not {kind or 'a body without content-type'}")
    body = await body_of(request, most=most)
    if kind == _JSON:
        try:
            return base64.b64decode(json.loads(body)[FIELD], validate=True)
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            raise HTTPException(400, _FORMS) from None

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(request.scope, again).form(max_files=1, max_fields=8, max_part_size=_FRAME_BYTES) as form:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise HTTPException(400, _FORMS)
        return await file.read()


if __name__ == "__main__":
    serve(create_app, port=5000)
