"""The picture of requests that fall through the rules of a VirtualService."""

import pytest
from display_samples import Page, texts

from labsupport.display import show
from labsupport.observe.taken import RuleRow, RulesTaken


def rules(count=20, rest=60, unmatched=0):
    rows = (
        RuleRow(
            "1 · testers<b>", ('headers[end-user] exact "tester"', "headers[x-beta] any value"), "web, subset risk"
        ),
        RuleRow("2 · beta", ("headers[x-beta] any value",), "web, subset risk", {"risk": count} if count else {}),
        RuleRow("3 · closed", ('uri prefix "/closed"',), "answered here, with 410", {}, {410: 5}),
        RuleRow("4 · all", (), "web, subset safe", {"safe": rest} if rest else {}),
    )
    return RulesTaken("VirtualService/web", rows, unmatched)


def test_rules_stand_in_their_order_with_what_they_caught_and_what_falls_on():
    figure = show(rules(unmatched=3))
    words = texts(figure.body)
    parts = ["rule 1 · testers<b>", "took none", "rule 2 · beta", "20 requests: all risk", "68 fall on", "rule 4 · all"]
    assert [words.index(part) for part in parts] == sorted(words.index(part) for part in parts)
    assert "5 requests: all 410 of the proxy" in words
    assert "no rule" in words and "404, flag NR" in words
    assert not Page(figure._repr_html_()).all("b")
    assert "2 · beta: headers[x-beta] any value: web, subset risk: took 20" in figure.summary


def test_a_rule_that_no_request_comes_to_says_so():
    assert "nothing comes this far" in texts(show(rules(rest=0)).body)
    assert "nothing comes this far" not in texts(show(rules()).body)


@pytest.mark.parametrize(("count", "said"), [(60, ""), (600, "One dot is 10 requests."), (50_000, "One dot is 1,000")])
def test_many_requests_share_a_dot(count, said):
    figure = show(rules(rest=count))
    assert ("One dot" in texts(figure.body)) == bool(said)
    assert said in texts(figure.body)
    assert figure.height < 400


def test_nothing_at_all_is_drawn_as_nothing_at_all():
    figure = show(RulesTaken("VirtualService/web", ()))
    assert "0 requests" in texts(figure.body)
    assert "No caller's proxy wrote down a request" in texts(figure.body)
