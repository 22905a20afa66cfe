"""Patches of the API front: what comes of them, and what is left of the defaults that a client has only read."""

from __future__ import annotations

from typing import Any

import pytest

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.defaults import completed, without_defaults
from labsupport.engine.embedded.api.patches import APPLY, JSON, MERGE, STRATEGIC, apply_patch

TARGET: dict[str, Any] = {
    "metadata": {"name": "web", "labels": {"app": "web"}, "finalizers": ["a", "b"]},
    "spec": {
        "replicas": 2,
        "containers": [
            {"name": "web", "image": "web", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "log", "image": "log"},
        ],
        "args": ["x", "y"],
    },
}


def strategic(patch: dict[str, Any]) -> dict[str, Any]:
    return apply_patch(STRATEGIC, TARGET, patch, built_in=True)


def test_lists_with_keys_merge_by_them():
    env = [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}]
    made = strategic({"spec": {"containers": [{"name": "web", "env": env}]}})
    web, log = made["spec"]["containers"]
    assert web == {"name": "web", "image": "web", "env": [{"name": "C", "value": "3"}, {"name": "B", "value": "2"}]}
    assert log == {"name": "log", "image": "log"}


def test_other_lists_are_replaced_and_sets_grow():
    made = strategic({"spec": {"args": ["z"]}, "metadata": {"finalizers": ["c"]}})
    assert made["spec"]["args"] == ["z"]
    assert made["metadata"]["finalizers"] == ["a", "b", "c"]


def test_directives():
    order = {"$setElementOrder/containers": [{"name": "log"}, {"name": "web"}], "containers": []}
    assert [entry["name"] for entry in strategic({"spec": order})["spec"]["containers"]] == ["log", "web"]
    assert strategic({"metadata": {"$patch": "replace", "name": "web"}})["metadata"] == {"name": "web"}
    kept = strategic({"spec": {"$retainKeys": ["replicas"], "replicas": 3}})
    assert kept["spec"] == {"replicas": 3}
    gone = strategic({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert gone["metadata"]["finalizers"] == ["b"]
    assert "labels" not in strategic({"metadata": {"labels": None}})["metadata"]


def test_the_target_stays_as_it_is():
    before = repr(TARGET)
    strategic({"spec": {"containers": [{"name": "web", "image": "other"}]}})
    apply_patch(JSON, TARGET, [{"op": "remove", "path": "/spec/args/0"}], built_in=True)
    apply_patch(MERGE, TARGET, {"spec": None}, built_in=True)
    assert repr(TARGET) == before


@pytest.mark.parametrize(
    ("operation", "args"),
    [
        ({"op": "add", "path": "/spec/args/-", "value": "z"}, ["x", "y", "z"]),
        ({"op": "add", "path": "/spec/args/0", "value": "z"}, ["z", "x", "y"]),
        ({"op": "replace", "path": "/spec/args/1", "value": "z"}, ["x", "z"]),
        ({"op": "remove", "path": "/spec/args/0"}, ["y"]),
        ({"op": "move", "from": "/spec/args/0", "path": "/spec/args/1"}, ["y", "x"]),
        ({"op": "copy", "from": "/metadata/name", "path": "/spec/args/1"}, ["x", "web", "y"]),
        ({"op": "test", "path": "/spec/args/0", "value": "x"}, ["x", "y"]),
    ],
)
def test_operations_of_a_json_patch(operation: dict[str, Any], args: list[str]):
    assert apply_patch(JSON, TARGET, [operation], built_in=False)["spec"]["args"] == args


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "test", "path": "/spec/replicas", "value": 3}],
        [{"op": "remove", "path": "/spec/nix"}],
        [{"op": "replace", "path": "/spec/nix/deep", "value": 1}],
        [{"op": "add", "path": "/spec/args/9", "value": 1}],
        [{"op": "add", "path": "/spec/args/-1", "value": 1}],
        [{"op": "move", "from": "nix", "path": "/spec"}],
        [{"op": "nix", "path": "/spec"}],
        [{"op": "remove", "path": ""}],
        [{"op": "replace", "path": "", "value": 1}],
        [{"path": 1}],
        ["nix"],
        {},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(patch: Any):
    with pytest.raises(Refused) as caught:
        apply_patch(JSON, TARGET, patch, built_in=False)
    assert caught.value.code in (400, 422)


def test_a_kind_of_istio_has_no_strategic_patch():
    with pytest.raises(Refused) as caught:
        apply_patch(STRATEGIC, TARGET, {}, built_in=False)
    assert caught.value.code == 415
    assert apply_patch(APPLY, {"spec": {"a": [1]}}, {"spec": {"a": [2]}}, built_in=False) == {"spec": {"a": [2]}}


WRITTEN: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web", "ports": [{"containerPort": 5000}]}]},
        },
    },
}


def test_what_is_read_and_sent_back_is_what_was_written():
    shown = completed(WRITTEN)
    assert shown["spec"]["strategy"]["type"] == "RollingUpdate" and shown != WRITTEN
    assert without_defaults(shown, shown, WRITTEN) == WRITTEN


def test_only_what_a_client_changes_is_added():
    shown = completed(WRITTEN)
    changed = apply_patch(STRATEGIC, shown, {"spec": {"replicas": 3}}, built_in=True)
    assert without_defaults(changed, shown, WRITTEN)["spec"] == {**WRITTEN["spec"], "replicas": 3}
    # A default that is asked for by name is no default any more where it differs from what was there.
    ports = {"ports": [{"containerPort": 6000}]}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", **ports}]}}}}
    changed = apply_patch(STRATEGIC, shown, patch, built_in=True)
    (container,) = without_defaults(changed, shown, WRITTEN)["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 6000}, {"containerPort": 5000}]
