"""A lab keeps Canaries beside its mesh, and they are applied, read, changed and deleted like any object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import SmallEngine

from labsupport.errors import ManifestError, NotFoundError
from labsupport.lab.lab import Lab

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {kind: Deployment, name: web}
  service: {port: 8080}
  analysis: {interval: 1m, threshold: 5, stepWeights: [5]}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def actions(result) -> list[str]:
    return [f"{change.ref} {change.action}" for change in result.changes]


def test_it_is_kept_with_its_place_and_goes_with_the_mesh(lab: Lab) -> None:
    (created,) = lab.apply(CANARY, name="cell").changes
    assert (created.action, created.source) == ("created", "cell:2")
    assert actions(lab.apply(CANARY, name="other")) == ["Canary/web unchanged"]
    assert actions(lab.apply(CANARY.replace("5]", "50]"))) == ["Canary/web changed"]
    assert "stepWeights" in lab.get("Canary", "web").yaml and len(lab.get("canaries")) == 1
    lab.reset()
    assert not lab.get("canary")


def test_objects_of_the_mesh_beside_it_reach_the_engine(lab: Lab) -> None:
    assert actions(lab.apply(f"{NAMESPACE}---{CANARY}")) == ["Namespace/shop created", "Canary/web created"]
    assert [resource.kind for resource in lab.get("all")] == ["Namespace"]
    assert actions(lab.delete("ns/shop", "canary/web")) == ["Namespace/shop deleted", "Canary/web deleted"]


def test_a_patch_is_judged_as_a_whole(lab: Lab) -> None:
    lab.apply(CANARY)
    assert actions(lab.patch("canary/web", {"spec": {"analysis": {"threshold": 2}}})) == ["Canary/web changed"]
    with pytest.raises(ManifestError, match="must be between 1 and 1000"):
        lab.patch("canary/web", {"spec": {"analysis": {"threshold": 0}}})
    assert "threshold: 2" in lab.get("canary/web").yaml


def test_one_that_is_not_there_is_not_found_and_nothing_is_deleted(lab: Lab) -> None:
    lab.apply(f"{NAMESPACE}---{CANARY}")
    with pytest.raises(NotFoundError, match="There is no Canary/other"):
        lab.delete("ns/shop", "canary/web", "canary/other")
    assert lab.get("canary/web") and lab.get("ns/shop")
    assert actions(lab.delete("canary/web", "canary/other", missing_ok=True)) == ["Canary/web deleted"]
    with pytest.raises(NotFoundError, match="Objects of this kind: none"):
        lab.get("canary/web")
