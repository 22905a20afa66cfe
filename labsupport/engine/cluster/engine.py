"""The cluster engine: the course on a Kubernetes with Istio, in a namespace of the learner's own."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labsupport.controlplane.desired import key_of, merge, remove
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.istio import istio_of
from labsupport.engine.cluster.objects import clean, refuse
from labsupport.engine.cluster.objects.additions import CLOSED, LAB_LABEL
from labsupport.engine.cluster.objects.doors import Doors
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.namespace import LabNamespace, chosen_name
from labsupport.engine.cluster.objects.objects import ObjectStore, Tried
from labsupport.engine.cluster.objects.parts import GATEWAY, OUTSIDE, Parts
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.engine.cluster.watch.podlogs import read_log
from labsupport.engine.cluster.watch.pods import has_proxy, records
from labsupport.engine.cluster.watch.prometheus import ask, dashboards
from labsupport.engine.cluster.watch.statnames import envoy_names
from labsupport.engine.dangling import dangling
from labsupport.engine.patching import patched
from labsupport.engine.protocol import Sending
from labsupport.engine.routeplaces import listened, parents_told
from labsupport.engine.routestatus import route_notes
from labsupport.engine.tracers import JAEGER
from labsupport.errors import (
    ConfigRejectedError,
    EngineLostError,
    ManifestError,
    NotFoundError,
    UsageError,
    WaitTimeoutError,
)
from labsupport.model import Resource
from labsupport.model.kinds.index import placed
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    EnvoyConfig,
    Json,
    Leftovers,
    ObjectChange,
    Pod,
    Ref,
    RuleStatus,
    Sample,
    Span,
    TrafficSpec,
)

if TYPE_CHECKING:
    from labsupport.engine.cluster.traffic import ClusterTraffic
    from labsupport.engine.cluster.watch.accesslog import ClusterAccessLog
    from labsupport.engine.cluster.watch.inforce import StateBefore, Watcher
    from labsupport.engine.cluster.watch.proxies import Proxies

__all__ = ["ClusterEngine"]


class ClusterEngine:
    """Works in one namespace of a Kubernetes cluster with Istio; nothing outside it is touched, apart from reading.

    Opening a lab takes the namespace over and removes what an earlier lab left in it. What the engine keeps there
    itself (an ingress gateway above all) stays for the next lab.

    Args:
        namespace: the learner's namespace; ``WORKSHOP_NAMESPACE``, else ``workshop-<user>``.
        context: context of the kubeconfig; ``WORKSHOP_CONTEXT``, else the current one.
        registry: where the course's images are; ``WORKSHOP_REGISTRY``, else as ``workshop cluster up`` loads them.
        tag: their tag; ``WORKSHOP_IMAGE_TAG``, else the version of this package.
        images: refused, as a cluster pulls its images and runs no local programs.

    Raises:
        UsageError: no such context, not a name of a namespace, or ``images`` are given.
        EngineLostError: the cluster does not answer.
        EngineError: there is no Istio, or an old one; rights are missing; the namespace is not the workshop's.
        WaitTimeoutError: the ingress gateway does not become ready.
    """

    name = "cluster"
    captures_all_traffic = True
    # A cluster's proxies write Istio's default format.
    counts_tries = False
    # Written into each rule as it is applied, see additions.
    default_export_to: Sequence[str] = CLOSED

    def __init__(
        self,
        *,
        namespace: str | None = None,
        context: str | None = None,
        registry: str | None = None,
        tag: str | None = None,
        images: object = None,
    ) -> None:
        self.check_options(namespace=namespace, images=images)
        self.namespace = chosen_name(namespace)
        self._closed: Leftovers | None = None
        self._lock = threading.RLock()
        self.images = Images(registry, tag)
        self.connection = Connection(context)
        self._istio = istio_of(self.connection)
        self._space = LabNamespace(self.connection, self.namespace)
        self._api = Api(self.connection, self.namespace)
        self._objects = ObjectStore(self._api, self.images)
        self._rollout = Rollout(self._api)
        self._doors = Doors(self._api, self._rollout)
        self._parts = Parts(self._api, self.images)
        try:
            self._space.open()
            clean.remove(self._api, self._objects, self._rollout)
            self._parts.open(self._istio.injection)
        except BaseException:
            self._api.close()
            self.connection.close()
            raise
        self._notes: tuple[str, ...] = (*self._istio.notes, *self._parts.notes)
        self._watcher: Watcher | None = None
        self._proxies: Proxies | None = None
        self._access: ClusterAccessLog | None = None
        self._traffic: ClusterTraffic | None = None

    @staticmethod
    def check_options(*, namespace: str | None = None, images: object = None, **_: object) -> None:
        """Refuse options that make no sense, before a lab that runs is closed for this one.

        Args:
            namespace: as for the engine.
            images: as for the engine.

        Raises:
            UsageError: one of them makes no sense.
        """
        chosen_name(namespace)
        if images is not None:
            raise UsageError(
                "Lab(images=...) lets local programs stand for images, and a cluster runs none: its nodes pull images. "
                "Build yours (images/README.md), name it in the manifest with its registry or tag, and leave images "
                'out; or open Lab(engine="embedded").'
            )

    # --- helpers that need other parts of the engine ------------------------------------------------------------

    @property
    def watcher(self) -> Watcher:
        """Knows when a change is in force."""
        if self._watcher is None:
            from labsupport.engine.cluster.watch.inforce import Watcher

            self._watcher = Watcher(self.connection, self.namespace)
        return self._watcher

    @property
    def proxies(self) -> Proxies:
        """Asks the Envoys."""
        if self._proxies is None:
            from labsupport.engine.cluster.watch.proxies import Proxies

            self._proxies = Proxies(self.connection, self.namespace)
        return self._proxies

    @property
    def access_log(self) -> ClusterAccessLog:
        """Reads the access logs."""
        with self._lock:
            if self._access is None:
                from labsupport.engine.cluster.watch.accesslog import ClusterAccessLog

                self._access = ClusterAccessLog(self.connection, self.namespace)
            return self._access

    @property
    def traffic(self) -> ClusterTraffic:
        """Sends requests."""
        with self._lock:
            if self._traffic is None:
                from labsupport.engine.cluster.traffic import ClusterTraffic

                self._traffic = ClusterTraffic(
                    self.connection,
                    self.namespace,
                    gateway=GATEWAY,
                    outside=OUTSIDE,
                    make_outside=self._parts.outside,
                    log=self.access_log,
                )
            return self._traffic

    def _check(self, *, fresh: bool = False) -> None:
        if self._closed is not None:
            raise EngineLostError("this lab is closed. Open a new one with Lab()")
        self._space.check(fresh=fresh)

    # --- changes ------------------------------------------------------------------------------------------------

    def apply(self, objects: Sequence[Resource], *, timeout_s: float = 60.0) -> ApplyResult:
        """Create or change objects; returns when they are in force in every proxy concerned.

        Raises:
            ManifestError: something is refused, by us, the API server or a webhook; nothing was changed.
            ConfigRejectedError: an Envoy refused what istiod made of it; the former objects were put back.
            WaitTimeoutError: it is not in force in time; says what was seen last. What was accepted stays.
            EngineLostError: the cluster does not answer, or another lab took the namespace over.
        """
        began = time.monotonic()
        started_s = time.time()
        ours = [placed(resource, self.namespace) for resource in objects]
        problems = refuse.problems(ours, self.namespace, self.images)
        if problems:
            raise ManifestError(problems)
        with self._lock:
            self._check(fresh=True)
            before = self._objects.read()
            after, changes = merge(before, ours)
            problems = dangling(after) if any(resource.kind == "Deployment" for resource in ours) else []
            if problems:
                raise ManifestError(problems)
            new = [resource for resource, change in zip(ours, changes, strict=True) if change.action != "unchanged"]
            if not new:
                return ApplyResult(changes, started_s=started_s, warnings=Tried().told(ours))
            mark = self.watcher.before(before)
            tried = self._objects.dry_run(new)
            notes = self._objects.apply(new, tried.bodies, before=before)
            self._parts.serve(resource for resource in new if resource.called == "Gateway")
            rolled = [resource.name for resource in new if resource.kind == "Deployment"]
            try:
                notes += self._doors.opened(new, after, began + timeout_s)
                result = self._settle(mark, after, changes, began, timeout_s, rolled=rolled)
                self._doors.statuses_written(parents_told(new, after), began + timeout_s)
            except ConfigRejectedError as error:
                # What an Envoy refuses would keep it from every later change too.
                self._objects.put_back(new, before)
                raise ConfigRejectedError(f"nothing was changed, because {error}") from error
            warnings = tried.told(ours)
            return replace(
                result,
                started_s=started_s,
                warnings=warnings,
                notes=(*self._told(), *notes, *route_notes(new, after), *result.notes),
            )

    def _told(self) -> tuple[str, ...]:
        """What was found out when the lab was opened, told once."""
        told, self._notes = self._notes, ()
        return told

    def _settle(
        self,
        mark: StateBefore,
        after: Sequence[Resource],
        changes: Sequence[ObjectChange],
        began: float,
        timeout_s: float,
        *,
        rolled: Sequence[str] = (),
        ended: Sequence[str] = (),
    ) -> ApplyResult:
        """Wait until a change is in force: pods first, then the proxies. In vain, what was accepted stays."""
        deadline = began + timeout_s
        if rolled:
            self._rollout.wait(rolled, timeout_s=timeout_s)
        if ended:
            self._rollout.wait_ended(ended, timeout_s=timeout_s)
        proxies, notes = self.watcher.wait(mark, after, deadline)
        return ApplyResult(tuple(changes), proxies, time.monotonic() - began, notes=notes)

    def delete(self, refs: Iterable[Ref], *, timeout_s: float = 60.0) -> ApplyResult:
        """Delete objects.

        Raises:
            NotFoundError: one does not exist, and then nothing is deleted.
            ConfigRejectedError: an Envoy refused what is left; the objects were put back.
        """
        began, started_s = time.monotonic(), time.time()
        refs = list(refs)
        for ref in refs:
            self._own(ref.namespace)
        with self._lock:
            self._check(fresh=True)
            before = self._objects.read()
            after, changes = remove(before, refs, namespace=self.namespace)
            mark = self.watcher.before(before)
            self._objects.delete(refs)
            ended = [ref.name for ref in refs if ref.kind == "Deployment"]
            kept = {key_of(resource) for resource in after}
            gone = [resource for resource in before if key_of(resource) not in kept]
            try:
                self._doors.closed(gone, before, began + timeout_s)
                result = self._settle(mark, after, changes, began, timeout_s, ended=ended)
            except ConfigRejectedError as error:
                self._objects.put_back(gone, before)
                raise ConfigRejectedError(f"nothing was changed, because {error}") from error
            return replace(result, started_s=started_s)

    def patch(self, ref: Ref, patch: Mapping[str, Any], *, timeout_s: float = 60.0) -> ApplyResult:
        """Change an object by a JSON merge patch (RFC 7386); the result is validated as a whole."""
        with self._lock:
            self._check(fresh=True)
            self._own(ref.namespace)
            changed = patched(self._objects.find(ref), patch, namespace=self.namespace)
            return self.apply(changed, timeout_s=timeout_s)

    def scale(self, ref: Ref, replicas: int, *, timeout_s: float = 60.0) -> ApplyResult:
        """Set the number of replicas of a Deployment."""
        return self.patch(ref, {"spec": {"replicas": replicas}}, timeout_s=timeout_s)

    def _own(self, namespace: str) -> None:
        """Refuse what is in another namespace: the lab neither shows nor changes what is somebody else's."""
        if namespace not in ("", self.namespace):
            raise UsageError(
                f"On a cluster the lab works in its own namespace {self.namespace} only, and leaves {namespace} alone. "
                "Leave the namespace out, or use kubectl."
            )

    # --- questions ----------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str | None = None, *, namespace: str = "") -> list[Resource]:
        """Objects of a kind in the lab's namespace, oldest first; all kinds for ``*``."""
        if namespace != "*":
            self._own(namespace)
        self._check()
        return [
            resource
            for resource in self._objects.shown()
            if kind in ("*", resource.called) and name in (None, resource.name)
        ]

    def built_in(self) -> list[Resource]:
        """None: what a cluster has besides belongs to others."""
        return []

    def pods(self) -> list[Pod]:
        """All pods, the ingress gateway included; those that are ending are left out."""
        self._check()
        return records(self._api, self.images, self._rollout.pods())

    def rules(self) -> list[RuleStatus]:
        """Every rule with when it came into force, and the proxies that hold something of it."""
        self._check()
        return self.watcher.rules(self._objects.shown())

    def proxy_config(self, pod: str) -> EnvoyConfig:
        """The configuration that a proxy holds now, from its admin interface.

        Args:
            pod: its pod, or the Deployment of it.

        Raises:
            NotFoundError: there is no such pod, or it has no proxy.
            EngineError: its Envoy does not answer.
        """
        self._check()
        manifest = self._rollout.find(pod)
        name = manifest["metadata"]["name"]
        if not has_proxy(manifest):
            raise NotFoundError(f"pod {name} has no sidecar, so no proxy holds any configuration for it")
        return self.proxies.config(name)

    def metrics(self) -> list[Sample]:
        """Statistics of all proxies, in Envoy's Prometheus names."""
        self._check()
        names = [pod["metadata"]["name"] for pod in self._rollout.living() if has_proxy(pod)]
        return envoy_names(self.proxies.samples(names))

    def start_prometheus(self, url: Callable[[], str], every_s: float) -> bool:
        """False: what runs on the cluster is not started here; see ``Engine.start_prometheus``."""
        return False

    def prometheus(self, query: str, *, since_s: float = 0.0) -> Json | None:
        """What the Prometheus of ``istio-system`` answers, by way of the API server; see ``Engine.prometheus``."""
        self._check()
        return ask(self.connection, query)

    def dashboards(self) -> tuple[str, ...]:
        """Of Istio's samples, those that run in ``istio-system``; see ``Engine.dashboards``."""
        self._check()
        return dashboards(self.connection)

    def logs(self, pod: str, *, container: Literal["app", "proxy"] = "app", lines: int = 200) -> str:
        """The last lines of a pod's program or Envoy, of the crashed one if it does not run; see ``Engine.logs``."""
        if container not in ("app", "proxy"):
            raise UsageError(f"container={container!r}: 'app' is the program, 'proxy' its Envoy")
        self._check()
        return read_log(self.connection, self._rollout.find(pod), container=container, lines=lines)

    def urls(self) -> Mapping[str, str]:
        """Addresses for a person's browser, see ``Engine.urls``."""
        from labsupport.controlplane.entrances import schemes

        self._check()
        labels = {"app": GATEWAY, "istio": "ingressgateway", LAB_LABEL: self.namespace}
        objects = self._objects.read()
        opened = {"gateway": schemes(objects, labels)}
        opened |= {f"gateway/{name}": ports for (_, name), ports in listened(objects).items()}
        return self.traffic.urls(opened)

    def kubeconfig(self) -> Path:
        """Refused: kubectl works on a cluster with the kubeconfig that this lab was opened with."""
        raise UsageError(
            f"On a cluster kubectl works with your own kubeconfig, in the namespace {self.namespace}; no file is made."
        )

    def when_changed(self, hear: Callable[[str, ApplyResult, Sequence[Resource]], None]) -> None:
        """Nothing: the API server tells this lab of no change that others make."""

    def access_records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        """Access-log lines in order of time; with request ids, waits (bounded) until all their hops are written."""
        self._check()
        return self.access_log.records(request_ids=request_ids, since_s=since_s, timeout_s=timeout_s)

    def spans(self, *, request_ids: Iterable[str], timeout_s: float = 5.0) -> list[Span]:
        """None: spans go to a provider of the mesh configuration, see ``spans_elsewhere``."""
        self._check()
        return []

    def spans_elsewhere(self) -> str:
        """Where the mesh configuration sends spans, and how to look at them."""
        providers = [str(known.get("name")) for known in self._istio.mesh_config.get("extensionProviders") or ()]
        if JAEGER["name"] in providers:
            return (
                "On this cluster spans go to Jaeger. `istioctl dashboard jaeger` opens it; a search for the tag "
                "guid:x-request-id finds the trace of a request."
            )
        there = (
            f" It has the providers {', '.join(providers)}: look there, if one of them takes spans."
            if providers
            else ""
        )
        return (
            "On a cluster spans go to a provider of the mesh configuration, and this one has none named jaeger."
            f"{there} On a cluster of kind, `./workshop cluster up --addons jaeger` brings one."
        )

    # --- traffic ------------------------------------------------------------------------------------------------

    def send(self, spec: TrafficSpec) -> Sending:
        """Send requests; a failure of a request is a record, never an exception.

        Raises:
            UsageError: the URL makes no sense from this source.
            NotFoundError: there is no such source.
        """
        self._check()
        return self.traffic.send(spec)

    # --- end ----------------------------------------------------------------------------------------------------

    def reset(self) -> Leftovers:
        """Remove everything in the namespace but the engine's own gateway."""
        with self._lock:
            self._check(fresh=True)
            before = self._objects.read()
            mark = self.watcher.before(before)
            removed, remaining = clean.remove(self._api, self._objects, self._rollout)
            # The gateway is still there, and must have forgotten the rules when the next ones are applied.
            with contextlib.suppress(WaitTimeoutError):
                self.watcher.wait(mark, (), time.monotonic() + 10.0)
            self.watcher.forget()
            self.access_log.forget()
            return Leftovers(tuple(removed), tuple(remaining))

    def close(self) -> Leftovers:
        """Remove what the lab applied; the namespace and its gateway stay for the next lab. Idempotent."""
        with self._lock:
            if self._closed is not None:
                return self._closed
            try:
                self._check(fresh=True)
                removed, remaining = clean.remove(self._api, self._objects, self._rollout)
                self._closed = Leftovers(tuple(removed), tuple(remaining))
            except Exception:
                self._closed = Leftovers((), ("unknown: the cluster did not answer",))
                raise
            finally:
                # An interrupted close() is not done: the next one needs the connections.
                if self._closed is not None:
                    if self._traffic is not None:
                        self._traffic.close()
                    self._api.close()
                    self.connection.close()
            return self._closed

    def __enter__(self) -> ClusterEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed is not None else f"context {self.connection.context}, kernel {os.getpid()}"
        return f"<ClusterEngine {self.namespace}, {state}>"
