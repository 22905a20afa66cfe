"""What the application sees after header operations and rewrites, and what the client sees of its reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from behaviour_mesh import WEB, Json, Mesh, to, versions, virtual_service

V2 = to(subset="v2")


def operations(**kinds: Any) -> Json:
    return {"headers": {"request": kinds}}


def seen_headers(mesh: Mesh, rule: Json, path: str = "/headers", **options: Any) -> dict[str, str]:
    mesh.apply(versions(), virtual_service(rule))
    header: dict[str, str] = mesh.echo(f"{WEB}{path}", **options)["headers"]
    return header


@pytest.mark.parametrize(
    ("kinds", "sent", "expected"),
    [
        pytest.param({"set": {"x-a": "new"}}, {}, "new", id="set makes it"),
        pytest.param({"set": {"x-a": "new"}}, {"x-a": "old"}, "new", id="set replaces it"),
        pytest.param({"add": {"x-a": "new"}}, {}, "new", id="add makes it"),
        pytest.param({"add": {"x-a": "new"}}, {"x-a": "old"}, "old, new", id="add keeps what is there"),
        pytest.param({"remove": ["x-a"]}, {"x-a": "old"}, None, id="remove"),
        pytest.param({"remove": ["X-A"]}, {"x-a": "old"}, None, id="remove, in any case"),
        pytest.param({"remove": ["x-a"], "add": {"x-a": "new"}}, {"x-a": "old"}, "new", id="remove comes before add"),
        pytest.param({"set": {"x-a": "one"}, "add": {"x-a": "two"}}, {"x-a": "old"}, "one, two", id="set before add"),
        pytest.param({"set": {"x-a": "%REQ(x-b)%"}}, {"x-b": "copied"}, "copied", id="a command of Envoy"),
        pytest.param({"set": {"x-a": "100%%"}}, {}, "100%", id="a literal percent sign"),
    ],
)
def test_operations_on_request_headers(mesh: Mesh, kinds: Json, sent: dict[str, str], expected: str | None) -> None:
    rule = {"route": [V2], **operations(**kinds)}
    assert seen_headers(mesh, rule, headers=sent).get("x-a") == expected


def test_with_one_destination_its_set_comes_after_that_of_the_rule(mesh: Mesh) -> None:
    rule = {"route": [{**V2, **operations(set={"x-a": "destination"})}], **operations(set={"x-a": "rule"})}
    assert seen_headers(mesh, rule)["x-a"] == "destination"


def test_with_several_destinations_the_set_of_the_rule_comes_last(mesh: Mesh) -> None:
    route = [{**to(subset=name, weight=1), **operations(set={"x-a": name, "x-b": name})} for name in ("v1", "v2")]
    mesh.apply(versions(), virtual_service({"route": route, **operations(set={"x-a": "rule"})}))
    for _ in range(6):
        told = mesh.echo(f"{WEB}/headers")
        assert told["headers"]["x-a"] == "rule"
        assert told["headers"]["x-b"] == told["version"]


def test_both_adds_count_whatever_the_number_of_destinations(mesh: Mesh) -> None:
    first = {**V2, **operations(add={"x-a": "destination"})}
    rule = operations(add={"x-a": "rule"})
    assert seen_headers(mesh, {"route": [first], **rule})["x-a"] == "rule, destination"
    two = [{**first, "weight": 1}, {**first, "weight": 1}]
    assert seen_headers(mesh, {"route": two, **rule})["x-a"] == "destination, rule"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param({}, "web:8080", id="nothing: as it was sent, with its port"),
        pytest.param(operations(set={"Host": "set.example"}), "set.example", id="a header named Host"),
        pytest.param(operations(set={":authority": "set.example"}), "set.example", id="the pseudo header"),
        pytest.param({"rewrite": {"authority": "rewritten.example"}}, "rewritten.example", id="a rewrite"),
    ],
)
def test_the_host_that_the_application_sees(mesh: Mesh, rule: Json, expected: str) -> None:
    seen = seen_headers(mesh, {"route": [V2], **rule})
    assert seen["host"] == expected
    assert ("x-envoy-original-host" in seen) == (expected != "web:8080")


def test_the_host_of_a_rule_beats_that_of_its_destination(mesh: Mesh) -> None:
    first = {**V2, **operations(set={"Host": "destination.example"})}
    assert seen_headers(mesh, {"route": [first]})["host"] == "destination.example"
    assert seen_headers(mesh, {"route": [first], **operations(set={"Host": "rule.example"})})["host"] == "rule.example"


def test_operations_on_response_headers(mesh: Mesh) -> None:
    rule = {
        "route": [{**V2, "headers": {"response": {"add": {"x-b": "destination"}}}}],
        "headers": {"response": {"set": {"x-a": "rule", "content-type": "text/odd"}, "remove": ["x-path"]}},
    }
    mesh.apply(versions(), virtual_service(rule))
    seen = mesh.request(f"{WEB}/", keep_headers=["x-a", "x-b", "content-type", "x-path"])
    assert seen.headers == {"x-a": "rule", "x-b": "destination", "content-type": "text/odd"}
    assert seen.path == ()


REWRITES = [
    pytest.param({"uri": {"exact": "/foo"}}, "/headers/new", "/foo", "/headers/new", id="exact: the whole path"),
    pytest.param({"uri": {"exact": "/foo"}}, "/headers", "/foo?a=1", "/headers?a=1", id="the query stays"),
    pytest.param({"uri": {"prefix": "/foo"}}, "/headers", "/foo/bar", "/headers/bar", id="prefix: only the prefix"),
    pytest.param({"uri": {"prefix": "/foo/"}}, "/headers/", "/foo/bar", "/headers/bar", id="prefix with its slash"),
    pytest.param({"uri": {"prefix": "/foo"}}, "/headers/", "/foo/bar", "/headers//bar", id="a slash too many"),
    pytest.param({"uri": {"regex": "/f.*"}}, "/headers/all", "/foo/bar", "/headers/all", id="regex: the whole path"),
    pytest.param({"headers": {"x-a": {}}}, "/headers/", "/foo", "/headers/foo", id="no uri: the first slash"),
    pytest.param(None, "/headers/", "/foo", "/headers/foo", id="no match: the first slash"),
    pytest.param({"uri": {"prefix": "/FOO"}, "ignoreUriCase": True}, "/headers", "/foo/x", "/headers/x", id="any case"),
]


@pytest.mark.parametrize(("match", "uri", "sent", "expected"), REWRITES)
def test_a_rewrite_of_the_path(mesh: Mesh, match: Json | None, uri: str, sent: str, expected: str) -> None:
    rule = {"route": [V2], "rewrite": {"uri": uri}, **({"match": [match]} if match else {})}
    mesh.apply(versions(), virtual_service(rule))
    told = mesh.echo(f"{WEB}{sent}", headers={"x-a": "1"})
    assert told["path"] + (f"?{told['raw_query']}" if told["raw_query"] else "") == expected
    assert told["headers"]["x-envoy-original-path"] == sent


@pytest.mark.parametrize(
    ("uri", "rewrite", "sent", "arrives"),
    [
        pytest.param({"prefix": "/foo"}, "/", "/foo/headers", "//headers", id="two slashes, which no route knows"),
        pytest.param({"prefix": "/foo/"}, "/", "/foo/headers", "/headers", id="slash for slash"),
        pytest.param({"prefix": "/foo"}, "/", "/foo", "/", id="the bare prefix"),
        pytest.param(None, "/bar", "/foo", "/barfoo", id="without a uri condition, the slash itself is replaced"),
    ],
)
def test_the_slashes_of_a_prefix_rewrite(mesh: Mesh, uri: Json | None, rewrite: str, sent: str, arrives: str) -> None:
    rule = {"route": [V2], "rewrite": {"uri": rewrite}, **({"match": [{"uri": uri}]} if uri else {})}
    mesh.apply(versions(), virtual_service(rule))
    seen = mesh.request(f"{WEB}{sent}")
    told = json.loads(seen.body)
    known = arrives in ("/", "/headers")
    assert seen.status == (200 if known else 404)
    assert known or told["error"].startswith(f"{arrives} does not exist")
    # A log tells what was asked for, so that lines of all hops can be put together.
    assert [record.path for record in mesh.records(seen)] == [sent, sent]


def test_a_rewrite_by_regular_expression(mesh: Mesh) -> None:
    pattern = {"match": "^/service/([^/]+)(/.*)$", "rewrite": "/headers\\2/from/\\1"}
    mesh.apply(versions(), virtual_service({"route": [V2], "rewrite": {"uriRegexRewrite": pattern}}))
    told = mesh.echo(f"{WEB}/service/foo/v1/api?x=/service/y")
    assert (told["path"], told["raw_query"]) == ("/headers/v1/api/from/foo", "x=/service/y")
    assert mesh.echo(f"{WEB}/headers/untouched")["path"] == "/headers/untouched"


def test_what_a_sidecar_and_a_server_add_by_themselves(mesh: Mesh) -> None:
    seen = seen_headers(mesh, {"route": [V2]}, headers={"x-request-id": "mine", "x-forwarded-for": "192.0.2.7"})
    assert seen["x-request-id"] == "mine"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-envoy-attempt-count"] == "1"
    assert seen["x-forwarded-for"] == "192.0.2.7"
    assert "x-envoy-expected-rq-timeout-ms" not in seen


def test_a_client_cannot_change_retries_and_timeouts_by_headers(mesh: Mesh) -> None:
    asked = {"x-envoy-max-retries": "5", "x-envoy-retry-on": "5xx", "x-envoy-upstream-rq-timeout-ms": "1"}
    mesh.apply(versions(), virtual_service({"route": [V2]}))
    seen = mesh.request(f"{WEB}/status/503", headers=asked)
    assert (seen.status, len(mesh.arrivals(seen))) == (503, 1)


def test_servers_are_named_by_the_proxy_that_answers(mesh: Mesh) -> None:
    seen = mesh.request(f"{WEB}/", keep_headers=["server", "x-envoy-upstream-service-time"])
    assert seen.headers["server"] == "envoy"
    assert seen.headers["x-envoy-upstream-service-time"].isdigit()
