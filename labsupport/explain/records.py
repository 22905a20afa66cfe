"""What an explanation consists of: plain records, readable as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labsupport import words

__all__ = [
    "ANSWERED_BEFORE",
    "Condition",
    "Ignored",
    "MatchEntry",
    "OutcomeKind",
    "Place",
    "Policy",
    "PredictedOutcome",
    "RoutedTo",
    "RuleKind",
    "RuleTrace",
    "RuleVerdict",
]

RuleKind = Literal["http", "tls", "tcp", "rules"]
RuleVerdict = Literal["chosen", "no match", "not reached", "not for this proxy"]
OutcomeKind = Literal[
    "forwarded",
    "redirect",
    "direct_response",
    "preflight",
    "abort",
    "no_route",
    "no_cluster",
    "no_endpoints",
    "refused",
    "unknown_destination",
    "connection",
]
ANSWERED_BEFORE = ("abort", "preflight")
"""Outcomes that a proxy decides before its router sees the request."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written.

    Args:
        object: ``Kind/name``.
        path: field path such as ``spec.http[0].timeout``.
        file: file name, or the name of the cell; empty if unknown.
        line: line in the file; 0 if unknown.
    """

    object: str
    path: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return words.place(self.file or self.object, self.line) if self.line else self.object


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a match entry, compared with the request.

    Args:
        field: such as ``uri``, ``headers[end-user]``, ``sourceLabels[app]``.
        wanted: such as ``exact "jason"``.
        got: what the request has there, quoted, or ``nothing``.
        holds: whether it is fulfilled.
        place: where it was written.
        hint: what it nearly was, if it failed for little; a sentence without its capital, or empty.
    """

    field: str
    wanted: str
    got: str
    holds: bool
    place: Place
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.field}: wanted {self.wanted}, got {self.got}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class MatchEntry:
    """One entry of a rule's ``match`` list: all its conditions must hold.

    Args:
        name: name of the entry; empty without one.
        conditions: in the order they are looked at; none means that every request matches.
        place: where it was written.
    """

    name: str
    conditions: tuple[Condition, ...]
    place: Place

    @property
    def failed(self) -> Condition | None:
        """The first condition that does not hold."""
        return next((condition for condition in self.conditions if not condition.holds), None)

    @property
    def holds(self) -> bool:
        """Whether all conditions hold."""
        return self.failed is None


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule of a VirtualService, and what it did with the request.

    Args:
        object: ``VirtualService/name``, or a route of the Gateway API such as ``HTTPRoute/name``.
        index: number of the rule in its list, from 0.
        name: name of the rule; empty without one.
        verdict: ``chosen``, ``no match``, ``not reached`` (an earlier rule was chosen) or ``not for this proxy``.
        entries: its match entries; none means that every request matches.
        place: where it was written.
        kind: the list it stands in: ``http``, ``tls`` or ``tcp``; ``rules`` of a route.
        match: number of the match of a route's rule that this is about, where the rule has several: each is tried
            apart. Else -1.
    """

    object: str
    index: int
    name: str
    verdict: RuleVerdict
    entries: tuple[MatchEntry, ...]
    place: Place
    kind: RuleKind = "http"
    match: int = -1

    @property
    def path(self) -> str:
        """Where in its object it stands, such as ``http[0]``."""
        return f"{self.kind}[{self.index}]" + (f".matches[{self.match}]" if self.match >= 0 else "")

    @property
    def title(self) -> str:
        """Its number and its name, counted from 1."""
        match = f", match {self.match + 1}" if self.match >= 0 else ""
        return f"rule {self.index + 1} of {self.object}{match}" + (f" ({self.name})" if self.name else "")

    @property
    def failed(self) -> tuple[Condition, ...]:
        """For each match entry that does not hold, the first condition that failed."""
        return tuple(entry.failed for entry in self.entries if entry.failed is not None)


@dataclass(frozen=True, slots=True)
class Ignored:
    """An object that one would expect to count, and why it does not.

    Args:
        object: ``Kind/name``.
        reason: why.
        place: where it was written.
    """

    object: str
    reason: str
    place: Place


@dataclass(frozen=True, slots=True)
class Policy:
    """Something that is in force for the request.

    Args:
        name: such as ``timeout``, ``retries``, ``fault.delay``, ``loadBalancer``.
        text: in words and numbers.
        place: where it was written; None for a default of Istio.
        level: of a DestinationRule, whom it was written for: ``all of web``, ``subset v1``, ``port 80``.
    """

    name: str
    text: str
    place: Place | None = None
    level: str = ""

    @property
    def origin(self) -> str:
        """Where it was written and whom for, or that it was not."""
        if self.place is None:
            return "Istio's default"
        return f"{self.place}, for {self.level}" if self.level else str(self.place)

    def __str__(self) -> str:
        return f"{self.name}: {self.text} ({self.origin})"


@dataclass(frozen=True, slots=True)
class RoutedTo:
    """A destination the request may be sent to.

    Args:
        host: fully qualified name of the service.
        subset: name of the subset; empty for the whole service.
        port: service port.
        share: of the requests, 0 to 1.
        pods: names of the pods (or addresses of endpoints) behind it that take traffic.
        problem: ``""``, ``NC`` (no such cluster), ``UH`` (no endpoint) or ``UF`` (nobody listens at any of them).
        reason: the problem in words.
        status: what the proxy answers for the problem: 503, or 500 where a route of the Gateway API names nobody.
        policies: of the DestinationRule that applies.
        place: where the destination was written; None for a service without rules.
        authority: the host that the application there sees; empty for connections that are not HTTP.
        headers: request headers that rules change on the way there, by lower-case name: the value that the application
            sees, or None if it does not see the header. Left out is what only the proxy can tell (``%...%``).
        refusing: those of the pods at which nobody listens on the port that is called, with this port.
        doubtful: those of which nobody knows it, and whose containers name other ports only, with this port.
        later: those of the pods that get requests only as far as others are not sound.
    """

    host: str
    subset: str
    port: int
    share: float
    pods: tuple[str, ...] = ()
    problem: Literal["", "NC", "UH", "UF"] = ""
    reason: str = ""
    status: int = 503
    policies: tuple[Policy, ...] = ()
    place: Place | None = None
    authority: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    refusing: Mapping[str, int] = field(default_factory=dict)
    doubtful: Mapping[str, int] = field(default_factory=dict)
    later: tuple[str, ...] = ()

    @property
    def first(self) -> tuple[str, ...]:
        """The pods that get requests while all are sound."""
        return tuple(pod for pod in self.pods if pod not in self.later)

    @property
    def cluster(self) -> str:
        """Name of Envoy's cluster."""
        return f"outbound|{self.port}|{self.subset}|{self.host}"


@dataclass(frozen=True, slots=True)
class PredictedOutcome:
    """One way in which the request can end.

    Args:
        kind: what happens.
        share: of the requests that end so, 0 to 1.
        text: in words.
        status: HTTP status if a proxy answers; 0 if the application decides.
        flags: Envoy's response flags if a proxy answers.
        pods: who may answer.
        location: of a redirect.
        headers: headers that the proxy puts on the answer (a value) or takes from it (None), by lower-case name.
        body: of an answer that the proxy makes itself; None where it is not told.
    """

    kind: OutcomeKind
    share: float
    text: str
    status: int = 0
    flags: str = ""
    pods: tuple[str, ...] = ()
    location: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: str | None = None
