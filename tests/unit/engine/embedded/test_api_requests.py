"""What the API front reads of a request: paths, selectors, bodies; and ages as kubectl shows them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.mesh import stamp
from labsupport.engine.embedded.api.protobuf import decoded
from labsupport.engine.embedded.api.requests import body, shape, target, verb
from labsupport.engine.embedded.api.selectors import field_selector, label_selector
from labsupport.engine.embedded.api.tables import age

OBJECTS: dict[str, dict[str, Any]] = {
    "safe": {"metadata": {"name": "safe", "labels": {"app": "web", "version": "safe"}}},
    "risk": {"metadata": {"name": "risk", "labels": {"app": "web", "version": "risk"}}},
    "bare": {"metadata": {"name": "bare"}},
}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", "safe risk bare"),
        ("app=web", "safe risk"),
        ("app==web,version!=safe", "risk"),
        ("version!=safe", "risk bare"),
        ("version in (safe, other)", "safe"),
        ("version notin (safe)", "risk bare"),
        ("app", "safe risk"),
        ("!app", "bare"),
        ("app=web,version in (safe,risk),!x", "safe risk"),
    ],
)
def test_label_selectors(text: str, chosen: str):
    wanted = label_selector(text)
    assert [name for name, content in OBJECTS.items() if wanted(content)] == chosen.split()


@pytest.mark.parametrize("text", ["=", "a in", "a b", "a=b=c", "(", "a in (b"])
def test_what_is_no_label_selector_is_refused(text: str):
    with pytest.raises(Refused, match="unable to parse"):
        label_selector(text)


def test_field_selectors():
    assert [name for name, content in OBJECTS.items() if field_selector("metadata.name!=safe")(content)] == [
        "risk",
        "bare",
    ]
    assert not field_selector("status.phase=Running")(OBJECTS["safe"])
    with pytest.raises(Refused, match="invalid selector"):
        field_selector("nix")


def test_paths():
    asked = target("/apis/apps/v1/namespaces/default/deployments/web/scale")
    assert (asked.entry.kind, asked.namespace, asked.name, asked.subresource) == (
        "Deployment",
        "default",
        "web",
        "scale",
    )
    assert target("/api/v1/namespaces/default").entry.kind == "Namespace"
    assert target("/api/v1/namespaces/default/pods").name == ""
    assert target("/apis/networking.istio.io/v1beta1/virtualservices").version == "v1beta1"
    for nowhere in ("/", "/api/v1", "/api/v2/pods", "/apis/apps/v1/nix", "/api/v1/pods/a/nix", "/api/v1/pods/a/log/b"):
        with pytest.raises(Refused) as caught:
            target(nowhere)
        assert caught.value.code == 404


def test_the_form_of_the_answer():
    assert shape("application/json;as=Table;v=v1;g=meta.k8s.io,application/json") == "Table"
    assert shape("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io") == "PartialObjectMetadata"
    assert shape("application/json, */*") == shape("") == ""


def test_words_for_pictures():
    assert verb("PATCH", {"fieldManager": "kubectl-client-side-apply"}) == "kubectl apply"
    assert verb("PATCH", {"fieldManager": "kubectl-label"}) == "kubectl label"
    assert verb("DELETE", {}) == "delete"


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(data: bytes):
    with pytest.raises(Refused) as caught:
        body("application/json", data)
    assert caught.value.code == 400


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes((number << 3, value))
    return bytes((number << 3 | 2, len(value))) + value


def enveloped(kind: str, raw: bytes, version: str = "v1") -> bytes:
    about = field(1, version.encode()) + field(2, kind.encode())
    return b"k8s\x00" + field(1, about) + field(2, raw)


def test_protobuf_becomes_what_json_would_be():
    metadata = field(1, b"web") + field(3, b"") + field(11, field(1, b"app") + field(2, b"web"))
    port = field(1, b"http") + field(3, 80) + field(4, field(1, 1) + field(3, b"http"))
    service = field(1, metadata) + field(2, field(1, port) + field(3, b"") + field(4, b"NodePort"))
    assert decoded(enveloped("Service", service)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}], "type": "NodePort"},
    }
    secret = field(1, field(1, b"s")) + field(2, field(1, b"a") + field(2, b"b"))
    assert decoded(enveloped("Secret", secret))["data"] == {"a": "Yg=="}
    # None are asked for, which is not the same as nothing said.
    assert decoded(enveloped("Deployment", field(2, field(1, 0))))["spec"] == {"replicas": 0}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"k8s\x00",
        b"nix",
        enveloped("Nix", b""),
        enveloped("ConfigMap", b"\x0a\xff"),
        enveloped("ConfigMap", b"\x0a"),
        enveloped("ConfigMap", b"\x80" * 20),
        enveloped("ConfigMap", field(2, 1)),
        enveloped("ConfigMap", field(1, 1)),
        enveloped("ConfigMap", field(1, field(1, b"\xff"))),
        enveloped("Deployment", field(2, field(3, field(2, field(1, b"volume"))))),
    ],
)
def test_protobuf_that_is_none_or_says_more_is_refused(data: bytes):
    with pytest.raises(Refused) as caught:
        decoded(data)
    assert caught.value.code == 415


AGES = {5: "5s", 119: "119s", 125: "2m5s", 600: "10m", 7200: "120m", 11_000: "3h3m", 90_000: "25h", 200_000: "2d7h"}


@pytest.mark.parametrize("seconds", AGES)
def test_ages_are_those_of_kubectl(seconds: int, monkeypatch: pytest.MonkeyPatch):
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    assert age(stamp(now - seconds)) == AGES[seconds]
