"""What httpbin and helloworld answer, as the tutorials that use them expect it."""

from __future__ import annotations

import time

import pytest
from image_app import App, StartApp


@pytest.fixture(scope="module")
def httpbin(start_app: StartApp) -> App:
    return start_app("httpbin", TIME_SCALE="10", POD_NAME="httpbin-1")


def test_a_request_is_told_as_it_came(httpbin: App) -> None:
    told = httpbin.get("/get?a=1&b=2&b=3", headers={"x-test": "yes", "x-forwarded-for": "10.0.0.1"}).json()
    assert told["args"] == {"a": "1", "b": ["2", "3"]}
    assert told["headers"]["X-Test"] == "yes"
    assert told["origin"] == "10.0.0.1"
    assert told["url"].endswith("/get?a=1&b=2&b=3")
    assert "data" not in told


@pytest.mark.parametrize("path", ["/post", "/anything", "/anything/below/it"])
def test_a_body_is_told_as_what_it_is(httpbin: App, path: str) -> None:
    told = httpbin.post(path, json={"x": [1]}).json()
    assert (told["json"], told["form"]) == ({"x": [1]}, {})
    told = httpbin.post(path, data={"name": "value"}).json()
    assert (told["form"], told["data"], told["json"]) == ({"name": "value"}, "", None)


@pytest.mark.parametrize("path", ["/post", "/put", "/patch", "/delete"])
def test_an_endpoint_of_a_method_takes_no_other(httpbin: App, path: str) -> None:
    assert httpbin.get(path).status_code == 405


def test_parts_are_told_alone(httpbin: App) -> None:
    assert httpbin.get("/headers", headers={"x-y": "z"}).json()["headers"]["X-Y"] == "z"
    assert httpbin.get("/ip").json()["origin"] == "127.0.0.1"
    assert httpbin.get("/user-agent", headers={"user-agent": "me"}).json()["user-agent"] == "me"
    assert httpbin.get("/hostname").json()["hostname"] == "httpbin-1"
    assert len(httpbin.get("/uuid").json()["uuid"]) == 36
    assert httpbin.get("/cookies", cookies={"a": "b"}).json()["cookies"] == {"a": "b"}
    assert "<h1>" in httpbin.get("/html").text
    assert len(httpbin.get("/bytes/33").content) == 33
    assert len(httpbin.get("/bytes/999999999").content) == 100 * 1024


def test_a_status_is_the_one_asked_for(httpbin: App) -> None:
    assert httpbin.get("/status/418").status_code == 418
    assert {httpbin.get("/status/200,503").status_code for _ in range(40)} == {200, 503}
    assert [httpbin.get(f"/status/{bad}").status_code for bad in ("99", "600", "x", "200,")] == [400] * 4


def test_a_delay_is_scaled_and_bounded(httpbin: App) -> None:
    begun = time.monotonic()
    assert httpbin.get("/delay/10").json()["method"] == "GET"
    assert 1 <= time.monotonic() - begun < 10
    # It is answered before its client gives up.
    assert httpbin.get("/delay/99999").status_code == 200


def test_redirects_and_cookies_lead_on(httpbin: App) -> None:
    assert httpbin.get("/redirect/2").headers["location"] == "/redirect/1"
    assert httpbin.get("/redirect/1").headers["location"] == "/get"
    away = httpbin.get("/redirect-to?url=/ip&status_code=308")
    assert (away.status_code, away.headers["location"]) == (308, "/ip")
    assert httpbin.get("/redirect-to?url=/ip&status_code=200").status_code == 400
    assert httpbin.get("/cookies/set?a=b").cookies.get_dict() == {"a": "b"}
    assert httpbin.get("/cookies/delete?a", cookies={"a": "b"}).headers["set-cookie"].startswith('a=""')


def test_headers_of_the_reply_are_those_asked_for_or_refused(httpbin: App) -> None:
    reply = httpbin.get("/response-headers?x-a=1&x-a=2&x-b=3")
    assert (reply.headers["x-a"], reply.headers["x-b"]) == ("1, 2", "3")
    for bad in ("x%0d%0ay=1", "x=1%0d%0ay:2", "=1", "a%20b=1"):
        assert httpbin.get(f"/response-headers?{bad}").status_code == 400
        assert httpbin.get(f"/cookies/set?{bad}").status_code == 400


def test_who_may_and_who_may_not(httpbin: App) -> None:
    assert httpbin.get("/basic-auth/me/secret").status_code == 401
    assert httpbin.get("/basic-auth/me/secret", auth=("me", "secret")).json()["authenticated"] is True
    assert httpbin.get("/bearer").status_code == 401
    assert httpbin.get("/bearer", headers={"authorization": "Bearer t"}).json()["token"] == "t"


def test_an_unstable_endpoint_fails_in_its_share(httpbin: App) -> None:
    assert {httpbin.get("/unstable?failure_rate=1").status_code for _ in range(5)} == {500}
    assert {httpbin.get("/unstable?failure_rate=0").status_code for _ in range(5)} == {200}
    assert httpbin.get("/unstable?failure_rate=2").status_code == 400


def test_helloworld_says_its_version_and_its_pod(start_app: StartApp) -> None:
    hello = start_app("helloworld", HELLO_VERSION="v2", POD_NAME="helloworld-v2-1")
    assert hello.get("/hello").text == "Hello version: v2, instance: helloworld-v2-1\n"
