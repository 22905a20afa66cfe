"""The load client: what it sends, when it sends it, and that every request becomes exactly one record."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from image_app import App, StartApp, free_port

FIELDS = {
    "index",
    "started_s",
    "duration_s",
    "outcome",
    "status",
    "request_id",
    "path",
    "headers",
    "body",
    "error",
    "user",
    "connection",
}


@pytest.fixture(scope="module")
def client(start_app: StartApp) -> App:
    return start_app("client", SERVICE_NAME="client", SERVICE_VERSION="v1", POD_NAME="client-1")


@pytest.fixture(scope="module")
def web(start_app: StartApp) -> App:
    return start_app("web", SERVICE_VERSION="safe", POD_NAME="web-safe-1")


class Wire:
    """A bare TCP server that keeps what it is sent and answers each request with fixed bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                received = b""
                while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
                    received += piece
                if received:
                    self.requests.append(received.decode("latin-1"))
                    connection.sendall(self.answer)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(timeout=60)


@contextmanager
def wire(answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") -> Iterator[Wire]:
    server = Wire(answer)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def open_run(client: App, **spec: Any) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """A run under way: its name and its records as they come."""
    with requests.post(f"{client.url}/run", json=spec, stream=True, timeout=60) as reply:
        assert reply.status_code == 200
        yield reply.headers["x-run"], (json.loads(line) for line in reply.iter_lines(chunk_size=None) if line)


def test_each_request_is_one_complete_record(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/name", count=25)
    assert sorted(record["index"] for record in records) == list(range(25))
    assert all(set(record) == FIELDS for record in records)
    assert {record["outcome"] for record in records} == {"ok"}
    assert all(record["path"] == [["web", "safe", "web-safe-1"]] for record in records)
    assert len({uuid.UUID(record["request_id"]) for record in records}) == 25
    assert all(0 < record["duration_s"] < 10 for record in records)
    assert all(abs(record["started_s"] - time.time()) < 60 for record in records)


@pytest.mark.parametrize("count", [0, 1, 7, 200])
@pytest.mark.parametrize("reuse", [False, True])
def test_the_count_is_exact(client: App, web: App, count: int, reuse: bool) -> None:
    records = client.run(url=f"{web.url}/", count=count, concurrency=16, reuse_connections=reuse)
    assert sorted(record["index"] for record in records) == list(range(count))


def test_without_reuse_each_request_has_its_connection(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/", count=20, concurrency=4)
    assert sorted(record["connection"] for record in records) == list(range(20))


def test_with_reuse_there_are_no_more_connections_than_concurrency(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/", count=100, concurrency=3, reuse_connections=True)
    assert {record["connection"] for record in records} <= {0, 1, 2}
    assert len(client.run(url=f"{web.url}/", count=50, concurrency=1, reuse_connections=True)) == 50


def test_concurrency_bounds_what_is_under_way(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/slow?seconds=0.05", count=9, concurrency=3)
    moments = sorted(
        itertools.chain.from_iterable(
            ((record["started_s"], 1), (record["started_s"] + record["duration_s"], -1)) for record in records
        )
    )
    assert max(itertools.accumulate(step for _, step in moments)) <= 3


@pytest.mark.parametrize("reuse", [False, True])
def test_simultaneous_requests_are_under_way_together(client: App, web: App, reuse: bool) -> None:
    web.wait_for("/held?key=together", lambda reply: reply.json()["held"] == 0)
    with open_run(
        client,
        url=f"{web.url}/hold?seconds=30&key=together",
        count=10,
        concurrency=2,
        simultaneous=True,
        reuse_connections=reuse,
    ) as (_, lines):
        web.wait_for("/held?key=together", lambda reply: reply.json()["held"] == 10)
        web.post("/release?key=together")
        records = list(lines)
    assert len(records) == 10
    assert len({record["connection"] for record in records}) == 10
    starts = [record["started_s"] for record in records]
    assert max(starts) - min(starts) < 0.25


def test_held_requests_are_inside_the_application_until_they_are_released(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/name", count=5, simultaneous=True, hold=True) as (run, lines):
        taken = sorted(next(lines)["taken"] for _ in range(5))
        assert taken == [0, 1, 2, 3, 4]
        assert client.post(f"/run/{run}/release").json()["released"] is True
        records = list(lines)
    assert [record["outcome"] for record in records] == ["ok"] * 5
    assert all(set(record) == FIELDS for record in records)


def test_what_is_answered_without_the_body_is_held_by_nobody(client: App) -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    with wire(refusal) as server:
        records = client.run(url=f"http://127.0.0.1:{server.port}/", count=3, simultaneous=True, hold=True)
    assert [record["status"] for record in records] == [503] * 3
    assert all("expect: 100-continue" in head.lower() for head in server.requests)


def test_a_held_request_brings_its_body_when_it_is_released(client: App, web: App) -> None:
    body = "held back"
    spec = {"method": "POST", "body": body, "keep_body": True, "count": 1, "simultaneous": True, "hold": True}
    with open_run(client, url=f"{web.url}/headers", **spec) as (run, lines):
        assert next(lines) == {"taken": 0}
        client.post(f"/run/{run}/release")
        (record,) = lines
    assert record["outcome"] == "ok"


def test_a_held_request_is_given_up_after_its_time(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/", count=1, simultaneous=True, hold=True, timeout_s=3)
    assert [record.get("outcome") for record in records] == [None, "timeout"]


def test_a_rate_is_kept_without_drift(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/", count=100, rate=100, reuse_connections=True)
    starts = sorted(record["started_s"] for record in records)
    assert len(starts) == 100
    # 99 intervals of 10 ms; a busy machine may only be late, and makes up for it.
    assert starts[-1] - starts[0] >= 0.9
    assert [record["index"] for record in sorted(records, key=lambda record: record["started_s"])] == list(range(100))


def test_a_run_ends_after_its_duration(client: App, web: App) -> None:
    begin = time.monotonic()
    records = client.run(url=f"{web.url}/", duration_s=0.5, rate=40)
    assert time.monotonic() - begin >= 0.4
    assert 1 <= len(records) <= 22


def test_the_rate_can_be_changed_while_it_runs(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", count=40, rate=0.001, run="patched") as (name, lines):
        assert name == "patched"
        assert next(lines)["index"] == 0
        # At the first rate, the second request would be due in a quarter of an hour.
        assert requests.patch(f"{client.url}/run/patched", json={"rate": 500}, timeout=60).json()["rate"] == 500
        assert len(list(lines)) == 39


def test_rate_zero_pauses_and_null_unleashes(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", count=300, rate=200) as (name, lines):
        next(lines)
        requests.patch(f"{client.url}/run/{name}", json={"rate": 0}, timeout=60)
        assert client.get("/").json()["runs"] == [name]
        requests.patch(f"{client.url}/run/{name}", json={"rate": None}, timeout=60)
        assert len(list(lines)) == 299


def test_a_run_in_two_steps_can_be_prepared_twice_and_starts_once(client: App, web: App) -> None:
    place = f"{client.url}/run/{uuid.uuid4().hex}"
    spec = {"url": f"{web.url}/", "count": 7}
    for _ in range(2):
        assert requests.put(place, json=spec, timeout=60).json()["prepared"] is True
    assert len(requests.get(place, timeout=60).text.splitlines()) == 7
    assert requests.get(place, timeout=60).status_code == 404
    refused = requests.put(place, json={**spec, "count": -1}, timeout=60)
    assert (refused.status_code, refused.json()["field"]) == (400, "count")


def test_a_rate_can_be_changed_without_a_body(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", rate=0.1) as (name, records):
        next(records)
        assert requests.patch(f"{client.url}/run/{name}?rate=200", timeout=60).json()["rate"] == 200
        assert len(list(itertools.islice(records, 20))) == 20
        wrong = requests.patch(f"{client.url}/run/{name}?rate=many", timeout=60)
        assert (wrong.status_code, wrong.json()["field"]) == (400, "rate")


def test_a_run_that_has_nothing_to_tell_says_that_it_is_there(client: App, web: App) -> None:
    spec = {"url": f"{web.url}/", "rate": 0.001, "duration_s": 900}
    with requests.post(f"{client.url}/run", json=spec, stream=True, timeout=60) as reply:
        beat = float(reply.headers["x-heartbeat-s"])
        lines = reply.iter_lines()
        assert json.loads(next(lines))["outcome"] == "ok"
        assert beat > 0 and next(lines) == b""


def test_a_stopped_run_lets_requests_under_way_complete(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/hold?seconds=30&key=stop", concurrency=4) as (name, lines):
        web.wait_for("/held?key=stop", lambda reply: reply.json()["held"] == 4)
        assert requests.delete(f"{client.url}/run/{name}", timeout=60).json()["stopped"] is True
        web.post("/release?key=stop")
        assert Counter(record["outcome"] for record in lines) == {"ok": 4}
    assert client.get("/").json()["runs"] == []


def test_closing_the_stream_ends_the_run_and_its_connections(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", rate=50) as (_, lines):
        next(lines)
        assert len(client.get("/").json()["runs"]) == 1
    client.wait_for("/", lambda reply: reply.json()["runs"] == [])


def test_two_runs_go_on_side_by_side(client: App, web: App) -> None:
    with (
        open_run(client, url=f"{web.url}/", rate=50) as (first, first_file),
        open_run(client, url=f"{web.url}/", rate=50) as (
            second,
            two,
        ),
    ):
        next(first_file), next(two)
        assert client.get("/").json()["runs"] == sorted([first, second])
    client.wait_for("/", lambda reply: reply.json()["runs"] == [])


def test_a_name_in_use_and_a_name_unknown_are_refused(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", rate=1, run="taken"):
        assert client.post("/run", json={"url": f"{web.url}/", "count": 1, "run": "taken"}).status_code == 409
    assert requests.delete(f"{client.url}/run/nobody", timeout=60).status_code == 404
    assert requests.patch(f"{client.url}/run/nobody", json={"rate": 1}, timeout=60).status_code == 404


def test_a_status_of_an_error_is_told_with_the_beginning_of_its_body(client: App, web: App) -> None:
    (record,) = client.run(url=f"{web.url}/nowhere", count=1)
    assert (record["outcome"], record["status"], record["error"]) == ("http_error", 404, "")
    assert "does not exist" in record["body"]
    assert len(record["body"]) <= 200


def test_bodies_and_headers_are_kept_when_asked_for(client: App, web: App) -> None:
    (plain,) = client.run(url=f"{web.url}/name", count=1)
    assert (plain["body"], plain["headers"]) == ("", {})
    (kept,) = client.run(url=f"{web.url}/name", count=1, keep_body=True, keep_headers=["Content-Type", "x-none"])
    assert json.loads(kept["body"])["name"] == "web safe"
    assert kept["headers"] == {"content-type": "application/json"}


def test_a_reply_in_time_is_no_timeout_and_a_late_one_is(client: App, web: App) -> None:
    (late,) = client.run(url=f"{web.url}/slow?seconds=6", count=1, timeout_s=0.2)
    assert (late["outcome"], late["status"]) == ("timeout", 0)
    assert "0.2 s" in late["error"]
    # The timers of an event loop are only as fine as a millisecond or so.
    assert 0.19 <= late["duration_s"] < 5
    (good,) = client.run(url=f"{web.url}/slow?seconds=0.1", count=1, timeout_s=10)
    assert good["outcome"] == "ok"


def test_a_refused_connection_is_a_record(client: App) -> None:
    records = client.run(url=f"http://127.0.0.1:{free_port()}/", count=5, simultaneous=True)
    assert Counter(record["outcome"] for record in records) == {"connection": 5}
    assert {record["connection"] for record in records} == {-1}
    assert all(record["error"] for record in records)


@pytest.mark.parametrize("answer", [b"", b"what is this?\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
def test_a_broken_reply_is_a_record(client: App, answer: bytes) -> None:
    with wire(answer) as server:
        (record,) = client.run(url=f"http://127.0.0.1:{server.port}/", count=1)
        assert record["outcome"] == "connection"
        assert record["error"]
        assert len(server.requests) == 1


def test_an_unknown_host_name_is_an_unknown_destination(client: App) -> None:
    (record,) = client.run(url="http://no-such-host.invalid/", count=1)
    assert record["outcome"] == "unknown_destination"


def test_the_meshs_word_for_an_unknown_host_is_understood(client: App) -> None:
    with wire(b"HTTP/1.1 502 Bad Gateway\r\nx-workshop-unknown: host\r\ncontent-length: 0\r\n\r\n") as server:
        (record,) = client.run(url=f"http://127.0.0.1:{server.port}/", count=1)
    assert (record["outcome"], record["status"]) == ("unknown_destination", 502)
    with wire(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n") as server:
        (record,) = client.run(url=f"http://127.0.0.1:{server.port}/", count=1)
    assert (record["outcome"], record["status"]) == ("http_error", 502)


def test_a_redirect_is_an_answer_and_is_not_followed(client: App) -> None:
    with wire(b"HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n") as server:
        (record,) = client.run(url=f"http://127.0.0.1:{server.port}/", count=1)
        assert len(server.requests) == 1
    assert (record["outcome"], record["status"], record["headers"]) == ("ok", 301, {"location": "/elsewhere"})


def test_headers_cookies_and_placeholders_arrive(client: App, web: App) -> None:
    records = client.run(
        url=f"{web.url}/headers?who=me",
        count=3,
        concurrency=1,
        method="POST",
        body="hello",
        headers={"X-Turn": "{index}-{user}", "end-user": "jason", "x-request-id": "mine-{index}"},
        cookies={"user": "{user}"},
        users=2,
        keep_body=True,
    )
    seen = [json.loads(record["body"]) for record in records]
    assert [record["user"] for record in records] == ["user-0", "user-1", "user-0"]
    assert [request["headers"]["x-turn"] for request in seen] == ["0-user-0", "1-user-1", "2-user-0"]
    assert [request["headers"]["cookie"] for request in seen] == ["user=user-0", "user=user-1", "user=user-0"]
    assert [record["request_id"] for record in records] == ["mine-0", "mine-1", "mine-2"]
    assert [request["headers"]["x-request-id"] for request in seen] == ["mine-0", "mine-1", "mine-2"]
    assert {
        (request["method"], request["headers"]["end-user"], request["headers"]["content-length"]) for request in seen
    } == {("POST", "jason", "5")}


def test_each_user_keeps_the_cookies_it_was_given(client: App) -> None:
    with wire(b"HTTP/1.1 200 OK\r\nset-cookie: stick=pod-1; Path=/; Max-Age=60\r\ncontent-length: 0\r\n\r\n") as server:
        client.run(url=f"http://127.0.0.1:{server.port}/a", count=4, users=2)
        cookies = [
            [line for line in request.split("\r\n") if line.lower().startswith("cookie:")]
            for request in server.requests
        ]
    assert sorted(cookies) == [[], [], ["cookie: stick=pod-1"], ["cookie: stick=pod-1"]]


def test_without_users_no_cookie_is_kept(client: App) -> None:
    with wire(b"HTTP/1.1 200 OK\r\nset-cookie: stick=pod-1\r\ncontent-length: 0\r\n\r\n") as server:
        client.run(url=f"http://127.0.0.1:{server.port}/a", count=3, concurrency=1)
        assert not any("cookie:" in request.lower() for request in server.requests)


def test_a_user_waits_for_one_reply_before_the_next_request(client: App, web: App) -> None:
    records = client.run(url=f"{web.url}/slow?seconds=0.05", count=6, users=2, concurrency=6)
    for name in ("user-0", "user-1"):
        mine = sorted((record for record in records if record["user"] == name), key=lambda record: record["started_s"])
        for before, after in itertools.pairwise(mine):
            assert after["started_s"] >= before["started_s"] + before["duration_s"] - 0.02


@pytest.mark.parametrize("target", ["/a//b/../c%2Fd?x=%20y&x=2", "/", "/?q"])
def test_path_and_query_go_out_as_they_were_written(client: App, target: str) -> None:
    with wire() as server:
        client.run(url=f"http://127.0.0.1:{server.port}{target}", count=1)
        assert server.requests[0].startswith(f"GET {target} HTTP/1.1\r\n")


def test_connect_to_changes_the_connection_and_nothing_else(client: App) -> None:
    with wire() as server:
        client.run(url="http://istio-ingressgateway:8081/a", count=1, connect_to=f"127.0.0.1:{server.port}")
        client.run(
            url="http://istio-ingressgateway/a",
            count=1,
            connect_to=f"127.0.0.1:{server.port}",
            headers={"Host": "Shop.Example"},
        )
        first, second = server.requests
    assert first.startswith("GET /a HTTP/1.1\r\nhost: istio-ingressgateway:8081\r\n")
    assert second.startswith("GET /a HTTP/1.1\r\nhost: Shop.Example\r\n")


def test_through_a_proxy_the_given_host_is_the_authority_with_the_urls_port(start_app: StartApp) -> None:
    with wire() as server:
        meshed = start_app("client", HTTP_PROXY=f"http://127.0.0.1:{server.port}")
        meshed.run(url="http://web:8080/name?a=1", count=1)
        meshed.run(url="http://web:8080/name", count=1, headers={"host": "shop.example:1"})
        meshed.run(url="http://web/name", count=1)
        plain, hosted, short = server.requests
    assert plain.startswith("GET http://web:8080/name?a=1 HTTP/1.1\r\nHost: web:8080\r\n")
    assert hosted.startswith("GET http://shop.example:8080/name HTTP/1.1\r\nHost: shop.example:8080\r\n")
    assert short.startswith("GET http://web/name HTTP/1.1\r\nHost: web\r\n")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": None}, "url"),
        ({"url": "web/name"}, "url"),
        ({"url": "ftp://web/"}, "url"),
        ({"url": "http://web:99999/"}, "url"),
        ({"url": "http://user@web/"}, "url"),
        ({"url": "http://"}, "url"),
        ({"count": -1}, "count"),
        ({"count": "ten"}, "count"),
        ({"count": True}, "count"),
        ({"count": 1.5}, "count"),
        ({"duration_s": 0}, "duration_s"),
        ({"rate": 0}, "rate"),
        ({"rate": -5}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 1_000_000}, "concurrency"),
        ({"users": -1}, "users"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"method": "GE T"}, "method"),
        ({"method": 5}, "method"),
        ({"headers": ["a"]}, "headers"),
        ({"headers": {"a b": "c"}}, "headers.a b"),
        ({"headers": {"a": 1}}, "headers.a"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers.a"),
        ({"headers": {"Content-Length": "5"}}, "headers.Content-Length"),
        ({"cookies": {"a": "b; c=d"}}, "cookies.a"),
        ({"keep_headers": "server"}, "keep_headers"),
        ({"keep_body": "yes"}, "keep_body"),
        ({"simultaneous": 1}, "simultaneous"),
        ({"simultaneous": True, "count": None}, "count"),
        ({"simultaneous": True, "rate": 5}, "rate"),
        ({"hold": True}, "hold"),
        ({"simultaneous": True, "count": 100_000}, "count"),
        ({"connect_to": "here"}, "connect_to"),
        ({"run": "a/b"}, "run"),
        ({"body": {"a": 1}}, "body"),
        ({"source": "outside"}, "source"),
        ({"conut": 5}, "conut"),
    ],
)
def test_a_wrong_field_is_refused_by_name(client: App, change: dict[str, Any], field: str) -> None:
    reply = client.post("/run", json={"url": "http://web:8080/", "count": 1, **change})
    assert reply.status_code == 400
    assert reply.json()["field"] == field
    assert reply.json()["error"].startswith(f"{field}: ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"NaN"])
def test_what_is_no_json_object_is_refused(client: App, body: bytes) -> None:
    reply = client.post("/run", data=body)
    assert (reply.status_code, reply.json()["field"]) == (400, "body")


@pytest.mark.parametrize("body", [{"rate": -1}, {"rate": "x"}, {"count": 1}, [], {"rate": True}])
def test_a_wrong_change_of_a_run_is_refused_and_changes_nothing(client: App, web: App, body: Any) -> None:
    with open_run(client, url=f"{web.url}/", rate=50, run="steady") as (_, lines):
        next(lines)
        assert requests.patch(f"{client.url}/run/steady", json=body, timeout=60).status_code == 400
        assert next(lines)["outcome"] == "ok"
    client.wait_for("/", lambda reply: reply.json()["runs"] == [])


def test_records_come_while_the_run_goes_on(client: App, web: App) -> None:
    with open_run(client, url=f"{web.url}/", rate=20) as (name, lines):
        for expected in range(3):
            assert next(lines)["index"] == expected
        assert client.get("/").json()["runs"] == [name]
    client.wait_for("/", lambda reply: reply.json()["runs"] == [])


@pytest.mark.parametrize(
    ("max_age", "kept"), [("60", True), ("0", False), ("-5", False), ("²", True), ("--5", True), ("9" * 5000, True)]
)
def test_a_cookies_age_is_a_number_or_nothing(client: App, max_age: str, kept: bool) -> None:
    head = f"HTTP/1.1 200 OK\r\nset-cookie: stick=pod-1; Max-Age={max_age}\r\ncontent-length: 0\r\n\r\n"
    with wire(head.encode("latin-1")) as server:
        records = client.run(url=f"http://127.0.0.1:{server.port}/a", count=2, users=1, concurrency=1)
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    assert ("cookie: stick=pod-1" in server.requests[-1].lower()) is kept
