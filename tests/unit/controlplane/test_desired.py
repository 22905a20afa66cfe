"""The desired state: merging, differences, addresses."""

from __future__ import annotations

import pytest
import yaml

from labsupport.controlplane.desired import ServiceAddresses, merge, remove
from labsupport.errors import NotFoundError
from labsupport.model import Resource, parse
from labsupport.model.reading.documents import read
from labsupport.records import Ref


def rule(weight: int, *, timeout: str = "1s", name: str = "web") -> Resource:
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [web]
  http: [{{timeout: {timeout}, route: [{{destination: {{host: web}}, weight: {weight}}}]}}]
"""
    return parse(read(text))[0]


def test_an_object_keeps_its_age_when_it_changes() -> None:
    state, _ = merge((), [rule(1, name="first"), rule(1, name="second")])
    state, changes = merge(state, [rule(2, name="first")])
    assert [resource.name for resource in state] == ["first", "second"]
    assert [(change.action, change.details) for change in changes] == [
        ("changed", ("spec.http[0].route[0].weight: 1 -> 2",))
    ]


def test_other_words_for_the_same_are_no_change() -> None:
    state, _ = merge((), [rule(1, timeout="1s")])
    after, changes = merge(state, [rule(1, timeout="1000ms")])
    assert [change.action for change in changes] == ["unchanged"]
    assert after[0] is state[0]


def test_removing_names_what_is_missing_and_what_is_there() -> None:
    state, _ = merge((), [rule(1)])
    with pytest.raises(NotFoundError, match=r"VirtualService/other.*There are: web"):
        remove(state, [Ref("VirtualService", "web"), Ref("VirtualService", "other")], namespace="default")
    after, changes = remove(state, [Ref("VirtualService", "web")], namespace="default")
    assert after == ()
    assert [change.action for change in changes] == ["deleted"]


def test_a_service_keeps_its_address() -> None:
    def service(name: str) -> Resource:
        text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        return parse(read(text))[0].model_copy(update={})

    given = ServiceAddresses()
    first = dict(given.of([service("a"), service("b")]))
    assert len(set(first.values())) == 2
    assert {key: value for key, value in given.of([service("b"), service("c")]).items() if key in first} == first


def test_a_field_that_comes_or_goes_is_told_as_yaml() -> None:
    split = '[{destination: {host: web, subset: "1"}, weight: 1, headers: {request: {set: {why: "a, b", say: "on"}}}}]'
    text = rule(1).raw
    text["spec"]["http"][0] |= {"route": yaml.safe_load(split), "retries": None, "mirror": {"host": "api"}}
    state, _ = merge((), [rule(1)])
    _, (change,) = merge(state, parse(read(yaml.safe_dump(text))))
    told = "\n".join(change.details)
    assert "spec.http[0].mirror: (none) -> {host: api}" in told
    assert 'headers: (none) -> {request: {set: {say: "on", why: "a, b"}}}' in told
    assert 'subset: (none) -> "1"' in told
    for line in change.details:
        yaml.safe_load(line.partition(" -> ")[2])
    _, (back,) = merge(parse(read(yaml.safe_dump(text))), [rule(1)])
    assert "spec.http[0].mirror: {host: api} -> (none)" in back.details
