"""The lab: what a notebook holds while it works on a mesh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from labsupport import advice, session
from labsupport.engine.base import ApplyResult, Engine, Leftovers, Ref, Response
from labsupport.errors import LabError, NotFoundError, UsageError
from labsupport.keywords import checked
from labsupport.lab_pictures import PictureVerbs
from labsupport.lab_traffic import TrafficVerbs
from labsupport.model.base import Resource
from labsupport.objects import Objects
from labsupport.pictures import picture
from labsupport.refs import as_ref, kind_name, looks_like_ref, ref_of
from labsupport.sources import Source, is_text, read
from labsupport.status import AccessLog, LabStatus, LogText, Pods

if TYPE_CHECKING:
    from labsupport.config_view import ConfigView
    from labsupport.exercises.base import Exercise
    from labsupport.observation import Observations

__all__ = ["Lab"]


@checked
class Lab(TrafficVerbs, PictureVerbs):
    """A mesh to experiment with: apply manifests, send requests, see where they went.

    A kernel has one lab; opening another one closes the former first, so that the first cell of a notebook can be
    run again at any time. The mesh ends with the kernel, or with ``close()``.

    Args:
        engine: ``"embedded"`` (real Envoys on this machine, no cluster) or ``"cluster"`` (Kubernetes with Istio, from
            the current kubeconfig context); the environment variable ``WORKSHOP_ENGINE`` chooses the default. A
            running ``Engine`` is taken over, and closed with the lab.
        timeout_s: how long a change may take to be in force, in seconds.
        **options: keyword arguments of the engine; for the cluster ``context``, ``namespace``, ``registry`` and ``tag``
            (defaults: ``WORKSHOP_CONTEXT``, ``WORKSHOP_NAMESPACE``, ``WORKSHOP_REGISTRY``, ``WORKSHOP_IMAGE_TAG``).

    Raises:
        UsageError: no such engine or option.
        EngineError: the engine cannot start; the message says what is missing.

    Example:
        ::

            from labsupport import Lab

            lab = Lab()
            lab.apply("apps/web", "apps/client")            # folders below manifests/
            seen = lab.send("http://web:8080/name", source="client", count=300)
            seen.share(by="version")                        # who answered, with intervals
            with lab.traffic("http://web:8080/name", source="client", rate=50) as live:
                lab.patch("VirtualService/web", {...})      # a mark in the picture of the traffic
            lab.explain("http://web:8080/name", source="client")
            lab.close()                                     # shows that nothing is left
    """

    def __init__(self, engine: str | Engine | None = None, *, timeout_s: float = 60.0, **options: Any) -> None:
        if not timeout_s > 0:
            raise UsageError(f"timeout_s={timeout_s!r}: give a number of seconds above 0.")
        self._lock = threading.RLock()
        self._closed: Leftovers | None = None
        self._timeout_s = timeout_s
        super().__init__()
        self._warnings: tuple[str, ...] = ()
        self._last_error = ""
        self._exercises: dict[str, Exercise] = {}
        # What cannot be opened must not cost the lab that runs.
        start = session.prepare_engine(engine, options)
        session.replace(None)
        self._engine = start()
        session.replace(self)
        session.install_in_notebook()

    # --- changing the mesh --------------------------------------------------------------------------------------

    def apply(self, *sources: Source, timeout_s: float | None = None, name: str = "manifest") -> ApplyResult:
        """Create or change objects, as ``kubectl apply`` does; all of them, or none.

        Args:
            *sources: files and folders (relative to the working folder, else to ``manifests``), YAML text, or objects.
            timeout_s: how long to wait until it is in force, in seconds.
            name: what messages call a YAML text.

        Returns:
            What was created, changed or unchanged, and when it was in force in every proxy concerned.

        Raises:
            ManifestError: something is wrong with a manifest; nothing was changed.
            NotFoundError: there is no such file or folder.
            WaitTimeoutError: it was not in force in time.
        """
        with self._remember_error():
            resources = read(sources, name=name)
        return self._change("apply", lambda engine, wait: engine.apply(resources, timeout_s=wait), timeout_s, resources)

    def delete(
        self, *targets: str | Path | Ref | Resource, timeout_s: float | None = None, missing_ok: bool = False
    ) -> ApplyResult:
        """Delete objects; all of them, or none.

        Args:
            *targets: ``"VirtualService/web"``, a file or folder of manifests, YAML text, or objects.
            timeout_s: how long to wait until it is in force, in seconds.
            missing_ok: leave out objects that do not exist instead of refusing.

        Returns:
            What was deleted.

        Raises:
            NotFoundError: an object does not exist; nothing was deleted.
        """
        if not targets:
            raise UsageError("Nothing was given. Name what to delete, such as lab.delete('VirtualService/web').")
        refs: list[Ref] = []
        for target in targets:
            if isinstance(target, Ref) or (isinstance(target, str) and not is_text(target) and looks_like_ref(target)):
                refs.append(as_ref(target))
            else:
                refs += [ref_of(resource) for resource in read([target])]

        def act(engine: Engine, wait: float) -> ApplyResult:
            present = [ref for ref in refs if not missing_ok or self._exists(engine, ref)]
            return engine.delete(present, timeout_s=wait) if present else ApplyResult(changes=(), started_s=time.time())

        return self._change("delete", act, timeout_s)

    def patch(self, target: str | Ref, patch: Mapping[str, Any], *, timeout_s: float | None = None) -> ApplyResult:
        """Change some fields of an object by a JSON merge patch (RFC 7386): null removes, a list is replaced whole.

        Args:
            target: such as ``"VirtualService/web"``.
            patch: the fields to change, such as ``{"spec": {"replicas": 3}}``.
            timeout_s: how long to wait until it is in force, in seconds.

        Returns:
            What changed, field by field.

        Raises:
            ManifestError: the result would not be valid; nothing was changed.
            NotFoundError: there is no such object.
        """
        if not isinstance(patch, Mapping):
            raise UsageError(f"A patch is a mapping such as {{'spec': {{...}}}}, not a {type(patch).__name__}.")
        ref = as_ref(target)
        return self._change("patch", lambda engine, wait: advice.patch(engine, ref, patch, wait), timeout_s)

    def scale(self, target: str | Ref, replicas: int, *, timeout_s: float | None = None) -> ApplyResult:
        """Set the number of pods of a Deployment.

        Args:
            target: its name, such as ``"web-safe"``.
            replicas: number of pods, from 0.
            timeout_s: how long to wait until they are ready (and known to every proxy), in seconds.

        Returns:
            What changed.

        Raises:
            NotFoundError: there is no such Deployment.
        """
        ref = as_ref(target, default_kind="Deployment")
        if ref.kind != "Deployment":
            raise UsageError(f"{ref} cannot be scaled; only a Deployment has replicas.")
        if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
            raise UsageError(f"replicas={replicas!r}: give a whole number from 0.")
        return self._change(
            "scale", lambda engine, wait: engine.scale(ref, replicas, timeout_s=wait), timeout_s, to=f" to {replicas}"
        )

    def reset(self) -> Leftovers:
        """Remove everything of the lab but the engine itself, and stop background traffic.

        Returns:
            What was removed, and proof of what is left.
        """
        with self._lock:
            self._stop_traffic()
            left = self._open().reset()
            self._changes += 1
            self._warnings, self._last_error = (), ""
            for exercise in self._exercises.values():
                exercise.forget_attempt()
            return left

    # --- looking at the mesh ------------------------------------------------------------------------------------

    def get(self, kind: str, name: str | None = None) -> Objects:
        """Objects of a kind, oldest first.

        Args:
            kind: such as ``VirtualService``, ``vs`` or ``deploy``; ``all`` for every kind.
            name: only the one of this name.

        Raises:
            NotFoundError: there is no object of that name; the message lists what there is.
        """
        known = kind_name(kind)
        engine = self._open()
        found = engine.get(known, name)
        if known == "Pod" and not found:
            raise UsageError("Pods come from Deployments, nobody applies them. Look at them with lab.pods().")
        if name is not None and not found:
            names = ", ".join(resource.name for resource in engine.get(known)) or "none"
            raise NotFoundError(f"There is no {known}/{name}. Objects of this kind: {names}.")
        return Objects(found)

    def pods(self) -> Pods:
        """All pods, the ingress gateway included."""
        return Pods(self._open().pods())

    @overload
    def status(self, *, live: Literal[False] = False) -> LabStatus: ...
    @overload
    def status(self, *, live: Literal[True]) -> Any: ...
    def status(self, *, live: bool = False) -> Any:
        """Everything at a glance: pods, proxies, rules with when each came into force, addresses, the last error.

        Args:
            live: a widget that keeps showing what is true now, instead of a record of this moment.

        Returns:
            The record, or the widget; ``close()`` ends it, and so does the end of the lab.
        """
        if live:
            return picture("overview", self)
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
            traffic=tuple(f"{live.spec.url} from {live.spec.source}" for live in self._running()),
            warnings=(*self._warnings, *unwell),
            last_error=self._last_error,
        )

    def urls(self) -> Mapping[str, str]:
        """Addresses for a person's browser: ``gateway`` and ``nodeport:<service>`` to a URL."""
        return self._open().urls()

    def logs(self, pod: str, *, container: Literal["app", "proxy"] = "app", lines: int = 200) -> LogText:
        """The last lines of the log of a pod's program, or of its Envoy.

        Args:
            pod: name of a pod, or of a Deployment (its first pod).
            container: ``app`` or ``proxy``.
            lines: how many.
        """
        if container not in ("app", "proxy"):
            raise UsageError(f"container={container!r}: a pod has the containers 'app' and 'proxy'.")
        return LogText(self._open().logs(self._pod_name(pod), container=container, lines=lines))

    def access_log(
        self, of: Observations | Response | Iterable[str] | str | None = None, *, since_s: float | None = None
    ) -> AccessLog:
        """What the proxies wrote about requests, in order of time: route, cluster, response flags.

        Args:
            of: observations, one response, or x-request-ids; None for all requests.
            since_s: only lines written from this time on, in seconds since the epoch: of requests that ended then.
        """
        from labsupport.observation import Observations

        if isinstance(of, Response):
            of = of.request_id
        ids = (of,) if isinstance(of, str) else of.request_ids if isinstance(of, Observations) else of
        return AccessLog(self._open().access_records(request_ids=ids, since_s=since_s))

    def config(self, kind: str, name: str, *, proxy: str | None = None) -> ConfigView:
        """What a rule looks like inside a proxy: the YAML as written, beside the part of Envoy's configuration.

        Args:
            kind: kind of the rule, such as ``VirtualService``.
            name: its name.
            proxy: pod (or Deployment) to look into; by default one that holds something of the rule.
        """
        from labsupport import config_view

        resource = self.get(kind, name)[0]
        return config_view.view(self._open(), resource, proxy=self._pod_name(proxy) if proxy else "")

    # --- exercises ----------------------------------------------------------------------------------------------

    def exercise(self, number: str) -> Exercise:
        """An exercise of the course, for ``check()``, ``hint()``, ``predict()`` and ``solution()``.

        Args:
            number: such as ``"02.1"``.

        Raises:
            NotFoundError: there is no such exercise; the message lists what there is.
        """
        from labsupport import exercises

        with self._lock:
            if number not in self._exercises:
                self._exercises[number] = exercises.make(number, self)
            return self._exercises[number]

    # --- ending -------------------------------------------------------------------------------------------------

    def close(self) -> Leftovers:
        """Stop everything; a second call does nothing.

        Returns:
            What was there, and proof that nothing is left.
        """
        with self._lock:
            if self._closed is None:
                session.forget(self)
                try:
                    self._stop_traffic()
                    self._fulfil_last_wishes()
                finally:
                    # Closed even if the engine cannot say so: what is lost must not block the next lab.
                    self._closed = Leftovers((), ("unknown: the engine did not answer when it was closed",))
                    self._closed = self._engine.close()
            return self._closed

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
        if not wait > 0:
            raise UsageError(f"timeout_s={timeout_s!r}: give a number of seconds above 0.")
        with self._lock, self._remember_error():
            result = act(self._open(), wait)
            result = advice.advised(result, resources or ())
            self._last_error, self._warnings = "", result.warnings
            self._mark(verb, result, resources, to=to)
            return result

    @contextmanager
    def _remember_error(self) -> Iterator[None]:
        try:
            yield
        except LabError as error:
            self._last_error = str(error)
            raise

    def _exists(self, engine: Engine, ref: Ref) -> bool:
        try:
            return bool(engine.get(ref.kind, ref.name))
        except NotFoundError:
            return False

    def _pod_name(self, name: str) -> str:
        """Name of a pod, given itself or its Deployment."""
        pods = self.pods()
        chosen = [pod.name for pod in pods if pod.name == name] or [pod.name for pod in pods.of(name)]
        if not chosen:
            known = ", ".join(pod.name for pod in pods) or "none"
            raise NotFoundError(f"There is no pod or Deployment {name!r}. Pods: {known}.")
        return chosen[0]
