"""What every HTTP image does alike, asked of each as a real process: its name, health, faults, time, and end."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from image_app import IMAGES, App, StartApp, environment, free_port, runnable, start, stop

# One path of each that answers 200 and asks nobody else.
PATHS = {
    **{"bookinfo": "/ratings/0", "client": "/", "helloworld": "/", "httpbin": "/get", "nginx": "/"},
    **{"predict": "/", "proxy": "/", "web": "/"},
}
OWN = {"bookinfo": {"ROLE": "ratings"}}
HTTP_IMAGES = sorted(
    program.parent.name for program in IMAGES.glob("*/app.py") if "def create_app(" in program.read_text()
)
NAMES = {"SERVICE_NAME": "shop", "SERVICE_VERSION": "v2", "POD_NAME": "shop-1"}


def test_a_name_that_is_no_header_costs_no_reply_and_adds_no_header(image: str, start_app: StartApp) -> None:
    odd = start_app(image, **OWN.get(image, {}), SERVICE_NAME="shop\r\nx-bad: 1", POD_NAME="shop-2")
    reply = odd.get(PATHS[image])
    assert reply.status_code == 200 and "x-bad" not in reply.headers
    assert reply.headers["x-path"].startswith("shop??x-bad: 1/")


def test_every_http_image_is_asked() -> None:
    assert sorted(PATHS) == HTTP_IMAGES


@pytest.fixture(scope="module", params=runnable(HTTP_IMAGES))
def image(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def app(image: str, start_app: StartApp) -> App:
    """A pod without standing faults."""
    return start_app(image, **OWN.get(image, {}), **NAMES, CRASH="asked")


@pytest.fixture
def start_one(image: str) -> Iterator[Callable[..., App]]:
    """Starts pods that end with the test; does not wait until they are ready."""
    running: list[App] = []

    def started(**env: str) -> App:
        running.append(start(image, **{**OWN.get(image, {}), **env}))
        return running[-1]

    yield started
    stop(running)


def listening(app: App) -> App:
    app.wait_for("/healthz", lambda reply: reply.status_code in (200, 503))
    return app


def ask(app: App, fault: str = "", request_id: str = "") -> requests.Response:
    headers = {"x-fault": fault, "x-request-id": request_id}
    return app.get(PATHS[app.image], headers={name: value for name, value in headers.items() if value})


def test_a_reply_names_its_pod_whatever_its_status(app: App) -> None:
    replies = [ask(app), ask(app, "FAIL_STATUS=500"), app.get("/nowhere"), app.get("/healthz"), app.get("/fault/held")]
    assert [reply.status_code for reply in replies] == [200, 500, 404, 200, 200]
    assert {reply.headers["x-path"] for reply in replies} == {"shop/v2/shop-1"}
    assert replies[1].json().items() >= {"service": "shop", "version": "v2", "pod": "shop-1"}.items()
    assert replies[2].json()["error"] == "/nowhere does not exist in shop v2"


@pytest.mark.parametrize("status", [400, 429, 503, 599])
def test_a_request_fails_with_the_status_it_asks_for(app: App, status: int) -> None:
    assert ask(app, f"fail_status={status}").status_code == status


@pytest.mark.parametrize(("service", "status"), [("shop", 503), ("web", 200)])
def test_a_fault_for_one_service_spares_the_others(app: App, service: str, status: int) -> None:
    assert ask(app, f"SERVICE={service}, FAIL_STATUS=503").status_code == status


def test_a_request_is_delayed_as_it_asks_for(app: App) -> None:
    reply = ask(app, "DELAY_S=0.3, FAIL_STATUS=504")
    assert reply.status_code == 504
    assert reply.elapsed.total_seconds() >= 0.3


def test_the_first_tries_of_each_request_id_fail(app: App) -> None:
    for request_id in ("a", "b"):
        statuses = [ask(app, "FAIL_FIRST_TRIES=2", request_id).status_code for _ in range(4)]
        assert statuses == [503, 503, 200, 200]


def test_a_share_of_the_request_ids_fails_and_which_is_known_before(app: App) -> None:
    spec = importlib.util.spec_from_file_location("service_faults", IMAGES / "service_faults.py")
    assert spec is not None and spec.loader is not None
    sys.path.append(str(IMAGES))
    faults = importlib.util.module_from_spec(spec)
    sys.modules["service_faults"] = faults
    spec.loader.exec_module(faults)
    request_ids = [f"request-{number}" for number in range(60)]
    expected = [503 if faults.position(request_id) < 0.3 else 200 for request_id in request_ids]
    assert 8 <= expected.count(503) <= 28
    for _ in range(2):
        assert [ask(app, "FAIL_SHARE=0.3", request_id).status_code for request_id in request_ids] == expected


def test_a_request_is_held_until_it_is_released(app: App) -> None:
    with ThreadPoolExecutor(3) as pool:
        replies = [pool.submit(ask, app, "HOLD=true, HOLD_S=60") for _ in range(3)]
        app.wait_for("/fault/held", lambda reply: reply.json()["held"] == 3)
        assert not any(reply.done() for reply in replies)
        assert app.post("/fault/release").json()["released"] == 3
        assert [reply.result().status_code for reply in replies] == [200, 200, 200]
    assert ask(app, "HOLD=true, HOLD_S=0.05").status_code == 200


def test_a_request_that_keeps_its_body_back_is_asked_for_it_and_waits(app: App, image: str) -> None:
    head = f"GET {PATHS[image]} HTTP/1.1\r\nhost: shop\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(app.url).port), timeout=30) as connection:
        connection.sendall(f"{head}connection: close\r\n\r\n".encode())
        received = connection.recv(65_536)
        assert received == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
    with socket.create_connection(("127.0.0.1", urlsplit(app.url).port), timeout=30) as connection:
        connection.sendall(f"{head}\r\n".encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
    assert ask(app).status_code == 200


@pytest.mark.parametrize(
    "fault",
    ["FAIL_STATUS", "FAIL_STATUS=one", "DELAY_S=-1", "DELAY_S=nan", "TIME_SCALE=2", "ROLE=x", "CRASH=maybe", ","],
)
def test_a_fault_that_cannot_be_read_is_told(app: App, fault: str) -> None:
    reply = ask(app, fault)
    assert reply.status_code == 400
    assert " must " in reply.json()["error"]


def test_a_pod_crashes_when_it_is_told_to(start_one: Callable[..., App]) -> None:
    for tell in (lambda pod: pod.post("/fault/crash"), lambda pod: ask(pod, "CRASH=always")):
        pod = listening(start_one(CRASH="asked"))
        with pytest.raises(requests.ConnectionError):
            tell(pod)
        assert pod.process.wait(timeout=60) == 1


def test_a_pod_that_always_crashes_is_healthy_until_it_is_asked(start_one: Callable[..., App]) -> None:
    pod = listening(start_one(CRASH="always"))
    assert pod.get("/healthz").status_code == 200
    with pytest.raises(requests.ConnectionError):
        ask(pod)
    assert pod.process.wait(timeout=60) == 1


def test_a_pod_that_was_not_prepared_for_it_does_not_crash(start_one: Callable[..., App]) -> None:
    pod = listening(start_one())
    assert pod.post("/fault/crash").status_code == 403
    assert ask(pod, "CRASH=always").status_code == 400
    assert ask(pod).status_code == 200


def test_the_environment_sets_what_every_request_meets(start_one: Callable[..., App]) -> None:
    pod = listening(start_one(DELAY_S="20", TIME_SCALE="100", FAIL_RATE="1", FAIL_STATUS="500"))
    reply = ask(pod)
    assert reply.status_code == 500
    assert 0.2 <= reply.elapsed.total_seconds() < 10
    assert pod.get("/healthz").status_code == 200
    # What a request asks for goes before what the environment says.
    assert ask(pod, "FAIL_RATE=0").status_code == 200


def test_a_held_pod_answers_what_releases_it(start_one: Callable[..., App]) -> None:
    pod = listening(start_one(HOLD="true"))
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(ask, pod)
        pod.wait_for("/fault/held", lambda held: held.json()["held"] == 1)
        assert pod.post("/fault/release").json()["released"] == 1
        assert reply.result().status_code == 200


def test_a_pod_is_ready_after_its_time(start_one: Callable[..., App]) -> None:
    slow = listening(start_one(READY_AFTER_S="300", TIME_SCALE="1"))
    assert slow.get("/healthz").status_code == 503
    assert ask(slow).status_code == 200
    began = time.monotonic()
    quick = listening(start_one(READY_AFTER_S="300", TIME_SCALE="200"))
    quick.wait_for("/healthz", lambda reply: reply.status_code == 200)
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIME_SCALE", "0"),
        ("TIME_SCALE", "fast"),
        ("DELAY_S", "301"),
        ("FAIL_FIRST_TRIES", "1.5"),
        ("FAIL_SHARE", "30"),
        ("FAIL_STATUS", "200"),
        ("HOLD", "perhaps"),
        ("CRASH", "yes"),
        ("READY_AFTER_S", "nan"),
        ("PORT", "http"),
    ],
)
def test_a_variable_that_makes_no_sense_ends_the_program_with_one_line(image: str, variable: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=IMAGES / image,
        env=environment(free_port(), {**OWN.get(image, {}), variable: value}),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"{variable} must ")


def test_a_request_under_way_is_answered_before_the_end(start_one: Callable[..., App]) -> None:
    pod = listening(start_one())
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(ask, pod, "HOLD=true, HOLD_S=2")
        pod.wait_for("/fault/held", lambda held: held.json()["held"] == 1)
        pod.process.send_signal(signal.SIGTERM)
        assert reply.result().status_code == 200
    assert pod.process.wait(timeout=60) in (0, -signal.SIGTERM)
