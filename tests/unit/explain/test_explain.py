"""Which rule, which endpoints, which outcome: explanations of requests through a client's sidecar."""

from __future__ import annotations

import pytest
from explain_world import CLIENT, PODS, SUBSETS, ask, pod, to, virtual_service

from labsupport.errors import UsageError
from labsupport.explain import Explanation

SWAP = r"{match: '/(\w+)/v(\d)', rewrite: '/v\2/\1'}"


def subset_of(explanation: Explanation) -> str:
    (destination,) = explanation.destinations
    return destination.subset


def verdicts(explanation: Explanation) -> list[str]:
    return [rule.verdict for rule in explanation.rules]


def test_without_rules_the_service_is_the_destination() -> None:
    seen = ask()
    (destination,) = seen.destinations
    assert destination.cluster == "outbound|9080||reviews.default.svc.cluster.local"
    assert destination.pods == ("reviews-v1-a", "reviews-v2-a", "reviews-v3-a")
    assert (seen.rules, seen.chosen) == ((), None)
    assert [(policy.name, policy.place) for policy in seen.policies] == [("timeout", None), ("retries", None)]
    assert seen.outcomes[0].kind == "forwarded"


@pytest.mark.parametrize(
    "host",
    [
        "reviews",
        "reviews.default",
        "reviews.default.svc",
        "reviews.default.svc.cluster.local",
        "reviews.default.svc.cluster.local.",
        "REVIEWS",
    ],
)
def test_a_service_is_known_by_all_its_names(host: str) -> None:
    assert ask(headers={"Host": host}).outcomes[0].kind == "forwarded"


def test_a_short_name_means_the_callers_own_namespace() -> None:
    stranger = pod("stranger", namespace="other")
    assert ask(source=stranger).outcomes[0].kind == "unknown_destination"
    assert ask(source=stranger, url="http://reviews.default:9080/").outcomes[0].kind == "forwarded"


@pytest.mark.parametrize("url", ["http://nobody:9080/", "http://reviews:81/", "http://reviews/"])
def test_an_unknown_host_or_port_is_an_unknown_destination(url: str) -> None:
    (outcome,) = ask(url=url).outcomes
    assert (outcome.kind, outcome.status) == ("unknown_destination", 502)


def test_the_first_rule_that_matches_is_chosen_and_the_others_say_why_not() -> None:
    service = virtual_service(
        "["
        + to("v1", match="[{headers: {end-user: {exact: jason}}}, {uri: {prefix: /other}}]")
        + to("v2", match="[{method: {exact: GET}}]").join([", ", ", "])
        + to("v3")
        + "]"
    )
    seen = ask(service, SUBSETS)
    assert verdicts(seen) == ["no match", "chosen", "not reached"]
    assert [str(condition) for condition in seen.rules[0].failed] == [
        'headers[end-user]: wanted exact "jason", got nothing',
        'uri: wanted prefix "/other", got "/reviews/0"',
    ]
    assert subset_of(seen) == "v2"
    assert seen.outcomes[0].pods == ("reviews-v2-a",)
    assert subset_of(ask(service, SUBSETS, headers={"End-User": "jason"})) == "v1"


def test_a_rule_after_one_without_conditions_is_never_reached() -> None:
    service = virtual_service(f"[{to('v3')}, {to('v1', match='[{headers: {end-user: {exact: jason}}}]')}]")
    seen = ask(service, SUBSETS, headers={"end-user": "jason"})
    assert verdicts(seen) == ["chosen", "not reached"]
    assert subset_of(seen) == "v3"


def test_places_name_file_and_line() -> None:
    seen = ask(
        """\
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata:
          name: reviews
        spec:
          hosts: [reviews]
          http:
          - name: everything
            timeout: 500ms
            route:
            - destination:
                host: reviews
        """
    )
    rule = seen.chosen
    assert rule is not None
    assert (rule.object, rule.index, rule.name) == ("VirtualService/reviews", 0, "everything")
    assert (rule.place.file, rule.place.line) == ("rules.yaml", 8)
    timeout = next(policy for policy in seen.policies if policy.name == "timeout")
    assert timeout.place is not None
    assert (timeout.text, timeout.place.line) == ("500ms for all tries together", 9)
    assert seen.destinations[0].place is not None
    assert seen.destinations[0].place.line == 11
    assert "VirtualService/reviews http[0] 'everything' (rules.yaml:8): chosen" in repr(seen)


def test_when_no_rule_matches_it_is_404_and_not_the_service() -> None:
    seen = ask(virtual_service(f"[{to('v1', match='[{uri: {exact: /elsewhere}}]')}]"), SUBSETS)
    (outcome,) = seen.outcomes
    assert (outcome.kind, outcome.status, outcome.flags) == ("no_route", 404, "NR")


def test_weights_are_relative_and_zero_is_left_out() -> None:
    route = "".join(
        f"{{destination: {{host: reviews, subset: {name}}}, weight: {weight}}}, "
        for name, weight in (("v1", 1), ("v2", 0), ("v3", 3))
    )
    seen = ask(virtual_service(f"[{{route: [{route}]}}]"), SUBSETS)
    assert [(item.subset, item.share) for item in seen.destinations] == [("v1", 0.25), ("v3", 0.75)]
    assert [outcome.share for outcome in seen.outcomes] == [0.25, 0.75]


def test_a_single_destination_gets_everything_even_with_weight_zero() -> None:
    route = "[{route: [{destination: {host: reviews, subset: v1}, weight: 0}]}]"
    assert ask(virtual_service(route), SUBSETS).destinations[0].share == 1.0


def test_a_subset_that_nobody_defines_is_503_nc() -> None:
    (outcome,) = ask(virtual_service(f"[{to('v9')}]"), SUBSETS).outcomes
    assert (outcome.kind, outcome.status, outcome.flags) == ("no_cluster", 503, "NC")
    assert "DestinationRule/reviews defines v1, v2, v3, but not v9" in outcome.text
    (without,) = ask(virtual_service(f"[{to('v1')}]")).outcomes
    assert without.flags == "NC"
    assert "no DestinationRule applies" in without.text


def test_a_subset_without_pods_is_503_uh_and_says_which_labels_there_are() -> None:
    wrong = SUBSETS.replace("version: v1}", "version: vone}")
    (outcome,) = ask(virtual_service(f"[{to('v1')}]"), wrong).outcomes
    assert (outcome.kind, outcome.flags) == ("no_endpoints", "UH")
    assert "wants pods with version: vone" in outcome.text
    assert "have v1, v2, v3" in outcome.text


def test_pods_that_are_not_ready_take_nothing() -> None:
    resting = [present if present.workload != "reviews-v2" else pod("reviews", "v2", ready=False) for present in PODS]
    assert ask(pods=resting).destinations[0].pods == ("reviews-v1-a", "reviews-v3-a")
    (outcome,) = ask(virtual_service(f"[{to('v2')}]"), SUBSETS, pods=resting).outcomes
    assert outcome.flags == "UH"


def test_a_destination_without_port_means_the_port_of_the_request() -> None:
    seen = ask(virtual_service("[{route: [{destination: {host: web}}]}]"))
    assert seen.destinations[0].cluster == "outbound|9080||web.default.svc.cluster.local"
    assert seen.outcomes[0].flags == "NC"
    assert "has no port 9080, only 8080" in seen.outcomes[0].text
    given = ask(virtual_service("[{route: [{destination: {host: web, port: {number: 8080}}}]}]"))
    assert given.outcomes[0].kind == "forwarded"


def test_a_host_with_a_dot_is_no_short_name() -> None:
    (outcome,) = ask(virtual_service("[{route: [{destination: {host: reviews.default}}]}]")).outcomes
    assert outcome.flags == "NC"


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        ("{sourceLabels: {tier: gold}}", True),
        ("{sourceLabels: {tier: lead}}", False),
        ("{sourceNamespace: default}", True),
        ("{sourceNamespace: other}", False),
        ("{port: 9080}", True),
        ("{port: 80}", False),
        ("{gateways: [mesh]}", True),
        ("{gateways: [mesh], sourceLabels: {tier: lead}}", True),
    ],
)
def test_a_service_without_any_rule_for_this_client_is_reached_as_if_there_was_none(match: str, applies: bool) -> None:
    seen = ask(virtual_service(f"[{to('v1', match=f'[{match}]')}]"), SUBSETS)
    if applies:
        assert subset_of(seen) == "v1"
    else:
        assert verdicts(seen) == ["not for this proxy"]
        assert subset_of(seen) == ""
        assert seen.outcomes[0].kind == "forwarded"
        assert "none of its rules is for this client" in seen.ignored[0].reason


def test_of_two_rules_for_a_host_the_older_counts_alone() -> None:
    older = virtual_service(f"[{to('v1', match='[{uri: {prefix: /x}}]')}]", name="older")
    younger = virtual_service(f"[{to('v2')}]", name="younger")
    seen = ask(older, younger, SUBSETS)
    assert seen.outcomes[0].status == 404
    assert [(item.object, "comes first" in item.reason) for item in seen.ignored] == [("VirtualService/younger", True)]
    assert subset_of(ask(younger, older, SUBSETS)) == "v2"


def test_age_is_told_by_the_timestamp_where_there_is_one() -> None:
    late = virtual_service(f"[{to('v1')}]", name="late").replace(
        "late}", "late, creationTimestamp: 2030-01-01T00:00:00Z}"
    )
    soon = virtual_service(f"[{to('v2')}]", name="soon").replace(
        "soon}", "soon, creationTimestamp: 2020-01-01T00:00:00Z}"
    )
    assert subset_of(ask(late, soon, SUBSETS)) == "v2"


def test_an_exact_host_beats_a_wildcard_however_old() -> None:
    wide = virtual_service(f"[{to('v1')}]", name="wide", hosts='["*.default.svc.cluster.local"]')
    exact = virtual_service(f"[{to('v2')}]", name="exact")
    assert subset_of(ask(wide, exact, SUBSETS)) == "v2"
    assert subset_of(ask(wide, SUBSETS)) == "v1"


def test_a_rule_for_gateways_only_does_not_count_in_a_sidecar() -> None:
    seen = ask(virtual_service(f"[{to('v1')}]", extra=", gateways: [front]"), SUBSETS)
    assert subset_of(seen) == ""
    assert "bound to default/front only" in seen.ignored[0].reason


def test_a_rule_that_is_not_exported_does_not_count_elsewhere() -> None:
    stranger = pod("stranger", namespace="other")
    private = virtual_service(f"[{to('v1')}]", extra=", exportTo: ['.']")
    seen = ask(private, SUBSETS, source=stranger, url="http://reviews.default:9080/")
    assert subset_of(seen) == ""
    assert "exportTo" in seen.ignored[0].reason


def test_a_rule_may_be_for_a_host_that_no_service_has_on_port_80_only() -> None:
    port_80 = """
        apiVersion: v1
        kind: Service
        metadata: {name: shop}
        spec: {ports: [{name: http, port: 80}], selector: {app: web}}
    """
    service = virtual_service("[{route: [{destination: {host: shop}}]}]", hosts="[shop.example.com]")
    seen = ask(service, port_80, url="http://shop.example.com/")
    assert seen.destinations[0].host == "shop.default.svc.cluster.local"
    assert ask(service, port_80, url="http://shop.example.com:9080/").outcomes[0].kind == "unknown_destination"


def test_a_fault_comes_before_everything_else() -> None:
    service = virtual_service(f"[{to('v9', fault='{abort: {httpStatus: 418, percentage: {value: 25}}}')}]")
    seen = ask(service, SUBSETS)
    assert [(item.kind, item.share, item.status, item.flags) for item in seen.outcomes] == [
        ("abort", 0.25, 418, "FI"),
        ("no_cluster", 0.75, 503, "NC"),
    ]
    assert [to.share for to in seen.destinations] == [0.75]


def test_a_fault_without_percentage_never_fires() -> None:
    service = virtual_service(f"[{to('v1', fault='{abort: {httpStatus: 418}, delay: {fixedDelay: 1s}}')}]")
    seen = ask(service, SUBSETS)
    assert [item.kind for item in seen.outcomes] == ["forwarded"]
    assert {policy.name: "never" in policy.text for policy in seen.policies if "fault" in policy.name} == {
        "fault.delay": True,
        "fault.abort": True,
    }


def test_a_fault_with_a_percentage_of_0_is_told_as_such() -> None:
    never = "percentage: {value: 0}"
    faults = f"{{abort: {{httpStatus: 418, {never}}}, delay: {{fixedDelay: 1s, {never}}}}}"
    seen = ask(virtual_service(f"[{to('v1', fault=faults)}]"), SUBSETS)
    told = [policy.text for policy in seen.policies if "fault" in policy.name]
    assert len(told) == 2 and all(text.endswith(", but never: its percentage is 0") for text in told)


def test_what_the_proxy_answers_itself() -> None:
    direct = ask(virtual_service("[{directResponse: {status: 451}}]"))
    assert [(item.kind, item.status) for item in direct.outcomes] == [("direct_response", 451)]
    moved = ask(
        virtual_service("[{redirect: {uri: /new, authority: shop.example.com}}]"), url="http://reviews:9080/a?b=1"
    )
    assert moved.outcomes[0].status == 301
    assert moved.outcomes[0].location == "http://shop.example.com/new?b=1"


@pytest.mark.parametrize(
    ("match", "rewrite", "url", "path"),
    [
        ("{uri: {prefix: /foo}}", "{uri: /bar}", "/foo/x?q=1", "/bar/x?q=1"),
        ("{uri: {prefix: /foo}}", "{uri: /}", "/foo/x", "//x"),
        ("{uri: {exact: /foo}}", "{uri: /bar}", "/foo", "/bar"),
        ("{uri: {regex: '/f.*'}}", "{uri: /bar}", "/foo/x", "/bar"),
        ("{method: {exact: GET}}", "{uri: /bar}", "/foo", "/barfoo"),
        ("{method: {exact: GET}}", f"{{uriRegexRewrite: {SWAP}}}", "/a/v2/b", "/v2/a/b"),
    ],
)
def test_the_path_that_the_application_sees(match: str, rewrite: str, url: str, path: str) -> None:
    service = virtual_service(f"[{to('v1', match=f'[{match}]', rewrite=rewrite)}]")
    assert ask(service, SUBSETS, url=f"http://reviews:9080{url}").upstream_path == path


def test_the_host_that_the_application_sees() -> None:
    assert ask().upstream_authority == "reviews:9080"
    service = virtual_service(f"[{to('v1', rewrite='{authority: inner.example.com}')}]")
    assert ask(service, SUBSETS).upstream_authority == "inner.example.com"


def test_a_delegate_stands_in_for_the_rule_that_names_it() -> None:
    root = virtual_service("[{match: [{uri: {prefix: /reviews}}], delegate: {name: sub}, timeout: 2s}]")
    sub = virtual_service(f"[{to('v1', match='[{uri: {prefix: /reviews/1}}]')}, {to('v2')}]", name="sub", hosts="[]")
    seen = ask(root, sub, SUBSETS)
    assert [(rule.object, rule.index, rule.verdict) for rule in seen.rules] == [
        ("VirtualService/sub", 0, "no match"),
        ("VirtualService/sub", 1, "chosen"),
    ]
    timeout = next(policy for policy in seen.policies if policy.name == "timeout")
    assert timeout.text.startswith("2s")
    assert timeout.place is not None
    assert timeout.place.object == "VirtualService/reviews"
    assert ask(root, sub, SUBSETS, url="http://reviews:9080/other").outcomes[0].status == 404


def test_a_client_without_sidecar_follows_no_rule() -> None:
    plain = pod("client-plain", injected=False)
    seen = ask(virtual_service(f"[{to('v1')}]"), SUBSETS, source=plain)
    assert (seen.proxy_kind, seen.rules) == ("none", ())
    assert seen.outcomes[0].pods == ("reviews-v1-a", "reviews-v2-a", "reviews-v3-a")
    assert "has no sidecar" in seen.decision


def test_a_node_port_follows_no_rule_either() -> None:
    seen = ask(virtual_service(f"[{to('v1')}]", hosts="[web]"), url="nodeport:web/name", source="outside")
    assert seen.outcomes[0].pods == ("web-safe-a", "web-safe-b", "web-risk-a")
    assert seen.hops == ("outside", "one of 3 pods (application)")


def test_without_ready_pods_a_client_without_sidecar_gets_no_answer() -> None:
    plain = pod("client-plain", injected=False)
    seen = ask(url="http://web:8080/", source=plain, pods=[plain, pod("web", "safe", ready=False)])
    assert [(item.kind, item.pods) for item in seen.outcomes] == [("no_endpoints", ())]


def test_names_of_the_mesh_mean_nothing_outside() -> None:
    assert ask(source="outside").outcomes[0].kind == "unknown_destination"


def test_the_way_names_sidecars_on_both_sides() -> None:
    assert ask(virtual_service(f"[{to('v1')}]"), SUBSETS).hops == (
        "client-v1-a",
        "client-v1-a (sidecar)",
        "reviews-v1-a (sidecar)",
        "reviews-v1-a (application)",
    )


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError):
        ask(url="reviews/0")
    with pytest.raises(UsageError):
        ask(source="inside")


def test_an_explanation_reads_as_text() -> None:
    service = virtual_service(
        f"[{to('v1', name='testers', match='[{headers: {end-user: {exact: jason}}}]')}, {to('v3')}]"
    )
    text = repr(ask(service, SUBSETS, headers={"x-user": "u"}))
    for line in (
        f"GET http://reviews:9080/reviews/0 from {CLIENT.name}",
        "  x-user: u",
        'no match, headers[end-user]: wanted exact "jason", got nothing',
        "  100 % to reviews.default.svc.cluster.local subset v3 port 9080: reviews-v3-a",
        "  timeout: none (Istio's default)",
        "  loadBalancer: LEAST_REQUEST (Istio's default)",
        "Outcome: reviews-v3-a answers",
    ):
        assert line in text


DEAF = """
    apiVersion: v1
    kind: Service
    metadata: {name: deaf}
    spec: {selector: {app: ratings}, ports: [{name: http, port: 80, targetPort: 8081}]}
"""


def listening(*ports: int, **changes: object) -> Explanation:
    several = [pod("ratings", listens=(port,), name=f"ratings-{port}", **changes) for port in ports]
    return ask(DEAF, url="http://deaf/", pods=[CLIENT, *several])


def test_a_target_port_at_which_nobody_listens_is_told() -> None:
    seen = listening(5000)
    (destination,), (outcome,) = seen.destinations, seen.outcomes
    assert (destination.problem, destination.pods) == ("UF", ("ratings-5000",))
    assert (outcome.kind, outcome.status, outcome.flags, outcome.pods) == ("refused", 503, "UF", ())
    assert outcome.text == "the answer is 503: nobody listens on port 8081 of ratings-5000"
    assert seen.hops[-1] == "ratings-5000 (sidecar)"
    assert "503 UF: nobody listens on port 8081" in repr(seen)


def test_where_some_pods_listen_those_answer() -> None:
    seen = listening(5000, 8081)
    (outcome,) = seen.outcomes
    assert (seen.destinations[0].problem, outcome.kind) == ("", "forwarded")
    assert outcome.text == "ratings-8081 answers, or 503 UF: nobody listens on port 8081 of ratings-5000"
    assert "UF" not in repr(listening(8081))


WRITTEN = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: ratings}
    spec:
      selector: {matchLabels: {app: ratings}}
      template:
        metadata: {labels: {app: ratings}}
        spec: {containers: [{name: ratings, image: ratings, ports: [{containerPort: %d}]}]}
"""


def test_a_target_port_that_no_container_names_is_doubted_where_nobody_knows_who_listens() -> None:
    pods = [CLIENT, pod("ratings", name="ratings-1", workload="ratings")]
    (doubted,) = ask(DEAF, WRITTEN % 5000, url="http://deaf/", pods=pods).outcomes
    assert doubted.kind == "forwarded"
    text = "ratings-1 answers, if its program listens on port 8081, which no container names and nobody knows"
    assert doubted.text == text
    assert ask(DEAF, WRITTEN % 8081, url="http://deaf/", pods=pods).outcomes[0].text == "ratings-1 answers"
    told = [CLIENT, pod("ratings", name="ratings-1", workload="ratings", listens=(8081,))]
    assert ask(DEAF, WRITTEN % 5000, url="http://deaf/", pods=told).outcomes[0].text == "ratings-1 answers"


def test_what_listens_where_is_not_told_where_nobody_knows_it() -> None:
    assert ask(DEAF, url="http://deaf/").outcomes[0].kind == "forwarded"
    sidecar = """
        apiVersion: networking.istio.io/v1
        kind: Sidecar
        metadata: {name: ratings}
        spec:
          workloadSelector: {labels: {app: ratings}}
          ingress: [{port: {number: 8081, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:5000"}]
    """
    pods = [CLIENT, pod("ratings", listens=(5000,))]
    assert ask(DEAF, sidecar, url="http://deaf/", pods=pods).outcomes[0].kind == "forwarded"


def test_a_connection_to_where_nobody_listens_is_refused_if_no_proxy_is_on_the_way() -> None:
    pods = [pod("ratings", listens=(5000,), injected=False)]
    seen = ask(DEAF, url="http://deaf/", pods=pods, source=pod("plain", injected=False))
    assert [(outcome.kind, outcome.status) for outcome in seen.outcomes] == [("refused", 0)]
    assert seen.outcomes[0].text.startswith("the connection is refused: nobody listens")
    assert seen.hops == ("plain-v1-a",)
