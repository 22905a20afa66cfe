"""The picture of the way through the rules."""

from __future__ import annotations

import re
from dataclasses import replace

from display_samples import Page

from labsupport.display.html.explain_html import explanation_html
from labsupport.display.pictures.explain_picture import way_figure, way_html
from labsupport.explain.explanation import Explanation
from labsupport.explain.records import Condition, MatchEntry, Place, Policy, PredictedOutcome, RoutedTo, RuleTrace

HERE = Place("VirtualService/web", file="cell", line=9)


def rule(index: int, verdict: str, *conditions: Condition) -> RuleTrace:
    entries = (MatchEntry("", conditions, HERE),) if conditions else ()
    return RuleTrace("VirtualService/web", index, "", verdict, entries, HERE)


def told(rules: list[RuleTrace], **more: object) -> Explanation:
    return Explanation(
        "http://web/",
        "GET",
        {"x-user": "<script>me</script>"},
        "client-1",
        "client-1",
        "sidecar",
        "web",
        80,
        rules=tuple(rules),
        **more,
    )


MISSED = rule(0, "no match", Condition("uri", 'prefix "/admin"', '"/"', False, HERE, "it begins with a slash only"))
SPLIT = (RoutedTo("web.default", "v1", 80, 0.9, ("a",)), RoutedTo("web.default", "v2", 80, 0.1, problem="UH"))


def test_rules_stand_in_order_with_what_failed_first_and_lead_to_their_destinations():
    shown = Page(way_html(told([MISSED, rule(1, "chosen"), rule(2, "not reached")], destinations=SPLIT))).text
    order = [
        "no match: rule 1",
        "uri wanted",
        "it begins with",
        "chosen: rule 2",
        "not reached: rule 3",
        "90.0 %",
        "UH",
    ]
    places = [shown.index(text) for text in order]
    assert places == sorted(places)


def test_names_from_outside_are_escaped():
    assert not Page(explanation_html(told([MISSED]))).all("script")


def test_without_a_match_the_decision_leads_to_how_it_ends():
    none = told([MISSED], decision="No rule matches.", outcomes=(PredictedOutcome("no_route", 1.0, "404", 404, "NR"),))
    shown = Page(way_html(none)).text
    assert shown.index("No rule matches.") < shown.index("404 NR")


def test_many_rules_and_destinations_are_counted_instead_of_drawn():
    rules = [rule(0, "chosen"), *(rule(number, "not reached") for number in range(1, 30))]
    ends = tuple(RoutedTo("web.default", f"v{number}", 80, 1 / 20, ("a",)) for number in range(20))
    shown = Page(way_html(told(rules, destinations=ends))).text
    assert "27 more rules, not reached" in shown
    assert "and 14 more" in shown


def test_nothing_is_drawn_outside_and_letters_are_not_made_small():
    page = way_html(told([MISSED, rule(1, "chosen")], destinations=SPLIT))
    images = re.findall(r'<svg [^>]*viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', page, re.DOTALL)
    assert [int(wide) for wide, _, _ in images] == [920, 640]
    for wide, high, body in images:
        for x, y, w, h in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', body):
            assert float(x) + float(w) <= int(wide)
            assert float(y) + float(h) <= int(high)


def test_the_lists_and_tables_are_there_for_who_cannot_see_the_picture():
    page = Page(explanation_html(told([MISSED, rule(1, "chosen")], destinations=SPLIT)))
    assert len(page.all("ol")) == 1
    assert len(page.all("table")) == 1
    assert all(image.get("aria-label") for image in page.all("svg") if image.get("role") == "img")


def test_policies_are_seen_unfolded_with_whom_they_were_written_for_and_defaults_as_such():
    pool = Policy("connectionPool", "maxConnections 5", Place("DestinationRule/web", file="cell", line=9), "port 80")
    default = Policy("loadBalancer", "LEAST_REQUEST")
    ends = tuple(replace(to, policies=(default, pool)) for to in SPLIT)
    page = explanation_html(told([rule(0, "chosen")], destinations=ends))
    seen = Page(page).text.partition("the rules as a list")[0]
    assert "in force for web.default:80 subset v1 and web.default:80 subset v2:" in seen
    assert "loadBalancer: LEAST_REQUEST Istio's default" in seen
    assert "connectionPool: maxConnections 5 cell:9, for port 80" in seen
    apart = (replace(ends[0], policies=(default,)), ends[1])
    assert Page(explanation_html(told([], destinations=apart))).text.count("in force for") == 2


def test_a_long_sentence_is_broken_and_ends_with_one_full_stop():
    decision = f"No rule applies: {'nobody is on the way, ' * 8}and each goes to one of the pods of web.default.svc."
    drawn = way_figure(told([], decision=decision, destinations=SPLIT))
    assert decision in drawn.summary and ".. " not in drawn.summary and ".svc. It leads to: " in drawn.summary
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", drawn.body))
    assert decision in words and "…" not in words


def test_a_destination_where_nobody_listens_is_drawn_as_a_failure():
    reason = "nobody listens on port 8081 of web-1"
    deaf = RoutedTo("web.default", "", 80, 1.0, ("web-1",), problem="UF", reason=reason, refusing={"web-1": 8081})
    shown = told([rule(0, "chosen")], destinations=(deaf,))
    assert "✗ 503 UF" in Page(way_html(shown)).text
    assert f"UF: {reason}" in Page(explanation_html(shown)).text


def test_what_a_proxy_answers_before_its_router_has_a_box_of_its_own_and_does_not_reach_the_service():
    abort = PredictedOutcome("abort", 1.0, "the fault of the rule answers 503", status=503, flags="FI")
    half = (replace(abort, share=0.5), PredictedOutcome("forwarded", 0.5, "a answers", pods=("a",)))
    split = told([rule(0, "chosen")], destinations=(replace(SPLIT[0], share=0.5),), outcomes=half, upstream_path="/x")
    shown = Page(explanation_html(split)).text
    assert all(text in shown for text in ("503 FI", "50.0 %", "subset v1", "the application sees path /x"))
    never = (replace(SPLIT[0], share=0.0),)
    shown = Page(way_html(told([rule(0, "chosen")], destinations=never, outcomes=(abort,)))).text
    assert "503 FI" in shown and "subset v1" not in shown
    gone = told([rule(0, "chosen")], destinations=never, outcomes=(abort,), upstream_path="/x")
    assert "the application sees" not in Page(explanation_html(gone)).text
