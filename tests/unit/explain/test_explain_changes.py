"""What a rule changes on the way: headers, limits, tries, copies, and answers to other origins; and near misses."""

from __future__ import annotations

import pytest
from explain_world import SUBSETS, ask, to, virtual_service

from labsupport.explain import Explanation

ROUTE = "route: [{destination: {host: reviews}"


def headers_of(operations: str, **options: object) -> dict[str, str | None]:
    seen = ask(virtual_service(f"[{{{ROUTE}}}], headers: {{request: {{{operations}}}}}}}]"), **options)
    return dict(seen.destinations[0].headers)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ("set: {x-a: one}", {"x-a": "one"}),
        ("add: {x-a: one}", {"x-a": "given,one"}),
        ("add: {x-b: one}", {"x-b": "one"}),
        ("remove: [x-a, x-c]", {"x-a": None, "x-c": None}),
        ("remove: [x-a], add: {x-a: one}", {"x-a": "one"}),
        ("set: {x-a: one}, add: {x-a: two}", {"x-a": "one,two"}),
        ("set: {x-a: 100%%}", {"x-a": "100%"}),
        ("set: {x-b: '%REQ(x-a)%'}", {"x-b": "given"}),
        ("set: {x-b: '%REQ(x-none?x-a)%!'}", {"x-b": "given!"}),
        ("set: {x-b: '%REQ(x-a)%'}, remove: [x-a]", {"x-a": None}),
        ("set: {x-a: two, x-b: '%REQ(x-a)%'}", {"x-a": "two", "x-b": "given"}),
        ("set: {x-b: '%START_TIME%'}", {}),
        ("set: {Host: inner.example}", {}),
    ],
)
def test_request_headers_as_the_application_sees_them(operations: str, expected: dict[str, str | None]) -> None:
    assert headers_of(operations, headers={"X-A": "given"}) == expected


def test_operations_of_the_only_destination_come_last_and_of_several_first() -> None:
    own = "headers: {request: {set: {x-a: rule, Host: rule.example}}}"
    there = "headers: {request: {set: {x-a: there, x-b: there}}}"
    destination = ask(virtual_service(f"[{{{ROUTE}, {there}}}], {own}}}]")).destinations[0]
    assert (destination.headers, destination.authority) == ({"x-a": "there", "x-b": "there"}, "rule.example")
    two = ask(
        virtual_service(f"[{{{ROUTE}, {there}, weight: 1}}, {{destination: {{host: web}}, weight: 1}}], {own}}}]")
    )
    assert two.destinations[0].headers == {"x-a": "rule", "x-b": "there"}
    assert two.destinations[1].headers == {"x-a": "rule"}


def test_the_destinations_host_counts_where_the_rule_has_none() -> None:
    there = "headers: {request: {set: {Host: there.example}}}"
    seen = ask(virtual_service(f"[{{{ROUTE}, {there}}}]}}]"))
    assert (seen.destinations[0].authority, seen.upstream_authority) == ("there.example", "there.example")


def test_response_headers_as_the_client_sees_them() -> None:
    changes = "headers: {response: {set: {x-answer: one}, remove: [server]}}"
    assert ask(virtual_service(f"[{{{ROUTE}}}], {changes}}}]")).outcomes[0].headers == {
        "server": None,
        "x-answer": "one",
    }
    own = ask(virtual_service(f"[{{directResponse: {{status: 200, body: {{string: hello}}}}, {changes}}}]")).outcomes[0]
    assert (own.headers["x-answer"], own.body) == ("one", "hello")


@pytest.mark.parametrize(
    ("rule", "timeout_s", "tries"),
    [
        ("", None, 3),
        (", timeout: 1500ms", 1.5, 3),
        (", retries: {attempts: 0}", None, 1),
        (", retries: {attempts: 4, perTryTimeout: 1s}", None, 5),
    ],
)
def test_limits_in_force(rule: str, timeout_s: float | None, tries: int) -> None:
    seen = ask(virtual_service(f"[{{{ROUTE}}}]{rule}}}]"))
    assert (seen.timeout_s, seen.tries) == (timeout_s, tries)


def test_nothing_is_tried_where_the_proxy_answers() -> None:
    assert ask(virtual_service("[{directResponse: {status: 200}, timeout: 1s}]")).tries == 0


def test_copies_name_their_pods_and_their_share() -> None:
    copied = "mirrors: [{destination: {host: ratings}}, {destination: {host: details}, percentage: {value: 25}}]"
    seen = ask(virtual_service(f"[{{{ROUTE}}}], {copied}}}]"))
    assert [(item.pods, item.share) for item in seen.mirrors] == [(("ratings-v1-a",), 1.0), (("details-v1-a",), 0.25)]
    assert "25 % copied to details.default.svc.cluster.local port 9080: details-v1-a" in repr(seen)
    none = ask(virtual_service(f"[{{{ROUTE}}}], mirror: {{host: ratings}}, mirrorPercentage: {{value: 0}}}}]"))
    assert none.mirrors == ()


def test_the_route_has_the_names_of_rule_and_entry() -> None:
    named = virtual_service(f"[{to('v1', name='canary', match='[{name: beta, uri: {prefix: /}}]')}]")
    assert ask(named, SUBSETS).route == "canary.beta"
    assert ask(virtual_service(f"[{to('v1')}]"), SUBSETS).route == ""
    assert ask().route == "default"


def cors(policy: str, method: str = "OPTIONS", origin: str = "http://a.example") -> Explanation:
    given = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    return ask(virtual_service(f"[{{{ROUTE}}}], corsPolicy: {{{policy}}}}}]"), method=method, headers=given)


def test_answers_to_other_origins() -> None:
    policy = "allowOrigins: [{exact: 'http://a.example'}], allowMethods: [GET, PUT], maxAge: 1h, allowCredentials: true"
    (preflight,) = cors(policy).outcomes
    assert (preflight.kind, preflight.headers) == (
        "preflight",
        {
            "access-control-allow-origin": "http://a.example",
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET,PUT",
            "access-control-max-age": "3600",
        },
    )
    (simple,) = cors(policy, "GET").outcomes
    assert simple.kind == "forwarded"
    assert simple.headers["access-control-allow-origin"] == "http://a.example"
    (foreign,) = cors(policy, origin="http://b.example").outcomes
    assert (foreign.kind, foreign.headers) == ("forwarded", {})
    (refused,) = cors(f"{policy}, unmatchedPreflights: IGNORE", origin="http://b.example").outcomes
    assert (refused.kind, refused.headers) == ("preflight", {})


@pytest.mark.parametrize(
    ("match", "hint"),
    [
        ("{uri: {exact: /Reviews/0}}", "only the case differs; ignoreUriCase: true would do"),
        ("{uri: {exact: /reviews/0/}}", "only the last slash differs"),
        ("{uri: {prefix: /reviews/0/}}", "only the last slash is missing; /reviews/0 would fit both"),
        ("{uri: {exact: /reviews}}", "exact is for this path alone; prefix takes what is below it, too"),
        ("{uri: {prefix: reviews}}", "every path begins with a slash, so this never fits"),
        ("{uri: {exact: '/reviews/0?x=1'}}", "a path has no query here; use queryParams for it"),
        ("{uri: {regex: /reviews}}", "an expression has to fit the whole value; .* at its end would do"),
        ("{uri: {regex: 'views/0'}}", "an expression has to fit the whole value, not a part of it"),
        ("{headers: {end-user: {exact: Jason}}}", "only the case differs"),
        ("{headers: {end_user: {exact: jason}}}", "there is a header end-user"),
        ("{headers: {user: {exact: jason}}}", "there is a cookie user, which is part of header cookie"),
        ("{queryParams: {version: {exact: '2'}}}", "there is a parameter versio"),
        ("{queryParams: {end-user: {exact: jason}}}", "end-user is a header; match it by headers"),
        ("{headers: {versio: {exact: '2'}}}", "versio stands in the query; match it by queryParams"),
        ("{authority: {exact: reviews}}", "the client sends the port along; prefix: reviews would fit both"),
        ("{method: {exact: get}}", "only the case differs"),
        ("{sourceLabels: {teir: gold}}", "there is a label tier"),
        ("{gateways: [front]}", "name mesh, too, for sidecars"),
        ("{uri: {prefix: /elsewhere}}", ""),
    ],
)
def test_near_misses_are_hinted_at(match: str, hint: str) -> None:
    service = virtual_service(f"[{to('v1', match=f'[{match}]')}, {to('v2')}]")
    given = {"end-user": "jason", "cookie": "a=1; user=jason"}
    seen = ask(service, SUBSETS, url="http://reviews:9080/reviews/0?versio=2", headers=given)
    (failed,) = seen.rules[0].failed
    assert failed.hint == hint
    if hint:
        assert f"({hint})" in repr(seen)
