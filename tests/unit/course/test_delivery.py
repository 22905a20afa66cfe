"""What a release writes into the mesh, and how it counts what came back."""

from __future__ import annotations

import pytest
from canary_samples import canary

from labsupport.course.delivery import Release, as_met, release, rule_for
from labsupport.errors import UsageError
from labsupport.lab.sources import read
from labsupport.records import Hop, Response
from labsupport.traffic.observations import Observations

TEMPLATE = {"metadata": {"labels": {"app": "web", "version": "v2"}}}


def weights(rule: dict) -> list[dict[str, int]]:
    return [{to["destination"]["host"]: to["weight"] for to in http["route"]} for http in rule["spec"]["http"]]


def test_the_rule_divides_the_calls_of_the_host() -> None:
    rule = rule_for(canary(), 5, TEMPLATE)
    assert weights(rule) == [{"web-primary": 95, "web-canary": 5}]
    assert (rule["metadata"]["name"], rule["spec"]["hosts"]) == ("web", ["web"])
    assert "gateways" not in rule["spec"]
    assert read([rule])


def test_with_affinity_a_cookie_of_the_new_version_comes_before_the_weights() -> None:
    affine = canary(sessionAffinity={"cookieName": "met", "maxAge": 60})
    rule = rule_for(affine, 5, TEMPLATE)
    assert weights(rule) == [{"web-primary": 0, "web-canary": 100}, {"web-primary": 95, "web-canary": 5}]
    given = rule["spec"]["http"][1]["route"][1]["headers"]["response"]["add"]["Set-Cookie"]
    assert given.startswith("met=") and given.endswith("; Max-Age=60")
    asked = rule["spec"]["http"][0]["match"][0]["headers"]["cookie"]["regex"]
    assert asked == f".*{given.partition(';')[0]}.*"
    assert read([rule])
    # Who has the cookie of another version, or of one that went back, is a newcomer.
    assert given != rule_for(affine, 5, {})["spec"]["http"][1]["route"][1]["headers"]["response"]["add"]["Set-Cookie"]
    assert weights(rule_for(affine, 0, TEMPLATE)) == [{"web-primary": 100, "web-canary": 0}]


@pytest.mark.parametrize(
    ("outcome", "status", "failed"),
    [("ok", 200, False), ("http_error", 404, False), ("http_error", 500, True), ("timeout", 0, True), ("ok", 0, False)],
)
def test_an_error_is_a_status_from_500_on_or_none_at_all(outcome: str, status: int, failed: bool) -> None:
    assert as_met(Response(0, 0.0, 0.1, outcome, status)) == (failed, 0.1)


def test_who_met_the_old_version_after_the_new_one_has_returned() -> None:
    def met(index: int, user: str, service: str) -> Response:
        return Response(index, float(index), 0.01, "ok", 200, path=(Hop(service, "", ""),), user=user)

    old, new = "web-primary", "web"
    seen = [met(0, "a", old), met(1, "a", new), met(2, "b", new), met(4, "b", new), met(3, "b", old), met(5, "c", old)]
    assert Release("web", None, (), (), Observations(seen), 0, old).returned == 1


def test_what_is_no_lab_is_refused() -> None:
    with pytest.raises(UsageError, match="Give it the lab"):
        release("web")  # type: ignore[arg-type]
