"""Alerting rules in the form of Prometheus, and when they would have rung."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.errors import UsageError
from labsupport.metrics.promql import evaluate, parsed
from labsupport.metrics.series import Labels, Store

__all__ = ["Alarm", "AlertRule", "alarms", "read_rules"]


_ZERO = re.compile(r"0+(ms|[smhdwy])?")
_OF_FILE, _OF_GROUP = ("groups",), ("name", "rules", "labels")
_OF_RULE = ("alert", "expr", "for", "labels", "annotations")
_LACKING = {"interval", "limit", "query_offset", "record", "keep_firing_for"}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule of a rule file.

    Args:
        name: of the alert.
        query: rings where it has an element.
        hold_ms: for how long it must have one (``for``).
    """

    name: str
    query: str
    hold_ms: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A time during which an alert rang.

    Args:
        begin_ms: first evaluation at which it was firing.
        end_ms: first one at which nothing fired any more, or the last of all.
    """

    begin_ms: int
    end_ms: int


def read_rules(text: str) -> list[AlertRule]:
    """The alerting rules of a rule file.

    Args:
        text: YAML with ``groups``.

    Raises:
        UsageError: it is no rule file, or has a query that is none.
    """
    import yaml

    try:
        document = _with_fields(yaml.safe_load(text), _OF_FILE)
        groups = [_with_fields(group, _OF_GROUP) for group in document["groups"]]
        listed = [_with_fields(rule, _OF_RULE) for group in groups for rule in group["rules"]]
        rules = [AlertRule(str(rule["alert"]), _query(rule["expr"]), _duration_ms(rule.get("for"))) for rule in listed]
    except yaml.MarkedYAMLError as error:
        line = f" line {mark.line + 1}:" if (mark := error.problem_mark) else ""
        raise UsageError(f"The rules are no YAML,{line} {error.problem or error.context}.") from None
    except (yaml.YAMLError, KeyError, TypeError):
        raise UsageError(
            "This is no file of alerting rules: groups, each with rules, each with alert and expr."
        ) from None
    for rule in rules:
        parsed(rule.query)
    return rules


def _with_fields(part: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """A part of a rule file, which Prometheus refuses for a field that it does not know."""
    if not isinstance(part, dict):
        raise TypeError(part)
    for name in part:
        if name in _LACKING:
            raise UsageError(f"The field {name} is not known here, but to Prometheus. There are: {', '.join(known)}.")
        if name not in known:
            raise UsageError(f"The rules have a field {name!r} where there are: {', '.join(known)}.")
    return part


def _query(written: Any) -> str:
    if not isinstance(written, str | int | float):
        raise UsageError(f"expr is no query, but {'empty' if written is None else 'a list or a mapping'}.")
    return str(written)


def _duration_ms(text: Any) -> int:
    import promql_parser

    # The parser takes zero for a slip, and in ``for`` it is none.
    if text is None or _ZERO.fullmatch(str(text)):
        return 0
    try:
        # The parser takes a number alone for seconds; Prometheus refuses a rule file with one.
        if str(text).isdecimal():
            raise ValueError(text)
        return round(promql_parser.parse_duration(str(text)).total_seconds() * 1000)
    except ValueError:
        raise UsageError(f"for: {text!r} is no duration; it is one such as 30s or 2m.") from None


def alarms(rule: AlertRule, store: Store, moments_ms: Sequence[int]) -> Iterator[Alarm]:
    """When a rule rings: an element that was there for as long as ``for`` says is firing.

    Args:
        rule: the rule.
        store: where the series are.
        moments_ms: when it is evaluated.
    """
    expression = parsed(rule.query)
    since: dict[Labels, int] = {}
    begin = None
    for now in moments_ms:
        value = evaluate(expression, store, now)
        active = [()] if isinstance(value, float) else [element.labels for element in value]
        since = {labels: since.get(labels, now) for labels in active}
        rings = any(now - first >= rule.hold_ms for first in since.values())
        if rings and begin is None:
            begin = now
        elif not rings and begin is not None:
            yield Alarm(begin, now)
            begin = None
    if begin is not None:
        yield Alarm(begin, moments_ms[-1])
