"""The web service: every endpoint, and the knobs that make its versions differ."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import requests
from image_app import IMAGES, App, StartApp, environment, free_port


@pytest.fixture(scope="module")
def safe(start_app: StartApp) -> App:
    return start_app("web", SERVICE_NAME="web", SERVICE_VERSION="safe", POD_NAME="web-safe-1")


@pytest.fixture(scope="module")
def risk(start_app: StartApp) -> App:
    return start_app("web", SERVICE_VERSION="risk", POD_NAME="web-risk-1", ENDPOINTS="slow,status,headers,hold")


def test_every_reply_names_its_pod_in_body_and_header(safe: App) -> None:
    reply = safe.get("/")
    assert reply.json() == {"service": "web", "version": "safe", "pod": "web-safe-1"}
    assert reply.headers["x-path"] == "web/safe/web-safe-1"


@pytest.mark.parametrize("path", ["/healthz", "/name", "/nowhere", "/status/503", "/slow?seconds=x"])
def test_replies_carry_the_path_whatever_their_status(safe: App, path: str) -> None:
    assert safe.get(path).headers["x-path"] == "web/safe/web-safe-1"


def test_name_exists_in_one_version_only(safe: App, risk: App) -> None:
    assert safe.get("/name").json()["name"] == "web safe"
    missing = risk.get("/name")
    assert missing.status_code == 404
    assert missing.json() == {
        "service": "web",
        "version": "risk",
        "pod": "web-risk-1",
        "error": "/name does not exist in web risk",
    }


def test_every_version_answers_at_the_root(safe: App, risk: App) -> None:
    assert safe.get("/").status_code == risk.get("/").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_usual_methods_are_served(safe: App, method: str) -> None:
    assert requests.request(method, f"{safe.url}/name", timeout=10).status_code == 200


@pytest.mark.parametrize("code", [200, 204, 404, 429, 500, 503, 599])
def test_status_is_answered_as_asked(safe: App, code: int) -> None:
    assert safe.get(f"/status/{code}").status_code == code


@pytest.mark.parametrize(
    "path", ["/status/999", "/status/100", "/slow?seconds=-1", "/slow?seconds=inf", "/hold?seconds=no"]
)
def test_nonsense_is_refused_in_words(safe: App, path: str) -> None:
    reply = safe.get(path)
    assert reply.status_code == 400
    assert "must" in reply.json()["error"]


def test_slow_takes_the_time_it_is_told(safe: App) -> None:
    reply = safe.get("/slow?seconds=0.2")
    assert reply.json()["slept_s"] == 0.2
    assert reply.elapsed.total_seconds() >= 0.2


def test_headers_tells_what_the_server_saw(safe: App) -> None:
    reply = safe.post("/headers/a/b?x=1&y=two", headers={"X-User": "nadia", "Host": "shop.example"}).json()
    assert (reply["method"], reply["path"], reply["query"]) == ("POST", "/headers/a/b", {"x": "1", "y": "two"})
    assert reply["raw_query"] == "x=1&y=two"
    assert (reply["headers"]["x-user"], reply["headers"]["host"]) == ("nadia", "shop.example")


def test_held_requests_wait_until_they_are_released(safe: App) -> None:
    replies: list[dict[str, object]] = []
    threads = [
        threading.Thread(target=lambda: replies.append(safe.get("/hold?seconds=60&key=a").json())) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    safe.wait_for("/held?key=a", lambda reply: reply.json()["held"] == 3)
    assert not replies
    assert safe.post("/release?key=b").json()["released"] == 0
    assert safe.post("/release?key=a").json()["released"] == 3
    for thread in threads:
        thread.join(timeout=20)
    assert [reply["released"] for reply in replies] == [True, True, True]
    assert safe.get("/held?key=a").json()["held"] == 0


def test_a_hold_ends_by_itself(safe: App) -> None:
    assert safe.get("/hold?seconds=0.05&key=c").json()["released"] is False
    assert safe.get("/held?key=c").json()["held"] == 0


def test_a_wrong_list_of_endpoints_stops_the_program_with_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=IMAGES / "web",
        env=environment(free_port(), {"ENDPOINTS": "name,nmae"}),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "ENDPOINTS names nmae" in done.stderr.decode()


def test_times_of_requests_are_scaled_too(start_app: StartApp) -> None:
    quick = start_app("web", TIME_SCALE="100")
    assert quick.get("/slow?seconds=20").json()["slept_s"] == 0.2
    assert quick.get("/hold?seconds=10").json()["released"] is False
