"""VirtualServices as HTTPRoutes: what each part becomes, what is told, and that both mean the same otherwise."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest
import yaml
from explain_world import CLIENT, PODS, SUBSETS, rules

from labsupport import model
from labsupport.explain import Explanation, explain
from labsupport.model.converting import Conversion, as_httproutes
from labsupport.model.reading import documents

Json = dict[str, Any]

SETS = int(os.environ.get("CONVERTED_SETS", "300"))
SEED = int(os.environ.get("CONVERTED_SEED", "4000"))
REVIEWS: Json = {"destination": {"host": "reviews", "port": {"number": 9080}}}
THERE = {"name": "reviews", "port": 9080}
V1 = {"host": "reviews", "subset": "v1"}
HEAD = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "reviews"}}


def converted(*http: Json, **spec: Any) -> Conversion:
    written = {**HEAD, "spec": {"hosts": ["reviews"], "http": list(http), **spec}}
    return as_httproutes(rules(SUBSETS, yaml.safe_dump(written)))


def told(conversion: Conversion) -> list[str]:
    return [f"{loss.path}: {loss.text}" for loss in conversion.losses]


def route(conversion: Conversion) -> Json:
    (found,) = (item for item in conversion.manifests if item["kind"] == "HTTPRoute")
    return found["spec"]


@pytest.mark.parametrize(
    ("rule", "becomes"),
    [
        ({"match": [{"uri": {"exact": "/a"}}]}, {"matches": [{"path": {"type": "Exact", "value": "/a"}}]}),
        ({"match": [{"uri": {"prefix": "/"}}]}, {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}),
        (
            {"match": [{"uri": {"prefix": "/A.b"}, "ignoreUriCase": True}]},
            {"matches": [{"path": {"type": "RegularExpression", "value": r"(?i)/A\.b.*"}}]},
        ),
        (
            {"match": [{"headers": {"end-user": {"exact": "jason"}}, "method": {"exact": "GET"}}]},
            {"matches": [{"headers": [{"name": "end-user", "value": "jason"}], "method": "GET"}]},
        ),
        (
            {"match": [{"headers": {"x": {"prefix": "a+"}}}, {"queryParams": {"q": {}}}]},
            {
                "matches": [
                    {"headers": [{"name": "x", "type": "RegularExpression", "value": r"a\+.*"}]},
                    {"queryParams": [{"name": "q", "type": "RegularExpression", "value": ".*"}]},
                ]
            },
        ),
        ({"timeout": "1.5s"}, {"timeouts": {"request": "1500ms"}}),
        (
            {"timeout": "1m", "retries": {"attempts": 3, "perTryTimeout": "2s"}},
            {"timeouts": {"request": "60s", "backendRequest": "2s"}, "retry": {"attempts": 3}},
        ),
        (
            {"headers": {"request": {"set": {"x": "1"}, "remove": ["w"]}, "response": {"add": {"z": "2"}}}},
            {
                "filters": [
                    {
                        "type": "RequestHeaderModifier",
                        "requestHeaderModifier": {"set": [{"name": "x", "value": "1"}], "remove": ["w"]},
                    },
                    {
                        "type": "ResponseHeaderModifier",
                        "responseHeaderModifier": {"add": [{"name": "z", "value": "2"}]},
                    },
                ]
            },
        ),
        (
            {"mirror": REVIEWS["destination"], "mirrorPercentage": {"value": 12.5}},
            {
                "filters": [
                    {
                        "type": "RequestMirror",
                        "requestMirror": {
                            "backendRef": THERE,
                            "fraction": {"numerator": 12500, "denominator": 100_000},
                        },
                    }
                ]
            },
        ),
        (
            {"match": [{"uri": {"exact": "/a"}}], "rewrite": {"uri": "/b", "authority": "other.example"}},
            {
                "matches": [{"path": {"type": "Exact", "value": "/a"}}],
                "filters": [
                    {
                        "type": "URLRewrite",
                        "urlRewrite": {
                            "hostname": "other.example",
                            "path": {"type": "ReplaceFullPath", "replaceFullPath": "/b"},
                        },
                    }
                ],
            },
        ),
    ],
)
def test_a_rule_becomes_one_of_an_httproute(rule: Json, becomes: Json) -> None:
    done = converted({**rule, "route": [REVIEWS]})
    assert told(done) == []
    assert route(done) == {
        "parentRefs": [{"group": "", "kind": "Service", "name": "reviews"}],
        "rules": [{**becomes, "backendRefs": [THERE]}],
    }


def test_a_redirect_has_no_backends_and_istios_status() -> None:
    done = converted({"redirect": {"uri": "/new", "scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT"}})
    path = {"type": "ReplaceFullPath", "replaceFullPath": "/new"}
    changes = {"statusCode": 301, "scheme": "https", "path": path}
    assert route(done)["rules"] == [{"filters": [{"type": "RequestRedirect", "requestRedirect": changes}]}]
    assert told(done) == []


def test_a_subset_becomes_a_service_with_its_labels() -> None:
    split = [{"destination": {"host": "reviews", "subset": name}, "weight": share} for name, share in SHARES.items()]
    done = converted({"route": split})
    services = {item["metadata"]["name"]: item["spec"] for item in done.manifests if item["kind"] == "Service"}
    assert services["reviews-v2"]["selector"] == {"app": "reviews", "version": "v2"}
    assert [port["port"] for port in services["reviews-v1"]["ports"]] == [9080]
    (rule,) = route(done)["rules"]
    assert rule["backendRefs"] == [
        {"name": f"reviews-{name}", "port": 9080, "weight": share} for name, share in SHARES.items()
    ]
    assert told(done) == []


SHARES = {"v1": 90, "v2": 10, "v3": 0}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"fault": {"abort": {"httpStatus": 500}}}, "fault: an HTTPRoute injects no faults"),
        ({"match": [{"uri": {"prefix": "/a"}}]}, "it takes /a/... and not /a..."),
        ({"match": [{"uri": {"prefix": "/a/"}}]}, "it takes /a itself too"),
        ({"match": [{"withoutHeaders": {"x": {}}}, {"uri": {"exact": "/"}}]}, "match[0].withoutHeaders: the condition"),
        ({"match": [{"sourceLabels": {"a": "b"}}, {}]}, "sourceLabels: the condition is left out"),
        ({"match": [{"method": {"prefix": "G"}}, {}]}, "compares methods by their whole name"),
        ({"retries": {"attempts": 0}}, "cannot turn retries off"),
        ({"retries": {"attempts": 1, "retryOn": "5xx"}}, "5xx becomes (500, 502, 503, 504)"),
        ({"retries": {"attempts": 1, "retryOn": "503"}}, "tries again after connect-failure"),
        ({"retries": {"attempts": 1, "retryOn": "reset"}}, "has no condition reset"),
        ({"retries": {"attempts": 1, "retryIgnorePreviousHosts": False}}, "retryIgnorePreviousHosts: an HTTPRoute has"),
        ({"timeout": "1s", "retries": {"attempts": 1, "perTryTimeout": "2s"}}, "longer than timeout"),
        ({"rewrite": {"uri": "/x"}}, "exactly one slash"),
        ({"corsPolicy": {"allowOrigins": [{"exact": "https://a.example"}]}}, "answers preflights"),
    ],
)
def test_what_is_not_the_same_is_told_and_the_rest_is_there(rule: Json, text: str) -> None:
    done = converted({**rule, "route": [REVIEWS]})
    assert any(text in line for line in told(done)), told(done)
    assert route(done)["rules"][0]["backendRefs"] == [THERE]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"directResponse": {"status": 200}}, "http[0].directResponse: the rule is left out: an HTTPRoute has no"),
        ({"delegate": {"name": "x"}}, "has no delegate"),
        ({"redirect": {"redirectCode": 304, "uri": "/a"}}, "and not 304"),
        ({"redirect": {"authority": "a.example:81"}}, "write it into port"),
        ({"match": [{"port": 9080}], "route": [REVIEWS]}, "port: the condition is left out"),
        ({"rewrite": {"uriRegexRewrite": {"match": "a", "rewrite": "b"}}, "route": [REVIEWS]}, "by no expression"),
        ({"match": [{"uri": {"regex": "/a.*"}}], "rewrite": {"uri": "/b"}, "route": [REVIEWS]}, "an expression for"),
        ({"timeout": "1234567ms", "route": [REVIEWS]}, "a few whole numbers"),
        ({"route": [{"destination": {"host": "nobody"}}]}, "and no file here has the Service of nobody.default"),
        ({"route": [{"destination": {"host": "a.example", "port": {"number": 80}}}]}, "and a.example is none"),
        ({"corsPolicy": {"allowOrigins": [{"prefix": "http://a"}]}, "route": [REVIEWS]}, "lists origins"),
    ],
)
def test_a_rule_without_counterpart_is_left_out_as_a_whole(rule: Json, text: str) -> None:
    done = converted(rule)
    assert any(text in line for line in told(done)), told(done)
    assert done.manifests == ()
    assert len(route(converted(rule, {"route": [REVIEWS]}))["rules"]) == 1


def test_a_port_can_be_given_where_nothing_tells_it() -> None:
    text = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: other}
        spec: {hosts: [other], http: [{route: [{destination: {host: other, subset: v1}}]}]}
    """
    done = as_httproutes(rules(text), port=81)
    assert route(done)["rules"] == [{"backendRefs": [{"name": "other-v1", "port": 81}]}]
    (line,) = told(done)
    assert line.endswith("make a Service other-v1; no file has the Service other")


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ({"host": "nobody", "port": {"number": 80}}, "no file here has the Service of nobody.default"),
        ({"host": "reviews", "port": {"number": 81}}, "has no port 81"),
    ],
)
def test_where_nobody_is_the_other_status_is_told(to: Json, text: str) -> None:
    done = converted({"route": [{"destination": to}]})
    (line,) = told(done)
    assert text in line and line.endswith("an HTTPRoute answers 500, and a VirtualService 503")
    assert route(done)["rules"][0]["backendRefs"] == [{"name": to["host"], "port": to["port"]["number"]}]
    # A copy is made of neither.
    assert told(converted({"route": [REVIEWS], "mirror": to})) == []


@pytest.mark.parametrize("whose", ["exportTo: ['.']", "workloadSelector: {matchLabels: {app: client}}"])
def test_a_subset_that_is_not_everybodys_is_told(whose: str) -> None:
    own = SUBSETS.replace("host: reviews", f"host: reviews\n      {whose}")
    assert own != SUBSETS
    written = {**HEAD, "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": V1}]}]}}
    (loss,) = as_httproutes(rules(own, yaml.safe_dump(written))).losses
    assert "is not for every caller" in loss.text


def test_a_subset_without_pods_is_no_service() -> None:
    labels = SUBSETS.replace("labels: {version: v1}", "labels: {app: other}")
    written = {**HEAD, "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": V1}]}]}}
    done = as_httproutes(rules(labels, yaml.safe_dump(written)))
    assert done.manifests == ()
    assert "their app is reviews by the Service, and other by the subset" in told(done)[0]


def test_a_sidecar_is_told_as_it_may_leave_services_out() -> None:
    own = """
        apiVersion: networking.istio.io/v1
        kind: Sidecar
        metadata: {name: limits}
        spec: {egress: [{hosts: ["./*"]}]}
    """
    written = {**HEAD, "spec": {"hosts": ["reviews"], "http": [{"route": [REVIEWS]}]}}
    (loss,) = as_httproutes(rules(own, yaml.safe_dump(written))).losses
    assert "500, and not 503, for a Service that Sidecar/limits leaves out" in loss.text


def test_of_two_subsets_of_one_name_the_first_counts() -> None:
    other = SUBSETS.replace("version: v1", "version: v9").replace("metadata: {name: ", "metadata: {name: other-")
    assert "v9" in other and "other-" in other
    written = {**HEAD, "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": V1}]}]}}
    (service, _) = as_httproutes(rules(SUBSETS, other, yaml.safe_dump(written))).manifests
    assert service["spec"]["selector"]["version"] == "v1"


def test_rules_that_are_asked_in_another_order_are_told() -> None:
    header, path = {"headers": {"x": {"exact": "1"}}}, {"uri": {"exact": "/a"}}
    done = converted({"match": [header], "route": [REVIEWS]}, {"match": [path], "route": [REVIEWS]})
    assert [line.partition(": an")[0] for line in told(done)] == ["spec.http[1]: it is asked before http[0]"]
    # No request meets both.
    other = {**path, "headers": {"x": {"exact": "2"}}}
    assert told(converted({"match": [header], "route": [REVIEWS]}, {"match": [other], "route": [REVIEWS]})) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"gateways": ["front"]}, "a Gateway of gateway.networking.k8s.io takes the place of front"),
        ({"exportTo": ["."]}, "counts for all callers"),
        ({"hosts": ["reviews.other.svc.cluster.local"]}, "counts for callers in default only"),
        ({"hosts": ["*.example"]}, "hosts[0]: left out: an HTTPRoute is bound to objects, and *.example is no Service"),
        ({"tcp": [{"route": [REVIEWS]}]}, "tcp: left out: its counterpart is a TCPRoute"),
    ],
)
def test_whom_a_rule_is_for_is_told_where_it_differs(spec: Json, text: str) -> None:
    assert any(text in line for line in told(converted({"route": [REVIEWS]}, **spec)))


def test_what_an_api_server_would_refuse_is_not_printed() -> None:
    done = converted(*[{"match": [{"uri": {"exact": f"/{index}"}}], "route": [REVIEWS]} for index in range(17)])
    assert done.manifests == ()
    assert any("an API server would refuse the HTTPRoute: spec.rules" in line for line in told(done))


# --- both notations, asked the same -----------------------------------------------------------------------------------


class Draw:
    """Rules of parts that mostly have a counterpart."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def some(self, **parts: list[Any]) -> Json:
        return {name: self.dice.choice(choices) for name, choices in parts.items() if self.dice.random() < 0.3}

    def match(self) -> Json:
        values = [{"exact": "1"}, {"prefix": "1"}, {"regex": "[12]"}, {}]
        return self.some(
            uri=[
                {"exact": "/a"},
                {"exact": "/a/b"},
                {"exact": "/A"},
                {"prefix": "/a"},
                {"prefix": "/"},
                {"regex": "/a.*"},
            ],
            headers=[{"x": value} for value in values] + [{"x": {"exact": "2"}, "w": {"exact": "1"}}],
            queryParams=[{"q": value} for value in values],
            method=[{"exact": "GET"}, {"exact": "POST"}],
            ignoreUriCase=[True],
        )

    def destination(self) -> Json:
        return {"host": "reviews", "subset": self.dice.choice(["v1", "v2", "v3"])}

    def rule(self, *, last: bool) -> Json:
        rule: Json = {} if last else {"match": [self.match() for _ in range(self.dice.choice((1, 1, 2)))]}
        if self.dice.random() < 0.15:
            choices = [{"uri": "/new"}, {"scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT"}, {"port": 81}]
            choices += [{"authority": "a.example"}, {"authority": "a.example", "derivePort": "FROM_REQUEST_PORT"}]
            return {**rule, "redirect": self.dice.choice(choices)}
        routes = [{"destination": self.destination()} for _ in range(self.dice.choice((1, 1, 2)))]
        if len(routes) > 1:
            routes = [{**to, "weight": weight} for to, weight in zip(routes, self.dice.choice(WEIGHTS), strict=True)]
        return {
            **rule,
            "route": routes,
            **self.some(
                timeout=["1s", "0.5s"],
                retries=[
                    {"attempts": 3},
                    {"attempts": 1, "retryOn": ALWAYS + ",502"},
                    {"attempts": 2, "perTryTimeout": "200ms"},
                ],
                headers=[
                    {"request": {"set": {"x-new": "a"}, "remove": ["x"]}},
                    {"response": {"add": {"x-answer": "a"}}},
                ],
                mirror=[self.destination()],
                rewrite=[{"uri": "/b"}, {"authority": "inner.example"}, {"uri": "/b", "authority": "inner.example"}],
            ),
        }


ALWAYS = "connect-failure,refused-stream,unavailable,cancelled"
WEIGHTS = ((90, 10), (1, 3), (0, 5))
REQUESTS = [
    {"url": f"http://reviews:9080{path}", "headers": headers, "method": method}
    for path in ("/", "/a", "/A", "/a/b", "/ab", "/a?q=1", "/a/b?q=2")
    for headers in ({}, {"x": "1"}, {"x": "2", "w": "1"}, {"x": "12"})
    for method in ("GET", "POST")
]


def shown(why: Explanation) -> Json:
    """What becomes of a request, without the names of rules and Services."""
    going = Counter[tuple[str, ...]]()
    for to in why.destinations:
        going[(*sorted(to.pods), to.authority, str(sorted(to.headers.items())))] += round(to.share * 1000)
    # Istio's default has this condition without a code, so that no status meets it.
    texts = [policy.text for policy in why.policies if policy.name == "retries"]
    retried = [text.replace(",retriable-status-codes", "") for text in texts]
    return {
        "going": +going,
        "ends": Counter(
            (outcome.status if outcome.kind != "no_cluster" else 500, outcome.location, str(outcome.headers))
            for outcome in why.outcomes
            if outcome.share
        ),
        "path": why.upstream_path,
        "timeout": why.timeout_s,
        "tries": (why.tries, why.per_try_s, retried),
        "copies": sorted((sorted(mirror.pods), mirror.share) for mirror in why.mirrors if mirror.pods),
    }


def test_both_notations_mean_the_same_unless_it_is_told() -> None:
    same, silent = 0, 0
    for seed in range(SEED, SEED + SETS):
        draw = Draw(seed)
        http = [draw.rule(last=False) for _ in range(draw.dice.choice((1, 1, 2)))]
        spec = {"hosts": ["reviews"], "http": [*http, draw.rule(last=True)]}
        before = rules(SUBSETS, yaml.safe_dump({**HEAD, "spec": spec}))
        done = as_httproutes(before)
        if done.losses:
            continue
        silent += 1
        kept = [resource for resource in before if not isinstance(resource, model.VirtualService)]
        after = [*kept, *model.parse(documents.read(yaml.safe_dump_all(done.manifests)))]
        for request in draw.dice.sample(REQUESTS, 12):
            ways = [explain(objects, PODS, source=CLIENT, **request) for objects in (before, after)]
            one, other = map(shown, ways)
            assert one == other, f"seed {seed}: {request}\n{yaml.safe_dump(spec)}\n{ways[0]}\n{ways[1]}"
            same += 1
    assert silent >= SETS // 6, f"only {silent} of {SETS} sets were converted without a word"
    assert same == 12 * silent
