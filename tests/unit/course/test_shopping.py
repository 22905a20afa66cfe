"""What is sent to buy something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from small_engine import SmallEngine

from labsupport.course.shopping import STEPS, buy
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab


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
    assert len(buy(lab, "gateway:/")) == STEPS == len(sent)
    assert (sent[0], sent[-1]) == (("GET", "gateway:/login"), ("POST", "gateway:/orders"))


def test_what_is_no_lab_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match=r"Give it the lab: buy\(lab"):
        buy(cast(Any, "gateway:"))
