"""How many requests left a response flag in the access logs."""

from __future__ import annotations

import pytest

from labsupport import check
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED
from labsupport.records import AccessRecord

LOG = [
    AccessRecord("id-1", 1.0, "client-1", "outbound", status=200, flags="DI"),
    AccessRecord("id-1", 1.1, "ratings-1", "inbound", status=200),
    AccessRecord("id-2", 1.2, "client-1", "outbound", flags="DI,DC"),
    AccessRecord("id-2", 1.3, "client-1", "outbound", flags="DI,DC"),
    AccessRecord("id-3", 1.4, "client-1", "outbound", status=200),
]


def test_a_request_counts_once_for_each_of_its_flags() -> None:
    outcome = check.flags(LOG, {"DI": 2, "DC": 1, "FI": 0})
    assert outcome.state is PASSED
    assert outcome.n == 3
    assert outcome.seen == {"DI": 2, "DC": 1, "FI": 0}


@pytest.mark.parametrize("expected", [{"DI": 3}, {"DI": 1}, {"DI": 2, "DC": 0}, {"D": 2}])
def test_any_other_number_fails(expected: dict[str, int]) -> None:
    outcome = check.flags(LOG, expected)
    assert outcome.state is FAILED
    assert any(line.startswith("✗") for line in outcome.lines)


def test_no_lines_show_nothing() -> None:
    assert check.flags([], {"DI": 0}).state is FAILED
    assert check.flags(None, {"DI": 0}).state is NOT_ATTEMPTED
