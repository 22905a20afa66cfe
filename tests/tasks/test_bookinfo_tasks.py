"""Request routing, fault injection, traffic shifting and request timeouts, on Bookinfo as it is published."""

from __future__ import annotations

import pytest
import requests
from task_manifests import MANIFESTS, Apply

from labsupport import check
from labsupport.lab.lab import Lab
from labsupport.traffic.observations import Observations

PAGE = "gateway:8080/productpage"
JASON = {"end-user": "jason"}


@pytest.fixture(scope="module", autouse=True)
def bookinfo(apply: Apply) -> None:
    apply("bookinfo", "bookinfo-gateway", "destination-rule-all")


def page(lab: Lab, count: int = 1, *, jason: bool = False) -> Observations:
    return lab.send(PAGE, count=count, headers=JASON if jason else {})


def shown(lab: Lab, *, jason: bool = False) -> str:
    """The page as a browser shows it."""
    headers = {"accept": "text/html"} | (JASON if jason else {})
    (seen,) = lab.send(PAGE, headers=headers, keep_body=True)
    assert seen.status == 200
    return seen.body


def in_turn(lab: Lab) -> bool:
    paths = [hop for seen in page(lab, 90) for hop in seen.path]
    return {hop.version for hop in paths if hop.service == "reviews"} == {"v1", "v2", "v3"}


def test_without_rules_each_version_has_its_turn_and_again_when_they_are_deleted(lab: Lab, apply: Apply) -> None:
    assert in_turn(lab)
    apply("virtual-service-all-v1")
    names = {"details", "productpage", "ratings", "reviews"}
    assert {rule.name for rule in lab.get("virtualservices")} == {*names, "bookinfo"}
    assert {rule.name for rule in lab.get("destinationrules")} == names
    assert "★" not in shown(lab)
    lab.delete(MANIFESTS / "virtual-service-all-v1.yaml")
    assert [rule.name for rule in lab.get("virtualservices")] == ["bookinfo"]
    assert in_turn(lab)


def test_the_page_has_links_and_a_form_that_signs_in(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1")
    address = lab.urls()["gateway:8080"]
    with requests.Session() as browser:
        browser.trust_env = False
        login = browser.post(f"{address}/login", data={"username": "jason", "passwd": ""}, timeout=20)
        assert login.status_code == 200 and "jason" in login.text
        assert browser.get(f"{address}/logout", timeout=20).status_code == 200


def test_requests_are_routed_to_v1_and_those_of_jason_to_v2(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1")
    assert check.only(page(lab, 30), service="reviews", version="v1")
    apply("virtual-service-reviews-test-v2")
    assert "exact: jason" in lab.get("virtualservice", "reviews").yaml
    assert check.only(page(lab, 20, jason=True), service="reviews", version="v2")
    assert check.only(page(lab, 20), service="reviews", version="v1")
    assert 'class="stars ink"' in shown(lab, jason=True) and "★" not in shown(lab)


def test_a_delay_for_jason_is_longer_than_the_page_waits_for_reviews(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1", "virtual-service-reviews-test-v2", "virtual-service-ratings-test-delay")
    (slow,) = page(lab, jason=True)
    # Twice three seconds, and then the page goes without.
    assert slow.status == 200 and slow.duration_s >= 6
    assert "reviews" not in {hop.service for hop in slow.path}
    assert "Reviews are currently unavailable" in shown(lab, jason=True)
    (quick,) = page(lab)
    assert quick.duration_s < slow.duration_s and "reviews" in {hop.service for hop in quick.path}
    assert "fixedDelay: 7s" in lab.get("virtualservice", "ratings").yaml


def test_the_version_that_waits_for_less_is_the_remedy(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1", "virtual-service-reviews-v3", "virtual-service-ratings-delay-2s")
    (slow,) = page(lab, jason=True)
    assert slow.status == 200 and slow.duration_s >= 2 and {"reviews", "ratings"} <= {hop.service for hop in slow.path}
    assert 'class="stars red"' in shown(lab, jason=True)


def test_an_abort_for_jason_costs_the_stars_alone(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1", "virtual-service-reviews-test-v2", "virtual-service-ratings-test-abort")
    (seen,) = lab.send(PAGE, headers={**JASON, "accept": "text/html"}, keep_body=True)
    assert seen.status == 200 and "Ratings are currently unavailable" in seen.body
    (other,) = lab.send(PAGE, headers={"accept": "text/html"}, keep_body=True)
    assert "unavailable" not in other.body


def test_traffic_is_shifted_from_v1_to_v3(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1")
    assert check.only(page(lab, 20), service="reviews", version="v1")
    apply("virtual-service-reviews-50-v3")
    assert lab.get("virtualservice", "reviews").yaml.count("weight: 50") == 2
    assert check.share(page(lab, 120), {"v1": 50, "v3": 50}, service="reviews")
    apply("virtual-service-reviews-v3")
    assert check.only(page(lab, 20), service="reviews", version="v3")
    assert 'class="stars red"' in shown(lab)


def test_a_timeout_of_reviews_is_met_twice_as_the_page_tries_twice(lab: Lab, apply: Apply) -> None:
    apply("virtual-service-all-v1", "virtual-service-reviews-v2", "virtual-service-ratings-delay-2s")
    (slow,) = page(lab)
    assert "★" in shown(lab)
    assert slow.duration_s >= 2 and "ratings" in {hop.service for hop in slow.path}
    apply("virtual-service-reviews-v2-timeout")
    (cut,) = page(lab)
    assert cut.status == 200 and cut.duration_s >= 1
    assert "reviews" not in {hop.service for hop in cut.path}
    assert "Reviews are currently unavailable" in shown(lab)
