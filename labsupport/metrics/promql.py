"""Answers a query of PromQL at one moment, as Prometheus does; what it lacks it refuses by name.

The grammar is that of ``promql-parser``, which follows Prometheus' own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from labsupport.errors import UsageError
from labsupport.metrics.functions import (
    AGGREGATIONS,
    BINARY,
    COMPARISONS,
    OVER_RANGE,
    Window,
    bucket_quantile,
    lacking,
    rounded,
)
from labsupport.metrics.operators import Element, combined, key_of, matched, only, unnamed, with_scalar, without
from labsupport.metrics.series import NAME, Labels, Series, Store
from labsupport.metrics.syntax import UNPLACED, quoted, unexpected

__all__ = ["Value", "evaluate", "parsed", "within"]

# A sample that is older counts as none (``--query.lookback-delta``).
_LOOK_BACK_MS = 300_000
# The parser takes time and memory by the square of what is nested: 2,000 characters half a second, 30,000 the kernel.
_LONGEST = 2_000

Value = float | list[Element]
"""A scalar, or an instant vector."""


def parsed(query: str) -> Any:
    """The expression that a query is.

    Args:
        query: in PromQL.

    Raises:
        UsageError: it is none.
    """
    import promql_parser

    if len(query) > _LONGEST:
        raise UsageError(f"PromQL: a query of {len(query):,} characters; here it has {_LONGEST:,} at most.")
    query = quoted(query)
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        told = str(error)
        if told.startswith("bad number") and told.endswith("_"):
            raise lacking("_ in a number") from None
        raise UsageError(f"PromQL: {unexpected(query) if told == UNPLACED else told}") from None


def within(query: str, namespace: str) -> str:
    """A query about the proxies of one namespace: each of its selectors gets this label, as by prom-label-proxy.

    The label is that of the pod that was scraped, as Istio's samples and the operator for Prometheus set it.

    Args:
        query: in PromQL.
        namespace: its name.

    Raises:
        UsageError: it is no query.
    """
    import promql_parser

    label = f'namespace="{namespace}"'

    def narrowed(expression: Any) -> Any:
        if not isinstance(expression, promql_parser.VectorSelector):
            return None
        text = expression.prettify()
        before, brace, after = text.partition("{")
        if brace:
            return parsed(f"{before}{{{label},{after}")
        name = expression.name or ""
        return parsed(f"{name}{{{label}}}{text.removeprefix(name)}")

    return promql_parser.transform(parsed(query), post_visit=narrowed).prettify()


def evaluate(query: Any, store: Store, time_ms: int) -> Value:
    """Answer a query.

    Args:
        query: text, or what ``parsed`` made of it.
        store: where the series are.
        time_ms: the moment that is asked about.

    Returns:
        A scalar, or an instant vector in the order of its labels.

    Raises:
        UsageError: no query, or one that this evaluator lacks something for, or one that Prometheus refuses.
    """
    expression = parsed(query) if isinstance(query, str) else query
    try:
        value = _Evaluation(store, time_ms).value(expression)
    except RecursionError:
        raise UsageError("PromQL: this query is nested too deeply to be answered here.") from None
    return value if isinstance(value, float) else sorted(value, key=lambda element: element.labels)


class _Evaluation:
    def __init__(self, store: Store, time_ms: int) -> None:
        self.store = store
        self.time_ms = time_ms

    def value(self, node: Any) -> Value:
        kind = type(node).__name__
        evaluate_node = _NODES.get(kind)
        if evaluate_node is None:
            words = {
                "SubqueryExpr": "a subquery",
                "MatrixSelector": "a range without a function",
                "StringLiteral": "a text",
            }
            raise lacking(words.get(kind, kind))
        return evaluate_node(self, node)

    def vector(self, node: Any) -> list[Element]:
        value = self.value(node)
        if isinstance(value, float):
            raise UsageError(f"PromQL: {node} is a number; a vector is needed.")
        return value

    def scalar(self, node: Any) -> float:
        value = self.value(node)
        if not isinstance(value, float):
            raise UsageError(f"PromQL: {node} is a vector; a number is needed.")
        return value

    # --- selectors ----------------------------------------------------------------------------------------------

    def number(self, node: Any) -> float:
        return float(node.val)

    def inner(self, node: Any) -> Value:
        return self.value(node.expr)

    def negative(self, node: Any) -> Value:
        value = self.value(node.expr)
        if isinstance(value, float):
            return -value
        return unnamed(value, [-element.value for element in value])

    def selected(self, node: Any) -> list[Element]:
        until = self._until(node)
        found = []
        for series in self._series(node):
            _, values = self.store.within(series, until - _LOOK_BACK_MS, until)
            if values:
                found.append(Element(series.labels, values[-1]))
        return found

    def _until(self, selector: Any) -> int:
        if selector.at is not None:
            raise lacking("the modifier @")
        offset: timedelta = selector.offset or timedelta()
        return self.time_ms - round(offset.total_seconds() * 1000)

    def _series(self, selector: Any) -> Iterable[Series]:
        if selector.matchers.or_matchers:
            raise UsageError('PromQL: Prometheus has no or between labels. One label can be one of several: a=~"b|c".')
        given = [(matcher.name, str(matcher.op), matcher.value) for matcher in selector.matchers.matchers]
        if selector.name:
            given.append((NAME, "MatchOp.Equal", selector.name))
        tests = [(name, _matching(operator, value)) for name, operator, value in given]
        for series in self.store:
            labels = dict(series.labels)
            if all(test(labels.get(name, "")) for name, test in tests):
                yield series

    # --- functions ----------------------------------------------------------------------------------------------

    def called(self, node: Any) -> Value:
        name = node.func.name
        if name in OVER_RANGE:
            return self._over_range(OVER_RANGE[name], node.args[0])
        if name == "histogram_quantile":
            return self._quantiles(self.scalar(node.args[0]), self.vector(node.args[1]))
        if name == "round":
            to = self.scalar(node.args[1]) if len(node.args) > 1 else 1.0
            elements = self.vector(node.args[0])
            return unnamed(elements, [rounded(element.value, to) for element in elements])
        if name == "vector":
            return [Element((), self.scalar(node.args[0]))]
        if name == "scalar":
            only = self.vector(node.args[0])
            return only[0].value if len(only) == 1 else math.nan
        raise lacking(f"{name}()")

    def _over_range(self, function: Callable[[Window], float | None], node: Any) -> list[Element]:
        if type(node).__name__ != "MatrixSelector":
            raise lacking("a subquery")
        until = self._until(node.vector_selector)
        begin = until - round(node.range.total_seconds() * 1000)
        elements, values = [], []
        for series in self._series(node.vector_selector):
            value = function(Window(*self.store.within(series, begin, until), begin, until))
            if value is not None:
                elements.append(Element(series.labels, value))
                values.append(value)
        return unnamed(elements, values)

    def _quantiles(self, share: float, elements: Sequence[Element]) -> list[Element]:
        groups: dict[Labels, dict[float, float]] = {}
        for element in elements:
            try:
                bound = float(dict(element.labels).get("le", ""))
            except ValueError:
                # Prometheus passes over what is no bucket.
                continue
            buckets = groups.setdefault(without(element.labels, ("le", NAME)), {})
            buckets[bound] = buckets.get(bound, 0.0) + element.value
        return [Element(labels, bucket_quantile(share, buckets)) for labels, buckets in groups.items()]

    def aggregated(self, node: Any) -> list[Element]:
        function = AGGREGATIONS.get(str(node.op))
        if function is None:
            raise lacking(f"{node.op}()")
        by, names = _grouping(node.modifier)
        groups: dict[Labels, list[float]] = {}
        for element in self.vector(node.expr):
            labels = only(element.labels, names) if by else without(element.labels, (*names, NAME))
            groups.setdefault(labels, []).append(element.value)
        return [Element(labels, function(values)) for labels, values in groups.items()]

    # --- operators ----------------------------------------------------------------------------------------------

    def binary(self, node: Any) -> Value:
        operator = str(node.op)
        if operator in ("and", "or", "unless"):
            return self._joined(operator, node)
        if operator not in BINARY and operator not in COMPARISONS:
            raise lacking(f"the operator {operator}")
        as_bool = bool(node.modifier is not None and node.modifier.return_bool)
        left, right = self.value(node.lhs), self.value(node.rhs)
        if isinstance(left, float) and isinstance(right, float):
            return combined(operator, left, right)
        if isinstance(left, float):
            return with_scalar(operator, self.vector(node.rhs), left, as_bool, swapped=True)
        if isinstance(right, float):
            return with_scalar(operator, left, right, as_bool, swapped=False)
        return matched(operator, left, right, as_bool, node.modifier)

    def _joined(self, operator: str, node: Any) -> list[Element]:
        key = key_of(node.modifier)
        left, right = self.vector(node.lhs), self.vector(node.rhs)
        mine, others = {key(element.labels) for element in left}, {key(element.labels) for element in right}
        if operator == "or":
            return left + [element for element in right if key(element.labels) not in mine]
        return [element for element in left if (key(element.labels) in others) == (operator == "and")]


_NODES: Mapping[str, Callable[[_Evaluation, Any], Value]] = {
    "NumberLiteral": _Evaluation.number,
    "ParenExpr": _Evaluation.inner,
    "UnaryExpr": _Evaluation.negative,
    "VectorSelector": _Evaluation.selected,
    "Call": _Evaluation.called,
    "AggregateExpr": _Evaluation.aggregated,
    "BinaryExpr": _Evaluation.binary,
}


@cache
def _matching(operator: str, value: str) -> Callable[[str], bool]:
    if operator == "MatchOp.Equal":
        return lambda text: text == value
    if operator == "MatchOp.NotEqual":
        return lambda text: text != value
    import re2

    try:
        pattern = re2.compile(f"(?s:{value})")
    except re2.error as error:
        raise UsageError(f"PromQL: {value!r} is no regular expression: {error}") from None
    wanted = operator == "MatchOp.Re"
    return lambda text: (pattern.fullmatch(text) is not None) == wanted


def _grouping(modifier: Any) -> tuple[bool, Sequence[str]]:
    if modifier is None:
        return True, ()
    return str(modifier.type).endswith("By"), modifier.labels
