from __future__ import annotations

import pytest

from labsupport.lab.captions import caption, weights
from labsupport.lab.sources import has_gap, is_text, read
from labsupport.records import Action, ApplyResult, ObjectChange, Ref


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("apps/web", False),
        ("web.yaml", False),
        ("./a b/c.yml", False),
        ("/tmp/x:y", False),
        ("kind: Service", True),
        ("- kind: Service", True),
        ("{kind: Service}", True),
        ("[1]", True),
        ("--- ", True),
        ("kind:", True),
        ("a\nb", True),
    ],
)
def test_yaml_text_is_told_from_a_path(source: str, text: bool) -> None:
    assert is_text(source) is text


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("weight: ____", True),
        ("weight: 5 # not ____", False),
        ("# ____\nweight: 5", False),
        ("a: 'x#____'", True),
        ("a: snake___case", False),
    ],
)
def test_gaps_count_outside_comments(text: str, gap: bool) -> None:
    assert has_gap(text) is gap


def result(*changes: tuple[str, Action]) -> ApplyResult:
    return ApplyResult(tuple(ObjectChange(Ref(*name.split("/")), action) for name, action in changes))


def rule(*splits: str) -> str:
    routes = ""
    for split in splits:
        targets = "".join(f"{{destination: {{host: web}}, weight: {weight}}}, " for weight in split.split("/"))
        routes += f"\n    - route: [{targets}]"
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [web]"
    return f"{head}\n  http:{routes}\n"


@pytest.mark.parametrize(
    ("splits", "text"),
    [(("90/10",), "90/10"), (("10/10/80",), "10/10/80"), (("100",), ""), (("1", "5/5"), "5/5"), (("1/1", "5/5"), "")],
    ids=str,
)
def test_the_weights_of_the_one_rule_that_splits_are_its_caption(splits: tuple[str, ...], text: str) -> None:
    (resource,) = read([rule(*splits)])
    assert weights(resource.raw) == text
    done = caption("apply", result(("VirtualService/web", "changed"), ("Service/web", "created")), [resource])
    assert done == f"apply {text or 'web'}"


def test_the_weights_of_an_httproute_are_its_caption() -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\nspec:"
    parent = "\n  parentRefs: [{group: '', kind: Service, name: web}]"
    backends = "[{name: safe, port: 80}, {name: risk, port: 80, weight: 9}]"
    (resource,) = read([f"{head}{parent}\n  rules: [{{backendRefs: {backends}}}]"])
    done = caption("apply", result(("HTTPRoute/web", "changed"), ("Service/safe", "created")), [resource])
    assert done == "apply 1/9"


def test_nothing_changed_is_no_caption() -> None:
    assert caption("apply", result(("VirtualService/web", "unchanged"))) == ""


def test_many_objects_are_counted() -> None:
    some = result(*((f"Deployment/web-{index}", "created") for index in range(3)))
    assert caption("apply", some) == "apply web-0, web-1, web-2"
    many = result(*((f"Deployment/web-{index}", "created") for index in range(30)))
    assert caption("apply", many) == "apply 30 objects"
