"""What is refused of PromQL, and in which words; what is answered is held to Prometheus in tests/fidelity."""

from __future__ import annotations

import pytest

from labsupport.errors import NotFoundError, UsageError
from labsupport.metrics.answers import Answer
from labsupport.metrics.operators import Element
from labsupport.metrics.promql import evaluate
from labsupport.metrics.series import NAME, Store, labels_of


def _store() -> Store:
    store = Store()
    for second in (1, 2):
        store.scrape(1000 * second, {labels_of({NAME: "up", "job": job}): 1 for job in ("a", "b")})
    return store


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("delta(up[1m])", r"delta\(\) is not known here"),
        ("sum_over_time(up[1m])", r"sum_over_time\(\) is not known here"),
        ("topk(3, up)", r"topk\(\) is not known here"),
        ("stddev(up)", r"stddev\(\) is not known here"),
        ("absent(up)", r"absent\(\) is not known here"),
        ("rate(up[5m:1m])", "a subquery is not known here"),
        ("up[5m]", "a range without a function is not known here"),
        ("up[5m:1m]", "a subquery is not known here"),
        ('"text"', "a text is not known here"),
        ("up @ 12", "the modifier @ is not known here"),
        ("up atan2 up", "the operator atan2 is not known here"),
        ('up{job="a" or job="b"}', "Prometheus has no or between labels"),
        ("up + fill(0) up", "the modifier fill is not known here"),
        ("rate(up)", "expected type matrix"),
        ("sum(up", "unclosed left parenthesis"),
        ('up{job=~"("}', "illegal regex"),
        ('up{job=~"(?x) a"}', "is no regular expression"),
        ("up / on () up", "say which labels count"),
        ("sum(up) = 1", r"unexpected = after sum\(up\). A comparison is written ==."),
        ("sum(up) > 5%", r"ends too early, after sum\(up\) > 5%."),
        ("sum(up) > 0,05", r"unexpected , after sum\(up\) > 0."),
        ("sum by job (up)", "unexpected job after sum by."),
        ('up{job="a" zone="b"}', 'unexpected zone after up{job="a".'),
        ("sum(rate(up[1m])) # a share\n  > 0.05\n  for 2m", r"unexpected for after \.\.\..* > 0.05."),
        ("> 5", "unexpected > at the beginning."),
        ("(" * 950 + "up" + ")" * 950, "nested too deeply"),
        ("up + " * 390 + "up = 1", r"unexpected = after \.\.\..*up \+ up. A comparison"),
        ("abs(" * 6000 + "up", "a query of 24,002 characters; here it has 2,000 at most"),
        ("up > 1_000", "_ in a number is not known here"),
    ],
)
def test_what_is_not_known_or_wrong_is_said_by_name(query: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        evaluate(query, _store(), 2000)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (r"up{job=~`\w`} # no `\d`", 2),
        (r'up{job=`a"\b`}', 1),
        (r'up{job="a\"\\b"}', 1),
        ('up{job!="`", job=~`a"?.*`}', 2),
    ],
)
def test_a_text_in_backquotes_has_no_escapes(query: str, found: int) -> None:
    store = _store()
    store.scrape(3000, {labels_of({NAME: "up", "job": 'a"\\b'}): 1})

    answer = evaluate(query, store, 3000)

    assert isinstance(answer, list) and len(answer) == found


def _answer(*pairs: tuple[dict[str, str], float]) -> Answer:
    return Answer("up", tuple(Element(labels_of(labels), value) for labels, value in pairs))


def test_an_answer_gives_its_only_value_or_values_by_label() -> None:
    several = _answer(({"job": "a"}, 1), ({"job": "b"}, 2.5))

    assert several.by("job") == {"a": 1, "b": 2.5}
    assert _answer(({}, 3)).value == 3
    with pytest.raises(NotFoundError, match="2 elements"):
        _ = several.value
    with pytest.raises(NotFoundError, match="0 elements"):
        _ = _answer().value
    with pytest.raises(NotFoundError, match="Several elements"):
        several.by("code")


def test_a_table_has_a_column_for_what_tells_elements_apart() -> None:
    several = _answer(({"job": "a", "zone": "z"}, 1), ({"job": "b", "zone": "z"}, float("nan")))

    assert several.columns() == (("job", "value"), (("a", "1"), ("b", "NaN")))
    assert several.common == (("zone", "z"),)
    assert repr(several).splitlines() == ['{job="a", zone="z"}  1', '{job="b", zone="z"}  NaN']
    assert "no series fits" in repr(_answer())
