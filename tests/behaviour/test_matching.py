"""Which requests a rule takes: every kind of condition, and what is compared exactly."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import NAMESPACE, WEB, Mesh, gateway, virtual_service

TAKEN, LEFT = 218, 219


def rules(*match: dict[str, Any]) -> dict[str, Any]:
    """Two rules that answer themselves, so that each request says which one took it."""
    return virtual_service(
        {"match": list(match), "directResponse": {"status": TAKEN}}, {"directResponse": {"status": LEFT}}
    )


def sort_out(mesh: Mesh, requests: dict[str, bool], **options: Any) -> dict[str, bool]:
    """For each path, whether the first rule took it."""
    return {path: mesh.request(f"{WEB}{path}", **options).status == TAKEN for path in requests}


@pytest.mark.parametrize(
    ("match", "paths"),
    [
        pytest.param(
            {"uri": {"exact": "/foo"}},
            {"/foo": True, "/foo?a=1": True, "/foo/": False, "/FOO": False, "/foobar": False},
            id="exact",
        ),
        pytest.param(
            {"uri": {"prefix": "/foo"}},
            {"/foo": True, "/foo/bar": True, "/foobar": True, "/Foo": False, "/": False},
            id="prefix is plain text",
        ),
        pytest.param({"uri": {"prefix": "/foo/"}}, {"/foo": False, "/foo/": True, "/foo/x": True}, id="prefix/"),
        pytest.param(
            {"uri": {"regex": "/v[0-9]+"}},
            {"/v1": True, "/v12?x=y": True, "/v1/": False, "/x/v1": False, "/V1": False},
            id="regex fits the whole path",
        ),
        pytest.param(
            {"uri": {"exact": "/foo"}, "ignoreUriCase": True}, {"/FOO": True, "/foo": True}, id="exact in any case"
        ),
        pytest.param({"uri": {"prefix": "/foo"}, "ignoreUriCase": True}, {"/FOOBAR": True}, id="prefix in any case"),
        pytest.param(
            {"uri": {"regex": "/foo"}, "ignoreUriCase": True},
            {"/foo": True, "/FOO": False},
            id="a regex keeps its case",
        ),
        pytest.param({"uri": {"regex": "(?i)/foo"}}, {"/FOO": True}, id="a regex says itself that case is no matter"),
        pytest.param({"uri": {}}, {"/": True, "/any": True}, id="a condition without operator"),
        pytest.param({"uri": {"exact": "/a/b"}}, {"/a/./b": True, "/a/x/../b": True, "/a//b": False}, id="normal path"),
        pytest.param({"uri": {"exact": "/foo"}}, {"/%66oo": True, "/foo%2F": False}, id="escapes of plain letters"),
        pytest.param(
            {"queryParams": {"a": {"exact": "1"}}},
            {"/?a=1": True, "/?b=2&a=1": True, "/?a=2": False, "/?A=1": False, "/": False, "/?a=2&a=1": False},
            id="query parameter: the first of a name",
        ),
        pytest.param(
            {"queryParams": {"a": {"prefix": "x"}}}, {"/?a=xy": True, "/?a=yx": False}, id="query parameter: prefix"
        ),
        pytest.param(
            {"queryParams": {"a": {"regex": "[0-9]+"}}}, {"/?a=12": True, "/?a=1x": False}, id="query parameter: regex"
        ),
        pytest.param(
            {"queryParams": {"a": {}}}, {"/?a": True, "/?a=": True, "/?b=1": False}, id="query parameter: presence"
        ),
        pytest.param(
            {"uri": {"prefix": "/foo"}, "queryParams": {"a": {"exact": "1"}}},
            {"/foo?a=1": True, "/foo": False, "/?a=1": False},
            id="all conditions of an entry",
        ),
    ],
)
def test_paths_and_queries(mesh: Mesh, match: dict[str, Any], paths: dict[str, bool]) -> None:
    mesh.apply(rules(match))
    assert sort_out(mesh, paths) == paths


@pytest.mark.parametrize(
    ("match", "taken", "left"),
    [
        pytest.param(
            {"headers": {"end-user": {"exact": "jason"}}},
            [{"end-user": "jason"}, {"End-User": "jason"}],
            [{}, {"end-user": "Jason"}, {"end-user": "jason2"}],
            id="exact; names in any case",
        ),
        pytest.param(
            {"headers": {"end-user": {"prefix": "ja"}}}, [{"end-user": "jason"}], [{"end-user": "mja"}, {}], id="prefix"
        ),
        pytest.param(
            {"headers": {"user-agent": {"regex": ".*Firefox.*"}}},
            [{"user-agent": "Mozilla Firefox/99"}],
            [{"user-agent": "firefox"}, {}],
            id="regex",
        ),
        pytest.param(
            {"headers": {"user-agent": {"regex": "Firefox"}}},
            [{"user-agent": "Firefox"}],
            [{"user-agent": "Mozilla Firefox"}],
            id="regex fits the whole value",
        ),
        pytest.param(
            {"headers": {"x-a": {}}}, [{"x-a": "1"}, {"x-a": ""}], [{}, {"x-b": "1"}], id="presence, even empty"
        ),
        pytest.param(
            {"withoutHeaders": {"x-a": {"exact": "1"}}},
            [{}, {"x-a": "2"}],
            [{"x-a": "1"}],
            id="without a value: missing is also without",
        ),
        pytest.param({"withoutHeaders": {"x-a": {}}}, [{}], [{"x-a": "1"}, {"x-a": ""}], id="without the header"),
        pytest.param({"withoutHeaders": {"x-a": {"regex": "*"}}}, [{}], [{"x-a": "1"}], id="without anything"),
        pytest.param({"withoutHeaders": {"x-a": {"regex": ".*"}}}, [], [{}, {"x-a": "1"}], id="without .* is never"),
        pytest.param(
            {"headers": {"x-a": {"exact": "1"}, "x-b": {"exact": "2"}}},
            [{"x-a": "1", "x-b": "2"}],
            [{"x-a": "1"}, {"x-b": "2"}],
            id="two headers are both needed",
        ),
        pytest.param({"scheme": {"exact": "http"}}, [{}], [], id="scheme"),
        pytest.param({"scheme": {"exact": "https"}}, [], [{}], id="another scheme"),
        pytest.param({"headers": {":method": {"exact": "GET"}}}, [{}], [], id="a pseudo header"),
    ],
)
def test_headers(mesh: Mesh, match: dict[str, Any], taken: list[dict[str, str]], left: list[dict[str, str]]) -> None:
    mesh.apply(rules(match))
    assert [mesh.request(f"{WEB}/", headers=headers).status for headers in taken] == [TAKEN] * len(taken)
    assert [mesh.request(f"{WEB}/", headers=headers).status for headers in left] == [LEFT] * len(left)


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        pytest.param({"exact": "GET"}, {"GET"}, id="exact"),
        pytest.param({"prefix": "P"}, {"POST", "PUT"}, id="prefix"),
        pytest.param({"regex": "GET|DELETE"}, {"GET", "DELETE"}, id="regex"),
        pytest.param({"exact": "get"}, set(), id="methods are capitals"),
    ],
)
def test_methods(mesh: Mesh, wanted: dict[str, str], taken: set[str]) -> None:
    mesh.apply(rules({"method": wanted}))
    methods = ("GET", "POST", "PUT", "DELETE")
    assert {method for method in methods if mesh.request(f"{WEB}/", method=method).status == TAKEN} == taken


def test_entries_are_alternatives(mesh: Mesh) -> None:
    mesh.apply(rules({"uri": {"exact": "/a"}}, {"headers": {"x-a": {"exact": "1"}}}))
    assert mesh.request(f"{WEB}/a").status == TAKEN
    assert mesh.request(f"{WEB}/b", headers={"x-a": "1"}).status == TAKEN
    assert mesh.request(f"{WEB}/b").status == LEFT


@pytest.mark.parametrize(
    ("wanted", "hosts"),
    [
        pytest.param({"exact": "web:8080"}, {"web": True, "WEB": False, f"web.{NAMESPACE}": False}, id="with its port"),
        pytest.param({"exact": "web"}, {"web": False}, id="a port that is sent belongs to it"),
        pytest.param(
            {"prefix": f"web.{NAMESPACE}"},
            {f"web.{NAMESPACE}": True, f"web.{NAMESPACE}.svc": True, "web": False},
            id="prefix",
        ),
        pytest.param({"regex": "(?i)web:8080"}, {"WEB": True}, id="regex in any case"),
    ],
)
def test_authority_is_compared_as_it_is_sent(mesh: Mesh, wanted: dict[str, str], hosts: dict[str, bool]) -> None:
    mesh.apply(rules({"authority": wanted}))
    seen = {host: mesh.request(f"{WEB}/", headers={"Host": host}).status == TAKEN for host in hosts}
    assert seen == hosts


@pytest.mark.parametrize(
    "host",
    [
        "web",
        "Web",
        f"web.{NAMESPACE}",
        f"web.{NAMESPACE}.svc",
        f"web.{NAMESPACE}.svc.cluster.local",
        f"WEB.{NAMESPACE.upper()}.svc.cluster.local.",
    ],
)
def test_all_names_of_a_service_lead_to_its_rule_in_any_case(mesh: Mesh, host: str) -> None:
    mesh.apply(virtual_service({"directResponse": {"status": TAKEN}}))
    assert mesh.request(f"{WEB}/", headers={"Host": host}).status == TAKEN


def test_a_condition_on_the_port(mesh: Mesh) -> None:
    mesh.apply(
        virtual_service(
            {"match": [{"port": 9090}], "directResponse": {"status": TAKEN}},
            {"match": [{"port": 8080}], "directResponse": {"status": LEFT}},
            hosts=["shop"],
        )
    )
    # Port 80 has no rule left, so there the service is as it would be without any.
    seen = [mesh.request(f"http://shop{port}/").status for port in (":9090", ":8080", "")]
    assert seen == [TAKEN, LEFT, 200]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"app": "client"}, TAKEN, id="one label"),
        pytest.param({"app": "client", "version": "v1"}, TAKEN, id="all labels"),
        pytest.param({"app": "client", "version": "v2"}, LEFT, id="one label differs"),
    ],
)
def test_a_condition_on_the_labels_of_the_caller(mesh: Mesh, labels: dict[str, str], expected: int) -> None:
    mesh.apply(rules({"sourceLabels": labels}))
    assert mesh.request(f"{WEB}/").status == expected


def test_an_entry_that_names_gateways_is_not_asked_about_sources(mesh: Mesh) -> None:
    mesh.apply(rules({"gateways": ["mesh"], "sourceLabels": {"app": "somebody-else"}}))
    assert mesh.request(f"{WEB}/").status == TAKEN


def test_the_same_rule_can_tell_gateway_and_mesh_apart(mesh: Mesh) -> None:
    mesh.apply(
        gateway(),
        virtual_service(
            {"match": [{"gateways": ["entrance"]}], "directResponse": {"status": TAKEN}},
            {"match": [{"gateways": ["mesh"]}], "directResponse": {"status": LEFT}},
            gateways=["entrance", "mesh"],
        ),
    )
    assert mesh.request(f"{WEB}/").status == LEFT
    assert mesh.request("gateway:/", headers={"Host": f"web.{NAMESPACE}.svc.cluster.local"}).status == TAKEN
