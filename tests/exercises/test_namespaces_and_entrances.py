"""Objects of other namespaces, named as with kubectl, and entrances, named as ``lab.urls()`` tells them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from labsupport import check, paths, watch
from labsupport.errors import ManifestError, NotFoundError, UsageError
from labsupport.lab.lab import Lab
from labsupport.records import ApplyResult

pytestmark = pytest.mark.embedded

SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 5000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-blue, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: blue}}
    spec:
      containers: [{name: web, image: gcr.io/istio-workshop/web, ports: [{containerPort: 5000}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets: [{name: one, labels: {version: blue}}, {name: two, labels: {version: green}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  http:
    - route:
        - {destination: {host: web, subset: one}, weight: 100}
        - {destination: {host: web, subset: two}, weight: 0}
"""
URL = "http://web.shop:8080/"
TO_NOBODY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: nobody, labels: {version: green}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  http: [{route: [{destination: {host: web, subset: nobody}}]}]
"""


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """A rule, a service and a Deployment of the same names in two namespaces."""
    lab.apply("02-canary-by-weight/web", "apps/client", "02-canary-by-weight/destination-rule-web-versions.yaml")
    lab.apply("02-canary-by-weight/virtual-service-web-50-50.yaml", SHOP)
    return lab


def test_a_verb_means_the_namespace_that_is_named_and_else_the_labs_own(shop: Lab) -> None:
    for there in (shop.get("vs/web.shop"), shop.get("vs/web", namespace="shop"), shop.get("vs", namespace="shop")):
        assert [(rule.name, rule.namespace) for rule in there] == [("web", "shop")]
    assert [rule.namespace for rule in shop.get("vs", "web")] == ["default"]
    assert {rule.namespace for rule in shop.get("vs", namespace="*")} == {"default", "shop"}
    assert "web.shop.svc.cluster.local" in repr(shop.config("vs/web.shop"))
    assert "web.shop.svc.cluster.local" not in repr(shop.config("vs/web"))
    with pytest.raises(NotFoundError, match=r"VirtualService/web in the namespace cart"):
        shop.get("vs/web", namespace="cart")


@pytest.mark.parametrize(
    "change",
    [
        lambda lab, **where: lab.patch("vs/web", {"metadata": {"labels": {"by": "test"}}}, **where),
        lambda lab, **where: lab.delete("vs/web", **where),
    ],
    ids=["patch", "delete"],
)
@pytest.mark.parametrize("where", ["shop", "default"])
def test_a_change_leaves_the_namesake_alone(shop: Lab, change: Callable[..., ApplyResult], where: str) -> None:
    other = {"shop": "default", "default": "shop"}[where]
    before = shop.get("vs", namespace=other).yaml
    result = change(shop, namespace=where)
    assert [change.ref.namespace for change in result.changes] == [where]
    assert shop.get("vs", namespace=other).yaml == before


def test_references_with_a_dot_change_what_they_name(shop: Lab) -> None:
    assert shop.scale("web-blue.shop", 2).changes[0].ref.namespace == "shop"
    assert len(shop.pods().of("web-blue")) == 2
    assert shop.scale("deploy/web-blue", 1, namespace="shop").changes[0].action == "changed"
    with pytest.raises(NotFoundError):
        shop.scale("web-blue", 3)
    to_green = {"spec": {"http": [{"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}}]}}
    to_green["spec"]["http"][0]["route"] = [{"destination": {"host": "web"}}]  # type: ignore[assignment]
    shop.patch("vs/web.shop", to_green)
    assert check.status(shop.send(URL, source="client", count=5), 418)
    shop.delete("vs/web.shop", "dr/web.shop")
    assert check.only(shop.send(URL, source="client", count=5), version="blue")
    assert len(shop.get("vs")) == 1
    assert shop.delete("vs/web.shop", missing_ok=True).changes == ()


def test_sliders_and_explanations_look_into_the_namespace_of_the_rule(shop: Lab) -> None:
    with shop.traffic(URL, source="client", rate=50) as live:
        seen = watch(live, rule="vs/web.shop")
        assert [part.version for part in seen.turn("vs/web.shop").split.parts] == ["blue", "green"]
        assert live.steering is not None
        assert live.steering.expected() == {"blue": 1.0}
        live.steering.turn(seen.turn("vs/web.shop").rule, (90, 10))
        seen.close()
    assert "weight: 90" in shop.get("vs/web.shop").yaml
    assert "weight: 50" in shop.get("vs/web").yaml
    shop.patch("vs/web.shop", {"spec": {"http": [{"redirect": {"uri": "/moved"}}]}})
    assert "VirtualService/web" in repr(shop.explain(URL, source="client", confirm=False))
    assert shop.explain(URL, source="client").agrees is True


@pytest.mark.parametrize("name", ["deploy/client.shop", "client.shop", "pod"])
def test_a_caller_is_named_as_any_object(shop: Lab, name: str) -> None:
    (own,) = (pod.name for pod in shop.pods().of("client"))
    document = yaml.safe_load((paths.manifests() / "apps/client/deployment-client.yaml").read_text())
    document["metadata"]["namespace"] = "shop"
    shop.apply(document)
    (there,) = (pod for pod in shop.pods().of("client") if pod.namespace == "shop")
    name = f"pod/{there.name}" if name == "pod" else name
    assert check.ok(shop.send(URL, source=name, count=5))
    assert shop.logs(name) == shop.logs("client", namespace="shop")
    assert {record.pod for record in shop.access_log(shop.send(URL, source=name))} >= {there.name}
    for here in ("client", "deploy/client"):
        assert {record.pod for record in shop.access_log(shop.send(URL, source=here))} >= {own}
    assert shop.config("vs/web.shop", proxy=name).proxy == there.name
    assert "name: outbound|8080|safe|web.default" in repr(shop.config(shop.get("vs/web")))
    assert there.name in repr(shop.explain(URL, source=name))
    with shop.traffic(URL, source=name, rate=50) as live:
        assert check.ok(live.collect(5))


ENTRANCE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entrance}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
    - {port: {number: 8081, name: other, protocol: HTTP}, hosts: ["*"]}
    - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
    - {port: {number: 9443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: web}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entrance}
spec:
  hosts: ["*"]
  gateways: [entrance]
  http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: web, port: {number: 8080}}}]}]
"""


def test_requests_go_where_an_address_for_a_browser_leads(lab: Lab) -> None:
    from labsupport.certificates import Authority

    secret: Any = Authority("Course CA").server("web.example").secret("web")
    lab.apply("apps/web", "apps/client", ENTRANCE, secret)
    urls = lab.urls()
    assert {"gateway", "gateway:8081", "gateway:9000", "gateway:9443", "nodeport:web"} <= set(urls)
    for name, address in urls.items():
        if name == "gateway:9000":
            raw = lab.send(address, body="GET / HTTP/1.1\r\nHost: web\r\n\r")
            assert raw[0].body.startswith("HTTP/1.1 200"), raw
            continue
        assert check.ok(lab.send(address, count=2)), name
        assert check.ok(lab.send(f"{address}/?x=1", count=2)), name
    assert check.ok(lab.send("gateway", count=2))
    assert lab.explain(urls["gateway"]).agrees is True
    with lab.traffic(urls["gateway:8081"], rate=50) as live:
        assert check.ok(live.collect(5))
    with pytest.raises(UsageError, match="inside the mesh"):
        lab.send("http://127.0.0.1:1/")


SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
ALONE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alone, namespace: shop}
spec: {hosts: [only.rules.example], http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]}
"""


def test_objects_are_applied_to_a_namespace_that_exists(shop: Lab) -> None:
    shop.apply(SETTINGS, namespace="shop")
    assert [settings.name for settings in shop.get("cm", namespace="shop")] == ["settings"]
    assert not shop.get("cm")
    for text, namespace in ((SETTINGS, "shpo"), (SETTINGS.replace("settings}", "settings, namespace: shpo}"), None)):
        with pytest.raises(ManifestError, match="there is no namespace shpo") as caught:
            shop.apply(text, namespace=namespace)
        assert caught.value.problems[0].line == 3
    with pytest.raises(UsageError, match="names a namespace of its own"):
        shop.apply(SHOP, namespace="default")


def test_what_there_is_instead_is_told_with_its_namespace(shop: Lab) -> None:
    with pytest.raises(NotFoundError, match=r"There are: web, web\.shop$"):
        shop.delete("vs/wbe")
    with pytest.raises(NotFoundError, match=r"There are: web\.default, web$"):
        shop.patch("vs/wbe", {"spec": {}}, namespace="shop")


def test_pods_are_shown_with_their_namespaces_where_there_are_several(shop: Lab) -> None:
    assert repr(shop.pods()).startswith("NAMESPACE") and "shop " in repr(shop.pods())
    assert "VirtualService/web.shop " in repr(shop.status()) and "VirtualService/web " in repr(shop.status())
    shop.delete("ns/shop")
    assert repr(shop.pods()).startswith("NAME ")


def test_a_namespace_goes_with_all_that_is_in_it(shop: Lab) -> None:
    shop.delete("ns/shop", "vs/web.shop")
    assert {thing.namespace for thing in shop.get("all", namespace="*")} == {"default"}
    assert all(pod.namespace != "shop" for pod in shop.pods())


def test_hosts_of_port_80_that_only_a_rule_knows_are_explained(shop: Lab) -> None:
    shop.apply(ALONE)
    explained = shop.explain("http://only.rules.example/", source="client")
    assert explained.agrees is True and explained.explanation.chosen is not None
    host = "istio-ingressgateway.istio-system.svc.cluster.local"
    assert shop.explain(f"http://{host}/", source="client", confirm=False).explanation.destinations[0].host == host


def test_services_of_one_name_are_two_in_the_graph(shop: Lab) -> None:
    shop.apply(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: slow, namespace: shop}\n"
        "spec: {hosts: [web], http: [{timeout: 7s, route: [{destination: {host: web, subset: one}}]}]}\n"
    )
    shop.delete("vs/web.shop")
    seen = shop.send(URL, source="client", count=2) + shop.send("http://web:8080/", source="client", count=3)
    graph = shop.graph(seen).now()
    assert {(edge.target, edge.count) for edge in graph.edges} == {("web.shop", 2), ("web.default", 3)}
    assert "timeout 7s" in graph.nodes["web.shop"].badges and "timeout 7s" not in graph.nodes["web.default"].badges


def test_a_bare_name_is_the_labs_own_whoever_came_first_and_a_journey_tells_namesakes_apart(lab: Lab) -> None:
    document = yaml.safe_load((paths.manifests() / "apps/client/deployment-client.yaml").read_text())
    document["metadata"]["namespace"] = "shop"
    lab.apply(SHOP)
    lab.apply(document)
    lab.apply("02-canary-by-weight/web", "apps/client")
    own = [pod.name for pod in lab.pods() if pod.workload == "client" and pod.namespace == "default"]
    (seen,) = lab.send("http://web.default:8080/", source="client")
    assert {record.pod for record in lab.access_log(seen)} >= {*own}
    assert lab.explain(URL, source="client").explanation.proxy == own[0]
    assert lab.explain(URL, source="client").agrees is True
    assert {row.callee.partition(" ")[0] for row in lab.journey(seen).hops} == {"web.default"}
    lab.apply(TO_NOBODY)
    (lost,) = lab.send(URL, source="client")
    assert {row.callee for row in lab.journey(lost).hops} == {"web.shop nobody"}
