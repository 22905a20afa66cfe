"""Bookinfo: four roles, what they forward, how long they wait, and how they bear each other's failures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from image_app import IMAGES, App, StartApp, environment, free_port


def hops(reply: Any) -> list[str]:
    """``service/version`` of everything that took part."""
    return [part.strip().rpartition("/")[0] for part in reply.headers["x-path"].split(",")]


# A busy machine must not look like a slow service, except where a test sets limits of its own.
PATIENT = {"DETAILS_TIMEOUT_S": "60", "REVIEWS_TIMEOUT_S": "60", "RATINGS_TIMEOUT_S": "60"}


class Bookinfo:
    """The four services, each knowing the addresses of the others."""

    def __init__(self, start_app: StartApp, *, version: str = "v3", **env: dict[str, str]) -> None:
        star = {"v1": {}, "v2": {"STAR_COLOR": "black"}, "v3": {"STAR_COLOR": "red"}}[version]
        self.ratings = start_app(
            "bookinfo", ROLE="ratings", SERVICE_VERSION="v1", POD_NAME="ratings-1", **env.get("ratings", {})
        )
        urls = {"RATINGS_URL": self.ratings.url}
        self.reviews = start_app(
            "bookinfo",
            ROLE="reviews",
            SERVICE_VERSION=version,
            POD_NAME="reviews-1",
            **{**PATIENT, **star, **urls, **env.get("reviews", {})},
        )
        self.details = start_app("bookinfo", ROLE="details", SERVICE_VERSION="v1", POD_NAME="details-1")
        urls |= {"REVIEWS_URL": self.reviews.url, "DETAILS_URL": self.details.url}
        self.page = start_app(
            "bookinfo",
            ROLE="productpage",
            SERVICE_VERSION="v1",
            POD_NAME="page-1",
            **{**PATIENT, **urls, **env.get("productpage", {})},
        )


@pytest.fixture(scope="module")
def bookinfo(start_app: StartApp) -> Bookinfo:
    return Bookinfo(start_app)


@pytest.fixture(scope="module")
def echo(start_app: StartApp) -> App:
    """A service that answers with what it was sent."""
    return start_app("web", SERVICE_NAME="echo", POD_NAME="echo-1")


def echoing_page(start_app: StartApp, echo: App, **env: str) -> App:
    """A page whose details and reviews are echoes of the calls for them."""
    urls = {"REVIEWS_URL": f"{echo.url}/headers", "DETAILS_URL": f"{echo.url}/headers"}
    return start_app("bookinfo", **{"ROLE": "productpage", **PATIENT, **urls, **env})


def test_programs_get_json_and_the_path_depth_first(bookinfo: Bookinfo) -> None:
    reply = bookinfo.page.get("/productpage")
    assert hops(reply) == ["productpage/v1", "details/v1", "reviews/v3", "ratings/v1"]
    page = reply.json()
    assert (page["service"], page["version"], page["pod"]) == ("productpage", "v1", "page-1")
    assert page["details"]["author"] == "Jules Verne"
    assert [review["rating"] for review in page["reviews"]["reviews"]] == [
        {"stars": 5, "color": "red"},
        {"stars": 4, "color": "red"},
    ]
    assert reply.headers["x-parts"] == "details=200, reviews=200"


def test_people_get_a_page_that_needs_nothing_from_elsewhere(bookinfo: Bookinfo) -> None:
    reply = bookinfo.page.get("/productpage", headers={"accept": "text/html,*/*;q=0.8"})
    assert reply.headers["content-type"].startswith("text/html")
    assert hops(reply) == ["productpage/v1", "details/v1", "reviews/v3", "ratings/v1"]
    assert 'aria-label="5 out of 5 stars"' in reply.text
    assert 'class="stars red"' in reply.text
    assert all(pod in reply.text for pod in ("page-1", "details-1", "reviews-1", "ratings-1"))
    assert not re.search(r'(?:src|href)="(?!data:|#|/)', reply.text)
    assert '<html lang="en">' in reply.text and "<main>" in reply.text and '<label for="username">' in reply.text


def test_version_1_has_no_stars_and_asks_nobody(start_app: StartApp) -> None:
    reviews = start_app("bookinfo", ROLE="reviews", SERVICE_VERSION="v1", RATINGS_URL=f"http://127.0.0.1:{free_port()}")
    reply = reviews.get("/reviews/0")
    assert hops(reply) == ["reviews/v1"]
    assert all("rating" not in review for review in reply.json()["reviews"])


def test_version_2_has_black_stars(start_app: StartApp, bookinfo: Bookinfo) -> None:
    reviews = start_app(
        "bookinfo", ROLE="reviews", SERVICE_VERSION="v2", STAR_COLOR="black", RATINGS_URL=bookinfo.ratings.url
    )
    page = start_app("bookinfo", ROLE="productpage", REVIEWS_URL=reviews.url, DETAILS_URL=bookinfo.details.url)
    assert 'class="stars ink"' in page.get("/productpage", headers={"accept": "text/html"}).text


def test_the_api_answers_with_the_parts(bookinfo: Bookinfo) -> None:
    assert bookinfo.page.get("/api/v1/products").json()["products"][0]["id"] == 0
    assert bookinfo.page.get("/api/v1/products/0").json()["details"]["year"] == 1870
    assert len(bookinfo.page.get("/api/v1/products/0/reviews").json()["reviews"]["reviews"]) == 2
    assert bookinfo.page.get("/api/v1/products/0/ratings").json()["ratings"]["ratings"] == {"Nadia": 5, "Tomasz": 4}
    assert bookinfo.page.get("/api/v1/products/0/prices").status_code == 404
    assert bookinfo.page.get("/nowhere").status_code == 404


def test_a_pod_of_ratings_remembers_what_it_is_given(start_app: StartApp) -> None:
    ratings = start_app("bookinfo", ROLE="ratings", SERVICE_VERSION="v1", POD_NAME="ratings-2")
    reviews = start_app("bookinfo", ROLE="reviews", STAR_COLOR="red", RATINGS_URL=ratings.url)
    given = {"Nadia": 1, "Reviewer2": 4}
    assert ratings.post("/ratings/0", data=json.dumps(given)).json()["ratings"] == given
    assert ratings.get("/ratings/0").json()["ratings"] == given
    assert ratings.get("/ratings/7").json()["ratings"] == {"Nadia": 5, "Tomasz": 4}
    stars = [review["rating"]["stars"] for review in reviews.get("/reviews/0").json()["reviews"]]
    assert stars == [1, 0]


@pytest.mark.parametrize("body", ["", "x", "[1]", '{"Nadia": "5"}', '{"Nadia": 6}', '{"Nadia": true}', "[" * 100_000])
def test_what_are_no_ratings_is_refused(bookinfo: Bookinfo, body: str) -> None:
    reply = bookinfo.ratings.post("/ratings/0", data=body)
    assert reply.status_code == 400 and "ratings as JSON" in reply.text
    assert bookinfo.ratings.get("/ratings/0").json()["ratings"] == {"Nadia": 5, "Tomasz": 4}


def test_ratings_are_kept_of_some_books_only(start_app: StartApp) -> None:
    ratings = start_app("bookinfo", ROLE="ratings")
    statuses = [ratings.post(f"/ratings/{number}", data="{}").status_code for number in range(101)]
    assert statuses == [200] * 100 + [400]
    assert ratings.post("/ratings/0", data='{"Nadia": 1}').status_code == 200


TRACE = {
    "x-request-id": "r-1",
    "traceparent": "00-a-b-01",
    "tracestate": "k=v",
    "b3": "1-2",
    "x-b3-traceid": "t",
    "x-b3-sampled": "1",
}


def test_what_matters_is_forwarded(start_app: StartApp, echo: App) -> None:
    page = echoing_page(start_app, echo)
    sent = {**TRACE, "end-user": "jason", "x-user": "u", "cookie": "a=1", "user-agent": "test", "x-other": "no"}
    page_json = page.get("/productpage", headers=sent).json()
    for part in ("details", "reviews"):
        seen = page_json[part]["headers"]
        assert {key: seen.get(key) for key in sent} == {**sent, "x-other": None}
        assert seen["accept"] == "application/json"


def test_without_forwarded_headers_only_the_trace_goes_on(start_app: StartApp, echo: App) -> None:
    page = echoing_page(start_app, echo, FORWARD_HEADERS="")
    sent = {**TRACE, "end-user": "jason", "cookie": "a=1", "x-user": "u"}
    seen = page.get("/productpage", headers=sent).json()["reviews"]["headers"]
    assert {key: seen.get(key) for key in TRACE} == TRACE
    assert not {"end-user", "cookie", "x-user"} & set(seen)


def test_forwarded_headers_can_be_chosen(start_app: StartApp, echo: App) -> None:
    page = echoing_page(start_app, echo, FORWARD_HEADERS="Target, x-user")
    seen = page.get("/productpage", headers={"target": "condition1", "end-user": "jason"}).json()["reviews"]["headers"]
    assert seen["target"] == "condition1"
    assert "end-user" not in seen


@pytest.mark.parametrize(
    ("env", "call"),
    [
        ({}, "/headers/reviews/0"),
        ({"FORWARD_QUERY": "true"}, "/headers/reviews/0?test-v2=true"),
        ({"FORWARD_PATH": "true"}, "/headers/reviews/0/V2/x"),
        ({"FORWARD_PATH": "true", "FORWARD_QUERY": "true"}, "/headers/reviews/0/V2/x?test-v2=true"),
    ],
)
def test_query_and_path_go_on_when_asked_for(start_app: StartApp, echo: App, env: dict[str, str], call: str) -> None:
    page = echoing_page(start_app, echo, **env)
    seen = page.get("/productpage/V2/x?test-v2=true").json()["reviews"]
    assert f"{seen['path']}{'?' if seen['raw_query'] else ''}{seen['raw_query']}" == call


def test_reviews_answers_below_its_path(bookinfo: Bookinfo) -> None:
    assert bookinfo.reviews.get("/reviews/0/v2/x?y=1").json()["id"] == 0


@pytest.mark.parametrize("forward", ["end-user", ""])
def test_who_logs_in_on_the_page_is_the_end_user_upstream(start_app: StartApp, echo: App, forward: str) -> None:
    page = echoing_page(start_app, echo, FORWARD_HEADERS=forward)
    login = page.post("/login", data={"username": "jason"})
    assert (login.status_code, login.headers["location"]) == (303, "/productpage")
    cookies = login.cookies.get_dict()
    assert cookies == {"user": "jason"}
    shown = page.get("/productpage", cookies=cookies)
    assert shown.json()["user"] == "jason"
    assert shown.json()["reviews"]["headers"]["end-user"] == "jason"
    html = page.get("/productpage", cookies=cookies, headers={"accept": "text/html"}).text
    assert "<strong>jason</strong>" in html
    assert page.post("/logout", cookies=cookies).cookies.get_dict() == {}


def test_every_service_says_that_it_is_healthy_and_the_home_page_leads_to_the_book(bookinfo: Bookinfo) -> None:
    for app in (bookinfo.page, bookinfo.details, bookinfo.reviews, bookinfo.ratings):
        assert app.get("/health").json()["status"].endswith("is healthy")
    home = bookinfo.page.get("/")
    assert 'href="productpage?u=normal"' in home.text and 'href="productpage?u=test"' in home.text


def test_names_cannot_break_the_page(start_app: StartApp, echo: App) -> None:
    page = echoing_page(start_app, echo)
    login = page.post("/login", data={"username": "<b>\r\nüx"})
    html = page.get(
        "/productpage", cookies=login.cookies.get_dict(), headers={"accept": "text/html", "end-user": ""}
    ).text
    assert "<strong>&lt;b&gt;üx</strong>" in html
    assert page.post("/login", data={"username": "  "}).cookies.get_dict() == {}


def test_a_slow_part_is_given_up_after_its_time_and_tries(start_app: StartApp) -> None:
    slow = Bookinfo(
        start_app,
        ratings={"DELAY_S": "8"},
        reviews={"RATINGS_TIMEOUT_S": "60"},
        productpage={"REVIEWS_TIMEOUT_S": "0.3", "REVIEWS_TRIES": "2"},
    )
    reply = slow.page.get("/productpage")
    assert 0.6 <= reply.elapsed.total_seconds() < 6
    page = reply.json()
    assert page["reviews"] == {
        "error": "reviews are currently unavailable",
        "reason": "no answer from reviews within 0.3 s",
        "status": 0,
    }
    assert page["details"]["author"] == "Jules Verne"
    assert hops(reply) == ["productpage/v1", "details/v1"]
    assert reply.headers["x-parts"] == "details=200, reviews=failed"
    html = slow.page.get("/productpage", headers={"accept": "text/html"})
    assert html.status_code == 200
    assert "Reviews are currently unavailable." in html.text
    assert slow.page.get("/api/v1/products/0/reviews").status_code == 504


def test_missing_ratings_leave_the_reviews_readable(start_app: StartApp) -> None:
    broken = Bookinfo(start_app, ratings={"FAIL_RATE": "1", "FAIL_STATUS": "500"})
    reply = broken.page.get("/productpage")
    assert hops(reply) == ["productpage/v1", "details/v1", "reviews/v3", "ratings/v1"]
    for review in reply.json()["reviews"]["reviews"]:
        assert review["text"]
        assert (review["rating"]["error"], review["rating"]["status"]) == ("ratings are currently unavailable", 500)
    html = broken.page.get("/productpage", headers={"accept": "text/html"}).text
    assert html.count("Ratings are currently unavailable.") == 2
    assert broken.ratings.get("/healthz").status_code == 200


def test_a_service_that_is_gone_is_told_in_its_place(start_app: StartApp, echo: App) -> None:
    page = start_app(
        "bookinfo",
        ROLE="productpage",
        REVIEWS_URL=f"http://127.0.0.1:{free_port()}",
        DETAILS_URL=f"{echo.url}/none",
    )
    reply = page.get("/productpage")
    assert reply.status_code == 200
    assert reply.json()["reviews"]["reason"].startswith("no connection to reviews")
    assert reply.json()["details"]["reason"] == "details answered 404"
    assert reply.headers["x-parts"] == "details=404, reviews=failed"
    assert page.get("/api/v1/products/0/reviews").status_code == 504


def test_calls_go_through_the_proxy_of_the_environment(start_app: StartApp, echo: App) -> None:
    # As a proxy, the echo is asked for an absolute URL; it looks at the path alone and finds its own /headers.
    page = start_app(
        "bookinfo",
        **PATIENT,
        ROLE="productpage",
        HTTP_PROXY=echo.url,
        REVIEWS_URL="http://reviews:9080/headers",
        DETAILS_URL="http://details:9080/headers",
    )
    seen = page.get("/productpage").json()
    assert seen["reviews"]["headers"]["host"] == "reviews:9080"
    assert seen["details"]["headers"]["host"] == "details:9080"


def test_the_page_tries_again_with_the_same_request_id(start_app: StartApp) -> None:
    ratings = start_app("bookinfo", ROLE="ratings", FAIL_FIRST_TRIES="1")
    reviews = {"ROLE": "reviews", "STAR_COLOR": "red", "RATINGS_URL": ratings.url}
    once = start_app("bookinfo", **reviews)
    twice = start_app("bookinfo", **reviews, RATINGS_TRIES="2")
    first = once.get("/reviews/0", headers={"x-request-id": "once"}).json()["reviews"][0]["rating"]
    assert first["status"] == 503
    again = twice.get("/reviews/0", headers={"x-request-id": "twice"}).json()["reviews"][0]["rating"]
    assert again["stars"] == 5


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "ROLE must be one of"),
        ({"ROLE": "cart"}, "ROLE must be one of"),
        ({"ROLE": "productpage", "REVIEWS_TIMEOUT_S": "soon"}, "REVIEWS_TIMEOUT_S must be a number"),
        ({"ROLE": "productpage", "REVIEWS_TRIES": "0"}, "REVIEWS_TRIES must lie between 1"),
        ({"ROLE": "productpage", "FORWARD_QUERY": "maybe"}, "FORWARD_QUERY must be true or false"),
        ({"ROLE": "reviews", "RATINGS_TRIES": "1.5"}, "RATINGS_TRIES must be a whole number"),
    ],
)
def test_a_wrong_variable_stops_the_program_with_its_name(env: dict[str, str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=IMAGES / "bookinfo",
        env=environment(free_port(), env),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert message in done.stderr.decode()
