"""An explanation in the making: what is the same in every explanation of one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from labsupport import words
from labsupport.explain.catalog import Catalog, meant
from labsupport.explain.explanation import Explanation
from labsupport.explain.outcomes import rewritten_path
from labsupport.explain.records import Ignored, Policy, PredictedOutcome, RoutedTo, RuleTrace
from labsupport.explain.request import Request
from labsupport.explain.rules import Candidate
from labsupport.explain.scope import ProxyKnowledge
from labsupport.explain.sidecar import service_names
from labsupport.explain.words import limits, per_try, rule_policies, tries_of
from labsupport.records import Pod

__all__ = ["Draft", "ProxyKind"]

ProxyKind = Literal["sidecar", "gateway", "none"]


class Draft:
    """One request that is being explained.

    Args:
        url, method, headers: as given.
        caller: name of the pod that sends, or ``outside``.
        request: as the deciding proxy sees it.
        port: it is sent to.
    """

    def __init__(
        self, url: str, method: str, headers: dict[str, str], caller: str, request: Request, port: int
    ) -> None:
        self.url, self.method, self.headers, self.caller = url, method, headers, caller
        self.request, self.port = request, port

    def explanation(
        self,
        decision: str,
        outcomes: Sequence[PredictedOutcome],
        *,
        rules: Sequence[RuleTrace] = (),
        route: Candidate | None = None,
        name: str = "",
        ignored: Sequence[Ignored] = (),
        proxy: str = "",
        kind: ProxyKind = "none",
        destinations: Sequence[RoutedTo] = (),
        mirrors: Sequence[RoutedTo] = (),
        policies: Sequence[Policy] = (),
        hops: Sequence[str] = (),
        forwards: bool = False,
    ) -> Explanation:
        """Put an explanation together; ``forwards`` says that timeouts and tries count."""
        rule = route.rule.rule if route is not None else None
        authority = destinations[0].authority if destinations else self.request.authority
        return Explanation(
            url=self.url,
            method=self.method,
            headers=self.headers,
            source=self.caller,
            proxy=proxy,
            proxy_kind=kind,
            authority=self.request.authority,
            port=self.port,
            hops=tuple(hops),
            rules=tuple(rules),
            ignored=tuple(ignored),
            decision=decision,
            policies=tuple(policies),
            destinations=tuple(destinations),
            outcomes=tuple(outcomes),
            upstream_path=rewritten_path(route, self.request),
            upstream_authority=authority or self.request.authority,
            route=name,
            timeout_s=limits(rule) if forwards else None,
            tries=tries_of(rule) if forwards else 0,
            mirrors=tuple(mirrors),
            per_try_s=per_try(rule) if forwards else None,
        )

    def end(
        self,
        decision: str,
        kind: Literal["connection", "unknown_destination"],
        reason: str,
        *,
        ignored: Sequence[Ignored] = (),
        rules: Sequence[RuleTrace] = (),
        proxy: str = "",
        proxy_kind: ProxyKind = "none",
        status: int = 0,
    ) -> Explanation:
        """An explanation that ends before any route."""
        outcome = PredictedOutcome(kind, 1.0, reason, status=status)
        hops = [self.caller, *([f"{proxy} ({proxy_kind})"] if proxy else [])]
        return self.explanation(
            decision, [outcome], rules=rules, ignored=ignored, proxy=proxy, kind=proxy_kind, hops=hops
        )

    def unknown(
        self,
        catalog: Catalog,
        scope: ProxyKnowledge,
        pod: Pod,
        reason: str,
        *,
        captured: bool = False,
        ignored: Sequence[Ignored] = (),
        rules: Sequence[RuleTrace] = (),
    ) -> Explanation:
        """An explanation of a request to a host or port that a sidecar does not know."""
        hint = self._hint(catalog, scope, pod)
        asked = f"; {hint}" if hint else ""
        decision = words.sentence(f"Unknown destination: {reason}{asked}")
        # A mesh lets such requests pass unless it or the Sidecar object says REGISTRY_ONLY; the embedded mesh does.
        passes = captured and not scope.refuses_unknown
        if passes:
            decision += " The sidecar passes it on to the address that the caller looked up, and no rule counts."
            reason += "; it is passed on to the address that the caller looked up"
        reason += asked
        return self.end(
            decision,
            "unknown_destination",
            reason,
            ignored=ignored,
            rules=rules,
            proxy=pod.name,
            proxy_kind="sidecar",
            status=0 if passes else 502,
        )

    def _hint(self, catalog: Catalog, scope: ProxyKnowledge, pod: Pod) -> str:
        host = self.request.host
        named = [service for service in catalog.services if host in service_names(service, pod.namespace)]
        if not named:
            names = {name for service in scope.services.values() for name in service_names(service, pod.namespace)}
            return meant(host, sorted(name for name in names if not name.endswith(".")))
        service = named[0]
        if not service.visible(pod.namespace):
            return f"{service.hostname} is not shown to namespace {pod.namespace} (exportTo)"
        if service.key not in scope.services:
            return f"a Sidecar object leaves {service.hostname} out"
        if self.port not in service.ports:
            ports = [port for port, protocol in sorted(service.ports.items()) if protocol != "UDP"]
            noun = "ports" if len(ports) > 1 else "port"
            return f"{service.hostname} has {noun} {words.join(ports)}" if ports else ""
        return ""

    @staticmethod
    def arrival(catalog: Catalog, outcomes: Sequence[PredictedOutcome], destinations: Sequence[RoutedTo]) -> list[str]:
        """The server's side of the way: its sidecar, if it has one, and its application, where that listens."""
        answering = dict.fromkeys(name for outcome in outcomes for name in outcome.pods)
        refused = any(outcome.kind == "refused" for outcome in outcomes)
        refusing = dict.fromkeys(name for item in destinations for name in item.refusing) if refused else {}
        pods = list(answering or refusing)
        if not pods:
            return []
        name = pods[0] if len(pods) == 1 else f"one of {len(pods)} pods"
        injected = [pod.injected for pod in catalog.pods if pod.name in pods]
        sidecar = [f"{name} (sidecar)"] if injected and all(injected) else []
        return [*sidecar, f"{name} (application)"] if answering else sidecar

    @staticmethod
    def policies(route: Candidate | None) -> tuple[Policy, ...]:
        """What the chosen rule puts in force."""
        return rule_policies(route.rule if route is not None else None)
