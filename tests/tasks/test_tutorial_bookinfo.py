"""A tutorial on Bookinfo: rules on content, faults, limits and policies, each with the spelling of Istio 1.4 to 1.6."""

from __future__ import annotations

import time

import pytest
from task_manifests import Apply, step

from labsupport import check
from labsupport.lab.lab import Lab
from labsupport.traffic.observations import Observations


@pytest.fixture(scope="module", autouse=True)
def bookinfo(lab: Lab, apply: Apply) -> None:
    apply("curl", "bookinfo", "bookinfo-gateway")
    lab.apply(step("reviews-subsets"), name="subsets")


def page(lab: Lab, count: int = 1, query: str = "", **headers: str) -> Observations:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lab.send(f"gateway:/productpage{query}", count=count, headers=names)


def test_weights_hold_at_the_gateway_and_in_the_mesh_and_an_old_version_is_told(lab: Lab) -> None:
    made = lab.apply(step("reviews-weights"), name="weights")
    assert any("v1alpha3 is an old version" in note for note in made.notes)
    assert check.share(page(lab, 200), {"v1": 10, "v2": 10, "v3": 80}, service="reviews")


def test_a_header_goes_first(lab: Lab) -> None:
    lab.apply(step("reviews-header"), name="header")
    assert check.only(page(lab, 20, end_user="tester"), service="reviews", version="v1")


def test_query_and_path_are_matched_and_a_flag_without_effect_is_told(lab: Lab) -> None:
    made = lab.apply(step("reviews-path"), name="path")
    assert any("ignoreUriCase has no effect on a regex" in note for note in made.notes)
    assert check.only(lab.send("http://reviews:9080/reviews/0?test-v2=true", count=20, source="curl"), version="v2")
    lab.delete("vs/reviews")


def test_faults_for_one_user(lab: Lab) -> None:
    # Only v2 and v3 ask for stars.
    lab.apply(step("reviews-mirror"), step("ratings-abort"), name="abort")
    (seen,) = lab.send("gateway:/productpage", headers={"end-user": "tester", "accept": "text/html"}, keep_body=True)
    assert seen.status == 200 and "Ratings are currently unavailable" in seen.body
    lab.apply(step("ratings-delay"), name="delay")
    (slow,) = page(lab, end_user="tester")
    assert slow.duration_s >= 6 and "reviews" not in {hop.service for hop in slow.path}
    lab.delete("vs/ratings", "vs/reviews")


def test_a_timeout_counts_what_lies_behind_and_the_page_tries_twice(lab: Lab) -> None:
    lab.apply(step("reviews-timeout"), step("ratings-delay"), name="timeout")
    (slow,) = page(lab, end_user="tester")
    assert slow.duration_s >= 2 and "reviews" not in {hop.service for hop in slow.path}
    lab.delete("vs/ratings", "vs/reviews")


def test_retries_beside_a_fault_of_the_same_rule_do_not_combine(lab: Lab) -> None:
    lab.apply(step("reviews-retries"), name="retries")
    (seen,) = page(lab)
    assert seen.duration_s >= 6
    lab.delete("vs/reviews")


def test_a_mirror_gets_copies_and_answers_nobody(lab: Lab) -> None:
    lab.apply(step("reviews-mirror"), name="mirror")
    seen = page(lab, 20)
    assert check.only(seen, service="reviews", version="v3")
    copied: list[str] = []
    deadline = time.monotonic() + 30
    # A copy may still be on its way when the answer is there.
    while len(copied) < 20 and time.monotonic() < deadline:
        records = lab.access_log(seen)
        copied = [each.pod for each in records if each.direction == "inbound" and each.pod.startswith("reviews-v1-")]
    assert len(copied) == 20
    lab.delete("vs/reviews")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reviews-policies", "LEAST_CONN"),
        ("productpage-pool", "v1alpha3 is an old version"),
        ("productpage-breaker", "consecutiveErrors is deprecated"),
    ],
)
def test_policies_are_taken_and_old_fields_told(lab: Lab, name: str, words: str) -> None:
    made = lab.apply(step(name), name=name)
    assert any(words in text for text in (*made.notes, *made.warnings))
    assert page(lab)[0].status == 200


def test_a_cookie_keeps_a_user_at_one_pod(lab: Lab) -> None:
    lab.scale("reviews-v3", 3)
    lab.apply(step("reviews-sticky"), name="sticky")
    seen = lab.send("http://reviews:9080/reviews/0", count=30, source="curl", headers={"cookie": "user=x"})
    assert len({response.path[0].pod for response in seen}) == 1
