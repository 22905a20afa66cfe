"""Who may give orders to a load client: nobody who does not know its token, and no web page."""

from __future__ import annotations

import json

import pytest
import requests
from image_app import App, StartApp

ORDER = {"url": "http://127.0.0.1:9/", "count": 1, "timeout_s": 5}
TOKEN = "known-to-the-kernel"


@pytest.fixture(scope="module")
def guarded(start_app: StartApp) -> App:
    return start_app("client", SERVICE_NAME="client", POD_NAME="client-1", RUN_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def open_client(start_app: StartApp) -> App:
    """As in a pod of a cluster, where the API server asks who comes."""
    return start_app("client", SERVICE_NAME="client", POD_NAME="client-2")


def answer(client: App, method: str, path: str, **headers: str) -> requests.Response:
    return requests.request(method, f"{client.url}{path}", data=json.dumps(ORDER), headers=headers, timeout=20)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/run"), ("PUT", "/run/a"), ("GET", "/run/a"), ("PATCH", "/run/a"), ("DELETE", "/run/a")],
)
@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "token"),
        ({"x-run-token": ""}, 401, "token"),
        ({"x-run-token": TOKEN[:-1]}, 401, "token"),
        ({"x-run-token": TOKEN, "origin": "http://evil.example"}, 403, "web pages"),
        ({"x-run-token": TOKEN, "origin": "null"}, 403, "web pages"),
        ({"x-run-token": TOKEN, "host": "evil.example"}, 403, "this machine"),
        ({"x-run-token": TOKEN, "host": "evil.example:5000"}, 403, "this machine"),
        ({"x-run-token": TOKEN, "host": "127.0.0.1.evil.example"}, 403, "this machine"),
    ],
)
def test_orders_of_strangers_are_refused(
    guarded: App, method: str, path: str, headers: dict[str, str], status: int, words: str
) -> None:
    reply = answer(guarded, method, path, **headers)
    assert reply.status_code == status and words in reply.json()["error"]
    assert guarded.get("/").json()["runs"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5000", "localhost:1", "LOCALHOST", "[::1]:5000", "[::1]"])
def test_who_knows_the_token_is_obeyed_under_every_name_of_this_machine(guarded: App, host: str) -> None:
    reply = answer(guarded, "POST", "/run", **{"x-run-token": TOKEN, "host": host})
    assert reply.status_code == 200 and json.loads(reply.text)["outcome"] == "connection"


def test_a_client_without_a_token_still_takes_no_orders_from_web_pages(open_client: App) -> None:
    assert answer(open_client, "POST", "/run", origin="http://evil.example").status_code == 403
    assert answer(open_client, "POST", "/run", host="10.244.0.7:5000").status_code == 200


def test_what_gives_no_orders_is_open_to_all(guarded: App) -> None:
    assert guarded.get("/healthz", headers={"host": "client:5000"}).status_code == 200
    assert guarded.get("/", headers={"host": "client:5000"}).status_code == 200
