"""Kinds of the Gateway API: defaults, the Gateway that two groups have, notes on the experimental channel."""

from __future__ import annotations

import pytest

from labsupport.errors import ManifestError
from labsupport.model import Gateway, parse
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.index import KINDS
from labsupport.model.reading.documents import read
from labsupport.model.reading.judging import judged

API = "apiVersion: gateway.networking.k8s.io/v1\n"
GATEWAY = API + "kind: Gateway\nmetadata: {name: front}\nspec: {gatewayClassName: istio, listeners: [%s]}\n"
ROUTE = API + "kind: HTTPRoute\nmetadata: {name: web}\nspec: {rules: [%s]}\n"
ISTIOS = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front}\n"
ISTIOS += "spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n"
LISTENER = "{name: http, port: 80, protocol: HTTP}"


def test_two_groups_may_each_have_a_gateway_of_one_name() -> None:
    first, second = parse(read(GATEWAY % LISTENER + "---\n" + ISTIOS))
    assert isinstance(first, KubernetesGateway)
    assert isinstance(second, Gateway)
    assert KINDS["Gateway"] is Gateway


def test_one_object_of_a_group_is_still_refused_twice() -> None:
    with pytest.raises(ManifestError, match="given twice"):
        parse(read(GATEWAY % LISTENER + "---\n" + GATEWAY % LISTENER))


def test_what_the_crd_fills_in_is_there() -> None:
    (route,) = parse(read(ROUTE % "{backendRefs: [{name: web, port: 80}]}"))
    assert isinstance(route, HTTPRoute)
    (rule,) = route.spec.rules
    assert [(match.path.type, match.path.value) for match in rule.matches] == [("PathPrefix", "/")]
    assert [(backend.kind, backend.weight) for backend in rule.backend_refs] == [("Service", 1)]


def test_fields_of_the_experimental_channel_are_told_as_such() -> None:
    (document,) = read(ROUTE % "{retry: {attempts: 1}, sessionPersistence: {}}")
    verdict = judged(document)
    assert verdict.state == "accepted"
    assert [note.path for note in verdict.notes] == ["spec.rules[0].retry", "spec.rules[0].sessionPersistence"]
    assert all("experimental channel" in note.message for note in verdict.notes)
    (plain,) = read(ROUTE % "{timeouts: {request: 1s}}")
    assert not judged(plain).notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROUTE % "{backendRefs: [{name: web}]}", "a Service needs a port"),
        (ROUTE % "{filters: [{type: URLRewrite}]}", "urlRewrite must be given for type URLRewrite"),
        (ROUTE % "{matches: [{path: {value: a}}]}", "must begin with '/'"),
        (ROUTE % "{match: []}", "Did you mean matches?"),
        (GATEWAY % "{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}", "host name"),
        (GATEWAY.replace("networking.k8s.io", "networking.istio.io") % LISTENER, "there is no Gateway in"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(text))
    assert said in str(caught.value)
