"""Answers that no application gives: redirects, direct responses and CORS preflights."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import WEB, Json, Mesh, gateway, to, versions, virtual_service

from labsupport.errors import ManifestError

FOO = [{"uri": {"prefix": "/foo"}}]
ALLOWED = ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"]
CORS_HEADERS = [*ALLOWED, "access-control-max-age", "access-control-allow-credentials", "access-control-expose-headers"]


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        pytest.param({"uri": "/new"}, "http://web:8080/new?a=1", id="uri: the whole path, the query stays"),
        pytest.param({"uri": "/new?b=2"}, "http://web:8080/new?b=2", id="uri with a query of its own"),
        pytest.param({"authority": "other.example"}, "http://other.example/foo/x?a=1", id="authority"),
        pytest.param({"scheme": "https"}, "https://web:8080/foo/x?a=1", id="scheme keeps a port that is sent"),
        pytest.param({"port": 9999}, "http://web:9999/foo/x?a=1", id="port"),
        pytest.param({"port": 80}, "http://web:8080/foo/x?a=1", id="the scheme's own port is left out"),
        pytest.param({"authority": "o.example", "port": 81}, "http://o.example:81/foo/x?a=1", id="authority and port"),
        pytest.param(
            {"authority": "o.example", "derivePort": "FROM_REQUEST_PORT"},
            "http://o.example:8080/foo/x?a=1",
            id="the port of the request",
        ),
        pytest.param(
            {"authority": "o.example", "derivePort": "FROM_PROTOCOL_DEFAULT"},
            "http://o.example/foo/x?a=1",
            id="the port of the protocol",
        ),
        pytest.param({"prefixRewrite": "/new"}, "http://web:8080/new/x?a=1", id="only the prefix"),
        pytest.param(
            {"uri": "/new", "authority": "o.example", "scheme": "https"}, "https://o.example/new?a=1", id="all of it"
        ),
    ],
)
def test_where_a_redirect_leads(mesh: Mesh, redirect: Json, location: str) -> None:
    mesh.apply(virtual_service({"match": FOO, "redirect": redirect}))
    seen = mesh.request(f"{WEB}/foo/x?a=1")
    assert (seen.status, seen.headers["location"]) == (301, location)
    assert mesh.arrivals(seen) == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_status_of_a_redirect(mesh: Mesh, code: int) -> None:
    mesh.apply(virtual_service({"redirect": {"uri": "/new", "redirectCode": code}}))
    assert mesh.request(f"{WEB}/").status == code


def test_a_redirect_at_the_gateway(mesh: Mesh) -> None:
    rule = {"redirect": {"uri": "/new", "scheme": "https", "derivePort": "FROM_REQUEST_PORT"}}
    mesh.apply(gateway(), virtual_service(rule, hosts=["shop.example"], gateways=["entrance"]))
    seen = mesh.request("gateway:/old", headers={"Host": "shop.example"})
    assert seen.headers["location"] == "https://shop.example:80/new"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(None, "", id="no body"),
        pytest.param({"string": "hello <b>"}, "hello <b>", id="text"),
        pytest.param({"bytes": "aGVsbG8="}, "hello", id="bytes"),
        pytest.param({"string": "x" * 60_000}, "x" * 60_000, id="long text"),
    ],
)
def test_a_direct_response(mesh: Mesh, body: Json | None, expected: str) -> None:
    answer = {"status": 418, **({"body": body} if body else {})}
    rule = {"directResponse": answer, "headers": {"response": {"set": {"x-made": "by the proxy"}}}}
    mesh.apply(virtual_service(rule))
    seen = mesh.request(f"{WEB}/", keep_headers=["x-made"])
    assert (seen.status, seen.body, seen.headers["x-made"]) == (418, expected, "by the proxy")
    line = mesh.own(seen)
    assert (line.details, line.cluster) == ("direct_response", "")


def preflight(mesh: Mesh, origin: str, method: str = "GET") -> Any:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-a"}
    return mesh.request(f"{WEB}/", method="OPTIONS", headers=asked, keep_headers=CORS_HEADERS)


def cors(mesh: Mesh, **policy: Any) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")], "corsPolicy": policy}))


def test_a_preflight_from_an_allowed_origin_is_answered_by_the_proxy(mesh: Mesh) -> None:
    cors(
        mesh,
        allowOrigins=[{"exact": "http://shop.example"}],
        allowMethods=["GET", "POST"],
        allowHeaders=["x-a", "x-b"],
        exposeHeaders=["x-c"],
        maxAge="1h",
        allowCredentials=True,
    )
    seen = preflight(mesh, "http://shop.example", "DELETE")
    assert (seen.status, mesh.arrivals(seen)) == (200, [])
    # All that is configured is told, whatever was asked for; to judge it is the browser's part.
    assert seen.headers == {
        "access-control-allow-origin": "http://shop.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "x-a,x-b",
        "access-control-expose-headers": "x-c",
        "access-control-max-age": "3600",
        "access-control-allow-credentials": "true",
    }


def test_a_preflight_from_another_origin_is_the_applications_to_answer(mesh: Mesh) -> None:
    cors(mesh, allowOrigins=[{"exact": "http://shop.example"}])
    seen = preflight(mesh, "http://evil.example")
    assert (seen.status, len(mesh.arrivals(seen))) == (405, 1)
    assert not seen.headers.keys() & set(CORS_HEADERS)


def test_a_preflight_from_another_origin_can_be_kept_from_the_application(mesh: Mesh) -> None:
    cors(mesh, allowOrigins=[{"exact": "http://shop.example"}], unmatchedPreflights="IGNORE")
    seen = preflight(mesh, "http://evil.example")
    assert (seen.status, mesh.arrivals(seen)) == (200, [])
    assert not seen.headers.keys() & set(CORS_HEADERS)


@pytest.mark.parametrize(
    ("allowed", "origin", "fits"),
    [
        pytest.param({"prefix": "http://shop."}, "http://shop.example", True, id="prefix"),
        pytest.param({"regex": "https?://.*\\.example"}, "https://shop.example", True, id="regex"),
        pytest.param({"regex": "shop"}, "http://shop.example", False, id="regex fits the whole origin"),
        pytest.param({"exact": "*"}, "http://any.example", True, id="all"),
    ],
)
def test_origins(mesh: Mesh, allowed: Json, origin: str, fits: bool) -> None:
    cors(mesh, allowOrigins=[allowed])
    assert (preflight(mesh, origin).status == 200) is fits


def test_a_plain_request_is_served_whatever_its_origin(mesh: Mesh) -> None:
    cors(mesh, allowOrigins=[{"exact": "http://shop.example"}], exposeHeaders=["x-path"])
    own = mesh.request(f"{WEB}/", headers={"Origin": "http://shop.example"}, keep_headers=CORS_HEADERS)
    assert (own.status, own.headers["access-control-allow-origin"]) == (200, "http://shop.example")
    assert own.headers["access-control-expose-headers"] == "x-path"
    other = mesh.request(f"{WEB}/", headers={"Origin": "http://evil.example"}, keep_headers=CORS_HEADERS)
    assert (other.status, dict(other.headers)) == (200, {})


@pytest.mark.parametrize("code", [300, 304, 399])
def test_a_status_that_no_redirect_of_envoy_has_is_refused_before_it_harms_the_whole_table(
    mesh: Mesh, code: int
) -> None:
    with pytest.raises(ManifestError, match=f"no redirect with status {code}"):
        mesh.apply(virtual_service({"redirect": {"uri": "/new", "redirectCode": code}}))
    assert mesh.request(f"{WEB}/").status == 200
