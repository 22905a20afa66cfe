"""The lab: what a notebook holds while it works on a mesh."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from labsupport import cell
from labsupport.arguments import checked, plain, whole
from labsupport.engine.protocol import Engine
from labsupport.engine.routestatus import with_status
from labsupport.errors import LabError, NotFoundError, UsageError
from labsupport.lab import advice, current
from labsupport.lab.analysis import Analysis
from labsupport.lab.callbacks import Callbacks
from labsupport.lab.canaries import Canaries
from labsupport.lab.copies import copies_arrived
from labsupport.lab.endings import Endings
from labsupport.lab.mesh_view import MeshView
from labsupport.lab.objects import Objects
from labsupport.lab.refs import (
    Named,
    as_ref,
    checked_namespace,
    kind_name,
    looks_like_ref,
    ref_of,
    within,
    without_kind,
)
from labsupport.lab.running import Running
from labsupport.lab.sources import Source, is_text, read
from labsupport.lab.whom import Whom, meant, pods_named, sender_named
from labsupport.model.analysis.mirroring import mirroring
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute
from labsupport.model.kinds.virtualservice import VirtualService
from labsupport.model.schema.base import Resource
from labsupport.observe.arrivals import arrived
from labsupport.observe.graph import ServiceGraph
from labsupport.observe.journey import Journey, journey_of, settled
from labsupport.observe.pushed import Pushed, pushed_by
from labsupport.observe.tables import AccessLog, LabelledPods, LabStatus, LogText, Pods
from labsupport.records import AccessRecord, ApplyResult, Leftovers, Pod, Ref, Response
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.held import HeldRequests
from labsupport.traffic.observations import Observations, request_ids
from labsupport.traffic.recording import Mark
from labsupport.traffic.sending import send
from labsupport.traffic.spec import build_spec
from labsupport.traffic.tls import Tls
from labsupport.urls import entrance_url, is_address, parse_url

if TYPE_CHECKING:
    from labsupport.explain import Explanation
    from labsupport.metrics.watching import Metrics
    from labsupport.observe.config.view import ConfigView
    from labsupport.observe.confirm import Explained
    from labsupport.observe.pools import Pools
    from labsupport.observe.stats import ProxyStats
    from labsupport.observe.taken import RulesTaken
    from labsupport.observe.traces import Traces
    from labsupport.traffic.rule_control import MeshState

__all__ = ["Lab"]

# More would be a slip of the keyboard that takes the machine with it.
_MOST_REPLICAS = 10_000
_MOST_LINES = 1_000_000


@checked
class Lab:
    """A mesh to experiment with: apply manifests, send requests, see where they went.

    A kernel has one lab; opening another one closes the former first, so that the first cell of a notebook can be
    run again at any time. The mesh ends with the kernel, or with ``close()``.

    Args:
        engine: ``"embedded"`` (real Envoys on this machine, no cluster) or ``"cluster"`` (Kubernetes with Istio, from
            the current kubeconfig context); the environment variable ``WORKSHOP_ENGINE`` chooses the default. A
            running ``Engine`` is taken over, and closed with the lab.
        timeout_s: how long a change may take to be in force, in seconds.
        **options: keyword arguments of the engine. For the embedded mesh ``namespace`` and ``images``: a program for
            each further name of an image, such as ``images={"gcr.io/x/y": "web"}``, or a folder of programs of your own
            (as ``WORKSHOP_IMAGES``). For the cluster ``context``, ``namespace``, ``registry`` and ``tag`` (defaults:
            ``WORKSHOP_CONTEXT``, ``WORKSHOP_NAMESPACE``, ``WORKSHOP_REGISTRY``, ``WORKSHOP_IMAGE_TAG``).

    Raises:
        UsageError: no such engine or option, or ``images`` names no program.
        EngineError: the engine cannot start; the message says what is missing.

    Example:
        ::

            from labsupport import Lab

            lab = Lab()
            lab.apply("apps/web", "apps/client")            # folders below manifests/
            seen = lab.send("http://web:8080/name", source="client", count=300)
            seen.share(by="version")                        # who answered, with intervals
            with lab.traffic("http://web:8080/name", source="client", rate=50) as live:
                lab.scale("deploy/web-safe", 2)             # a mark in the picture of the traffic
            lab.explain("http://web:8080/name", source="client")
            lab.close()                                     # shows that nothing is left
    """

    def __init__(self, engine: str | Engine | None = None, *, timeout_s: float = 60.0, **options: Any) -> None:
        self._lock = threading.RLock()
        self._closed: Leftovers | None = None
        self._timeout_s = timeout_s
        self._warnings: tuple[str, ...] = ()
        self._last_error = ""
        self._pushed: ApplyResult | None = None
        self._metrics: Metrics | None = None
        self._analysis = Analysis()
        self._endings = Endings()
        # Number of changes of the mesh; what was read before the last one is to be read again.
        self._changes = 0
        self._running = Running()
        self._canaries = Canaries()
        self._view = MeshView(self, self._running)
        self._when_reset = Callbacks()
        # What cannot be opened must not cost the lab that runs.
        start = current.prepare_engine(engine, options)
        current.replace(None)
        self._engine = start()
        self._engine.when_changed(self._hear)
        # At the end of the kernel nobody can be shown anything any more.
        current.replace(self, at_exit=self._running.when_closed.clear)

    # --- changing the mesh --------------------------------------------------------------------------------------

    def apply(
        self,
        *sources: Source,
        namespace: str | None = None,
        timeout_s: float | None = None,
        name: str = "manifest",
        images: Mapping[str, str] | None = None,
    ) -> ApplyResult:
        """Create or change objects, as ``kubectl apply`` does; all of them, or none.

        Args:
            *sources: files and folders (relative to the working folder, else to ``manifests``), YAML text, or objects
                (mappings, too), or lists of these.
            namespace: of objects that name none; the lab's own by default.
            timeout_s: how long to wait until it is in force, in seconds.
            name: what messages call a YAML text.
            images: names of images of these manifests, with or without a tag, and the program of the workshop that
                plays each, such as ``{"registry.example/shop/cart": "web"}``; ``Lab(images=...)`` is for all applies.

        Returns:
            What was created, changed or unchanged, and when it was in force in every proxy concerned.

        Raises:
            ManifestError: something is wrong with a manifest; nothing was changed.
            NotFoundError: there is no such file or folder.
            UsageError: nothing was given, an object names another namespace, or no container has one of the images.
            WaitTimeoutError: it was not in force in time.
        """
        with self._remember_error():
            resources = within(checked_namespace(namespace), read(sources, name=name, images=images))
        # No engine has a Canary: whoever plays it changes the rules of the mesh.
        meshed = [resource for resource in resources if resource.kind != "Canary"]

        def act(engine: Engine, wait: float) -> ApplyResult:
            return engine.apply(meshed, timeout_s=wait) if meshed else ApplyResult((), started_s=time.time())

        result = self._change("apply", act, timeout_s, meshed)
        kept = self._canaries.keep(resources)
        notes = (
            f"{each.ref}: the lab keeps it, and no proxy; release(lab, {each.ref.name!r}) plays it" for each in kept
        )
        return replace(result, changes=(*result.changes, *kept), notes=(*result.notes, *notes))

    def delete(
        self,
        *targets: Source | Ref,
        namespace: str | None = None,
        timeout_s: float | None = None,
        missing_ok: bool = False,
    ) -> ApplyResult:
        """Delete objects; all of them, or none.

        Args:
            *targets: ``"vs/web"`` (``"vs/web.shop"`` in another namespace), a file or folder of manifests, YAML text,
                or objects.
            namespace: of objects that name none, also those of a file; the lab's own by default.
            timeout_s: how long to wait until it is in force, in seconds.
            missing_ok: leave out objects that do not exist instead of refusing, even if none is left.

        Returns:
            What was deleted.

        Raises:
            ManifestError: something is wrong with a manifest; nothing was deleted.
            NotFoundError: an object, a file or a folder does not exist; nothing was deleted.
            UsageError: nothing was given, or something that names no object, or another namespace, or belongs to
                every mesh.
            WaitTimeoutError: it was not in force in time.
        """
        if not targets and not missing_ok:
            raise UsageError("Nothing was given. Name what to delete, such as lab.delete('vs/web').")
        refs: list[Ref] = []
        for target in targets:
            if isinstance(target, Ref) or (isinstance(target, str) and not is_text(target) and looks_like_ref(target)):
                refs.append(self._named(target, namespace))
            else:
                try:
                    resources = read([target])
                except NotFoundError as error:
                    hint = without_kind(target, self.get("all", namespace=namespace))
                    raise NotFoundError(f"{error}{hint}") from None
                refs += [ref_of(resource) for resource in within(checked_namespace(namespace), resources)]

        kept = self._canaries.named(refs, missing_ok=missing_ok)
        meshed = [ref for ref in refs if ref.kind != "Canary"]

        def act(engine: Engine, wait: float) -> ApplyResult:
            present = [ref for ref in meshed if not missing_ok or self._exists(engine, ref)]
            return engine.delete(present, timeout_s=wait) if present else ApplyResult(changes=(), started_s=time.time())

        result = self._change("delete", act, timeout_s)
        return replace(result, changes=(*result.changes, *self._canaries.remove(kept)))

    def patch(
        self,
        target: Named,
        patch: Mapping[str, Any],
        *,
        namespace: str | None = None,
        timeout_s: float | None = None,
    ) -> ApplyResult:
        """Change some fields of an object by a JSON merge patch (RFC 7386): null removes, a list is replaced whole.

        Args:
            target: such as ``"vs/web"``, in another namespace ``"vs/web.shop"``.
            patch: the fields to change, such as ``{"spec": {"replicas": 3}}``.
            namespace: where the object is.
            timeout_s: how long to wait until it is in force, in seconds.

        Returns:
            What changed, field by field.

        Raises:
            ManifestError: the result would not be valid; nothing was changed.
            NotFoundError: there is no such object.
            UsageError: it does not name one object, or the patch holds what JSON has no form for.
            WaitTimeoutError: it was not in force in time.
        """
        fields = plain("patch", patch)
        ref = self._named(target, namespace)

        def holder(engine: Engine) -> Engine | Canaries:
            return self._canaries if ref.kind == "Canary" else engine

        return self._change("patch", lambda engine, wait: advice.patch(holder(engine), ref, fields, wait), timeout_s)

    def scale(
        self,
        target: Named,
        replicas: int,
        *,
        namespace: str | None = None,
        timeout_s: float | None = None,
    ) -> ApplyResult:
        """Set the number of pods of a Deployment.

        Args:
            target: its name, such as ``"web-safe"`` or ``"deploy/web-safe"``.
            replicas: number of pods, from 0.
            namespace: where it is.
            timeout_s: how long to wait until they are ready (and known to every proxy), in seconds.

        Returns:
            What changed.

        Raises:
            NotFoundError: there is no such Deployment.
            UsageError: it is no Deployment, or ``replicas`` is no number from 0 to 10,000.
            WaitTimeoutError: the pods were not ready in time.
        """
        ref = self._named(target, namespace, default_kind="Deployment")
        if ref.kind != "Deployment":
            raise UsageError(f"{ref} cannot be scaled; only a Deployment has replicas.")
        whole("replicas", replicas, 0, _MOST_REPLICAS)
        return self._change(
            "scale", lambda engine, wait: engine.scale(ref, replicas, timeout_s=wait), timeout_s, to=f" to {replicas}"
        )

    def reset(self) -> Leftovers:
        """Remove everything of the lab but the engine itself, and stop background traffic.

        Returns:
            What was removed, and proof of what is left.
        """
        with self._lock:
            self._running.stop()
            left = self._open().reset()
            self._changes += 1
            self._warnings, self._last_error, self._pushed = (), "", None
            self._analysis.forget()
            self._canaries.forget()
            self._when_reset.call()
            return left

    # --- sending requests ---------------------------------------------------------------------------------------

    def send(
        self,
        url: str,
        *,
        count: int | None = None,
        duration_s: float | None = None,
        source: Whom = "outside",
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        users: int = 0,
        rate: float | None = None,
        concurrency: int | None = None,
        simultaneous: bool = False,
        reuse_connections: bool = False,
        timeout_s: float = 15.0,
        keep_headers: Iterable[str] = (),
        keep_body: bool | None = None,
        tls: Tls | None = None,
    ) -> Observations:
        """Send requests and wait for all responses; what goes wrong with a request is a record, never an exception.

        Args:
            url: from outside ``gateway:/path``, ``gateway:<port>/path``, ``https://<host>[:port]/path`` (every host
                leads to the gateway), ``tcp://gateway:<port>`` or ``tls://<host>[:port]`` (these send the body and
                read what comes back), ``nodeport:<service>/path`` (or ``loadbalancer:...``), or an address
                of ``urls()``; from inside ``http://<service>[:port]/path``, ``tcp://<service>:<port>``, or
                ``https://`` and ``tls://``, which the pod then speaks itself.
            count: how many requests; 1 if neither ``duration_s`` nor ``rate`` is given.
            duration_s: or for how many seconds to send.
            source: ``outside``, or the Deployment or pod (of image ``client``) that sends: ``"client"``,
                ``"deploy/client"``, in another namespace ``"deploy/client.shop"``.
            method: HTTP method.
            body: request body.
            headers: request headers; a ``Host`` header becomes the request's authority, while the server name (SNI)
                of TLS is the URL's host. ``{user}`` and ``{index}`` are
                replaced.
            cookies: cookies of every request.
            users: deal the requests to this many users in turn, each with a cookie jar of its own.
            rate: requests per second; as fast as ``concurrency`` allows if None.
            concurrency: requests under way at most; by default 8, with a rate 64, with ``simultaneous`` all.
            simultaneous: start all ``count`` requests at the same moment.
            reuse_connections: keep connections; False opens one for each request.
            timeout_s: seconds until the client gives up.
            keep_headers: response headers to keep in the records.
            keep_body: keep response bodies; by default only over ``tcp`` and ``tls``.
            tls: over TLS, whom the client trusts, what it shows, and its version: ``Tls(ca=authority)``. By default it
                trusts every server and shows nothing.

        Returns:
            One response per request, in order of completion.

        Raises:
            UsageError: an argument makes no sense.
        """
        spec = build_spec(
            self._way(url),
            source=self._sender(source),
            method=method,
            body=body,
            headers=headers,
            cookies=cookies,
            users=users,
            count=count,
            duration_s=duration_s,
            rate=rate,
            concurrency=concurrency,
            simultaneous=simultaneous,
            reuse_connections=reuse_connections,
            timeout_s=timeout_s,
            keep_headers=keep_headers,
            keep_body=keep_body,
            tls=tls,
        )
        seen = send(self._open(), spec)
        self._running.sent = seen
        return seen

    def hold(
        self,
        url: str,
        *,
        count: int = 1,
        source: Whom = "outside",
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
        keep_headers: Iterable[str] = (),
    ) -> HeldRequests:
        """Send requests at the same moment and keep them under way: a barrier, and no question of time.

        Returns when nothing moves any more: each request is inside an application, or waits in a proxy, or is answered
        already, as when a proxy refused it. ``release`` lets them go. The sender keeps the body of each request back
        (``Expect: 100-continue``); the applications of the course wait for it.

        Args:
            url: as for ``send``, but for ``tcp`` and ``tls``.
            count: how many.
            source: as for ``send``.
            method: HTTP method.
            body: request body, sent with the release.
            headers: request headers.
            cookies: cookies of every request.
            timeout_s: seconds until the client gives up on a request.
            keep_headers: response headers to keep in the records.

        Returns:
            A handle with ``inside``, ``waiting``, ``answered`` and ``release``; as a context manager it releases at the
            end of the block. Running its cell again releases what the cell held before.

        Raises:
            UsageError: an argument makes no sense.
            WaitTimeoutError: some request came neither to an application nor to a waiting place, nor back.
        """
        spec = build_spec(
            self._way(url),
            source=self._sender(source),
            count=count,
            method=method,
            body=body,
            headers=headers,
            cookies=cookies,
            simultaneous=True,
            hold=True,
            timeout_s=timeout_s,
            keep_headers=keep_headers,
        )
        run = cell.here()
        self._running.release(run)
        held = HeldRequests(self._open(), spec, others=self._running.held, origin=run)
        try:
            held.rest()
        except BaseException:
            held.let_go()
            raise
        self._running.hold(held)
        return held

    def traffic(
        self,
        url: str,
        *,
        rate: float = 50.0,
        source: Whom = "outside",
        duration_s: float | None = None,
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        users: int = 0,
        concurrency: int | None = None,
        reuse_connections: bool = False,
        timeout_s: float = 15.0,
        keep_headers: Iterable[str] = (),
        tls: Tls | None = None,
    ) -> BackgroundTraffic:
        """Send requests in the background, while the next cells work; every change of the mesh is marked in it.

        Args:
            url: as for ``send``.
            rate: requests per second.
            source: as for ``send``.
            duration_s: stop after so many seconds; None goes on until ``stop()``.
            method: HTTP method.
            body: request body.
            headers: request headers.
            cookies: cookies of every request.
            users: deal the requests to this many users in turn.
            concurrency: requests under way at most; 64 by default.
            reuse_connections: keep connections; False opens one for each request.
            timeout_s: seconds until the client gives up on a request.
            keep_headers: response headers to keep in the records.
            tls: over TLS, as for ``send``.

        Returns:
            A handle with ``stop``, ``set_rate`` and the observations so far, that sends already; ``start`` begins again
            after ``stop``. As a context manager it stops at the end of the block. Running its cell again ends what
            the cell had started before.
        """
        from labsupport.traffic.rule_control import Steering

        spec = build_spec(
            self._way(url),
            source=self._sender(source),
            method=method,
            body=body,
            headers=headers,
            cookies=cookies,
            users=users,
            duration_s=duration_s,
            rate=rate,
            concurrency=concurrency,
            reuse_connections=reuse_connections,
            timeout_s=timeout_s,
            keep_headers=keep_headers,
            tls=tls,
            background=True,
        )
        lines = self._lines_since
        steering = Steering(spec, self._world, self.patch, lambda: self._changes, self.when_closed, lines)
        live = BackgroundTraffic(self._open(), spec, steering=steering, origin=cell.here())
        self._running.adopt(live)
        return live.start()

    def explain(
        self,
        url: str,
        *,
        source: Whom = "outside",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: str | None = None,
        tls: Tls | None = None,
        confirm: bool = True,
    ) -> Explained:
        """Say why a request goes where it goes: every rule in order, the route, the endpoints, the policies in force.

        The reasons come from the manifests alone; then the request is sent, and the access log confirms them.

        Args:
            url: as for ``send``.
            source: ``outside``, or the Deployment or pod that calls (any with a sidecar can be explained).
            headers: request headers.
            method: HTTP method.
            body: request body; over ``tcp`` and ``tls`` what is sent.
            tls: over TLS, as for ``send``.
            confirm: send the request once, where the source can send.

        Returns:
            The explanation, the response and the access log.

        Raises:
            NotFoundError: there is no such source.
            UsageError: the URL makes no sense.
        """
        # A lab that explains nothing opens sooner without it.
        from labsupport.observe.confirm import explained

        way = self._way(url)
        spec = build_spec(
            way,
            source=self._sender(source),
            headers=headers,
            method=method,
            body=body,
            tls=tls,
            count=1,
            keep_headers=() if parse_url(way).raw else ("location",),
        )
        shown = spec.tls is not None and bool(spec.tls.certificate)
        return explained(self._open(), spec, certificate=shown, confirm=confirm)

    # --- looking at the mesh ------------------------------------------------------------------------------------

    def get(self, kind: Named, name: str | None = None, *, namespace: str | None = None) -> Objects:
        """Objects of a kind, oldest first, or one object.

        Args:
            kind: such as ``VirtualService``, ``vs`` or ``deploy``; ``all`` for every kind; ``"vs/web"`` for one object.
            name: only the one of this name.
            namespace: where to look; the lab's own by default, ``*`` for all.

        Returns:
            The objects; in a notebook, one is shown as YAML, several by name.

        Raises:
            NotFoundError: there is no object of that name; the message lists what there is.
            UsageError: no such kind, or an object that is named twice; and Pods, which ``pods`` tells.
        """
        if isinstance(kind, str) and "/" not in kind:
            known, within = kind_name(kind), checked_namespace(namespace)
            if name is not None and not isinstance(name, str):
                raise UsageError(f"name={name!r}: write the name of one object, such as 'web', or leave it out.")
        elif name is None:
            ref = self._named(kind, namespace)
            known, name, within = ref.kind, ref.name, ref.namespace
        else:
            raise UsageError(f"{kind!r} names an object already, so name={name!r} has no place.")
        engine = self._open()
        if known == "Canary":
            return Objects(self._canaries.get(name))
        resources = engine.get(known, name, namespace=within)
        if engine.name != "cluster":  # there istiod has written it
            resources = with_status(resources, lambda: engine.get("*", namespace="*"))
        if known == "Pod" and not resources:
            raise UsageError("Pods come from Deployments, nobody applies them. Look at them with lab.pods().")
        if name is not None and not resources:
            names = ", ".join(resource.name for resource in engine.get(known, namespace=within)) or "none"
            where = f" in the namespace {within}" if within else ""
            raise NotFoundError(f"There is no {known}/{name}{where}. Objects of this kind: {names}.")
        return Objects(resources)

    def pods(self, *, labels: bool = False) -> Pods:
        """All pods, the ingress gateway included.

        Args:
            labels: whether to show the labels, too, as ``kubectl get pods --show-labels`` does.
        """
        return (LabelledPods if labels else Pods)(self._open().pods())

    def status(self) -> LabStatus:
        """Everything at a glance: pods, proxies, rules with when each came into force, addresses, the last error.

        Returns:
            A record of this moment; ``watch(lab)`` keeps showing what is true now.
        """
        engine = self._open()
        pods = Pods(engine.pods())
        unwell = [f"{pod.name} is not ready" for pod in pods if not pod.ready]
        return LabStatus(
            engine=engine.name,
            namespace=engine.namespace,
            time_s=time.time(),
            pods=pods,
            rules=tuple(engine.rules()),
            urls=dict(engine.urls()),
            traffic=tuple(f"{live.spec.url} from {live.spec.source}" for live in self._running.now()),
            warnings=(*self._warnings, *unwell, *self._endings.untold(pods)),
            notes=self._analysis.serious(),
            last_error=self._last_error,
        )

    def pushed(self) -> Pushed:
        """Whom the control plane told of the last change that concerned a proxy, and who acknowledged it when.

        Returns:
            A record that a notebook shows as a picture.

        Raises:
            UsageError: no proxy had to learn of anything yet.
        """
        engine = self._open()
        if self._pushed is None:
            raise UsageError("No proxy had to learn of anything yet. Apply a rule, and call this again.")
        return pushed_by(self._pushed, engine.pods())

    def changes(self) -> tuple[Mark, ...]:
        """What was changed in the mesh, by whomever, in the words with which pictures of traffic mark it.

        Returns:
            Marks with ``label`` and ``time_s``, oldest first; the last thousand.
        """
        return tuple(self._running.marks)

    def urls(self) -> Mapping[str, str]:
        """Addresses for a person's browser: ``gateway`` and ``nodeport:<service>`` to a URL."""
        return self._open().urls()

    def kubeconfig(self) -> Path:
        """The kubeconfig file with which kubectl and other clients of Kubernetes work on the embedded mesh.

        They reach it as long as the lab is open, from this machine and as this user only; its context is
        ``workshop-embedded``. What they change is the same as what a notebook changes. In a terminal of JupyterLab
        kubectl finds it by itself, elsewhere ``export KUBECONFIG=$(workshop kubeconfig)``.

        Returns:
            The file.

        Raises:
            UsageError: the lab is on a cluster, where kubectl works with your own kubeconfig.
        """
        return self._open().kubeconfig()

    def logs(
        self,
        pod: Whom,
        *,
        namespace: str | None = None,
        container: Literal["app", "proxy"] = "app",
        lines: int = 200,
    ) -> LogText:
        """The last lines of the log of a pod's program, or of its Envoy.

        Args:
            pod: a pod, or a Deployment for its first pod, such as ``"web-safe"`` or ``"deploy/web-safe"``.
            namespace: where it is.
            container: ``app`` or ``proxy``.
            lines: how many.

        Returns:
            The lines; a notebook shows them as they are.

        Raises:
            NotFoundError: there is no such pod or Deployment, or its pod has no such container.
            UsageError: ``lines`` is no number from 1 to 1,000,000.
        """
        whole("lines", lines, 1, _MOST_LINES)
        return LogText(self._open().logs(self._pods_of(pod, namespace)[0].name, container=container, lines=lines))

    def stats(self, pod: Whom, *, namespace: str | None = None) -> ProxyStats:
        """Envoy's counters of one proxy in words: requests, retries, overflow, time-outs, ejections, by cluster.

        Args:
            pod: a pod, or a Deployment for its first pod: the caller's, for what it sends on.
            namespace: where it is.

        Returns:
            The counters since its Envoy started, of clusters that were called; ``of(name)`` gives one of them.

        Raises:
            NotFoundError: there is no such pod or Deployment, or it has no Envoy.
        """
        from labsupport.observe.stats import stats_of

        chosen = self._proxied(pod, namespace)
        return stats_of(chosen.name, self._open().metrics())

    def pools(self, pod: Whom, *, namespace: str | None = None) -> Pools:
        """How full the connection pools of one proxy are: connections and requests against their limits.

        Args:
            pod: a pod, or a Deployment for its first pod: the caller's, for what it sends on.
            namespace: where it is.

        Returns:
            A record that a notebook shows as a picture; ``watch(...)`` keeps showing what is true now, and
            ``of("web")`` gives the numbers of one pool.

        Raises:
            NotFoundError: there is no such pod or Deployment, or it has no Envoy.
        """
        from labsupport.observe.pools import pools_of

        chosen = self._proxied(pod, namespace)
        engine = self._open()
        again = partial(self.pools, pod, namespace=namespace)
        config = engine.proxy_config(chosen.name)
        return pools_of(config, engine.metrics(), again=again, when_closed=self.when_closed)

    def metrics(self) -> Metrics:
        """Istio's standard metrics of this mesh: ``istio_requests_total`` and ``istio_request_duration_milliseconds``.

        They are counted from the first call on, and from the lines of the proxies' access logs.

        Returns:
            The same object for each call: ``query(...)`` answers PromQL, ``url`` is where a Prometheus of this machine
            can scrape them. The cell magic ``%%promql`` asks a Prometheus where there is one: that of a cluster, or
            the one on ``PATH``, which is started here.
        """
        from labsupport.metrics.watching import Metrics

        with self._lock:
            engine = self._open()
            if self._metrics is None:
                self._metrics = Metrics(engine, recent=self._running.answered_of_late)
                self.when_reset(self._metrics.forget)
            return self._metrics

    def access_log(
        self,
        of: Observations | Response | Iterable[Response | str] | str | None = None,
        *,
        since_s: float | None = None,
    ) -> AccessLog:
        """What the proxies wrote about requests, in order of time: route, cluster, response flags.

        Where a rule mirrors requests, the copies' lines are waited for, a few seconds at most: nobody else does.

        Args:
            of: responses, or x-request-ids, or one of them; None for all requests.
            since_s: only lines written from this time on, in seconds since the epoch: of requests that ended then.
        """
        given = [of] if isinstance(of, Response) else of if isinstance(of, Sequence) and since_s is None else ()
        ids = None if of is None else request_ids(of)
        engine = self._open()
        read_again = partial(engine.access_records, request_ids=ids, since_s=since_s)
        answers = [part for part in given if isinstance(part, Response)]
        log = arrived(lambda: AccessLog(read_again()), answers, self.pods)
        if not answers or not mirroring(engine.get("*")):
            return log
        return copies_arrived(lambda: AccessLog(read_again()), log, self._explained_call, self._sidecars)

    def _sidecars(self) -> set[str]:
        return {pod.name for pod in self.pods() if pod.injected}

    def _explained_call(self, call: AccessRecord) -> Explanation | None:
        """What the rules say of a call that a sidecar logged, as far as its line tells."""
        if call.direction != "outbound":
            return None
        try:
            url = f"http://{call.authority}{call.path}"
            return self.explain(url, source=call.pod, method=call.method, confirm=False).explanation
        except LabError:
            return None

    def config(self, target: Named, *, namespace: str | None = None, proxy: Whom | None = None) -> ConfigView:
        """What a rule looks like inside a proxy: the YAML as written, beside the part of Envoy's configuration.

        Args:
            target: the rule, such as ``"vs/web"`` or ``"httproute/web"``.
            namespace: where it is.
            proxy: pod or Deployment to look into, such as ``"deploy/client"``; by default one that holds something
                of the rule.

        Returns:
            A record that a notebook shows as two columns; a note says why where no proxy holds anything of the rule.

        Raises:
            NotFoundError: there is no such object, pod or Deployment.
            UsageError: no configuration is made of an object of this kind alone, or the pod has no Envoy.
        """
        from labsupport.observe.config import view

        resource = self.get(self._named(target, namespace))[0]
        return view.view(self._open(), resource, proxy=self._pods_of(proxy)[0].name if proxy else "")

    def rules(
        self,
        target: Named,
        of: Observations | Response | Iterable[Response | str] | str,
        *,
        namespace: str | None = None,
    ) -> RulesTaken:
        """Which rule took which requests: the rules of an object in order, and what each of them caught.

        The proxies' access logs carry the ``name`` of the rule (``spec.http[].name``), so that rules with names are
        told apart; those of an HTTPRoute or GRPCRoute get names from istiod.

        Args:
            target: the VirtualService, HTTPRoute or GRPCRoute, such as ``"vs/web"``.
            of: responses, or x-request-ids, or one of them.
            namespace: where it is.

        Returns:
            A record that a notebook shows as a picture; ``show(...)`` makes a figure of it that can be saved.

        Raises:
            NotFoundError: there is no such object.
            UsageError: it is neither.
        """
        from labsupport.observe.taken import rules_taken

        resource = self.get(self._named(target, namespace))[0]
        if not isinstance(resource, VirtualService | HTTPRoute | GRPCRoute):
            what = f"{resource.kind}/{resource.name} has no rules for requests"
            raise UsageError(f"{what}: name a VirtualService, an HTTPRoute or a GRPCRoute.")
        engine = self._open()
        return rules_taken(
            resource,
            self.access_log(of),
            objects=engine.get("*", namespace="*"),
            pods=engine.pods(),
            namespace=engine.namespace,
        )

    def journey(self, of: Response | Observations | str) -> Journey:
        """One request over all hops: who called whom, tries, injected delays, mirror copies, response flags in words.

        Put together from the access logs of all proxies, which carry the same ``x-request-id``. How long the caller
        of a hop is ready to wait is told from what it was told: by a rule as it is now, or by its Deployment.

        Args:
            of: a response, observations (their first response), or an x-request-id.

        Returns:
            The journey; in a notebook it is a picture, and ``show(...)`` makes a figure of it that can be saved.

        Raises:
            NotFoundError: no proxy knows a request with that x-request-id.
            UsageError: it is none of these, or there is no response.
        """
        if not of:
            raise UsageError("There is no response, so there is no request to follow.")
        if isinstance(of, Observations):
            of = of[0]
        response = of if isinstance(of, Response) else None
        request_id = of.request_id if isinstance(of, Response) else of
        if isinstance(of, str) and not self.access_log(of):
            raise NotFoundError(
                f"No proxy knows a request {of!r}. Give a response, or the request_id of one that passed a proxy."
            )
        lines = settled(lambda: self.access_log(request_id)) if request_id else ()
        # A lab that explains nothing opens sooner without it.
        from labsupport.observe.limits import limits_of
        from labsupport.observe.workloads import subset_labels

        engine, pods = self._open(), self.pods()
        resources = [*engine.built_in(), *engine.get("*")]
        # A cluster has every proxy asked for its rules: that is done once, and only if a hop wants them.
        rules = cache(engine.rules)
        limits = partial(limits_of, resources=resources, pods=pods, namespace=engine.namespace, rules=rules)
        return journey_of(
            lines,
            pods=pods,
            request_id=request_id,
            response=response,
            subsets=subset_labels(resources),
            counted=engine.counts_tries,
            limits=limits,
        )

    def traces(self, of: Observations | Response | Iterable[Response | str] | str) -> Traces:
        """The traces of requests: the spans that proxies made of them, as trees.

        A proxy makes spans of a request where a Telemetry names a provider for ``tracing`` and the request is sampled.
        The embedded mesh has a provider ``jaeger``, whose spans come to this lab; on a cluster they go where the mesh
        configuration says, and the result tells where.

        Args:
            of: responses, or x-request-ids, or one of them.

        Returns:
            The traces; in a notebook the first one is a picture, and ``show(...)`` makes a figure of it that can be
            saved.

        Raises:
            UsageError: it is none of these.
        """
        from labsupport.observe.traces import traces_of

        ids = tuple(filter(None, request_ids(of)))
        engine = self._open()
        return traces_of(engine.spans(request_ids=ids), asked=ids, pods=self.pods(), note=engine.spans_elsewhere())

    def graph(self, of: Observations | None = None, *, span_s: float = 10.0) -> ServiceGraph:
        """The service graph: services with their versions, calls with rate, errors and latency, rules in force.

        Args:
            of: responses whose calls are to be shown; by default all calls of the last ``span_s`` seconds, live while
                background traffic runs.
            span_s: how many seconds are looked at.

        Returns:
            The graph; in a notebook it is a picture in which a call can be selected, and ``show(...)`` makes a figure
            of it that can be saved.

        Raises:
            UsageError: an argument makes no sense.
        """
        self.pods()
        return ServiceGraph(self._view, of=of, span_s=span_s)

    # --- playing ------------------------------------------------------------------------------------------------

    def incident(self, seed: int | None = None, *, faults: int = 1) -> Any:
        """Break something, and tell what users see of it: what is wrong is to be found and repaired.

        All rules of the mesh are replaced by those of the game, whose applications are applied as well. The same
        numbers make the same incident everywhere: type the seed that somebody else was given.

        Args:
            seed: the number of the incident, from 0 to 9,999; None draws one.
            faults: how many things are wrong: 1, 2, or 0 for the normal state.

        Returns:
            The ``Incident``: a card with ``check()``, ``hint()``, ``solution()`` and ``debrief()``.

        Raises:
            UsageError: there is no such incident.
            WaitTimeoutError: it was not in force in time.
        """
        # The course stands above the lab, which finds this part of it by its name.
        return importlib.import_module("labsupport.course.incidents.incident").begin(self, seed, faults)

    # --- ending -------------------------------------------------------------------------------------------------

    def close(self) -> Leftovers:
        """Stop everything; a second call does nothing, but to go on with what was interrupted.

        Returns:
            What was there, and proof that nothing is left.
        """
        with self._lock:
            if self._closed is None:
                try:
                    self._running.stop()
                    if self._metrics is not None:
                        self._metrics.close()
                    self._running.when_closed.call()
                    self._running.when_closed.clear()
                finally:
                    self._closed = self._close_engine()
                    current.forget(self)
            return self._closed

    def _close_engine(self) -> Leftovers:
        try:
            return self._engine.close()
        # Not an interrupt: then the lab is not closed yet, and another close() or the next Lab() goes on.
        except Exception:
            # Closed even if the engine cannot say so: what is lost must not block the next lab.
            self._closed = Leftovers((), ("unknown: the engine did not answer when it was closed",))
            current.forget(self)
            raise

    @property
    def closed(self) -> bool:
        """Whether it was closed; a closed lab does nothing any more."""
        return self._closed is not None

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when the lab is about to close: what a live picture needs to leave a static one.

        Args:
            act: called once, in the thread that closes the lab. The object of a bound method is not kept alive by it.
        """
        self._running.when_closed.add(act)

    def when_reset(self, act: Callable[[], None]) -> None:
        """Have a function called whenever the lab has been emptied by ``reset``.

        Args:
            act: called in the thread that resets the lab. The object of a bound method is not kept alive by it.
        """
        self._when_reset.add(act)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed is not None else f"namespace {self._engine.namespace}"
        return f"<Lab {self._engine.name}, {state}>"

    # --- inside -------------------------------------------------------------------------------------------------

    def _open(self) -> Engine:
        if self._closed is not None:
            raise UsageError("This lab is closed. Open another one: lab = Lab()")
        return self._engine

    def _change(
        self,
        verb: str,
        act: Callable[[Engine, float], ApplyResult],
        timeout_s: float | None,
        resources: list[Resource] | None = None,
        to: str = "",
    ) -> ApplyResult:
        """Change the mesh, one change at a time: cells, widget callbacks and threads may all call."""
        wait = self._timeout_s if timeout_s is None else timeout_s
        with self._lock, self._remember_error():
            engine = self._open()
            result = act(engine, wait)
            objects: Sequence[Resource] = ()
            try:
                # All at once, and once: an engine has to fetch them, and a slider turns often.
                objects, pods = engine.get("*", namespace="*"), engine.pods()
                noted = (*self._analysis.renew(engine, objects, pods), *self._endings.tell(pods))
            except LabError as error:
                # The change is made, and whoever made it gets its result.
                noted = (f"what does not fit together was not looked for: {error}",)
            own = [each for each in objects if each.namespace in ("", engine.namespace)]
            changed = {(change.ref.kind, change.ref.name) for change in result.changes}
            known = [each for each in own if (each.kind, each.name) in changed] if resources is None else resources
            result = advice.advised(result, known, noted, own)
            self._last_error, self._warnings = "", result.warnings
            self._changes += 1
            self._pushed = result if result.proxies else self._pushed
            self._running.mark(verb, result, own if resources is None else resources, to=to)
            return result

    def _hear(self, verb: str, result: ApplyResult, resources: Sequence[Resource]) -> None:
        """Take note of a change that somebody else made, such as kubectl in a terminal."""
        with self._lock:
            if self._closed is None:
                self._changes += 1
                self._pushed = result if result.proxies else self._pushed
                self._running.mark(verb, result, resources)

    @contextmanager
    def _remember_error(self) -> Iterator[None]:
        try:
            yield
        except LabError as error:
            self._last_error = str(error)
            raise

    def _world(self) -> MeshState:
        """All there is, for the picture of some traffic."""
        from labsupport.traffic.rule_control import MeshState

        engine = self._open()
        return MeshState(engine.get("*", namespace="*"), engine.pods(), engine.namespace)

    def _lines_since(self, since_s: float) -> AccessLog:
        return self.access_log(since_s=since_s)

    def _way(self, url: str) -> str:
        """A traffic URL; of an address as ``urls`` tells it, the one that leads the same way."""
        return entrance_url(url, self.urls()) if is_address(url) else url

    def _named(self, given: Named, namespace: str | None = None, *, default_kind: str = "") -> Ref:
        """The object that a learner names; a dot may part its namespace, or belong to its name."""
        ref = as_ref(given, namespace=namespace, default_kind=default_kind)
        if isinstance(given, str) and namespace is None and ref.namespace:
            dotted = Ref(ref.kind, f"{ref.name}.{ref.namespace}")
            return dotted if self._exists(self._open(), dotted) else ref
        return ref

    def _exists(self, engine: Engine, ref: Ref) -> bool:
        try:
            return bool(engine.get(ref.kind, ref.name, namespace=ref.namespace))
        except NotFoundError:
            return False

    def _pods_of(self, given: Whom, namespace: str | None = None) -> Pods:
        """The pods of what is named, a pod or a Deployment: one at least."""
        engine, pods = self._open(), self.pods()
        chosen = pods_named(pods, given, own=engine.namespace, namespace=namespace)
        if not chosen:
            ref = meant(given, namespace=namespace)
            if ref.namespace:
                # An engine that works in one namespace refuses others in its own words.
                engine.get("Deployment", ref.name, namespace=ref.namespace)
            known = ", ".join(pod.name for pod in pods) or "none"
            name = given if isinstance(given, str) else ref.name
            raise NotFoundError(f"There is no pod or Deployment {name!r}. Pods: {known}.")
        return chosen

    def _proxied(self, given: Whom, namespace: str | None) -> Pod:
        """The first pod of what is named; it has an Envoy."""
        chosen = self._pods_of(given, namespace)[0]
        if not chosen.has_proxy:
            raise NotFoundError(f"{chosen.name} has no Envoy. Look at a pod that has one, such as the caller's.")
        return chosen

    def _sender(self, given: Whom) -> str:
        """Who sends, as engines are told; of a bare name that several namespaces have, the pods of the lab's own."""
        if given == "outside":
            return "outside"
        pods = self.pods()
        bare = isinstance(given, str) and not {*"/."} & {*given}
        chosen = pods_named(pods, given, own=self._open().namespace) if bare else self._pods_of(given)
        # The engine says what is wrong with a name that nobody has.
        return sender_named(pods, chosen) if chosen else str(given)
