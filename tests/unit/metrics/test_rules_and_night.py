"""When an alert rings, and what the night that is played tells rules apart by."""

from __future__ import annotations

import pytest

from labsupport.errors import UsageError
from labsupport.metrics.played import clock, judged, night
from labsupport.metrics.rules import Alarm, AlertRule, alarms, read_rules
from labsupport.metrics.series import NAME, Store, labels_of

PAGE = 'istio_requests_total{reporter="source",destination_service_name="front-end"'


def _store(*values: float) -> Store:
    store = Store()
    for second, value in enumerate(values):
        store.scrape(1000 * second, {labels_of({NAME: "level", "job": "a"}): value})
    return store


def _rang(query: str, hold_ms: int, *values: float) -> list[Alarm]:
    store = _store(*values)
    return list(alarms(AlertRule("x", query, hold_ms), store, store.times_ms))


def test_an_alert_rings_while_its_query_has_an_element() -> None:
    assert _rang("level > 1", 0, 0, 2, 2, 0, 2) == [Alarm(1000, 3000), Alarm(4000, 4000)]


def test_for_waits_and_begins_anew_where_it_was_interrupted() -> None:
    assert _rang("level > 1", 2000, 2, 2, 0, 2, 2, 2, 2, 0) == [Alarm(5000, 7000)]


def test_a_bool_comparison_always_has_an_element() -> None:
    assert _rang("level > bool 1", 0, 0, 0, 0) == [Alarm(0, 2000)]


@pytest.mark.parametrize(("text", "hold_ms"), [("0s", 0), ("0", 0), ("30s", 30_000), ("1h", 3_600_000)])
def test_how_long_an_alert_waits(text: str, hold_ms: int) -> None:
    assert read_rules(f"groups: [{{rules: [{{alert: A, expr: up, for: {text}}}]}}]")[0].hold_ms == hold_ms


def test_a_rule_file_is_read() -> None:
    text = "groups: [{name: g, rules: [{alert: A, expr: up == 0, for: 1m30s, labels: {severity: page}}]}]"
    assert read_rules(text) == [AlertRule("A", "up == 0", 90_000)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: [{rules: [{alert: A}]}]", "no file of alerting rules"),
        ("- a", "no file of alerting rules"),
        ("a: [", "no YAML, line 1: "),
        ("groups:\n  - a: b\n   c: d\n", "no YAML, line 3: "),
        ("groups: [{rules: [{alert: A, expr: 'sum('}]}]", "PromQL"),
        ("groups: [{rules: [{alert: A, expr: up, for: soon}]}]", "is no duration"),
        ("groups: [{rules: [{alert: A, expr: up, for: 2}]}]", "is no duration"),
        ("groups: [{rules: [{alert: A, expr: up, For: 2m}]}]", "a field 'For' where there are: alert, expr, for"),
        ("groups: [{rules: [{alert: A, expr: up}], for: 2m}]", "a field 'for' where there are: name, rules"),
        ("groups: []\nrules: []", "a field 'rules' where there are: groups"),
        ("groups: [{rules: [{record: r, expr: up}]}]", "record is not known here, but to Prometheus"),
        ("groups: [{interval: 1m, rules: [{alert: A, expr: up}]}]", "interval is not known here"),
        ("groups: [{rules: [{alert: A, expr: up, keep_firing_for: 5m}]}]", "keep_firing_for is not known here"),
        ("groups: [{rules: [{alert: A, expr: }]}]", "expr is no query, but empty"),
        ("groups: [{rules: [{alert: A, expr: [1]}]}]", "expr is no query, but a list"),
        ("groups: [rules]", "no file of alerting rules"),
    ],
)
def test_what_is_no_rule_file_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_rules(text)


def _ratio(*, codes: str = 'response_code=~"5.."', page: str = PAGE, span: str = "1m", over: float = 0.05) -> str:
    return f"sum(rate({page},{codes}}}[{span}])) / sum(rate({page}}}[{span}])) > {over}"


@pytest.mark.parametrize(
    ("query", "minutes", "missed", "false"),
    [
        (_ratio(), 2, [], 0),
        (_ratio(span="2m"), 3, [], 0),
        (_ratio(), 0, [], 3),
        (_ratio(span="5m"), 2, [], 1),
        (_ratio(), 5, ["0:30", "3:30", "4:20", "5:20"], 0),
        (_ratio(over=0.1), 2, ["4:20"], 0),
        (_ratio(page=PAGE.replace("source", "destination")), 2, ["0:30", "3:30", "5:20"], 0),
        (_ratio(codes='response_code!~"2.."'), 2, [], 1),
        (_ratio(codes='response_code="500"'), 2, ["0:30", "3:30", "5:20"], 0),
        (f'sum(rate({PAGE},response_code=~"5.."}}[1m])) > 0.5', 2, ["0:30"], 0),
        (_ratio(page='istio_requests_total{reporter="source"'), 2, ["4:20"], 1),
    ],
)
def test_the_night_tells_rules_apart(query: str, minutes: int, missed: list[str], false: int) -> None:
    played = night()
    verdict = judged(played, alarms(AlertRule("x", query, 60_000 * minutes), played.store, played.store.times_ms))

    assert [clock(event.begin_ms) for event in verdict.missed] == missed
    assert len(verdict.false) == false
    assert len(verdict.heard) + len(verdict.missed) == len(played.outages) == 4


def test_a_night_is_drawn_from_its_seed() -> None:
    first, again, other = night(), night.__wrapped__(18), night(19)

    def values(played: object) -> list[list[float]]:
        return [list(series.values) for series in played.store]  # type: ignore[attr-defined]

    assert values(first) == values(again) != values(other)
