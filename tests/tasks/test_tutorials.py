"""The steps of tutorials of Istio's early years, in the shape in which they were published: they work, or say why not.

Kinds are misspelt, ``apiVersion`` is the one of that time, images come from anywhere, and some objects are OpenShift's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from task_manifests import step

from labsupport import check
from labsupport.errors import ManifestError
from labsupport.lab.lab import Lab


@pytest.fixture(autouse=True)
def afresh(lab: Lab) -> Iterator[None]:
    yield
    assert lab.reset().remaining == ()


@pytest.fixture
def python_web(lab: Lab) -> None:
    lab.apply(step("python-web"), "apps/client", name="python-web")


def refusal(lab: Lab, text: str, name: str = "step") -> str:
    with pytest.raises(ManifestError) as caught:
        lab.apply(text, name=name)
    return str(caught.value)


def test_replicas_share_the_requests_at_the_node_port(lab: Lab, python_web: None) -> None:
    seen = lab.send("nodeport:python-service/name", count=120)
    assert check.share(seen, {"safe": 2 / 3, "risk": 1 / 3})
    assert seen.count(status=404) == seen.count(version="risk")


def test_a_misspelt_kind_is_named_and_nothing_is_applied(lab: Lab, python_web: None) -> None:
    assert "unknown kind 'DestinationsRule'. Did you mean DestinationRule?" in refusal(lab, step("canary-misspelt"))
    assert not lab.get("vs") and not lab.get("dr")


def test_a_subset_without_pods_is_told_and_the_weights_work(lab: Lab, python_web: None) -> None:
    made = lab.apply(step("canary-misspelt").replace("DestinationsRule", "DestinationRule"), name="corrected")
    assert any("risky" in note for note in made.notes)
    assert check.only(lab.send("http://python-service:8080/", source="client", count=30), version="safe")
    lab.apply(step("canary-misspelt").replace("DestinationsRule", "DestinationRule").replace("risky}", "risk}"))
    assert check.only(lab.send("http://python-service:8080/", source="client", count=30), version="safe")


def test_an_image_that_nobody_plays_is_refused_with_what_to_do(lab: Lab) -> None:
    told = refusal(lab, step("predict").replace("/web:", "/predict-server:"))
    assert "there is no image 'registry.example.com/ml/predict-server:v1'" in told and "Lab(images={" in told


def test_the_gunicorn_line_is_understood_and_the_arms_are_split(lab: Lab) -> None:
    made = lab.apply(step("predict"), "apps/client", name="predict")
    assert not any("gunicorn" in note for note in made.notes)
    seen = lab.send("http://predict-server:5000/", source="client", count=120)
    assert check.share(seen, {"predict-pod-version-a": 50, "predict-pod-version-b": 50})


def test_a_header_chooses_the_model(lab: Lab) -> None:
    lab.apply(step("proxies"), "apps/client", name="proxies")
    chosen = lab.send("http://proxy-server:5000/", source="client", count=20, headers={"target": "condition1"})
    assert check.only(chosen, version="proxy-pod-version-1")
    assert check.only(lab.send("http://proxy-server:5000/", source="client", count=20), version="proxy-pod-version-2")


def test_each_object_of_openshift_says_what_it_did_and_what_takes_its_place(lab: Lab) -> None:
    told = refusal(lab, step("openshift"))
    kinds = re.findall(r"^kind: (\w+)", step("openshift"), re.MULTILINE)
    assert len(kinds) == 8
    for kind in kinds:
        assert f"the lab has no {kind}, which " in told, kind
    assert "Known kinds are" not in told


def test_the_shop_of_a_tutorial_is_brought_into_the_mesh(lab: Lab) -> None:
    made = lab.apply(step("sock-shop"), name="shop")
    told = "\n".join(made.notes)
    assert "weaveworksdemos/front-end:0.3.12 is played by the workshop's shop" in told
    assert "mongo is played by the workshop's echo" in told
    assert not any(pod.injected for pod in lab.pods() if pod.workload == "front-end")
    inject = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}}}
    lab.patch("deploy/front-end", inject)
    lab.apply(step("sock-shop-entrance"), name="entrance")
    seen = lab.send("gateway:/", count=20, headers={"host": "shop.example.com"}, keep_headers=["x-parts"])
    assert seen.count(status=200) == 20
    # Of this shop only two parts are there.
    assert {answer.headers["x-parts"] for answer in seen} == {"catalogue=502, carts=200"}
    assert all(pod.injected for pod in lab.pods() if pod.workload == "front-end")


def test_what_the_shop_has_no_part_for_is_refused_with_what_takes_its_place(lab: Lab) -> None:
    told = refusal(lab, step("sock-shop").replace("weaveworksdemos/carts:0.4.8", "weaveworksdemos/load-test:0.1"))
    assert "has no part that plays Sock Shop's load-test" in told and "Leave it out" in told
    assert "no data store" in refusal(lab, step("sock-shop").replace("image: mongo", "image: postgres:16"))
