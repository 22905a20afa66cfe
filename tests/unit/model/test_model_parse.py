"""From documents to objects: what is refused, in which words, and what the objects look like."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labsupport.errors import ManifestError
from labsupport.model import (
    DestinationRule,
    OtherIstio,
    Resource,
    VirtualService,
    api_versions,
    find_kind,
    parse,
)
from labsupport.model.kinds.otheristio import OTHER_KINDS
from labsupport.model.reading.documents import read
from labsupport.model.validation import validate

VS = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n"
DR = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\n"
ROUTE = "route: [{destination: {host: a}}]"


def parsed(text: str) -> Resource:
    return parse(read(text, file="cell"))[0]


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        parse(read(text, file="cell"))
    return str(caught.value)


def test_attributes_have_istios_proto_names() -> None:
    rule = parsed(
        DR + "spec:\n  host: a\n  trafficPolicy:\n    outlierDetection: {consecutive5xxErrors: 3, interval: 1m30s}\n"
        "    connectionPool: {http: {http1MaxPendingRequests: 1}}\n"
    )
    assert isinstance(rule, DestinationRule)
    policy = rule.spec.traffic_policy
    assert policy is not None and policy.outlier_detection is not None and policy.connection_pool is not None
    assert policy.outlier_detection.consecutive_5xx_errors == 3
    assert policy.outlier_detection.consecutive_gateway_errors is None
    assert policy.outlier_detection.interval == timedelta(seconds=90)
    assert policy.connection_pool.http is not None
    assert policy.connection_pool.http.http1_max_pending_requests == 1


def test_an_object_keeps_its_place_and_its_text() -> None:
    rule = parsed("\n\n" + VS + f"spec:\n  hosts: [a]\n  http:\n  - {ROUTE}\n    timeout: 0.5s\n")
    assert isinstance(rule, VirtualService)
    assert rule.origin.line == 3
    assert rule.origin.line_of("spec.http[0].timeout") == 10
    assert rule.raw["spec"]["http"][0]["timeout"] == "0.5s"
    timeout = rule.spec.http[0].timeout
    assert timeout is not None and (timeout.total_seconds(), str(timeout)) == (0.5, "0.5s")


def test_both_spellings_of_mirror_percent_are_one_field() -> None:
    for name in ("mirrorPercent", "mirror_percent"):
        rule = parsed(VS + f"spec: {{hosts: [a], http: [{{mirror: {{host: b}}, {name}: 5, {ROUTE}}}]}}")
        assert isinstance(rule, VirtualService)
        assert rule.spec.http[0].mirror_percent == 5
        assert [str(warning.path) for warning in rule.warnings] == ["spec.http[0].mirrorPercent"]


def test_nulls_in_kubernetes_kinds_count_as_unset() -> None:
    resource = parsed(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: null}\nspec: {ports: [{port: 80}], type: null}"
    )
    assert resource.metadata.labels == {}


@pytest.mark.parametrize("word", ["vs", "VirtualService", "virtualservices", "VIRTUALSERVICE"])
def test_kinds_are_found_as_kubectl_finds_them(word: str) -> None:
    assert find_kind(word) is VirtualService
    assert find_kind("nothing") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (VS.replace("VirtualService", "VirtualServise"), ["cell:2", "unknown kind", "Did you mean VirtualService?"]),
        (DR.replace("DestinationRule", "DestinationsRule"), ["Did you mean DestinationRule?"]),
        (VS.replace("/v1", "/v1alpha1"), ["cell:1", "v1alpha1", "Write apiVersion: networking.istio.io/v1."]),
        ("kind: VirtualService\nmetadata: {name: x}\n", ["apiVersion is missing"]),
        ("apiVersion: v1\nkinds: Service\n", ["kind is missing", "'kinds'"]),
        (VS.replace("{name: x}", "{}"), ["metadata.name", "no name"]),
        (VS.replace("{name: x}", "{generateName: x-}"), ["generateName"]),
        (VS.replace("{name: x}", "{name: A_b}"), ["metadata.name", "'A_b'"]),
        (VS.replace("{name: x}", "{name: x, lables: {a: b}}"), ["metadata.lables", "Did you mean labels?"]),
        (VS.replace("{name: x}", "{name: x, labels: {version: 1}}"), ["metadata.labels.version", 'quotes: "1"']),
        (VS + "spec: null", ["spec", "there is no rule"]),
        (VS + "spec: {hosts: reviews}", ["spec.hosts", "expected a list", "[reviews]"]),
        (
            VS + f"spec: {{hosts: [a], http: [{{timeOut: 1s, {ROUTE}}}]}}",
            ["spec.http[0].timeOut", "Did you mean timeout?"],
        ),
        (
            VS + f"spec: {{hosts: [a], http: [{{timeout: 5, {ROUTE}}}]}}",
            ["http[0].timeout", "unit: 5s or 5ms."],
        ),
        (VS + f"spec: {{hosts: [a], http: {{{ROUTE}}}}}", ["spec.http", "expected a list", "hyphen"]),
        (VS + "spec: {hosts: [a], http: [{route: [{destination: {subset: v1}}]}]}", ["destination.host", "required"]),
        (
            VS
            + "spec: {hosts: [a], http: [{route: [{destination: {host: a}, weight: -1}, {destination: {host: b}}]}]}",
            ["route[0].weight", "must not be negative"],
        ),
        (
            VS + "spec: {hosts: [a], http: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]}",
            ["spec.http[0].route", "add up to 0"],
        ),
        (DR + "spec: {host: a, trafficPolicy: {loadBalancer: {simple: ROUND_ROBBIN}}}", ["Did you mean ROUND_ROBIN?"]),
        (DR + "spec: {host: a, trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {}}}}", ["only one of"]),
        (VS + "spec: {hosts: [a], http: [{match: [{uri: {regex: '(?=x)'}}], " + ROUTE + "}]}", ["RE2"]),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: 1a}\n", ["metadata.name", "starting with a letter"]),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}", ["data.a", 'quotes: "1"']),
        ("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}", ["spec", "is required"]),
    ],
)
def test_a_refusal_says_where_what_and_what_to_do(text: str, words: list[str]) -> None:
    message = refusal(text)
    assert "cell:" in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("spec: {hosts: [a], http: [{timeout: 2, route: [{destination: {hots: a}}]}]}", ["timeout", "hots"]),
        ("spec: {host: [a], http: [{routes: [{destination: {host: a}}]}]}", ["spec.host", "routes"]),
        (
            "spec: {hosts: [a], http: [{route: [{destination: {host: a}, weigth: 1}, {destination: {host: b}}]}]}",
            ["weigth"],
        ),
        # The right field is there as well, and wrong: that is a mistake of its own.
        ("spec: {hosts: [a], http: [{route: [{destination: {hots: a, host: 5}}]}]}", ["hots", ".host"]),
    ],
)
def test_a_misspelt_field_is_one_mistake_and_told_once(text: str, paths: list[str]) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(VS + text, file="cell"))
    told = [problem.path for problem in caught.value.problems]
    assert len(told) == len(paths), caught.value
    for path in paths:
        assert any(place.endswith(path) for place in told), caught.value


DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
    "spec: {selector: {matchLabels: {app: %s}}, template: {metadata: {labels: {app: %s}}, "
    "spec: {containers: [{name: a, image: web}]}}}\n"
)


@pytest.mark.parametrize("value", ["*", "safe,risk", "-safe", "two words", "a" * 64])
def test_a_label_is_refused_wherever_kubernetes_refuses_it(value: str) -> None:
    service = f"apiVersion: v1\nkind: Service\nmetadata: {{name: x}}\nspec: {{selector: {{version: {value!r}}}}}\n"
    told = refusal(service)
    assert "spec.selector.version" in told
    assert "spec.selector.matchLabels.app" in refusal(DEPLOYMENT % (repr(value), "web"))
    assert "spec.template.metadata.labels.app" in refusal(DEPLOYMENT % ("web", repr(value)))
    labelled = VS.replace("{name: x}", f"{{name: x, labels: {{version: {value!r}}}}}")
    assert "metadata.labels.version" in refusal(labelled + f"spec: {{hosts: [a], http: [{{{ROUTE}}}]}}")
    if value in ("*", "safe,risk"):
        assert "not a label value, which is one word without * and commas" in told
        assert "Leave the label out to select pods with any value of it." in told


def test_labels_that_kubernetes_takes_are_taken() -> None:
    for value in ("", "safe", "v1.2_a-b", "1", "a" * 63):
        text = DEPLOYMENT % (repr(value), repr(value))
        assert len(parse(read(text))) == 1


def test_all_problems_of_all_documents_come_together() -> None:
    text = f"{VS}spec: {{hosts: 5}}\n---\n{DR}spec: {{}}\n---\n{VS}spec: {{hosts: [a], http: [{{{ROUTE}}}]}}\n"
    with pytest.raises(ManifestError) as caught:
        parse(read(text, file="cell"))
    seen = [(problem.document, problem.object, problem.path) for problem in caught.value.problems]
    assert (1, "VirtualService/x", "spec.hosts") in seen
    assert (2, "DestinationRule/x", "spec.host") in seen
    assert (3, "VirtualService/x", "metadata.name") in seen  # the same name as the first document's


def test_the_same_name_in_another_namespace_or_kind_is_another_object() -> None:
    ok = f"spec: {{hosts: [a], http: [{{{ROUTE}}}]}}"
    text = f"{VS}{ok}\n---\n{VS.replace('{name: x}', '{name: x, namespace: b}')}{ok}\n---\n{DR}spec: {{host: a}}\n"
    assert len(parse(read(text))) == 3
    again = VS.replace("{name: x}", "{name: x, namespace: default}")
    assert "given twice" in refusal(f"{VS}{ok}\n---\n{again}{ok}\n")


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda kind: kind.KIND)
def test_a_kind_that_nothing_runs_is_known_and_not_judged(kind: type[OtherIstio]) -> None:
    head = f"apiVersion: {api_versions(kind)[0]}\nkind: {kind.KIND}\nmetadata: {{name: x}}\n"
    resource = parsed(head + "spec: {anything: [1, {a: ~}]}\n")
    assert isinstance(resource, OtherIstio) and resource.warnings == ()
    (verdict,) = validate(read(head + "spec: {anything: [1, {a: ~}]}\n"))
    assert (verdict.errors, verdict.warnings) == ((), ())
    assert verdict.note.startswith("known, not judged") and verdict.as_record()["note"] == verdict.note
    (verdict,) = validate(read(head.replace(kind.KIND, kind.KIND.lower())))
    assert verdict.errors[0].endswith(f"Did you mean {kind.KIND}?") and not verdict.note
    (verdict,) = validate(read(head.replace(f"/{kind.VERSIONS[0]}", "/v7")))
    assert "there is no" in verdict.errors[0] and "note" not in verdict.as_record()


@pytest.mark.parametrize(
    ("spec", "labels"),
    [
        ("{selector: {matchLabels: {app: a, b: ~}}}", {"app": "a"}),
        ("{selector: {}}", {}),
        ("{selector: {matchLabels: [a]}}", {}),
        ("{selector: a}", None),
        ("{}", None),
        ("[]", None),
    ],
)
def test_labels_of_an_object_that_is_not_judged_are_read_as_far_as_they_can_be(
    spec: str, labels: dict[str, str] | None
) -> None:
    resource = parsed(
        f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: x}}\nspec: {spec}\n"
    )
    assert isinstance(resource, OtherIstio)
    assert resource.match_labels == labels


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DR + "spec: {host: a, trafficPolicy: ~}\n", id="object"),
        pytest.param(VS + f"spec: {{hosts: [a], gateways: , http: [{{{ROUTE}}}]}}\n", id="list"),
        pytest.param(
            VS + f"spec: {{hosts: [a], http: [{{{ROUTE}, timeout: ~, name: ~}}]}}\n", id="in an item of a list"
        ),
        pytest.param(DR + "spec: {host: a, subsets: [{name: b, labels: {v: ~}}]}\n", id="value of a map"),
        pytest.param(
            VS + f"spec: {{hosts: [a], http: [{{match: [{{headers: {{x: ~}}}}], {ROUTE}}}]}}\n", id="object of a map"
        ),
        pytest.param(
            VS + f"spec: {{hosts: [a], http: [{{match: [{{uri: {{exact: b, prefix: ~}}}}], {ROUTE}}}]}}\n", id="oneof"
        ),
        pytest.param(VS + f"spec: {{hosts: [a], http: [{{{ROUTE}}}]}}\nstatus: ~\n", id="top level"),
    ],
)
def test_a_null_of_a_field_is_dropped_as_an_api_server_drops_it(text: str) -> None:
    resource = parsed(text)
    assert "None" not in str(resource.raw) and "None" in str(read(text)[0].raw)
    (verdict,) = validate(read(text))
    assert not verdict.errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(VS + f"spec: {{hosts: [a, ~], http: [{{{ROUTE}}}]}}\n", "spec.hosts[1]: expected text", id="list"),
        pytest.param(
            VS + f"spec: {{hosts: [a], http: [~, {{{ROUTE}}}]}}\n", "spec.http[0]: expected a mapping", id="object"
        ),
        pytest.param(DR + "spec: {host: ~}\n", "spec.host: is required", id="required"),
        pytest.param(
            DR + "spec: {host: a, subsets: [{name: ~}]}\n", "spec.subsets[0].name: is required", id="required below"
        ),
        pytest.param(
            VS + f"spec: {{hosts: [a], htpp: ~, http: [{{{ROUTE}}}]}}\n", "spec.htpp: unknown field", id="unknown"
        ),
    ],
)
def test_a_null_that_is_no_field_or_has_to_be_one_is_refused(text: str, words: str) -> None:
    (verdict,) = validate(read(text))
    assert any(words in error for error in verdict.errors)
    with pytest.raises(ManifestError):
        parsed(text)


def test_no_verdict_is_given_on_kinds_of_kubernetes_own() -> None:
    assert validate(read("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n")) == []


def test_a_null_in_metadata_is_an_empty_value() -> None:
    metadata = "{name: a, labels: {a: ~}, finalizers: [~], ownerReferences: [~], managedFields: [{time: ~}]}"
    resource = parsed(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n")
    assert resource.metadata.labels == {"a": ""} and resource.metadata.finalizers == [""]
    assert resource.metadata.owner_references[0].name == ""


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("timeout: 1s, http: [{ROUTE}]", "timeout is a field of the entries of http: write it below http, indented."),
        (
            "http: [{ROUTE, retries: , attempts: 4}]",
            "attempts is a field of retries: write it below retries, indented.",
        ),
        (
            "http: [{route: [{destination: {host: a}, timeout: 1s}]}]",
            "timeout is a field of spec.http[0]: indent it less.",
        ),
        (
            "http: [{route: [{destination: {host: a, weight: 3}}]}]",
            "weight is a field of spec.http[0].route[0]: indent it less.",
        ),
        (
            "http: [{match: [{headers: {x: {exact: a, fault: }}}], ROUTE}]",
            "fault is a field of spec.http[0]: indent it less.",
        ),
        (
            "http: [{match: [{headers: {}}], withoutHeaders: {x: {}}, ROUTE}]",
            "withoutHeaders is a field of the entries of match: write it below match, indented.",
        ),
        (
            "http: [{match: [{headers: {x: {}, withoutHeaders: {y: {}}}}], ROUTE}]",
            "withoutHeaders is a field of spec.http[0].match[0]: indent it less.",
        ),
        ("http: [{match: [{headers: {x: {present: true}}}], ROUTE}]", "match[0].headers.x has the fields exact, "),
        (
            "http: [{fault: {delay: {fixedDelay: 1s}}, percentage: {value: 3}, ROUTE}]",
            "percentage is a field of fault.delay: write it below fault.delay, indented.",
        ),
        (
            "http: [{fault: {delay: {fixedDelay: 1s, httpStatus: 500}, abort: }, ROUTE}]",
            "httpStatus is a field of abort: write it below abort, indented.",
        ),
        (
            "http: [{fault: {delay: {httpStatus: 500}, abort: {httpStatus: 400}}, ROUTE}]",
            "spec.http[0].fault.delay has the fields ",
        ),
        ("http: [{ROUTE, kind: x}]", "spec.http[0] has the fields corsPolicy, "),
        ("http: [{ROUTE, frobnicate: 3}]", "spec.http[0] has the fields corsPolicy, "),
        ("http: [{ROUTE, timout: 3}]", "Did you mean timeout?"),
    ],
)
def test_a_field_on_another_level_than_its_own_is_told_where_it_belongs(spec: str, place: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parsed(VS + f"spec: {{hosts: [a], {spec.replace('ROUTE', ROUTE)}}}\n")
    assert place in str(refused.value)


def test_fields_that_changed_places_are_both_told_where_they_belong() -> None:
    pools = "{tcp: {http1MaxPendingRequests: 4}, http: {maxConnections: 1}}"
    with pytest.raises(ManifestError) as refused:
        parsed(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
            f"spec: {{host: a, trafficPolicy: {{connectionPool: {pools}}}}}\n"
        )
    assert "http1MaxPendingRequests is a field of http: write it below http, indented." in str(refused.value)
    assert "maxConnections is a field of tcp: write it below tcp, indented." in str(refused.value)


@pytest.mark.parametrize(
    ("rule", "remedy"),
    [
        ("fault: {abort: {httpStatus: 400, percentage: {value: 50 %}}}", "Write the number alone: 50."),
        ("timeout: true", "Write it with a unit: 500ms or 1s."),
        ("timeout: 200", "Write it with a unit: 200s or 200ms."),
        ("fault: {abort: {httpStatus: 400, percentage: 100}}", "Write its fields below it, indented: value."),
        ("match: [{headers: [{x: {exact: a}}]}]", "got a list. Leave out the hyphen: this is not a list."),
        ("route: 3", "expected a list"),
        ("retries: 3", "indented: attempts, backoff, perTryTimeout, retryIgnorePreviousHosts, retryOn"),
        ("retries: {attempts: 1, retryOn: 503;429}", 'Conditions are statuses, such as "503", and 5xx, '),
        ('retries: {attempts: 1, retryOn: "5xx, reset"}', "Leave out the space."),
    ],
)
def test_what_could_stand_there_is_told_with_what_could_not(rule: str, remedy: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parsed(VS + f"spec: {{hosts: [a], http: [{{{rule if 'route' in rule else f'{rule}, {ROUTE}'}}}]}}\n")
    assert remedy in str(refused.value)
