"""Deployments become pods; a changed template rolls them without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from labsupport.controlplane.encode import ORDER
from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.workloads import sanitize_locality
from labsupport.engine.embedded.control import ControlPlane
from labsupport.engine.embedded.pods.apps import Planned
from labsupport.engine.embedded.pods.identity import NODE, NODE_ADDRESS, uid
from labsupport.engine.embedded.pods.pods import Addresses, LivePod, pod_suffix
from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.podfiles import volume_files
from labsupport.engine.podtemplate import PodTemplate, environment, pod_template
from labsupport.errors import ConfigRejectedError, EngineError, WaitTimeoutError
from labsupport.model import Deployment, Resource
from labsupport.model.kinds.pods import Container

__all__ = ["Workloads", "namespace_labels"]

# A program that crashed so often before it was ever ready will not become ready by waiting.
HOPELESS_RESTARTS = 4
_Key = tuple[str, str]


def namespace_labels(objects: Iterable[Resource], namespace: str) -> Mapping[str, str]:
    """Labels of a namespace; empty if nobody described it."""
    for resource in objects:
        if resource.kind == "Namespace" and resource.name == namespace:
            return resource.metadata.labels
    return {}


class Workloads:
    """Brings the pods to what the Deployments ask for.

    Args:
        place: where pods run.
        addresses: of the lab.
        control: configures their proxies, and knows the Deployments.
    """

    def __init__(self, place: Workplace, addresses: Addresses, control: ControlPlane) -> None:
        self._place = place
        self._addresses = addresses
        self._control = control
        self._rolls: dict[_Key, tuple[str, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def plans(self, objects: Sequence[Resource]) -> dict[_Key, tuple[Deployment, PodTemplate]]:
        """The Deployments among some objects, with what their pods are."""
        return {
            (resource.namespace, resource.name): (
                resource,
                pod_template(resource, namespace_labels(objects, resource.namespace)),
            )
            for resource in objects
            if isinstance(resource, Deployment)
        }

    async def reconcile(self, *, timeout_s: float) -> None:
        """Start, replace and end pods until they are what the Deployments ask for.

        Raises:
            WaitTimeoutError: a pod is not ready in time; says what was seen last. It is still being tried.
            EngineError: a pod cannot be started.
        """
        plans = self.plans(self._control.objects)
        gone = [pod for pod in self._living() if (pod.info.namespace, pod.info.workload) not in plans]
        for key in list(self._rolls):
            if key not in plans:
                self._rolls.pop(key)[1].cancel()
        if gone:
            await self._retire(gone, timeout_s=timeout_s)
        started: list[_Key] = []
        for key, (deployment, plan) in plans.items():
            wanted = f"{plan.digest}/{plan.replicas}"
            known = self._rolls.get(key)
            if known is not None and (known[0] != wanted or (known[1].done() and self._unfinished(plan))):
                known[1].cancel()
                known = None
            if known is None:
                self._rolls[key] = (wanted, asyncio.create_task(self._roll(deployment, plan)))
                started.append(key)
        # What an earlier change got stuck in is not this one's matter, and must not fail it.
        await self._wait({key: plans[key][1].digest for key in started}, timeout_s)

    def _unfinished(self, plan: PodTemplate) -> bool:
        pods = self._pods_of(plan)
        return len(pods) != plan.replicas or any(pod.digest != plan.digest for pod in pods)

    async def _wait(self, digests: Mapping[_Key, str], timeout_s: float) -> None:
        """Wait for some rolls, given as the template that each of them brings."""
        tasks = {self._rolls[key][1] for key in digests}
        deadline = time.monotonic() + timeout_s
        while pending := {task for task in tasks if not task.done()}:
            await asyncio.wait(pending, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    raise task.exception() or EngineError("a pod cannot be started")
            starting = [
                pod
                for pod in self._living()
                if not pod.announced and digests.get((pod.info.namespace, pod.info.workload)) == pod.digest
            ]
            for pod in starting:
                if isinstance(pod.failure, EngineError) and not isinstance(pod.failure, WaitTimeoutError):
                    raise pod.failure
                if pod.envoy is not None and pod.envoy.keeper.restarts >= HOPELESS_RESTARTS:
                    words = pod.envoy.keeper.last_words
                    raise ConfigRejectedError(f"the Envoy of {pod.name} does not start; its last words: {words}")
                if pod.restarts >= HOPELESS_RESTARTS:
                    raise WaitTimeoutError(
                        f"pod {pod.name} does not start, it ended {pod.restarts} times; its last words: "
                        f"{pod.last_words or '(none)'}. lab.logs({pod.name!r}) shows more; it is still being restarted."
                    )
            if time.monotonic() > deadline:
                seen = "; ".join(f"{pod.name}: {pod.last_words or 'started, not ready yet'}" for pod in starting)
                raise WaitTimeoutError(f"not ready within {timeout_s:.0f} s: {seen or 'old pods are still ending'}")

    def _living(self) -> list[LivePod]:
        return [pod for pod in self._control.pods.values() if pod.role != "gateway" and not pod.terminating]

    def _pods_of(self, plan: PodTemplate) -> list[LivePod]:
        return [
            pod for pod in self._living() if (pod.info.namespace, pod.info.workload) == (plan.namespace, plan.workload)
        ]

    async def _roll(self, deployment: Deployment, plan: PodTemplate) -> None:
        """One Deployment: start, wait until ready, announce, withdraw the old ones, end them."""
        while True:
            pods = self._pods_of(plan)
            new = [pod for pod in pods if pod.digest == plan.digest]
            old = [pod for pod in pods if pod.digest != plan.digest]
            # As a Deployment's controller does: what serves nobody goes first, or it would count as a pod in service
            # and a ready one would have to leave in its place.
            leaving = old if plan.recreate else [pod for pod in old if not pod.ready]
            if leaving:
                await self._retire(leaving, timeout_s=60.0)
                continue
            surge = plan.surge if old else 0
            room = plan.replicas + surge - len(new) - len(old)
            count = min(plan.replicas - len(new), room)
            if count > 0:
                started = [self._create(deployment, plan) for _ in range(count)]
                self._control.prepare(started)
                for pod in started:
                    pod.start()
            await self.announced([pod for pod in self._pods_of(plan) if pod.digest == plan.digest])
            extra = len(new) + max(count, 0) - plan.replicas
            leaving = sorted(new, key=lambda pod: -pod.created)[:extra] if extra > 0 else []
            surplus = len(new) - len(leaving) + max(count, 0) + len(old) - plan.replicas
            leaving += old[: max(surplus, 0)]
            if leaving:
                await self._retire(leaving, timeout_s=60.0)
            pods = self._pods_of(plan)
            if len(pods) == plan.replicas and all(pod.digest == plan.digest for pod in pods):
                return

    async def announced(self, pods: Iterable[LivePod]) -> None:
        """Wait until pods are ready, and make them known to everybody; returns when that is acknowledged."""
        pods = list(pods)
        while not all(pod.ready or pod.announced for pod in pods):
            await asyncio.sleep(0.002)
        fresh = [pod for pod in pods if not pod.announced]
        for pod in fresh:
            pod.announced = True
            self._control.note(pod.name, ORDER if pod.envoy is not None else (), time.monotonic())
        if fresh:
            self._control.touch()
            await self._control.publish(timeout_s=30.0)

    def follow_files(self) -> None:
        """Let the files of running pods be what their ConfigMaps and Secrets are now.

        Raises:
            StorageError: they cannot be written.
        """
        for pod in self._living():
            pod.follow_files(self._control.objects)

    def _create(self, deployment: Deployment, plan: PodTemplate) -> LivePod:
        name = f"{plan.workload}-{plan.digest}-{pod_suffix()}"
        while (self._place.folder / name).exists():
            name = f"{plan.workload}-{plan.digest}-{pod_suffix()}"
        labels = {**plan.labels, "pod-template-hash": plan.digest}
        info = PodInfo(
            name=name,
            namespace=plan.namespace,
            ip=self._addresses.next_ip(),
            labels=labels,
            annotations=plan.annotations,
            workload=plan.workload,
            ports=plan.named_ports,
            injected=plan.injected,
            ready=False,
            service_account=plan.service_account,
            locality=sanitize_locality(labels),
        )
        created = time.time()
        fields = {
            "metadata.name": name,
            "metadata.namespace": plan.namespace,
            "metadata.uid": uid("Pod", plan.namespace, name, created),
            "status.podIP": info.ip,
            "status.podIPs": info.ip,
            "status.hostIP": NODE_ADDRESS,
            "status.hostIPs": NODE_ADDRESS,
            "spec.nodeName": NODE,
            "spec.serviceAccountName": plan.service_account,
        }
        plain = self._control.plain
        port = plain.listeners.get(plan.namespace) if plain is not None else None
        pod = LivePod(
            self._place,
            self._addresses,
            info,
            created=created,
            digest=plan.digest,
            programs=[self._planned(deployment, container, fields, labels) for container in plan.containers],
            concurrency=plan.concurrency,
            grace_s=plan.grace_s,
            proxy=f"http://127.0.0.1:{port}" if port else "",
        )
        if deployment.spec.template.spec.volumes:
            pod.make_files(partial(volume_files, deployment, pod=fields, labels=labels), self._control.objects)
        self._control.pods[name] = pod
        return pod

    def _planned(
        self, deployment: Deployment, container: Container, fields: Mapping[str, str], labels: Mapping[str, str]
    ) -> Planned:
        played = self._place.programs.played(container.image)
        assert played is not None, "refused before"
        own = environment(deployment, container, self._control.objects, pod=fields, labels=labels)
        env = played.environment(container, own)
        mounts = tuple(container.volume_mounts)
        return Planned(container.name, played.program, played.ports(container, env), env, mounts)

    async def _retire(self, pods: Sequence[LivePod], *, timeout_s: float) -> None:
        """Withdraw pods from all proxies; once that is acknowledged, end them in the background."""
        for pod in pods:
            pod.terminating = True
        self._control.touch()
        try:
            await self._control.publish(timeout_s=timeout_s)
        finally:
            # Also when the roll is cancelled meanwhile: nobody else would end them.
            for pod in pods:
                task = asyncio.create_task(self._end(pod, graceful=pod.announced))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def _end(self, pod: LivePod, *, graceful: bool) -> None:
        await pod.stop(graceful=graceful)
        self._control.pods.pop(pod.name, None)

    async def drop(self, pods: Iterable[LivePod]) -> None:
        """End pods at once, such as those that a refused change had started."""
        pods = list(pods)
        for pod in pods:
            known = self._rolls.pop((pod.info.namespace, pod.info.workload), None)
            if known is not None:
                known[1].cancel()
            pod.terminating = True
        await asyncio.gather(*(self._end(pod, graceful=False) for pod in pods))

    async def ended(self, *, timeout_s: float) -> None:
        """Wait until all pods that are ending have ended."""
        if self._ending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*self._ending, return_exceptions=True), timeout_s)
