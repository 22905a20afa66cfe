"""Who set which fields: what an apply takes back, and where it stops."""

from __future__ import annotations

from typing import Any

import pytest

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.managers import Change, applied, updated, without

KUBECTL = Change("kubectl", "apps/v1", True)
OTHER = Change("other", "apps/v1", True)


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def managed(content: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {**content, "metadata": {**content["metadata"], "managedFields": entries}}


def test_fields_are_written_as_kubernetes_writes_them():
    content = deployment(replicas=1, template={"containers": [{"name": "web", "image": "a", "args": ["x"]}]})
    (entry,) = updated(OTHER, None, content)
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("other", "Update", "FieldsV1")
    web = {"f:args": {}, "f:image": {}, "f:name": {}}
    containers = {"f:containers": {'k:{"name":"web"}': web}}
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}, "f:template": containers}}


def test_whoever_changes_a_field_owns_it():
    before = managed(deployment(replicas=1, paused=True), updated(OTHER, None, deployment(replicas=1, paused=True)))
    entries = updated(Change("scaler", "apps/v1", True), before, deployment(replicas=2, paused=True))
    assert {entry["manager"]: entry["fieldsV1"]["f:spec"] for entry in entries} == {
        "other": {"f:paused": {}},
        "scaler": {"f:replicas": {}},
    }


def test_an_apply_stops_at_what_somebody_else_has_set_to_something_else():
    before = managed(deployment(replicas=1), updated(OTHER, None, deployment(replicas=1)))
    with pytest.raises(Refused, match=r'1 conflict: conflict with "other" using apps/v1: \.spec\.replicas') as caught:
        applied(KUBECTL, deployment(replicas=2), before, force=False)
    assert caught.value.code == 409 and caught.value.reason == "Conflict"
    entries, _ = applied(KUBECTL, deployment(replicas=2), before, force=True)
    assert [entry["manager"] for entry in entries] == ["kubectl"]
    # The same value is no conflict: both own it.
    entries, _ = applied(KUBECTL, deployment(replicas=1), before, force=False)
    assert [entry["manager"] for entry in entries] == ["other", "kubectl"]


def test_an_apply_takes_back_what_it_no_longer_wants():
    first, _ = applied(KUBECTL, deployment(replicas=1, paused=True), None, force=False)
    before = managed(deployment(replicas=1, paused=True, minReadySeconds=3), first)
    _, removed = applied(KUBECTL, deployment(replicas=1), before, force=False)
    assert without(before, removed)["spec"] == {"replicas": 1, "minReadySeconds": 3}


def test_an_entry_of_a_list_goes_with_its_key():
    both = deployment(containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "y"}])
    first, _ = applied(KUBECTL, both, None, force=False)
    wanted = deployment(containers=[{"name": "b", "image": "y"}])
    _, removed = applied(KUBECTL, wanted, managed(both, first), force=False)
    assert without(both, removed)["spec"] == wanted["spec"]


def test_what_kubectl_applied_the_other_way_is_its_own():
    client_side = Change("kubectl-client-side-apply", "apps/v1", True)
    before = managed(deployment(replicas=1), updated(client_side, None, deployment(replicas=1)))
    entries, _ = applied(KUBECTL, deployment(replicas=2), before, force=False)
    assert [entry["manager"] for entry in entries] == ["kubectl"]
