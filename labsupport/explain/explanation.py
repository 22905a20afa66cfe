"""A whole explanation, readable as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from labsupport import words
from labsupport.explain.records import Ignored, Policy, PredictedOutcome, RoutedTo, RuleTrace
from labsupport.urls import parse_url

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a request goes where it goes.

    Args:
        url, method, headers: of the request.
        source: who sends it.
        proxy: the proxy that decides: name of a pod, or empty if there is none on the caller's side.
        proxy_kind: ``sidecar``, ``gateway`` or ``none``.
        authority: the host the decision is made for.
        port: service port, or port of the gateway's server.
        hops: who handles the request, in order.
        rules: every rule for this host in the order they are tried.
        ignored: objects that look as if they counted, and do not.
        decision: what was decided, in a sentence.
        policies: in force by the rule that was chosen.
        destinations: where it may go.
        outcomes: how it may end; their shares add up to 1.
        upstream_path: the path that the application sees.
        upstream_authority: the host that the application sees.
        route: name of the route as access logs have it; empty for one without a name.
        timeout_s: what all tries together may take; None for no limit.
        tries: how often the proxy tries at most, the first one included; 0 where it tries nothing.
        per_try_s: what one try may take; None for no limit of its own.
        mirrors: where copies go, each with the share of the requests that is copied.
    """

    url: str
    method: str
    headers: Mapping[str, str]
    source: str
    proxy: str
    proxy_kind: Literal["sidecar", "gateway", "none"]
    authority: str
    port: int
    hops: tuple[str, ...] = ()
    rules: tuple[RuleTrace, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    decision: str = ""
    policies: tuple[Policy, ...] = ()
    destinations: tuple[RoutedTo, ...] = ()
    outcomes: tuple[PredictedOutcome, ...] = field(default=())
    upstream_path: str = ""
    upstream_authority: str = ""
    route: str = ""
    timeout_s: float | None = None
    tries: int = 0
    mirrors: tuple[RoutedTo, ...] = ()
    per_try_s: float | None = None

    @property
    def asked(self) -> str:
        """What is asked for: method and URL, over ``tcp`` and ``tls`` the URL alone."""
        return self.url if self.url.startswith(("tcp:", "tls:")) else f"{self.method} {self.url}"

    @property
    def chosen(self) -> RuleTrace | None:
        """The rule that was chosen; None if none was."""
        return next((rule for rule in self.rules if rule.verdict == "chosen"), None)

    @words.shown
    def __repr__(self) -> str:
        return "\n".join(_lines(self))


def _lines(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.asked} from {explanation.source}"
    for name, value in explanation.headers.items():
        yield f"  {name}: {value}"
    if explanation.hops:
        yield f"Way: {' -> '.join(explanation.hops)}"
    if explanation.rules:
        host = f"{explanation.authority}, " if not explanation.authority.startswith(":") else ""
        yield f"Rules for {host}port {explanation.port}, as {explanation.proxy} has them:"
        for rule in explanation.rules:
            yield from _rule(rule)
    for item in explanation.ignored:
        yield f"  {item.object} ({item.place}) does not count: {item.reason}"
    yield explanation.decision
    for destination in explanation.destinations:
        subset = f" subset {destination.subset}" if destination.subset else ""
        behind = (
            destination.reason
            if destination.problem
            else ", then ".join(", ".join(pods) for pods in (destination.first, destination.later) if pods)
        )
        kind = f"{destination.status} {destination.problem}: " if destination.problem else ""
        where = f"{destination.host}{subset} port {destination.port}" if destination.host else "nobody"
        yield f"  {_percent(destination.share)} to {where}: {kind}{behind}"
    policies = list(explanation.policies)
    if policies:
        yield "In force by the rule:" if explanation.chosen is not None else "In force:"
        yield from _policies(policies)
    for destination in explanation.destinations:
        if destination.policies:
            subset = f" subset {destination.subset}" if destination.subset else ""
            yield f"In force for {destination.host}{subset}:"
            yield from _policies(destination.policies)
    for mirror in explanation.mirrors:
        yield _mirror(mirror)
    path = parse_url(explanation.url).path or "/"
    if any(outcome.kind == "forwarded" for outcome in explanation.outcomes) and explanation.upstream_path not in (
        "",
        path,
    ):
        doubled = (
            " (two slashes: end the prefix of the match with one, too)" if "//" in explanation.upstream_path else ""
        )
        yield f"The application gets the path {explanation.upstream_path}{doubled}"
    if len(explanation.outcomes) == 1:
        yield f"Outcome: {explanation.outcomes[0].text}{_flags(explanation.outcomes[0].flags)}"
    else:
        yield "Outcome:"
        for outcome in explanation.outcomes:
            yield f"  {_percent(outcome.share)}: {outcome.text}{_flags(outcome.flags)}"


def _mirror(mirror: RoutedTo) -> str:
    subset = f" subset {mirror.subset}" if mirror.subset else ""
    if mirror.problem:
        return f"No copies reach {mirror.host}{subset}: {mirror.reason}"
    return f"{_percent(mirror.share)} copied to {mirror.host}{subset} port {mirror.port}: {', '.join(mirror.pods)}"


def _rule(rule: RuleTrace) -> Iterator[str]:
    name = f" {rule.name!r}" if rule.name else ""
    head = f"  {rule.object} {rule.path}{name} ({rule.place}): {rule.verdict}"
    if rule.verdict in ("chosen", "not reached"):
        yield head
        return
    failed = rule.failed
    if len(failed) == 1:
        yield f"{head}, {failed[0]}"
        return
    yield head
    for condition in failed:
        yield f"    {condition}"


def _policies(policies: object) -> Iterator[str]:
    assert isinstance(policies, list | tuple)
    for policy in policies:
        assert isinstance(policy, Policy)
        yield f"  {policy}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _flags(flags: str) -> str:
    return f" ({flags})" if flags else ""
