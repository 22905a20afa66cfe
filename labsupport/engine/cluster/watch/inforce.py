"""Knows when a change is in force: when the proxies concerned hold what the change makes, and not before.

What that is comes from our own translation, which equals istiod's: the configuration of each proxy is made from the
objects before and after the change, and the paths at which the two differ are looked up in the proxy's config dump.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labsupport.controlplane.encode import ORDER, XdsType
from labsupport.controlplane.translate import translate
from labsupport.engine import dumps
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.watch.expected import Expected, Held, Mismatch, expectations
from labsupport.engine.cluster.watch.proxies import Proxies
from labsupport.engine.cluster.watch.received import Received
from labsupport.engine.cluster.watch.rulebook import Rulebook, origins_of
from labsupport.engine.cluster.watch.world import NamespaceReader, Seen
from labsupport.errors import ConfigRejectedError, EngineError, WaitTimeoutError
from labsupport.model import Resource
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME
from labsupport.records import ProxyChange, RuleStatus

__all__ = ["StateBefore", "Watcher"]

_SHORTEST_S, _LONGEST_S = 0.05, 0.4
# How long what the proxies hold is taken to be the same, as long as this lab changes nothing.
_FRESH_S = 5.0
# How long a proxy that took in an update after the change may go on holding something else than was expected. Istiod
# gathers changes for at most 10 s (PILOT_DEBOUNCE_MAX), and mostly for 0.1 s.
_SETTLED_S = 10.0
# kube-proxy shows nobody what it has taken in; it gathers changes of endpoints for up to a second
# (iptables.minSyncPeriod).
_KUBE_PROXY_S = 1.5
_NO_EXEC = (
    "The proxies could not be asked what they hold, because the right to create pods/exec is missing; it was taken to "
    "be in force when "
)


@dataclass(frozen=True)
class StateBefore:
    """The state before a change.

    Args:
        began: ``time.monotonic()``.
        began_s: the same moment in seconds since the epoch, by the cluster's clock as far as known.
        objects: of the lab, oldest first.
        seen: the namespace's pods and Services.
        received: what each proxy has received from istiod so far, where its configuration cannot be asked.
    """

    began: float
    began_s: float
    objects: tuple[Resource, ...]
    seen: Seen
    received: Mapping[str, float] = field(default_factory=dict)


@dataclass
class _Waiting:
    """A proxy that has to learn of the change.

    Args:
        wanted: what it has to hold.
        left: what of it was not there when it was asked last.
        asked: when that was asked, relative to the beginning.
        same_since: since when what is left has been the same.
        problem: why it could not be asked.
    """

    wanted: list[Expected]
    left: list[Mismatch] = field(default_factory=list)
    asked: float = 0.0
    same_since: float = 0.0
    problem: str = ""


class Watcher:
    """Watches the proxies of one namespace, and remembers when each rule came into force.

    Args:
        connection: the cluster.
        namespace: where the lab is.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._place = NamespaceReader(connection, namespace)
        self._proxies = Proxies(connection, namespace)
        self._received = Received(connection, namespace)
        self._rules = Rulebook()
        self._lock = threading.Lock()
        self._may_exec: bool | None = None
        self._held: tuple[float, Mapping[str, frozenset[str]]] = (0.0, {})

    # --- waiting for a change ----------------------------------------------------------------------------------

    def before(self, objects: Sequence[Resource]) -> StateBefore:
        """Note the state before a change.

        Args:
            objects: all objects of the lab, oldest first.
        """
        began, began_s = time.monotonic(), time.time()
        seen = self._place.look()
        received = {} if self.may_exec() else self._received.totals(seen.proxies)
        return StateBefore(began, began_s, tuple(objects), seen, received)

    def may_exec(self) -> bool:
        """Whether the right to create ``pods/exec`` is there, asked once."""
        if self._may_exec is None:
            attributes = {"namespace": self._namespace, "verb": "create", "resource": "pods", "subresource": "exec"}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            answer = self._connection.request("POST", path, body=review).body
            self._may_exec = bool(answer["status"]["allowed"])
        return self._may_exec

    def wait(
        self, mark: StateBefore, objects: Sequence[Resource], deadline: float
    ) -> tuple[tuple[ProxyChange, ...], tuple[str, ...]]:
        """Wait until a change is in force.

        Args:
            mark: the state before it.
            objects: all objects of the lab after it, oldest first.
            deadline: until when to wait, as of ``time.monotonic()``.

        Returns:
            The proxies concerned, with how long after the mark each of them held the change; and notes.

        Raises:
            WaitTimeoutError: a proxy does not hold it in time; names the proxy, the resource, the path, and what is
                there.
            ConfigRejectedError: an Envoy refused what istiod sent it.
        """
        called = time.monotonic()
        seen = self._place.look()
        waiting = self._concerned(mark, objects, seen)
        done: dict[str, tuple[float, list[Expected]]] = {}
        notes: list[str] = []
        try:
            if waiting and not self.may_exec():
                notes.append(self._by_receipt(mark, waiting, done, deadline))
            pause = _SHORTEST_S
            while waiting:
                self._ask(mark, waiting, done, notes)
                if not waiting:
                    break
                if time.monotonic() > deadline:
                    raise WaitTimeoutError(_late(waiting, time.monotonic() - mark.began))
                time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
                pause = min(pause * 1.3, _LONGEST_S)
        finally:
            self._held = (0.0, {})
            took = max((when for when, _ in done.values()), default=time.monotonic() - mark.began)
            proxies = frozenset((*done, *waiting))
            self._rules.remember(mark.objects, objects, mark.began_s, None if waiting else took, proxies)
        if _kube_proxy_has_news(mark.seen, seen):
            time.sleep(max(0.0, min(called + _KUBE_PROXY_S, deadline) - time.monotonic()))
        return tuple(_change(name, when, wanted) for name, (when, wanted) in sorted(done.items())), tuple(notes)

    def _concerned(self, mark: StateBefore, objects: Sequence[Resource], seen: Seen) -> dict[str, _Waiting]:
        mesh = self._place.mesh
        old, new = mark.seen.registry(mark.objects, mesh), seen.registry(objects, mesh)
        waiting = {}
        for pod in seen.pods:
            if pod.name not in seen.proxies:
                continue
            proxy = seen.proxy(pod)
            wanted = expectations(translate(old, proxy), translate(new, proxy), gateway=proxy.role == "gateway")
            if wanted:
                waiting[pod.name] = _Waiting(wanted)
        return waiting

    def _ask(
        self,
        mark: StateBefore,
        waiting: dict[str, _Waiting],
        done: dict[str, tuple[float, list[Expected]]],
        notes: list[str],
    ) -> None:
        """Ask each proxy that is waited for once."""
        asked = time.monotonic() - mark.began
        answers = self._proxies.each(list(waiting), self._dump)
        now = time.monotonic() - mark.began
        for name, answer in answers.items():
            proxy = waiting[name]
            if isinstance(answer, EngineError):
                if isinstance(answer, ApiError) and answer.missing:
                    # A pod that is gone has nothing to learn any more.
                    del waiting[name]
                elif isinstance(answer, ApiError) and answer.forbidden:
                    raise answer
                proxy.problem = str(answer)
                continue
            updates = dumps.updates(answer)
            left = Held(dumps.proxy_config(name, answer, warming=False)).mismatches(proxy.wanted)
            _raise_rejected(name, left, updates)
            if not left:
                done[name] = (_when(mark, proxy, updates, now), proxy.wanted)
                del waiting[name]
                continue
            if [str(entry) for entry in left] != [str(entry) for entry in proxy.left] or proxy.problem:
                proxy.left, proxy.same_since = left, asked
            proxy.asked, proxy.problem = asked, ""
            newest = max((entry.time_s for entry in updates.values()), default=0.0)
            if newest >= mark.began_s and now - proxy.same_since >= _SETTLED_S:
                done[name] = (max(newest - mark.began_s, 0.0), proxy.wanted)
                notes.append(f"{name} has taken in the change, but holds something else than expected: {left[0]}")
                del waiting[name]

    def _dump(self, pod: str) -> Mapping[str, object]:
        dump: Mapping[str, object] = json.loads(self._proxies.exec(pod, "config_dump?include_eds"))
        return dump

    def _by_receipt(
        self,
        mark: StateBefore,
        waiting: dict[str, _Waiting],
        done: dict[str, tuple[float, list[Expected]]],
        deadline: float,
    ) -> str:
        """Without the right to ask the proxies: watch what they receive from istiod, or at least wait a while."""
        took, how = self._received.wait(mark.received, list(waiting), began=mark.began, deadline=deadline)
        for name, when in took.items():
            done[name] = (when, waiting.pop(name).wanted)
        return _NO_EXEC + how

    # --- what is in force --------------------------------------------------------------------------------------

    def rules(self, objects: Sequence[Resource]) -> list[RuleStatus]:
        """Every rule among the objects, with when it came into force and which proxies hold something of it."""
        seen = self._place.look()
        if self.may_exec():
            origins = self._origins(seen)
        else:
            registry = seen.registry(objects, self._place.mesh)
            origins = {
                pod.name: origins_of(translate(registry, seen.proxy(pod)))
                for pod in seen.pods
                if pod.name in seen.proxies
            }
        doors: dict[tuple[str, str], frozenset[str]] = {}
        for pod in seen.pods:
            if pod.name in seen.gateways & seen.proxies and (made_for := pod.labels.get(GATEWAY_NAME)):
                doors[pod.namespace, made_for] = doors.get((pod.namespace, made_for), frozenset()) | {pod.name}
        return self._rules.status(objects, origins, seen.gateways, doors)

    def _origins(self, seen: Seen) -> Mapping[str, frozenset[str]]:
        """The rules that each proxy holds something of, from what they hold; looked at again after a while."""
        with self._lock:
            looked, known = self._held
            if time.monotonic() - looked > _FRESH_S or not seen.proxies <= known.keys():
                answers = self._proxies.each(sorted(seen.proxies), self._proxies.config)
                known = {
                    name: frozenset() if isinstance(answer, EngineError) else origins_of(answer)
                    for name, answer in answers.items()
                }
                self._held = (time.monotonic(), known)
            return {name: paths for name, paths in known.items() if name in seen.proxies}

    def forget(self) -> None:
        """Forget when rules came into force, after a reset."""
        self._rules.clear()


def _kube_proxy_has_news(before: Seen, after: Seen) -> bool:
    """Whether endpoints have changed whose callers come through kube-proxy: outside, or pods without a sidecar."""
    ready = [{pod.ip for pod in seen.pods if pod.ready} for seen in (before, after)]
    gateways = [{pod.ip for pod in seen.pods if pod.ready and pod.name in seen.gateways} for seen in (before, after)]
    plain = any(not pod.injected and pod.name not in after.gateways for pod in after.pods)
    return gateways[0] != gateways[1] or (plain and ready[0] != ready[1])


def _change(name: str, when: float, wanted: Sequence[Expected]) -> ProxyChange:
    types = {expectation.xds for expectation in wanted}
    return ProxyChange(name, when, tuple(kind for kind in ORDER if kind in types))


def _when(
    mark: StateBefore, waiting: _Waiting, updates: Mapping[tuple[XdsType, str], dumps.Update], now: float
) -> float:
    """When a proxy took the change in: by its own clock, as far as that agrees with when it was asked."""
    touched = {(entry.xds, entry.resource) for entry in waiting.wanted}
    times = [updates[key].time_s - mark.began_s for key in touched if key in updates]
    return min(max(*times, waiting.asked, 0.0), now) if times and all(kind != "EDS" for kind, _ in touched) else now


def _raise_rejected(name: str, left: Sequence[Mismatch], updates: Mapping[tuple[XdsType, str], dumps.Update]) -> None:
    for mismatch in left:
        update = updates.get((mismatch.expected.xds, mismatch.expected.resource))
        if update is not None and update.error:
            raise ConfigRejectedError(f"{name}: its Envoy refused {mismatch.expected.place}: {update.error}")


def _late(waiting: Mapping[str, _Waiting], seconds: float) -> str:
    lines = []
    for name, proxy in waiting.items():
        if proxy.problem:
            lines.append(f"{name} could not be asked: {proxy.problem}")
        elif proxy.left:
            more = f" (and {len(proxy.left) - 1} more)" if len(proxy.left) > 1 else ""
            lines.append(f"{name} has not got {proxy.left[0]}{more}")
        else:
            lines.append(f"{name} was not asked in time")
    return f"not in force after {seconds:.0f} s: " + "; ".join(lines)
