"""Records of what a lab runs, as ``lab.status()`` and ``lab.pods()`` return them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from labsupport import words
from labsupport.arguments import checked
from labsupport.observe.flags import was_answered
from labsupport.records import AccessRecord, Pod, RuleStatus, received_by

__all__ = ["AccessLog", "LabStatus", "LabelledPods", "LogText", "Pods", "rule_name"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


@checked
class Pods(tuple[Pod, ...]):
    """Pods in order of name, shown as a table like ``kubectl get pods``."""

    __slots__ = ()

    def __new__(cls, pods: Iterable[Pod] = ()) -> Pods:
        """Put pods in order.

        Args:
            pods: in any order.
        """
        return super().__new__(cls, sorted(pods, key=lambda pod: (pod.namespace, words.natural_key(pod.name))))

    _HEADS: ClassVar[tuple[str, ...]] = ("NAME", "VERSION", "READY", "SIDECAR", "RESTARTS")

    def of(self, workload: str) -> Pods:
        """The pods of one Deployment."""
        return type(self)(pod for pod in self if pod.workload == workload)

    @property
    def several_namespaces(self) -> bool:
        """Whether they are of more than one namespace, the ingress gateway's aside."""
        return len({pod.namespace for pod in self if pod.namespace != "istio-system"}) > 1

    @words.shown
    def __repr__(self) -> str:
        if not self:
            return "no pods"
        rows = [self._HEADS, *map(self._row, self)]
        if self.several_namespaces:
            rows = [("NAMESPACE", *rows[0]), *((pod.namespace, *row) for pod, row in zip(self, rows[1:], strict=True))]
        lines = _table(rows)
        lines += [f"{pod.name}: last words before it stopped: {pod.last_words}" for pod in self if pod.last_words]
        return "\n".join(lines)

    def _row(self, pod: Pod) -> tuple[str, ...]:
        state = ("yes" if pod.ready else "no", "yes" if pod.injected else "no")
        return (pod.name, pod.version or "-", *state, str(pod.restarts))


class LabelledPods(Pods):
    """Pods, shown with their labels."""

    __slots__ = ()

    _HEADS: ClassVar[tuple[str, ...]] = (*Pods._HEADS, "LABELS")

    def _row(self, pod: Pod) -> tuple[str, ...]:
        return (*super()._row(pod), words.labels(pod.labels))


@checked
class AccessLog(tuple[AccessRecord, ...]):
    """Lines of the proxies' access logs in order of time."""

    __slots__ = ()

    def of(self, request_id: str) -> AccessLog:
        """The lines of one request, by its x-request-id."""
        return AccessLog(record for record in self if record.request_id == request_id)

    def received(self, pod: str) -> int:
        """How many requests the sidecars of a Deployment took in for it; each try counts, and each mirror copy.

        Args:
            pod: the Deployment, such as ``"reviews-v1"``, or one pod of it.
        """
        return sum(received_by(record, pod) for record in self)

    @words.shown
    def __repr__(self) -> str:
        if not self:
            return "no access-log lines"
        rows = [("PROXY", "DIRECTION", "REQUEST", "STATUS", "FLAGS", "CLUSTER", "ANSWERED BY", "TIME")]
        rows += [
            (
                record.pod,
                record.direction + (" (mirrored)" if record.mirrored else ""),
                f"{record.method} {record.authority}{record.path}",
                str(record.status),
                record.flags or "-",
                record.cluster or "-",
                (record.upstream_pod if was_answered(record.flags) else "") or "-",
                words.duration(record.duration_s),
            )
            for record in self
        ]
        return "\n".join(_table(rows))


class LogText(str):
    """Lines of a log; shown as they are instead of as a quoted string."""

    __slots__ = ()

    @words.shown
    def __repr__(self) -> str:
        return str(self) or "(empty log)"


@dataclass(frozen=True, slots=True, repr=False)
class LabStatus:
    """What a lab runs at one moment.

    Args:
        engine: ``embedded`` or ``cluster``.
        namespace: the lab's own namespace.
        time_s: when this was looked at.
        pods: all pods, the ingress gateway included.
        rules: every rule, with when it came into force and in which proxies.
        urls: addresses for a person's browser.
        traffic: background traffic that is running, in words.
        warnings: warnings of the last change, and pods that are not well.
        notes: what did not fit together after the last change, so that requests fail or rules have no effect.
        last_error: why the last change was refused; empty if it was not.
    """

    engine: str
    namespace: str
    time_s: float
    pods: Pods = field(default_factory=Pods)
    rules: tuple[RuleStatus, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    traffic: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    last_error: str = ""

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the pods that have an Envoy: the gateway, and every pod with a sidecar."""
        return tuple(pod.name for pod in self.pods if pod.has_proxy)

    @words.shown
    def __repr__(self) -> str:
        ready = sum(pod.ready for pod in self.pods)
        head = f"{self.engine} mesh, namespace {self.namespace}: "
        lines = [
            f"{head}{words.plural(len(self.pods), 'pod')} ({ready} ready), "
            f"{words.plural(len(self.proxies), 'proxy', 'proxies')}, {words.plural(len(self.rules), 'rule')}"
        ]
        if self.pods:
            lines += ["", *repr(self.pods).splitlines()]
        if self.rules:
            rows = [("RULE", "IN FORCE SINCE", "AFTER", "PROXIES")]
            rows += [(_named(rule, self.namespace), *_force(rule), str(len(rule.proxies))) for rule in self.rules]
            lines += ["", *_table(rows)]
        if self.urls:
            lines += ["", *(f"{name}  {url}" for name, url in self.urls.items())]
        lines += [f"traffic: {text}" for text in self.traffic]
        lines += [f"warning: {text}" for text in self.warnings] + [f"note: {text}" for text in self.notes]
        if self.last_error:
            lines.append(f"last error: {self.last_error}")
        return "\n".join(lines)


def rule_name(rule: RuleStatus, namespace: str) -> str:
    """A rule as the lab's verbs take it: with its namespace where that is not the lab's own."""
    space = rule.ref.namespace
    return f"{rule.ref}.{space}" if space not in ("", namespace) else str(rule.ref)


def _named(rule: RuleStatus, namespace: str) -> str:
    name = rule_name(rule, namespace)
    return f"{name} ({', '.join(rule.wrong)})" if rule.wrong else name


def _force(rule: RuleStatus) -> tuple[str, str]:
    if not rule.in_force_since_s:
        # A rule that concerns no proxy is never acknowledged; that is a finding, not a failure.
        return ("not yet" if rule.proxies else "concerns no proxy"), "-"
    return time.strftime("%H:%M:%S", time.localtime(rule.in_force_since_s)), words.duration(rule.in_force_after_s)
