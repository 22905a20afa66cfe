"""The shop in the lab: it sells without a mesh, while it is brought into one, and in two versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from behaviour_mesh import to, virtual_service

from labsupport.lab.lab import Lab
from labsupport.records import Response

SERVICES = ("carts", "catalogue", "front-end", "orders", "payment", "shipping", "user")
INJECT = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}}}
GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
}
VERSIONS = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "front-end"},
    "spec": {
        "host": "front-end",
        "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")],
    },
}
RULES = ("gw/shop", "dr/front-end", "vs/shop", "dr/carts", "vs/carts")
OUTSIDE = "nodeport:front-end"


@pytest.fixture(scope="module", autouse=True)
def left_as_it_was(lab: Lab) -> Iterator[None]:
    yield
    lab.delete("apps/shop", "apps/shop-v2", *RULES, missing_ok=True)


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """The shop without a sidecar, whatever another test did to it."""
    lab.delete("deploy/front-end-v2", *RULES, missing_ok=True)
    lab.apply("apps/shop")
    return lab


class Buyer:
    """Somebody with a session."""

    def __init__(self, lab: Lab, way: str, number: int) -> None:
        self._lab = lab
        self._way = way
        self._cookies = {"shop_session": f"{number:032x}"}

    def ask(self, path: str, method: str = "GET", *, body: Any = None, **headers: str) -> Response:
        (answer,) = self._lab.send(
            f"{self._way}{path}",
            method=method,
            body=json.dumps(body) if body is not None else None,
            headers=headers,
            cookies=self._cookies,
            keep_body=True,
            keep_headers=["x-parts"],
        )
        return answer

    def buy(self) -> Response:
        """One pair of socks; returns the order."""
        basic = "Basic bmFkaWE6c29ja3M="
        assert self.ask("/login", authorization=basic).status == 200
        assert self.ask("/cart", "DELETE").status == 200
        assert self.ask("/cart", "POST", body={"id": "ember"}).status == 201
        order = self.ask("/orders", "POST")
        assert order.status == 201, order.body
        assert json.loads(order.body)["order"]["total"] == 14.0
        return order


def injected(lab: Lab) -> set[str]:
    return {pod.service for pod in lab.pods() if pod.injected} & set(SERVICES)


def test_the_shop_sells_without_a_mesh_and_says_so_when_carts_are_stopped(shop: Lab) -> None:
    assert injected(shop) == set()
    buyer = Buyer(shop, OUTSIDE, 1)
    order = buyer.buy()
    assert {hop.service for hop in order.path} == set(SERVICES) - {"catalogue"}
    page = buyer.ask("/", accept="text/html")
    assert page.headers["x-parts"] == "catalogue=200, carts=200" and 'body class="plain"' in page.body
    shop.scale("carts", 0)
    page = buyer.ask("/", accept="text/html")
    assert page.status == 200 and "Your cart does not answer." in page.body
    assert page.headers["x-parts"] == "catalogue=200, carts=failed", "as where kube-proxy refuses the connection"
    assert buyer.ask("/cart", "POST", body={"id": "ember"}).status >= 500
    shop.scale("carts", 1)
    buyer.buy()


def test_it_goes_on_selling_while_one_service_after_the_other_gets_a_sidecar(shop: Lab) -> None:
    buyer, brought = Buyer(shop, OUTSIDE, 2), set()
    for service in ("carts", "orders", "front-end", *(set(SERVICES) - {"carts", "orders", "front-end"})):
        shop.patch(f"deploy/{service}", INJECT)
        brought.add(service)
        assert injected(shop) == brought
        buyer.buy()
    made = buyer.buy()
    calls = {(line.pod.split("-")[0], line.direction) for line in shop.access_log(made)}
    assert {("orders", "outbound"), ("payment", "inbound"), ("shipping", "inbound"), ("carts", "inbound")} <= calls
    # Nobody but the buyer asked the shop for anything, and no rule copies requests.
    running = {pod.name for pod in shop.pods() if pod.injected and pod.workload in SERVICES}
    lines = [line for line in shop.access_log() if line.pod in running]
    assert lines and not [line for line in lines if line.mirrored or line.protocol == "TCP"]


def test_the_yellow_page_is_released_by_weight_behind_a_gateway(shop: Lab) -> None:
    shop.apply("apps/shop-v2")
    shop.patch("deploy/front-end", INJECT)
    shop.patch("deploy/front-end-v2", INJECT)
    weights = [to("front-end", version, weight=share) for version, share in (("v1", 0), ("v2", 100))]
    rule = virtual_service({"route": weights}, hosts=["*"], gateways=["shop"], name="shop")
    shop.apply(yaml.safe_dump_all([GATEWAY, VERSIONS, rule]), name="release")
    buyer = Buyer(shop, "gateway:", 3)
    assert 'body class="yellow"' in buyer.ask("/", accept="text/html").body
    assert buyer.buy().path[0].version == "v2"


def test_a_page_waits_for_a_cart_that_hangs_as_long_as_the_rules_promise(shop: Lab) -> None:
    lesson = "17-resilience-and-release"

    def wait(count: int) -> float:
        return shop.send(f"{OUTSIDE}/", count=count, concurrency=1).p50_s

    shop.apply(f"{lesson}/deployment-front-end-patient.yaml", f"{lesson}/deployment-carts-hangs.yaml")
    bare = wait(3)
    shop.apply(f"{lesson}/deployment-front-end.yaml")
    assert 0.7 * bare < wait(3) < 1.4 * bare, "a sidecar alone changes nothing"
    bounded = {"timeout": "0.5s", "route": [to("carts")]}
    shop.apply(yaml.safe_dump(virtual_service(bounded, hosts=["carts"], name="carts")))
    half = wait(3)
    assert 1.4 < bare / half < 2.5
    shop.apply(f"{lesson}/exercises/17.2/solution.yaml")
    assert half / wait(12) > 5
