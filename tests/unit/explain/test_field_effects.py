"""What fields of rules do, in one table: complete, valid, and with places that there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from labsupport import Lab
from labsupport.explain.effects import EFFECTS, Effect, effect_of
from labsupport.explain.rules import EffectiveRule
from labsupport.explain.words import rule_policies
from labsupport.model import HTTPRoute, VirtualService
from labsupport.model.reading.documents import of_data
from labsupport.model.reading.parse import parse
from labsupport.observe.flags import FLAGS

ROWS = [(kind, field, effect) for kind, fields in EFFECTS.items() for field, effect in fields.items()]
ROUTE = [{"destination": {"host": "web"}}]


def written(kind: str, field: str, effect: Effect) -> dict[str, Any]:
    """The example of a field in an object that has nothing else."""
    value = yaml.safe_load(effect.example)
    answers_itself = field in ("route", "redirect", "directResponse")
    specs: dict[str, Any] = {
        "VirtualService": {"hosts": ["web"], "http": [value if answers_itself else {**value, "route": ROUTE}]},
        "DestinationRule": {"host": "web"} | (value if field == "subsets" else {"trafficPolicy": value}),
        "ServiceEntry": {"ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS", **value},
    }
    name = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "it"}}
    return {**name, "spec": specs.get(kind, value)}


@pytest.mark.parametrize(("kind", "field", "effect"), ROWS, ids=lambda part: part if isinstance(part, str) else "")
def test_an_example_is_a_manifest_that_has_the_field(kind: str, field: str, effect: Effect):
    value = yaml.safe_load(effect.example)
    for name in field.split("."):
        value = value[name]
    assert parse(of_data(written(kind, field, effect)))[0].kind == kind


@pytest.mark.parametrize(
    ("lab", "flags"), [*((e.lab, e.flags) for *_, e in ROWS), *((f.lab, ()) for f in FLAGS.values())]
)
def test_places_and_flags_exist(lab: str, flags: tuple[str, ...]):
    if lab:
        call = re.match(r"lab\.(\w+)\(", lab)
        assert call and callable(getattr(Lab, call[1]))
    assert {*flags} <= FLAGS.keys()


def test_each_policy_that_an_explanation_tells_is_in_the_table():
    every = VirtualService.model_validate(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "web"},
            "spec": {"hosts": ["web"], "http": [{"route": ROUTE}]},
        }
    )
    texts = [yaml.safe_load(effect.example) for field, effect in EFFECTS["VirtualService"].items()]
    told = set()
    for text in texts:
        rule = HTTPRoute.model_validate(text)
        told |= {policy.name for policy in rule_policies(EffectiveRule(every, every, 0, rule, "default"))}
    assert {"timeout", "retries", "fault.delay", "fault.abort", "mirror", "rewrite", "redirect", "headers"} <= told
    assert [name for name in told if effect_of(name) is None] == []


def test_a_policy_of_a_destination_rule_is_found_by_its_block():
    assert effect_of("loadBalancer") == EFFECTS["DestinationRule"]["loadBalancer.simple"]
    assert effect_of("mirrors") == EFFECTS["VirtualService"]["mirror"]
    assert effect_of("nothing") is None
