"""The supervisor: one per lab; it owns the desired state, the control plane and all processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labsupport import paths, words
from labsupport.controlplane import entrances
from labsupport.controlplane.desired import Key, ServiceAddresses, homeless, key_of, merge, remove
from labsupport.controlplane.encode import ORDER
from labsupport.engine.dangling import dangling
from labsupport.engine.embedded import collector, listening, refuse
from labsupport.engine.embedded.api.front import Front
from labsupport.engine.embedded.api.mesh import Mesh
from labsupport.engine.embedded.builtin import BuiltIn, built_in_objects
from labsupport.engine.embedded.control import ControlPlane
from labsupport.engine.embedded.doors import Doors
from labsupport.engine.embedded.envoy import admin, binary
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.envoy.httpconn import ACCESS_LOG
from labsupport.engine.embedded.holding import RulesInForce
from labsupport.engine.embedded.pods.pods import Addresses, check_storage
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.embedded.pods.trial import Trials
from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.embedded.processes.spawner_client import Spawner
from labsupport.engine.embedded.questions import Questions
from labsupport.engine.embedded.restoring import Blocked, Restoring
from labsupport.engine.embedded.workloads import Workloads
from labsupport.engine.podtemplate import MissingReference
from labsupport.engine.routestatus import route_notes
from labsupport.errors import (
    ConfigRejectedError,
    EngineError,
    LabError,
    ManifestError,
    StorageError,
    UsageError,
    WaitTimeoutError,
)
from labsupport.model import RULES, Resource
from labsupport.records import ApplyResult, ObjectChange, ProxyChange, Ref

__all__ = ["Supervisor"]

# What decides which certificates a proxy gets.
CREDENTIALS = ("Gateway", "KubernetesGateway", "ReferenceGrant", "DestinationRule", "Secret", "ConfigMap")
# What decides whether proxies trace, which is said of listeners and not of routes.
TRACING = frozenset(("ConfigMap", "Telemetry"))
_ROTATE_BYTES = 64 << 20
# What makes pods start or end.
_WITH_PODS = frozenset(("Deployment", "ConfigMap", "Secret", "Namespace"))
# What makes the proxies of Gateways of the Gateway API start or end.
_WITH_DOORS = frozenset(("KubernetesGateway", "GatewayClass", "Namespace"))
# Whoever changes something from outside waits for the proxies, but not for long.
_OUTSIDE_S = 10.0


class Supervisor:
    """Serves one lab.

    Args:
        folder: run folder, also the working directory.
        programs: the programs that stand for images.
        namespace: the lab's namespace.
        spawner: starts processes.
        spawner_pid: its process.

    Attributes:
        questions: what can be asked of the lab.
    """

    def __init__(self, folder: Path, programs: Programs, namespace: str, spawner: Spawner, spawner_pid: int) -> None:
        self._folder = folder
        self._namespace = namespace
        self._spawner = spawner
        self._spawner_pid = spawner_pid
        self._ads = AdsServer()
        self._place = Workplace(folder, programs, spawner, self._ads, self._changed)
        self._trials = Trials(self._place)
        self._addresses = Addresses()
        self._control = ControlPlane(self._ads, self._addresses, ServiceAddresses(), namespace)
        self._workloads = Workloads(self._place, self._addresses, self._control)
        self._built_in = BuiltIn(self._place, self._addresses, self._control)
        self._doors = Doors(self._place, self._addresses, self._control)
        self._restoring = Restoring(self._ads, self._control, self._workloads, self._built_in)
        self._base = built_in_objects(namespace)
        self._control.objects = self._base
        self._changing = asyncio.Lock()
        self._rules = RulesInForce()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: set[str] = set()
        self._created: dict[Key, float] = {}
        self.questions = Questions(
            self._place, self._addresses, self._control, self._built_in, self._doors, self._rules, self._base
        )
        self._front = Front(
            Mesh(
                folder,
                self._control,
                self._built_in,
                self._created,
                time.time(),
                self.questions.rules,
                self._apply_from_outside,
                self._delete_from_outside,
                self._judge,
            )
        )
        # Called with what somebody else than the notebook has changed: the verb, what came of it, and the objects.
        self.tell: Callable[[tuple[str, ApplyResult, list[Resource]]], None] = lambda notice: None
        self.closing = asyncio.Event()

    async def open(self) -> None:
        """Start what every mesh has; returns when the gateway is ready."""
        await self._ads.start(f"unix:{binary.ADS_SOCKET}", self.questions.receiver.handler)
        gateway = self._built_in.start_gateway()
        while not gateway.ready:
            if isinstance(gateway.failure, EngineError):
                raise gateway.failure
            if gateway.restarts >= 3:
                raise EngineError(f"the gateway's Envoy does not start; its last words: {gateway.last_words}")
            await asyncio.sleep(0.002)
        self._task(self._rotate())
        link = os.environ.get(paths.KUBECONFIG_VARIABLE)
        self._task(self._front.reachable(Path(link) if link else None))

    def _task(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _changed(self) -> None:
        self._control.touch()
        self._task(self._publish_quietly())

    async def _publish_quietly(self) -> None:
        # Nobody waits for this one; a change that is refused later is reported to whoever asked for it.
        with contextlib.suppress(LabError):
            await self._control.publish(timeout_s=30.0)

    # --- changes ------------------------------------------------------------------------------------------------

    async def _judge(self, objects: Sequence[Resource], *, wait_s: float = 60.0) -> None:
        problems = refuse.problems(objects, self._place.programs)
        problems = problems or await self._trials.problems(objects, timeout_s=wait_s)
        if problems:
            raise ManifestError(problems)

    async def apply(
        self, objects: Sequence[Resource], *, wait_s: float, began: float, for_pods: bool = True
    ) -> ApplyResult:
        """Create or change objects; see ``Engine.apply``. Without ``for_pods`` nobody waits until pods are ready."""
        await self._judge(objects, wait_s=wait_s)
        async with self._changing:
            before = self._control.objects
            after, changes = merge(before, objects)
            problems = homeless(after, objects)
            problems += dangling(after) if any(resource.kind == "Deployment" for resource in objects) else []
            given = {key_of(resource) for resource in objects}
            problems = problems or listening.clashes(objects, after, self._place.programs)
            problems = problems or refuse.taken_node_ports(sorted(after, key=lambda other: key_of(other) in given))
            if problems:
                raise ManifestError(problems)
            told = {*self._told}
            notes = refuse.notes(objects, self._place.programs, told)
            changed = {change.ref for change in changes if change.action != "unchanged"}
            news = [resource for resource in objects if resource.ref in changed]
            notes += listening.notes(news, after, self._place.programs)
            notes += route_notes(news, after)
            notes += collector.notes(news, after)
            if self._built_in.gateway is not None:
                notes += entrances.port_notes(news, after, self._built_in.gateway.info)
            result = await self._change(before, after, changes, wait_s, began, tuple(notes), for_pods=for_pods)
            # What is refused after all was told to nobody.
            self._told = told
            return replace(result, notes=(*result.notes, *self._built_in.other_node_ports(news)))

    async def delete(self, refs: Sequence[Ref], *, wait_s: float, began: float, for_pods: bool = True) -> ApplyResult:
        """Delete objects; see ``Engine.delete``, and ``apply``."""
        async with self._changing:
            before = self._control.objects
            after, changes = remove(before, refs, namespace=self._namespace)
            kept = {key_of(resource) for resource in after}
            for resource in self._base:
                if key_of(resource) not in kept:
                    raise UsageError(f"{resource.kind}/{resource.name} belongs to every mesh and is not deleted")
            return await self._change(before, after, changes, wait_s, began, (), for_pods=for_pods)

    async def _apply_from_outside(self, objects: list[Resource], verb: str) -> ApplyResult:
        began = time.monotonic()
        result = await self.apply(objects, wait_s=_OUTSIDE_S, began=began, for_pods=False)
        self._task(self._tell(verb, result, objects, began))
        return result

    async def _delete_from_outside(self, refs: list[Ref], verb: str) -> ApplyResult:
        began = time.monotonic()
        result = await self.delete(refs, wait_s=_OUTSIDE_S, began=began, for_pods=False)
        self._task(self._tell(verb, result, [], began))
        return result

    async def _tell(self, verb: str, result: ApplyResult, objects: list[Resource], began: float) -> None:
        """Tell the kernel of a change that is not its own, once it is in force as one of its own would be."""
        if all(change.action == "unchanged" for change in result.changes):
            return
        if {change.ref.kind for change in result.changes} & _WITH_PODS:
            await self._reconcile_quietly()
            result = replace(result, in_force_s=time.monotonic() - began)
        self.tell((verb, result, objects))

    async def _change(
        self,
        before: tuple[Resource, ...],
        after: tuple[Resource, ...],
        changes: tuple[ObjectChange, ...],
        timeout_s: float,
        began: float,
        notes: tuple[str, ...],
        *,
        for_pods: bool,
    ) -> ApplyResult:
        started_s = time.time() - (time.monotonic() - began)
        if all(change.action == "unchanged" for change in changes):
            # What only a client keeps in an object may have changed all the same.
            self._control.objects = after
            return ApplyResult(changes, started_s=started_s, notes=notes)
        deadline = began + timeout_s
        kinds = {change.ref.kind for change in changes if change.action != "unchanged"}
        pods_before = set(self._control.pods)
        mark = len(self._control.journal)
        known = {key_of(resource) for resource in before}
        self._created.update({key_of(resource): time.time() for resource in after if key_of(resource) not in known})
        self._control.objects = after
        self._control.touch()
        try:
            if not kinds <= set(RULES):
                check_storage(self._folder)
                self._built_in.update_plain()
            if kinds & _WITH_DOORS:
                self._doors.open()
            waits = [self._publish(deadline), *([self._pods(kinds, deadline)] if for_pods else [])]
            await asyncio.gather(*waits)
            if not kinds <= set(RULES):
                await self._built_in.plain_ready()
            if kinds & _WITH_DOORS:
                await self._doors.ready(timeout_s=max(deadline - time.monotonic(), 0.1))
                await self._doors.close_unwanted()
            if kinds & {"ConfigMap", "Secret"}:
                self._workloads.follow_files()
            if kinds & TRACING:
                await self._renewed(deadline)
            if kinds & set(CREDENTIALS):
                notes += await self._uncertified(deadline)
        except (ConfigRejectedError, ManifestError, StorageError, MissingReference, ValueError) as error:
            await self._restore(before, pods_before)
            if isinstance(error, ManifestError | StorageError):
                raise
            raise ConfigRejectedError(f"nothing was changed, because {error}") from error
        except Blocked as error:
            await self._restore(before, pods_before)
            raise WaitTimeoutError(f"nothing was changed, because {error}") from error
        except WaitTimeoutError:
            # As on a cluster, what was accepted stays, and the pods go on trying.
            self._remember(changes, mark, began)
            raise
        except Exception as error:
            await self._restore(before, pods_before)
            if isinstance(error, LabError):
                raise
            refused = isinstance(error, OSError)
            why = f"this machine refuses: {words.reason(error)}" if refused else f"{type(error).__name__}: {error}"
            raise EngineError(f"nothing was changed, because {why}") from error
        done = self._remember(changes, mark, began)
        return ApplyResult(
            changes,
            proxies=tuple(
                ProxyChange(name, when - began, tuple(kind for kind in ORDER if kind in types))
                for name, (when, types) in done.items()
            ),
            in_force_s=time.monotonic() - began,
            started_s=started_s,
            notes=notes,
        )

    async def _uncertified(self, deadline: float) -> tuple[str, ...]:
        """What is to be known of credentials that rules name: those that are missing or broken, above all."""
        texts: dict[str, None] = {}
        for pod in list(self._control.pods.values()):
            lacking = [credential for credential in self._control.credentials(pod) if credential.problem]
            for credential in lacking:
                text = credential.problem
                if credential.secret is None:
                    kept = self._ads.held(pod.node, "SDS", credential.name)
                    what = "keeps what it had under this name" if kept else "closes connections that need it"
                    text = f"{text}, so {pod.name} {what}"
                texts[text] = None
            if any(credential.secret is None for credential in lacking) and pod.envoy is not None:
                # Its listener waits for a moment before it goes on without.
                await pod.envoy.warmed(timeout_s=min(deadline - time.monotonic(), 5.0))
        return tuple(texts)

    async def _renewed(self, deadline: float) -> None:
        """Wait until connections that stay open between requests are served by the new listeners, too."""
        running = [pod.envoy for pod in self._control.pods.values() if pod.envoy is not None]
        left = deadline - time.monotonic()
        await asyncio.gather(*(envoy.renewed(timeout_s=left) for envoy in running))

    async def _pods(self, kinds: set[str], deadline: float) -> None:
        if kinds & _WITH_PODS:
            await self._workloads.reconcile(timeout_s=max(deadline - time.monotonic(), 0.1))

    async def _publish(self, deadline: float) -> None:
        try:
            await self._control.publish(timeout_s=deadline - time.monotonic())
        except WaitTimeoutError as error:
            raise Blocked(str(error)) from error

    async def _restore(self, before: tuple[Resource, ...], pods: set[str]) -> None:
        await self._restoring.back_to(before, pods)
        self._task(self._reconcile_quietly())

    async def _reconcile_quietly(self) -> None:
        with contextlib.suppress(LabError):
            await self._workloads.reconcile(timeout_s=60.0)

    def _remember(
        self, changes: Sequence[ObjectChange], mark: int, began: float
    ) -> Mapping[str, tuple[float, frozenset[str]]]:
        done: dict[str, tuple[float, frozenset[str]]] = {}
        for published in self._control.journal[mark:]:
            done[published.proxy] = (
                published.done,
                done.get(published.proxy, (0.0, frozenset()))[1] | frozenset(published.types),
            )
        done = {name: entry for name, entry in done.items() if entry[1] and name in self._control.pods}
        last = max((when for when, _ in done.values()), default=time.monotonic())
        self._rules.note(changes, at=last, began=began, learnt=frozenset(done))
        return done

    async def reset(self) -> tuple[list[Ref], list[str]]:
        """Remove everything that was applied; returns what, and what of it is still there."""
        async with self._changing:
            applied = await self.questions.get()
            removed = [resource.ref for resource in applied]
            self._control.objects = self._base
            self._control.touch()
            gateway = self._built_in.gateway
            await self._workloads.drop([pod for pod in self._control.pods.values() if pod is not gateway])
            await self._workloads.ended(timeout_s=1.0)
            await self._built_in.stop_plain()
            await self._control.publish(timeout_s=10.0)
            self._rules.clear()
            self._created.clear()
            # A mesh that begins afresh says afresh who plays what.
            self._told.clear()
            keep = {"istio-ingressgateway", "outside"}
            for entry in self._folder.iterdir():
                if entry.is_dir() and entry.name not in keep:
                    shutil.rmtree(entry, ignore_errors=True)
            remaining = [f"pod {name}" for name, pod in self._control.pods.items() if pod is not gateway]
            own = (
                {gateway.envoy.keeper.process.pid}
                if gateway and gateway.envoy and gateway.envoy.keeper.process
                else set()
            )
            if self._built_in.outside_pid:
                own.add(self._built_in.outside_pid)
            remaining += [f"process {pid}" for pid in self._spawner.pids if pid not in own]
            return removed, remaining

    # --- the lab itself -----------------------------------------------------------------------------------------

    async def kubeconfig(self) -> str:
        """The kubeconfig file of the lab; the front that it leads to is opened."""
        return str(await self._front.open())

    async def inventory(self) -> tuple[list[int], list[int]]:
        """Processes (this one first, then the spawner) and local ports of the lab."""
        ports = sorted([*self._addresses.owners(), *self._front.ports])
        return [os.getpid(), self._spawner_pid, *self._spawner.pids], ports

    async def close(self) -> None:
        """Stop everything; the answer goes out first."""
        self.closing.set()

    async def _rotate(self) -> None:
        """Keep access logs from filling the disk: at most two files of a bounded size per proxy."""
        while True:
            await asyncio.sleep(5.0)
            for pod in list(self._control.pods.values()):
                log = pod.folder / ACCESS_LOG
                with contextlib.suppress(OSError):
                    if pod.envoy is not None and log.stat().st_size > _ROTATE_BYTES:
                        log.replace(log.with_suffix(".log.1"))
                        await admin.fetch(pod.envoy.admin, "/reopen_logs", method="POST")
