"""How long the caller of a hop waits: what its program was told, and what the rule says that the call follows.

A program of the course is told by ``<SERVICE>_TIMEOUT_S`` in its Deployment (``images/README.md``), a proxy by
``timeout`` and ``perTryTimeout`` of a rule. An access log has neither a request's headers nor the number of a rule:
where several rules may have taken the request, and they do not agree, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from labsupport.errors import LabError
from labsupport.explain import Condition, MatchEntry, explain
from labsupport.model import Deployment, HTTPRoute, Resource, VirtualService
from labsupport.model.gatewayapi import Facts, convert
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute as Route
from labsupport.model.kinds.index import placed
from labsupport.observe.workloads import service_of
from labsupport.records import AccessRecord, Pod, RuleStatus

__all__ = ["Limit", "limits_of"]

# Conditions on what an access log does not tell.
_UNLOGGED = ("headers[", "withoutHeaders[", "scheme")
# A program begins to wait before its proxy has the request, so that what it cut off seems to have ended too early.
_EARLY = 0.8


@dataclass(frozen=True, slots=True)
class Limit:
    """A time after which the caller of a hop waits no longer.

    Args:
        whose: who says so, and by what: ``productpage waits``, ``vs/reviews timeout``.
        after_s: how long, in seconds.
        flag: Envoy's response flag of a call that it cuts off.
        held_s: how long the call was held by a fault of the same rule before the clock began.
    """

    whose: str
    after_s: float
    flag: str
    held_s: float = 0.0

    def cut(self, record: AccessRecord) -> bool:
        """Whether a call, or a try, ended because of it."""
        return self.flag in record.flags.split(",") and record.duration_s >= _EARLY * (self.held_s + self.after_s)

    def __str__(self) -> str:
        # As it was written, and not as something measured is.
        return f"{self.whose} {f'{self.after_s:g} s' if self.after_s >= 1 else f'{1000 * self.after_s:g} ms'}"


def limits_of(
    call: AccessRecord,
    *,
    resources: Sequence[Resource],
    pods: Sequence[Pod],
    namespace: str,
    rules: Callable[[], Sequence[RuleStatus]] = tuple,
) -> tuple[Limit, ...]:
    """The limits of a call: of the program that made it, of the rule that it follows, and of each try of it.

    Args:
        call: the line of the caller's proxy.
        resources: all objects of the mesh.
        pods: all its pods.
        namespace: in which short names are read.
        rules: tells since when each rule is as it is: one that is younger than the call says nothing about it. Asked
            only where a rule says anything, as an engine may have to ask every proxy.
    """
    caller = next((pod for pod in pods if pod.name == call.pod), None)
    if caller is None or call.direction == "inbound":
        return ()
    waits_s = _waits(caller, service_of(call.cluster)[0], resources)
    limits = [] if waits_s is None else [Limit(f"{caller.service} waits", waits_s, "DC")]
    flags = set(call.flags.split(","))
    if "FI" in flags or ({"DI", "DC"} <= flags and not call.upstream_pod):
        # A fault answered or held it until the caller left: the router, whose clocks a rule sets, never had it.
        return tuple(limits)
    followed = list(_rules(call, caller, resources, pods, namespace))
    ruled = []
    for field, given in (
        ("timeout", {(name, rule.timeout, _held(rule, flags)) for name, rule in followed}),
        (
            "perTryTimeout",
            {(name, rule.retries and rule.retries.per_try_timeout, _held(rule, flags)) for name, rule in followed},
        ),
    ):
        if len(given) == 1 and (said := next(iter(given)))[1]:
            ruled.append(Limit(f"{said[0]} {field}", said[1].total_seconds(), "UT", said[2]))
    names = {name for name, _ in followed}
    ended_s = call.time_s + call.duration_s
    if ruled and any(
        _short(f"{status.ref.kind}/{status.ref.name}") in names and status.in_force_since_s > ended_s
        for status in rules()
    ):
        return tuple(limits)
    return (*limits, *ruled)


def _held(rule: HTTPRoute, flags: set[str]) -> float:
    """How long a rule's own delay held a call, in seconds."""
    delay = rule.fault.delay if rule.fault is not None else None
    return delay.fixed_delay.total_seconds() if "DI" in flags and delay is not None and delay.fixed_delay else 0.0


def _waits(caller: Pod, service: str, resources: Sequence[Resource]) -> float | None:
    """How long the program of a pod waits for a service, by its Deployment."""
    variable = f"{service.upper().replace('-', '_')}_TIMEOUT_S"
    for resource in resources:
        if isinstance(resource, Deployment) and resource.name == caller.workload:
            told = {entry.name: entry.value for entry in resource.spec.template.spec.containers[0].env}
            try:
                return float(told.get(variable) or "") / float(told.get("TIME_SCALE") or 1)
            except (ValueError, ZeroDivisionError):
                return None
    return None


def _rules(
    call: AccessRecord, caller: Pod, resources: Sequence[Resource], pods: Sequence[Pod], namespace: str
) -> Iterator[tuple[str, HTTPRoute]]:
    """The rules that may have taken a call, each with the name of its VirtualService."""
    at_gateway = call.direction == "gateway"
    try:
        explanation = explain(
            resources,
            pods,
            url=f"gateway:{call.path}" if at_gateway else f"http://{call.authority}{call.path}",
            headers={"Host": call.authority} if at_gateway else None,
            method=call.method,
            source="outside" if at_gateway else caller,
            namespace=namespace,
        )
    except LabError:
        # A line of the log can hold what nobody can send by the lab, such as a path without a slash.
        return
    written = _written(resources, namespace)
    for trace in explanation.rules:
        rule = written.get((trace.object, trace.index))
        if rule is None or trace.kind not in ("http", "rules") or trace.verdict == "not for this proxy":
            continue
        possible = [entry for entry in trace.entries if _may_hold(entry)]
        if (possible or not trace.entries or trace.verdict == "not reached") and _fits(rule, call):
            yield _short(trace.object), rule
        if not trace.entries or any(not any(map(_unlogged, entry.conditions)) for entry in possible):
            return


def _written(resources: Sequence[Resource], namespace: str) -> dict[tuple[str, int], HTTPRoute]:
    """Every rule by its object and its number there; of a route of the Gateway API, what it stands for."""
    rules = {
        (f"VirtualService/{resource.name}", index): rule
        for resource in resources
        if isinstance(resource, VirtualService)
        for index, rule in enumerate(resource.spec.http)
    }
    routes = [(placed(resource, namespace), 0.0) for resource in resources if isinstance(resource, Route)]
    for converted in convert(routes, Facts.of(resources, namespace=namespace)) if routes else ():
        for piece, rule in zip(converted.pieces, converted.spec.http, strict=True):
            rules[f"HTTPRoute/{piece.route.name}", piece.rule] = rule
    return rules


def _short(name: str) -> str:
    kind, _, name = name.partition("/")
    return f"{'vs' if kind == 'VirtualService' else kind.lower()}/{name}"


def _may_hold(entry: MatchEntry) -> bool:
    return all(condition.holds or _unlogged(condition) for condition in entry.conditions)


def _unlogged(condition: Condition) -> bool:
    return condition.field.startswith(_UNLOGGED)


def _fits(rule: HTTPRoute, call: AccessRecord) -> bool:
    """Whether the log does not speak against a rule: by the name of the route, and by what was injected."""
    name = "" if call.route in ("", "-", "default") else call.route
    # Behind the dot is the match entry's name; istiod's own names of an HTTPRoute's rules have dots, too.
    if rule.name not in (name, name.partition(".")[0]):
        return False
    fault = rule.fault
    flags = call.flags.split(",")
    return ("DI" not in flags or bool(fault and fault.delay)) and ("FI" not in flags or bool(fault and fault.abort))
