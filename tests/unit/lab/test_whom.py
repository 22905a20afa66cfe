"""Which pods a learner means."""

from __future__ import annotations

import pytest

from labsupport.errors import UsageError
from labsupport.lab.whom import pods_named, sender_named
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.observe.tables import Pods
from labsupport.records import Pod, Ref

PODS = Pods(
    (
        Pod("client-1", "default", "client"),
        Pod("client-2", "default", "client"),
        Pod("client-9", "shop", "client"),
        Pod("web.blue-1", "shop", "web.blue"),
        Pod("gateway-1", "system", "gateway"),
    )
)
(DEPLOYMENT,) = parse(
    read(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: client, namespace: shop}\n"
        "spec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, "
        "spec: {containers: [{name: a, image: a}]}}}\n"
    )
)


def names(given: object, **where: str) -> list[str]:
    return [pod.name for pod in pods_named(PODS, given, own="default", **where)]  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["client", "deploy/client", "deploy/client.default", Ref("Deployment", "client")])
def test_a_deployment_is_that_of_the_labs_own_namespace_unless_another_is_named(given: object) -> None:
    assert names(given) == ["client-1", "client-2"]


@pytest.mark.parametrize(
    "given", ["client.shop", "deploy/client.shop", "pod/client-9", "client-9", "pod/client-9.shop", PODS[2], DEPLOYMENT]
)
def test_a_pod_or_deployment_of_another_namespace(given: object) -> None:
    assert names(given) == ["client-9"]


def test_what_is_only_elsewhere_needs_no_namespace_and_names_may_have_dots() -> None:
    assert names("client", namespace="shop") == ["client-9"]
    assert names("deploy/gateway") == names("gateway") == ["gateway-1"]
    assert names("web.blue") == names("deploy/web.blue.shop") == ["web.blue-1"]
    assert names("deploy/client-1") == names("pod/client") == names("client.cart") == []


def test_what_has_no_pods_is_refused() -> None:
    with pytest.raises(UsageError, match="VirtualService/web has no pods of its own"):
        names("vs/web")


def test_a_sender_is_called_by_its_deployment_where_that_is_enough() -> None:
    for given, called in (("deploy/gateway", "gateway"), ("deploy/client.shop", "client-9"), ("client", "client-1")):
        assert sender_named(PODS, pods_named(PODS, given, own="default")) == called


def test_a_pod_that_is_named_among_several_of_its_deployment_sends_itself() -> None:
    pods = Pods(pod for pod in PODS if pod.namespace == "default")
    for given, called in (("client-2", "client-2"), ("pod/client-1", "client-1"), ("client", "client")):
        assert sender_named(pods, pods_named(pods, given, own="default")) == called
