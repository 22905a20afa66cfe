"""What is sent to buy something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from small_engine import SmallEngine

from labsupport.course.shopping import STEPS, buy, cookies_of, visit
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab
from labsupport.records import Response
from labsupport.traffic.observations import Observations


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def test_each_step_has_a_response_and_the_order_is_the_last(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    send = Lab.send

    def noted(self: Lab, url: str, **options: Any) -> Any:
        sent.append((options["method"], url))
        return send(self, url, **options)

    monkeypatch.setattr(Lab, "send", noted)
    assert len(buy(lab, "gateway:/", customers=2)) == 2 * STEPS == len(sent)
    assert (sent[0], sent[-1]) == (("GET", "gateway:/login"), ("POST", "gateway:/orders"))


def test_cookies_are_kept_for_one_customer_and_no_longer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    jars: list[dict[str, str]] = []
    given = "shop_session=5ea1; HttpOnly; Path=/, release=v2; Expires=Wed, 02 Dec 2026 00:00:00 GMT"

    def answered(self: Lab, url: str, *, cookies: dict[str, str], **options: Any) -> Observations:
        jars.append(dict(cookies))
        return Observations([Response(0, 0.0, 0.1, "ok", 200, headers={"set-cookie": given})])

    monkeypatch.setattr(Lab, "send", answered)
    buy(lab, customers=2)
    kept = {"shop_session": "5ea1", "release": "v2"}
    assert jars == [{}, kept, kept, kept] * 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("page=v1; Path=/cart; Secure, pod=a", [{"pod": "a"}, {"pod": "a", "page": "v1"}]),
        ("page=v1; max-age=0, pod=a; Max-Age=60; path=/", [{"pod": "a"}] * 2),
        ("page=v1; Path=/car", [{}, {}]),
    ],
)
def test_a_cookie_goes_where_its_path_leads_and_one_that_is_over_nowhere(
    given: str, kept: list[dict[str, str]]
) -> None:
    response = Response(0, 0.0, 0.1, "ok", 200, headers={"set-cookie": given})
    assert [cookies_of(response, path) for path in ("/orders", "/cart")] == kept


@pytest.mark.parametrize("customers", [0, 1001])
def test_a_number_of_customers_that_makes_no_sense_is_refused(lab: Lab, customers: int) -> None:
    with pytest.raises(UsageError, match="customers"):
        buy(lab, customers=customers)


def test_what_is_no_lab_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match=r"Give it the lab: buy\(lab\)"):
        buy(cast(Any, "gateway:"))


def test_pages_are_asked_for_as_browsers_do() -> None:
    engine = SmallEngine()
    with Lab(engine) as lab:
        visits = visit(lab, "nodeport:front-end/", count=3, users=1)
    (spec,) = engine.specs
    assert (spec.count, spec.users, spec.keep_body, spec.headers["accept"]) == (3, 1, True, "text/html")
    assert repr(visits).startswith("3 pages: ")


def test_too_many_pages_for_one_look_are_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="count"):
        visit(lab, count=41)
    with pytest.raises(UsageError, match=r"Give it the lab: visit\(lab\)"):
        visit(cast(Any, "gateway:"))
