"""What apply, delete, patch and scale do, and that traffic does not notice."""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from contract_mesh import SERVICE, SUBSETS, URL, Mesh, deployment, eventually, weights

from labsupport.engine.protocol import Engine
from labsupport.errors import ManifestError, NotFoundError
from labsupport.records import Ref, Response, TrafficSpec


@contextmanager
def under_load(engine: Engine, rate: float) -> Iterator[list[Response]]:
    """Traffic that goes on while the body changes the mesh; the responses are complete after it."""
    seen: list[Response] = []
    sending = engine.send(TrafficSpec(URL, source="client", duration_s=900.0, rate=rate, concurrency=16))
    reader = threading.Thread(target=lambda: seen.extend(sending))
    reader.start()
    try:
        eventually(lambda: len(seen) > 0)
        yield seen
    finally:
        sending.stop()
        reader.join(120.0)


def outcomes(seen: list[Response]) -> dict[str, int]:
    return dict(
        collections.Counter(f"{response.outcome} {response.status} {response.error}".strip() for response in seen)
    )


def test_weights_that_change_fifty_times_under_load_fail_no_request(web: Mesh) -> None:
    with under_load(web.engine, 200) as seen:
        for turn in range(50):
            before = len(seen)
            web.apply(weights(safe=100 - turn, risk=turn))
            eventually(lambda before=before: len(seen) > before)  # type: ignore[misc]
    assert outcomes(seen) == {"ok 200": len(seen)}


def test_a_deployment_that_rolls_eight_times_loses_no_request(web: Mesh) -> None:
    with under_load(web.engine, 200) as seen:
        for turn in range(8):
            web.apply(deployment("web-safe", "safe", replicas=2, env=f"[{{name: TURN, value: '{turn}'}}]"))
    assert outcomes(seen) == {"ok 200": len(seen)}
    assert len({response.path[0].pod for response in seen}) >= 9


def test_scaling_up_and_down_loses_no_request(web: Mesh) -> None:
    with under_load(web.engine, 200) as seen:
        for replicas in (4, 1, 3, 2):
            web.engine.scale(Ref("Deployment", "web-safe"), replicas)
            assert sum(pod.workload == "web-safe" for pod in web.engine.pods()) == replicas
    assert outcomes(seen) == {"ok 200": len(seen)}


def test_the_plan_names_every_object_and_field(web: Mesh) -> None:
    assert [change.action for change in web.apply(weights(safe=90, risk=10)).changes] == ["created"]
    (change,) = web.apply(weights(safe=80, risk=20)).changes
    assert change.action == "changed"
    assert change.details == (
        "spec.http[0].route[0].weight: 90 -> 80",
        "spec.http[0].route[1].weight: 10 -> 20",
    )


def test_what_is_applied_again_changes_nothing(web: Mesh) -> None:
    web.apply(weights(safe=1))
    pods = {pod.name for pod in web.engine.pods()}
    version = web.engine.proxy_config("client").versions
    result = web.apply(weights(safe=1), SUBSETS, "apps/client")
    assert {change.action for change in result.changes} == {"unchanged"}
    assert result.proxies == ()
    assert web.engine.proxy_config("client").versions == version
    assert {pod.name for pod in web.engine.pods()} == pods


def test_a_rule_concerns_only_the_proxies_that_use_it(web: Mesh) -> None:
    result = web.apply(weights(safe=1))
    concerned = {proxy.proxy for proxy in result.proxies}
    assert web.gateway not in concerned
    assert any(name.startswith("client-") for name in concerned)
    assert all(0 < proxy.in_force_s <= result.in_force_s and proxy.types == ("RDS",) for proxy in result.proxies)


def test_a_patch_changes_fields_and_is_validated_as_a_whole(web: Mesh) -> None:
    web.apply(weights(safe=1))
    route = [{"destination": {"host": "web", "subset": "risk"}}]
    web.engine.patch(Ref("VirtualService", "web"), {"spec": {"http": [{"route": route}]}})
    assert web.versions(URL, 10) == {"risk": 10}
    with pytest.raises(ManifestError, match="weight"):
        route[0]["weight"] = -1  # type: ignore[assignment]
        web.engine.patch(Ref("VirtualService", "web"), {"spec": {"http": [{"route": [*route, *route]}]}})
    assert web.versions(URL, 10) == {"risk": 10}


def test_deleting_a_deployment_ends_its_pods(web: Mesh) -> None:
    web.engine.delete([Ref("Deployment", "web-risk")])
    assert {pod.workload for pod in web.engine.pods()} == {"istio-ingressgateway", "web-safe", "client"}
    assert set(web.versions(URL, 20)) == {"safe"}


def test_deleting_what_does_not_exist_deletes_nothing(web: Mesh) -> None:
    with pytest.raises(NotFoundError, match=r"nope.*web-safe|web-safe.*nope"):
        web.engine.delete([Ref("Deployment", "web-safe"), Ref("Deployment", "nope")])
    assert {deployment.name for deployment in web.engine.get("Deployment")} == {"web-safe", "web-risk", "client"}


def test_a_changed_configmap_is_read_by_new_pods(mesh: Mesh) -> None:
    config = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: names}\ndata: {service: renamed}\n"
    env = "[{name: SERVICE_NAME, valueFrom: {configMapKeyRef: {name: names, key: service}}}]"
    mesh.apply(SERVICE + deployment("web-safe", "safe", env=env), config, "apps/client")
    assert mesh.send(URL, 1)[0].path[0].service == "renamed"


def test_a_missing_configmap_is_named(mesh: Mesh) -> None:
    env = "[{name: X, valueFrom: {configMapKeyRef: {name: absent, key: x}}}]"
    with pytest.raises(ManifestError, match="ConfigMap/absent"):
        mesh.apply(SERVICE + deployment("web-safe", "safe", env=env))


def test_reset_leaves_nothing_but_the_engine(web: Mesh) -> None:
    left = web.engine.reset()
    assert left.remaining == ()
    assert {ref.name for ref in left.removed} >= {"web", "web-safe", "web-risk", "client"}
    assert [pod.workload for pod in web.engine.pods()] == ["istio-ingressgateway"]
    assert web.engine.get("*") == []


GOOD = weights(safe=1).replace("name: web}", "name: other}") + "\n---\n"
RULE = "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: web}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(RULE.format(kind="VirtualServce", spec="{}"), "VirtualService", id="misspelt kind"),
        pytest.param(RULE.format(kind="DestinationsRule", spec="{}"), "DestinationRule", id="another misspelt kind"),
        pytest.param(RULE.format(kind="VirtualService", spec="{hosts: [web], htp: []}"), "htp", id="unknown field"),
        pytest.param(RULE.format(kind="VirtualService", spec="{hosts: web, http: []}"), "hosts", id="wrong type"),
        pytest.param(weights(safe=-1, risk=2), "weight", id="negative weight"),
        pytest.param(weights(safe=0, risk=0), "weight", id="all weights zero"),
        pytest.param(
            RULE.format(kind="VirtualService", spec="{hosts: [web], http: [{route: [{destination: {}}]}]}"),
            "host",
            id="missing host",
        ),
        pytest.param(deployment("web-other", "safe", image="wbe"), "bookinfo.*client.*web", id="unknown image"),
        pytest.param(weights(safe=1) + "\n---\n" + weights(risk=1), "(?i)twice|same", id="duplicate name"),
        pytest.param("a: [1\nb: 2\n", "line|:2|:1", id="YAML syntax"),
        pytest.param("\n", "(?i)no object|empty", id="empty"),
        pytest.param("- a\n- b\n", "(?i)list|mapping", id="a list"),
    ],
)
def test_bad_input_is_refused_whole(web: Mesh, text: str, words: str) -> None:
    before = web.engine.get("*")
    version = web.engine.proxy_config("client").versions
    with pytest.raises(ManifestError, match=words) as refused:
        web.apply(text if words in ("line|:2|:1", "(?i)no object|empty", "(?i)list|mapping") else GOOD + text)
    assert refused.value.problems
    assert web.engine.get("*") == before
    assert web.engine.proxy_config("client").versions == version
