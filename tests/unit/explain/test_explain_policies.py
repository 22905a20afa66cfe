"""Which DestinationRule applies, which of its blocks count, and how they read."""

from __future__ import annotations

from typing import Any

import pytest
from explain_world import CLIENT, GATEWAY, ask, pod, to, virtual_service

from labsupport.explain import Explanation
from labsupport.explain.ejectable import ejectable
from labsupport.records import Pod


def destination_rule(spec: str, *, name: str = "reviews", namespace: str = "default", host: str = "reviews") -> str:
    return f"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: {name}, namespace: {namespace}}}
        spec: {{host: "{host}", {spec}}}
    """


def balancer(simple: str) -> str:
    return f"trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}"


def texts(seen: Explanation) -> dict[str, str]:
    """Policies of the first destination by name."""
    return {policy.name: policy.text for policy in seen.destinations[0].policies}


def test_the_default_is_least_request() -> None:
    seen = ask()
    assert [(policy.name, policy.text, policy.place) for policy in seen.destinations[0].policies] == [
        ("loadBalancer", "LEAST_REQUEST", None)
    ]


def test_a_block_tells_where_it_was_written() -> None:
    seen = ask(destination_rule(balancer("RANDOM")))
    (policy,) = seen.destinations[0].policies
    assert policy.text == "RANDOM"
    assert policy.place is not None
    assert (policy.place.object, policy.place.path) == ("DestinationRule/reviews", "spec.trafficPolicy.loadBalancer")
    assert policy.place.line > 0


def test_each_policy_tells_whom_it_was_written_for() -> None:
    port = "portLevelSettings: [{port: {number: 9080}, connectionPool: {tcp: {maxConnections: 5}}}]"
    rule = destination_rule(
        "trafficPolicy: {loadBalancer: {simple: RANDOM}},"
        "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}},"
        f"{{name: v3, labels: {{version: v3}}, trafficPolicy: {{{port}}}}}]"
    )
    levels = {
        end.subset: [(policy.name, policy.level, policy.origin.partition(", ")[2]) for policy in end.policies]
        for subset in ("v1", "v3")
        for end in ask(virtual_service(f"[{to(subset)}]"), rule).destinations
    }
    assert levels == {
        "v1": [("loadBalancer", "subset v1", "for subset v1")],
        "v3": [("loadBalancer", "", ""), ("connectionPool", "port 9080 of subset v3", "for port 9080 of subset v3")],
    }
    whole = ask(rule).destinations[0].policies[0]
    assert whole.level == "all of reviews"
    assert ask().destinations[0].policies[0].origin == "Istio's default"


def test_a_subset_replaces_whole_blocks_and_inherits_the_others() -> None:
    rule = destination_rule(
        "trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}}},"
        "subsets: [{name: v1, labels: {version: v1},"
        " trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 1}}}}]"
    )
    assert texts(ask(virtual_service(f"[{to('v1')}]"), rule)) == {
        "loadBalancer": "RANDOM",
        "connectionPool": "http.http1MaxPendingRequests 1; counted by this proxy for itself: at most 1 request waiting "
        "for a connection, and a request more is answered 503, flag UO",
    }


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        ("{tcp: {maxConnections: 2}}", "at most 2 connections, and a request more waits for one"),
        (
            "{tcp: {maxConnections: 1}, http: {http2MaxRequests: 3}}",
            "at most 1 connection and 3 requests under way, and a request more is answered 503, flag UO",
        ),
        ("{http: {maxRequestsPerConnection: 1}}", "http.maxRequestsPerConnection 1"),
    ],
)
def test_a_pool_says_what_its_limits_do(pool: str, told: str) -> None:
    said = texts(ask(destination_rule(f"trafficPolicy: {{connectionPool: {pool}}}")))["connectionPool"]
    assert said.endswith(told)


def test_port_level_settings_replace_everything_above_them() -> None:
    rule = destination_rule(
        "trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}},"
        " portLevelSettings: [{port: {number: 9080}, loadBalancer: {simple: ROUND_ROBIN}}]}"
    )
    assert texts(ask(rule)) == {"loadBalancer": "ROUND_ROBIN"}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("loadBalancer: {simple: LEAST_CONN}", "LEAST_REQUEST"),
        ("loadBalancer: {consistentHash: {httpHeaderName: x-user}}", "consistent hash of header x-user (ring)"),
        (
            "loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 1800s}}}",
            "consistent hash of cookie user, made with ttl 1800s if missing (ring)",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}",
            "consistent hash of the source address (Maglev)",
        ),
    ],
)
def test_load_balancers_in_words(block: str, expected: str) -> None:
    assert texts(ask(destination_rule(f"trafficPolicy: {{{block}}}")))["loadBalancer"] == expected


def test_the_traps_of_outlier_detection_are_told() -> None:
    text = texts(ask(destination_rule("trafficPolicy: {outlierDetection: {consecutiveErrors: 1, interval: 1s}}")))
    for part in ("consecutive5xxErrors 5 by default", "consecutiveErrors is ignored", "every 1s", "at most 10 %"):
        assert part in text["outlierDetection"]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("", "at most 10 % of the endpoints by default, that is none of 3"),
        (", maxEjectionPercent: 33", "at most 33 % of the endpoints, that is none of 3"),
        (", maxEjectionPercent: 34", "at most 34 % of the endpoints, that is 1 of 3"),
        (", maxEjectionPercent: 100, minHealthPercent: 50", "3 of 3, all are used again if fewer than 50 % are left"),
    ],
)
def test_how_many_endpoints_may_be_ejected(limit: str, told: str) -> None:
    policy = f"trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 1{limit}}}}}"
    assert texts(ask(destination_rule(policy)))["outlierDetection"].endswith(told)


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("", "ejected for 30s times the number of ejections, 300s at most,"),
        (", baseEjectionTime: 3m", "ejected for 3m times the number of ejections, 300s at most,"),
        (", baseEjectionTime: 5m", "ejected for 5m,"),
    ],
)
def test_how_long_an_endpoint_may_be_ejected(base: str, told: str) -> None:
    policy = f"trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 1{base}}}}}"
    assert told in texts(ask(destination_rule(policy)))["outlierDetection"]


def test_rules_on_one_host_are_merged_the_oldest_policy_wins() -> None:
    older = destination_rule("subsets: [{name: v1, labels: {version: v1}}]", name="older")
    middle = destination_rule(balancer("RANDOM"), name="middle")
    younger = destination_rule(
        balancer("ROUND_ROBIN") + ", subsets: [{name: v1, labels: {version: v3}}, {name: v2, labels: {version: v2}}]",
        name="younger",
    )
    seen = ask(virtual_service(f"[{to('v1')}]"), older, middle, younger)
    assert seen.destinations[0].pods == ("reviews-v1-a",)
    assert texts(seen)["loadBalancer"] == "RANDOM"
    assert ask(virtual_service(f"[{to('v2')}]"), older, middle, younger).destinations[0].pods == ("reviews-v2-a",)


def test_an_exact_host_counts_before_a_wildcard() -> None:
    wide = destination_rule(balancer("RANDOM"), name="wide", host="*.default.svc.cluster.local")
    exact = destination_rule(balancer("ROUND_ROBIN"), name="exact")
    assert texts(ask(wide, exact))["loadBalancer"] == "ROUND_ROBIN"
    assert texts(ask(wide))["loadBalancer"] == "RANDOM"


def test_the_clients_namespace_is_asked_before_the_services_and_the_root() -> None:
    full = "reviews.default.svc.cluster.local"
    mine = destination_rule(balancer("RANDOM"), name="mine", namespace="other", host=full)
    theirs = destination_rule(balancer("ROUND_ROBIN"), name="theirs")
    root = destination_rule(balancer("LEAST_REQUEST"), name="root", namespace="istio-system", host=full)
    stranger = pod("stranger", namespace="other")
    url = "http://reviews.default:9080/"
    assert texts(ask(mine, theirs, root, source=stranger, url=url))["loadBalancer"] == "RANDOM"
    assert texts(ask(theirs, root, source=stranger, url=url))["loadBalancer"] == "ROUND_ROBIN"
    assert ask(root, source=stranger, url=url).destinations[0].policies[0].place is not None
    private = destination_rule(balancer("RANDOM") + ", exportTo: ['.']", name="private")
    assert texts(ask(private, source=stranger, url=url))["loadBalancer"] == "LEAST_REQUEST"
    assert texts(ask(private))["loadBalancer"] == "RANDOM"


def test_a_workload_selector_limits_a_rule_to_some_clients() -> None:
    rule = destination_rule(balancer("RANDOM") + ", workloadSelector: {matchLabels: {tier: gold}}")
    assert texts(ask(rule))["loadBalancer"] == "RANDOM"
    assert texts(ask(rule, source=pod("client", labels={"app": "client"})))["loadBalancer"] == "LEAST_REQUEST"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "status 503 for 100 % of the requests"),
        ("timeout: 1s, ", "status 503 for 100 % of the requests; it is the reply, before timeout of this rule begins"),
        (
            "retries: {attempts: 3, retryOn: 5xx}, ",
            "status 503 for 100 % of the requests; it is the reply, before retries of this rule begin",
        ),
        ("retries: {attempts: 0}, ", "status 503 for 100 % of the requests"),
    ],
)
def test_a_fault_and_the_tries_of_its_rule_never_meet(rule: str, said: str) -> None:
    aborted = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, route: [{destination: {host: reviews}}]"
    seen = ask(virtual_service(f"[{{{rule}{aborted}}}]"))
    assert {policy.name: policy.text for policy in seen.policies}["fault.abort"] == said
    # Nothing is tried, and no clock runs.
    assert (seen.tries, seen.timeout_s, [to.share for to in seen.destinations]) == (0, None, [0.0])


def test_a_fault_that_does_not_say_what_it_does_never_fires() -> None:
    always = "percentage: {value: 100}"
    for fault, said in (
        (f"abort: {{{always}}}", "no status, so that it never fires"),
        (f"delay: {{{always}}}", "no duration, so that it never fires"),
    ):
        seen = ask(virtual_service(f"[{{fault: {{{fault}}}, route: [{{destination: {{host: reviews}}}}]}}]"))
        assert [policy.text for policy in seen.policies if policy.name.startswith("fault.")] == [said]
        assert (seen.tries, seen.destinations[0].share) == (3, 1.0)


def test_what_a_rule_puts_in_force_is_listed() -> None:
    service = virtual_service(
        "[{timeout: 2s, retries: {attempts: 3, perTryTimeout: 500ms, retryOn: 5xx},"
        " fault: {delay: {fixedDelay: 1s, percentage: {value: 10}}},"
        " mirror: {host: reviews, subset: v3}, mirrorPercentage: {value: 20},"
        " headers: {request: {set: {x-a: b}}}, rewrite: {uri: /x},"
        " route: [{destination: {host: reviews}}]}]"
    )
    seen = {policy.name: policy for policy in ask(service).policies}
    assert {name: policy.text for name, policy in seen.items()} == {
        "timeout": "2s for all tries together",
        "retries": "3, on 5xx, each try at most 500ms",
        "fault.delay": "1s for 10 % of the requests; it passes once, before timeout and retries of this rule begin",
        "mirror": "20 % of the requests are copied to reviews subset v3",
        "headers": "request.set[x-a] b",
        "rewrite": "uri /x",
    }
    assert all(policy.place is not None and policy.place.line for policy in seen.values())


def test_no_retries_can_be_asked_for() -> None:
    service = virtual_service("[{retries: {attempts: 0}, route: [{destination: {host: reviews}}]}]")
    assert {policy.name: policy.text for policy in ask(service).policies}["retries"] == "none"


@pytest.mark.parametrize("remote", [True, False])
def test_tries_at_the_pods_that_come_next_are_told(remote: bool) -> None:
    retries = f'{{attempts: 2, retryOn: "503", retryRemoteLocalities: {str(remote).lower()}}}'
    seen = ask(virtual_service(f"[{{retries: {retries}, route: [{{destination: {{host: reviews}}}}]}}]"))
    told = {policy.name: policy.text for policy in seen.policies}["retries"]
    assert told == "2, on 503" + remote * "; after each two tries, at the pods that come next"


def test_policies_apply_at_the_gateway_too() -> None:
    service = virtual_service("[{route: [{destination: {host: reviews}}]}]", hosts='["*"]', extra=", gateways: [front]")
    seen = ask(service, GATEWAY, destination_rule(balancer("RANDOM")), url="gateway:/", source="outside")
    assert texts(seen)["loadBalancer"] == "RANDOM"
    assert CLIENT.name not in repr(seen)


def in_order(setting: str, *, outlier: str = "outlierDetection: {}, ", **options: Any) -> Explanation:
    balancer = f"loadBalancer: {{localityLbSetting: {{{setting}}}}}"
    return ask(destination_rule(f"trafficPolicy: {{{outlier}{balancer}}}"), **options)


@pytest.mark.parametrize(("entry", "first"), [("version=v2", "v2"), ("version", "v1")])
def test_pods_that_come_after_others_are_told_apart(entry: str, first: str) -> None:
    seen = in_order(f'failoverPriority: ["{entry}"]')
    (destination,) = seen.destinations
    others = [f"reviews-{version}-a" for version in ("v1", "v2", "v3") if version != first]
    assert ([*destination.first], [*destination.later]) == ([f"reviews-{first}-a"], others)
    assert f"reviews-{first}-a, then {others[0]}" in repr(seen)
    assert seen.outcomes[0].text == f"reviews-{first}-a answers, or {' or '.join(others)} when it is taken out"
    assert ejectable(seen) == {f"reviews-{first}-a": 1.0}


def test_pods_far_away_come_after_near_ones() -> None:
    def at(version: str, place: str) -> Pod:
        return pod("reviews", version, labels={"app": "reviews", "version": version, "istio-locality": place})

    caller = pod("client", labels={"app": "client", "istio-locality": "eu.a"})
    pods = [caller, at("v1", "us.a"), at("v2", "eu.b"), at("v3", "asia.a")]
    without_near = [caller, pods[1], pods[3]]
    for setting, later in (("", ()), ("failover: [{from: eu, to: us}]", ("reviews-v3-a",))):
        assert in_order(setting, pods=pods, source=caller).destinations[0].first == ("reviews-v2-a",)
        assert in_order(setting, pods=without_near, source=caller).destinations[0].later == later


def test_an_order_without_outlier_detection_is_none_and_says_so() -> None:
    seen = in_order('failoverPriority: ["version=v2"]', outlier="")
    assert not seen.destinations[0].later
    assert "without outlierDetection, none comes after others" in texts(seen)["loadBalancer"]


@pytest.mark.parametrize("setting", ["enabled: false", 'distribute: [{from: "*", to: {"*": 100}}]'])
def test_an_order_that_is_put_out_of_force_is_none(setting: str) -> None:
    assert not in_order(setting).destinations[0].later
