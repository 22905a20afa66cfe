"""How responses are divided: by version, pod, status, outcome, or anything a function of a response returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from labsupport import statistics, words
from labsupport.arguments import checked
from labsupport.errors import UsageError
from labsupport.records import Hop, Response
from labsupport.statistics import Interval

__all__ = ["NONE", "Attribute", "By", "Choice", "Share", "divide", "hop_of", "value_of"]

Attribute = Literal["version", "pod", "service", "status", "outcome", "user"]
Choice = Literal["request", "connection", "user"]
"""What is chosen at a time: all requests of one connection, or of one sticky user, go the same way."""

By = Attribute | Callable[[Response], object]

NONE = "none"
"""Key of the responses that have no value of the kind asked for."""

_ATTRIBUTES = ("version", "pod", "service", "status", "outcome", "user")


@checked
@dataclass(frozen=True)
class Share(Mapping[str, float]):
    """How responses are divided: a mapping from key to share (0 to 1).

    A key that was never seen has the share 0, so that ``share["v2"] == 0`` states "none at all". Keys are text
    (``"503"``), and a number finds its text.

    Args:
        by: what the responses are divided by.
        counts: key to number of responses, in natural order (v2 before v10), ``none`` last.
        service: the service whose version or pod was counted; empty for the one that answered.
        level: confidence level of the intervals that its text has.
        per: what was chosen at a time; intervals count choices.
        choices: key to number of independent choices, where there were fewer of them than responses; else empty.
    """

    by: str
    counts: Mapping[str, int]
    service: str = ""
    level: float = field(default=0.999, repr=False)
    per: Choice = "request"
    choices: Mapping[str, int] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of responses in all."""
        return sum(self.counts.values())

    @property
    def sample(self) -> str:
        """How much was seen, in words: ``n = 300``, or ``n = 5 connections (300 requests)``."""
        if not self.choices:
            return f"n = {self.n:,}"
        return f"n = {words.plural(sum(self.choices.values()), self.per)} ({words.plural(self.n, 'request')})"

    @property
    def proportions(self) -> dict[str, float]:
        """Key to share, of the keys that were seen."""
        return {key: count / self.n for key, count in self.counts.items()}

    def count(self, key: object) -> int:
        """Number of responses with this key."""
        return self.counts.get(str(key), 0)

    def interval(self, key: object, *, level: float = 0.999) -> Interval:
        """Exact (Clopper-Pearson) interval for the share of a key; it counts independent choices, not requests.

        Args:
            key: such as ``"v1"``; one that was never seen has an interval that begins at 0.
            level: confidence level.

        Returns:
            Bounds between 0 and 1.
        """
        counted = self.choices or self.counts
        return statistics.proportion_interval(counted.get(str(key), 0), sum(counted.values()), level=level)

    def __getitem__(self, key: object) -> float:
        return self.count(key) / self.n if self.n else 0.0

    def __contains__(self, key: object) -> bool:
        return str(key) in self.counts

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    @words.shown
    def __repr__(self) -> str:
        if not self.counts:
            return f"share by {self.by}: no responses"
        wide = max(len(key) for key in self.counts)
        digits = max(len(f"{count:,}") for count in self.counts.values())
        rows = [
            f"  {key:<{wide}}  {count:>{digits},}  {words.percent(self[key]):>9}"
            f"  (interval {words.percent_range(*self.interval(key, level=self.level))})"
            for key, count in self.counts.items()
        ]
        of = f" of {self.service}" if self.service else ""
        return "\n".join([f"share by {self.by}{of}, {100 * self.level:g} % intervals, {self.sample}", *rows])


def divide(responses: Iterable[Response], by: By = "version", service: str | None = None) -> Share:
    """Count responses by a key; see ``Observations.share``."""
    counts: dict[str, int] = {}
    for response in responses:
        key = value_of(response, by, service)
        counts[key] = counts.get(key, 0) + 1
    # Natural order, with what went well first and what is missing last.
    ordered = sorted(counts, key=lambda key: (key == NONE, key != "ok", words.natural_key(key)))
    name = by if isinstance(by, str) else getattr(by, "__name__", "function")
    return Share(name, MappingProxyType({key: counts[key] for key in ordered}), service or "")


def hop_of(response: Response, service: str | None = None) -> Hop | None:
    """The application that answered, or the first hop of a service on the response's path; None if there is none."""
    if service is None:
        return response.path[0] if response.path else None
    return next((hop for hop in response.path if hop.service == service), None)


def value_of(response: Response, by: By, service: str | None = None) -> str:
    """The key that a response counts under.

    Args:
        response: the response.
        by: as for ``Observations.share``.
        service: as for ``Observations.share``.

    Returns:
        Text, ``none`` where the response has no such value.

    Raises:
        UsageError: if ``by`` is unknown.
    """
    if callable(by):
        value = by(response)
        return NONE if value is None else str(value)
    if by in ("version", "pod", "service"):
        hop = hop_of(response, service)
        return (str(getattr(hop, by)) if hop is not None else "") or NONE
    if by == "status":
        return str(response.status) if response.status else response.outcome
    if by == "outcome":
        return response.outcome
    if by == "user":
        return response.user or NONE
    raise UsageError(f"by={by!r}: responses are divided by {words.join(_ATTRIBUTES, 'or')}, or by a function")
