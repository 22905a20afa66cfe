"""A Canary of Flagger, played on the mesh: who gets the new version, what is left, and who stays where he was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from behaviour_mesh import APPLICATIONS

from labsupport import paths
from labsupport.course.delivery import release
from labsupport.errors import ManifestError, NotFoundError
from labsupport.lab.lab import Lab

LESSON = "19-progressive-delivery"
WEB = "http://web:8080/"


@pytest.fixture
def web(lab: Lab) -> Iterator[Lab]:
    lab.apply(f"{LESSON}/web", f"{LESSON}/canary-web.yaml")
    yield lab
    lab.delete(f"{LESSON}/web", "deploy/web", "vs/web", "canary/web", missing_ok=True)
    # Others have a Service of that name.
    lab.apply(APPLICATIONS, name="applications")


def changed(**analysis: object) -> str:
    manifest = yaml.safe_load((paths.manifests() / LESSON / "canary-web.yaml").read_text())
    manifest["spec"]["analysis"] |= analysis
    return yaml.safe_dump(manifest)


def serving(lab: Lab) -> dict[str, str]:
    return {pod.workload: pod.version for pod in lab.pods() if pod.workload in ("web", "web-primary")}


def test_a_good_version_becomes_the_one_that_serves(web: Lab) -> None:
    web.apply(f"{LESSON}/deployment-web-good.yaml", changed(stepWeights=[50]))
    released = release(web, "web", per_minute=100)
    assert released.end == "promoted"
    assert serving(web) == {"web-primary": "v2"}
    after = web.send(WEB, source="client", count=30)
    assert after.share("version").counts == {"v2": 30}
    assert after.share("service").counts == {"web-primary": 30}


def test_a_failing_version_goes_back_and_the_other_serves_on(web: Lab) -> None:
    failing = (paths.manifests() / LESSON / "deployment-web-failing.yaml").read_text().replace('"0.03"', '"1"')
    web.apply(failing)
    released = release(web, "web", per_minute=100)
    assert released.end == "rolled back" and len(released.looks) == 5
    refused = sum(response.status >= 500 for response in released.seen)
    assert released.hurt == refused == sum(look.hurt for look in released.looks)
    assert serving(web) == {"web-primary": "v1"}
    assert web.send(WEB, source="client", count=30).share("version").counts == {"v1": 30}


def test_a_version_that_nothing_reaches_has_no_data_and_goes_back(web: Lab) -> None:
    service = (paths.manifests() / LESSON / "web/service-web-canary.yaml").read_text()
    web.apply(f"{LESSON}/deployment-web-good.yaml", service.replace("    app: web\n  ports", "    app: wed\n  ports"))
    released = release(web, "web", per_minute=1000)
    assert released.end == "rolled back"
    assert all(look.requests == 0 for look in released.looks)
    assert "is not receiving traffic" in released.events[3]
    assert released.hurt == sum(response.status == 503 for response in released.seen) > 0


@pytest.mark.parametrize(("affinity", "wander"), [(None, True), ({"cookieName": "canary", "maxAge": 60}, False)])
def test_with_affinity_nobody_leaves_the_new_version(web: Lab, affinity: object, wander: bool) -> None:
    web.apply(f"{LESSON}/deployment-web-good.yaml", changed(stepWeights=[25, 50], sessionAffinity=affinity))
    released = release(web, "web", per_minute=400, users=20)
    assert len({response.user for response in released.seen}) == 20
    assert bool(released.returned) == wander


def test_a_canary_is_kept_by_the_lab_like_any_object(web: Lab) -> None:
    assert [resource.name for resource in web.get("canaries")] == ["web"]
    again = web.apply(f"{LESSON}/canary-web.yaml")
    assert again.changes[0].action == "unchanged"
    assert again.notes == ("Canary/web: the lab keeps it, and no proxy; release(lab, 'web') plays it",)
    assert web.apply(changed(threshold=1)).changes[0].action == "changed"
    assert web.patch("canary/web", {"spec": {"analysis": {"threshold": 7}}}).changes[0].action == "changed"
    assert "threshold: 7" in web.get("canary/web").yaml
    with pytest.raises(ManifestError, match="after the patch"):
        web.patch("canary/web", {"spec": {"analysis": {"threshold": 0}}})
    assert web.delete("canary/web").changes[0].action == "deleted"
    assert not web.delete("canary/web", missing_ok=True).changes
    with pytest.raises(NotFoundError, match="There is no Canary/web"):
        release(web, "web")


def test_what_a_canary_names_must_be_there(web: Lab) -> None:
    with pytest.raises(NotFoundError, match="NAME-primary beside it"):
        release(web, "web")
