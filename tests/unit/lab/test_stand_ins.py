"""Images of manifests that a program of the workshop plays for one apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from labsupport.errors import UsageError
from labsupport.lab.sources import read
from labsupport.model import Deployment

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      initContainers: [{name: wait, image: 'busybox:1'}]
      containers:
      - {name: cart, image: 'registry.example:5000/shop/cart:1.2'}
      - {name: stock, image: 'registry.example:5000/shop/stock@sha256:00'}
"""


def images(*sources: object, **stand_ins: str) -> list[str]:
    names = {name.replace("_", "/"): program for name, program in stand_ins.items()}
    given = {f"registry.example:5000/{name}": program for name, program in names.items()}
    (resource,) = read(sources or [DEPLOYMENT], images=given)  # type: ignore[arg-type]
    assert isinstance(resource, Deployment)
    containers = resource.spec.template.spec.containers
    written = [each["image"] for each in resource.raw["spec"]["template"]["spec"]["containers"]]
    assert written == [container.image for container in containers]
    return written


def test_an_image_is_played_whatever_its_tag_and_others_stay() -> None:
    assert images(shop_cart="web") == ["web", "registry.example:5000/shop/stock@sha256:00"]
    assert images(shop_cart="web", shop_stock="httpbin") == ["web", "httpbin"]
    (resource,) = read([DEPLOYMENT], images={"registry.example:5000/shop/cart:1.2": "web", "busybox": "client"})
    assert [each["image"] for each in resource.raw["spec"]["template"]["spec"]["initContainers"]] == ["client"]


def test_files_and_objects_are_left_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(DEPLOYMENT)
    assert images(file, shop_cart="web")[0] == "web"
    (resource,) = read([DEPLOYMENT])
    assert images(resource, shop_cart="web")[0] == "web"
    assert resource.raw["spec"]["template"]["spec"]["containers"][0]["image"].endswith("cart:1.2")
    assert file.read_text() == DEPLOYMENT


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cart": "web"}, r"no container has this image. Images of these manifests: busybox:1, registry"),
        ({"registry.example:5000/shop/cart:2": "web"}, "no container has this image"),
        ({"busybox": ""}, "name what takes its place"),
    ],
)
def test_a_slip_is_told(given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read([DEPLOYMENT], images=given)


@pytest.mark.parametrize("spec", ["{}", "[]", "{template: []}", "{template: {spec: {containers: [x, {image: 1}]}}}"])
def test_what_is_no_workload_is_for_others_to_judge(spec: str) -> None:
    with pytest.raises(UsageError, match="no container has this image"):
        read([f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {spec}\n"], images={"a": "web"})
