"""The embedded engine: real Envoys on this machine, without Docker and without a cluster."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from labsupport import paths, words
from labsupport.controlplane.desired import others_of
from labsupport.controlplane.entrances import Entrance
from labsupport.engine import dumps
from labsupport.engine.embedded.accesslog import AccessLogReader
from labsupport.engine.embedded.envoy import binary
from labsupport.engine.embedded.pods.programs import Programs, find_programs
from labsupport.engine.embedded.processes import rundir
from labsupport.engine.embedded.processes.link import Link
from labsupport.engine.embedded.spans import SpanReader
from labsupport.engine.patching import patched
from labsupport.engine.protocol import Sending
from labsupport.engine.sending import ClientSending, LocalRoute
from labsupport.engine.warned import warnings
from labsupport.errors import EngineError, EngineLostError, NotFoundError, UsageError
from labsupport.model import Resource
from labsupport.model.kinds.index import placed
from labsupport.model.schema.names import is_lower_dns_label
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    EnvoyConfig,
    Leftovers,
    Pod,
    Ref,
    RuleStatus,
    Sample,
    Span,
    TrafficSpec,
)
from labsupport.urls import parse_url

__all__ = ["EmbeddedEngine"]

# A supervisor that ends or finds something missing says so at once; this is for a machine that is very busy.
OPEN_TIMEOUT_S = 120.0
# A change that does not get through is taken back before that is told, which takes 15 s at most.
_BEYOND_S = 25.0


class EmbeddedEngine:
    """Runs a mesh on this machine: one Envoy per injected pod and one for the gateway, configured over ADS.

    Args:
        namespace: the lab's namespace; its pods get sidecars unless they opt out.
        images: what stands for images besides the course's own programs and those in the folders of
            ``WORKSHOP_IMAGES``: names of images, each with the program that stands for it, or a folder of programs.

    Raises:
        UsageError: ``images`` or ``WORKSHOP_IMAGES`` names no program.
        EnvoyMissingError: there is no Envoy for this platform.
        StorageError: the temporary folder cannot be written.
        EngineError: the mesh does not start; carries the last words of what failed.
    """

    name = "embedded"
    captures_all_traffic = False
    counts_tries = True
    default_export_to: Sequence[str] = ()

    def __init__(self, *, namespace: str = "default", images: Mapping[str, str] | Path | str | None = None) -> None:
        self.namespace = namespace
        self._closed: Leftovers | None = None
        self._hear: Callable[[str, ApplyResult, Sequence[Resource]], None] = lambda verb, result, resources: None
        self._inventory: tuple[list[Ref], list[int], list[int]] | None = None
        binary.binary()
        programs = find_programs(images)
        rundir.sweep()
        self._folder = rundir.create()
        try:
            self._start(programs)
        except BaseException:
            rundir.remove(self._folder)
            raise
        self._access = AccessLogReader(lambda: self._call("access_logs"), self._folder)
        self._spans = SpanReader(
            lambda number: self._call("spans", number),
            lambda ids, timeout_s: self.access_records(request_ids=ids, timeout_s=timeout_s),
        )

    @staticmethod
    def check_options(*, namespace: str = "default", images: Mapping[str, str] | Path | str | None = None) -> None:
        """Refuse options that make no sense, before anything is started.

        Args:
            namespace: as for the engine.
            images: as for the engine.

        Raises:
            UsageError: one of them makes no sense.
        """
        if not is_lower_dns_label(namespace):
            raise UsageError(
                f"namespace={namespace!r}: a namespace has lower-case letters, digits and '-', 63 at most."
            )
        find_programs(images)

    def _start(self, programs: Programs) -> None:
        ours, theirs = socket.socketpair()
        # The folder is removed before anybody could read a log in it, but an open file stays readable.
        self._log = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - open as long as the engine
        python_path = (str(Path(paths.__file__).parent.parent), os.environ.get("PYTHONPATH"))
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    # A learner's file of the same name as one of our modules must not be taken for it.
                    "-P",
                    "-m",
                    "labsupport.engine.embedded.launch",
                    str(theirs.fileno()),
                    str(self._folder),
                    programs.encoded(),
                    self.namespace,
                ],
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, python_path))},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise EngineError(f"the supervisor cannot be started: {words.reason(error)}") from error
        finally:
            theirs.close()
        self._link = Link(ours, self._last_words, lambda notice: self._hear(*notice))
        try:
            self._link.opened(OPEN_TIMEOUT_S)
        except BaseException:
            self._link.close()
            self._end_process(2.0)
            raise

    def _last_words(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read().decode("utf-8", "replace").splitlines()
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def _call(self, method: str, *arguments: Any, timeout_s: float = 60.0, **options: Any) -> Any:
        if self._closed is not None:
            raise EngineLostError("this lab is closed. Open a new one with Lab()")
        return self._link.call(method, arguments, options, timeout_s=timeout_s)

    # --- changes ------------------------------------------------------------------------------------------------

    def apply(self, objects: Sequence[Resource], *, timeout_s: float = 60.0) -> ApplyResult:
        """Create or change objects; returns when they are in force in every proxy concerned.

        Raises:
            ManifestError: something is refused; nothing was changed.
            ConfigRejectedError: an Envoy refused the result; nothing was changed.
            WaitTimeoutError: it is not in force in time; says what was seen last, and whether it was taken back: where
                a proxy does not acknowledge it, but not where pods are not ready yet.
        """
        began = time.perf_counter()
        ours = [placed(resource, self.namespace) for resource in objects]
        result: ApplyResult = self._call("apply", ours, timeout_s=timeout_s + _BEYOND_S, wait_s=timeout_s)
        return _measured(result, time.perf_counter() - began, warnings(ours))

    def delete(self, refs: Iterable[Ref], *, timeout_s: float = 60.0) -> ApplyResult:
        """Delete objects; ``NotFoundError`` if one does not exist, and then nothing is deleted."""
        result: ApplyResult = self._call("delete", list(refs), timeout_s=timeout_s + _BEYOND_S, wait_s=timeout_s)
        return result

    def patch(self, ref: Ref, patch: Mapping[str, Any], *, timeout_s: float = 60.0) -> ApplyResult:
        """Change an object by a JSON merge patch (RFC 7386); the result is validated as a whole."""
        changed = patched(self._current(ref), patch, namespace=self.namespace)
        return self.apply(changed, timeout_s=timeout_s)

    def scale(self, ref: Ref, replicas: int, *, timeout_s: float = 60.0) -> ApplyResult:
        """Set the number of replicas of a Deployment."""
        return self.patch(ref, {"spec": {"replicas": replicas}}, timeout_s=timeout_s)

    def _current(self, ref: Ref) -> Resource:
        namespace = ref.namespace or self.namespace
        objects: list[Resource] = self._call("get", built_in=True)
        for resource in objects:
            if (resource.called, resource.name) == (ref.kind, ref.name) and (
                resource.namespace or namespace
            ) == namespace:
                return resource
        raise NotFoundError(f"{ref} does not exist. {others_of(objects, ref, self.namespace)}")

    def when_changed(self, hear: Callable[[str, ApplyResult, Sequence[Resource]], None]) -> None:
        """Have a function called after each change that kubectl or another client of the API has made."""
        self._hear = hear

    # --- questions ----------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str | None = None, *, namespace: str = "") -> list[Resource]:
        """Objects of a kind in a namespace (the lab's own by default), oldest first; ``*`` stands for all."""
        objects: list[Resource] = self._call("get")
        return [
            resource
            for resource in objects
            if kind in ("*", resource.called)
            and name in (None, resource.name)
            and (
                resource.kind == "Namespace" or namespace == "*" or resource.namespace == (namespace or self.namespace)
            )
        ]

    def built_in(self) -> list[Resource]:
        """Objects of the mesh itself, which nobody applied: the lab's namespace and the gateway's Service."""
        objects: list[Resource] = self._call("built_in")
        return objects

    def pods(self) -> list[Pod]:
        """All pods, the ingress gateway included; those that are ending are left out."""
        pods: list[Pod] = self._call("pods")
        return pods

    def rules(self) -> list[RuleStatus]:
        """Every rule with when it came into force."""
        rule_statuses: list[RuleStatus] = self._call("rules")
        return rule_statuses

    def proxy_config(self, pod: str) -> EnvoyConfig:
        """The configuration that a proxy holds now, from its admin interface.

        Args:
            pod: its pod, or the Deployment of it.

        Raises:
            NotFoundError: there is no such pod, or it has no proxy.
            EngineError: its Envoy does not answer.
        """
        name, dump = self._call("config_dump", pod)
        return dumps.proxy_config(name, dump)

    def metrics(self) -> list[Sample]:
        """Statistics of all proxies, in Envoy's Prometheus names."""
        pages: dict[str, str] = self._call("statistics")
        return [sample for pod, page in pages.items() for sample in dumps.samples(pod, page)]

    def prometheus(self, query: str) -> None:
        """None: there is no Prometheus in this mesh; see ``Engine.prometheus``."""

    def dashboards(self) -> tuple[str, ...]:
        """None; see ``Engine.dashboards``."""
        return ()

    def logs(self, pod: str, *, container: Literal["app", "proxy"] = "app", lines: int = 200) -> str:
        """The last lines of the log of a pod's program or Envoy, if it has started; see ``Engine.logs``."""
        if container not in ("app", "proxy"):
            raise UsageError(f"container={container!r}: 'app' is the program, 'proxy' its Envoy")
        _, path = self._call("log_files", pod, container)
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def urls(self) -> Mapping[str, str]:
        """Addresses for a person's browser: ``gateway``, ``gateway:<port>`` and ``nodeport:<service>`` to a URL.

        A Gateway of the Gateway API has its own: ``gateway/<name>`` and ``gateway/<name>:<port>``.
        """
        entrances: dict[str, Entrance] = self._call("entrances")
        return {name: f"{entrance.scheme}://127.0.0.1:{entrance.port}" for name, entrance in entrances.items()}

    def kubeconfig(self) -> Path:
        """The kubeconfig file with which kubectl and other clients work on this mesh, as long as it is open."""
        return Path(self._call("kubeconfig"))

    def access_records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        """Access-log lines in order of time; with request ids, waits (bounded) until all their hops are written."""
        return self._access.records(request_ids=request_ids, since_s=since_s, timeout_s=timeout_s)

    def spans(self, *, request_ids: Iterable[str], timeout_s: float = 5.0) -> list[Span]:
        """What proxies tell of requests that are traced; waits (bounded) until all their spans are there."""
        return self._spans.spans(request_ids, timeout_s=timeout_s)

    def spans_elsewhere(self) -> str:
        """Nothing: the lab itself takes all spans."""
        return ""

    # --- traffic ------------------------------------------------------------------------------------------------

    def send(self, spec: TrafficSpec) -> Sending:
        """Send requests; a failure of a request is a record, never an exception.

        Raises:
            UsageError: the URL makes no sense from this source.
            NotFoundError: there is no such source.
        """
        target = parse_url(spec.url)
        port, token = self._call("source", spec.source)
        connect_to = None
        url = f"{target.scheme}://{target.authority}{target.path}"
        if target.via == "service" or (spec.source != "outside" and target.secure):
            if spec.source == "outside":
                raise UsageError(
                    f"{spec.url} is a name inside the mesh, which nobody outside knows. Send from inside, such as "
                    'source="client", or through an entrance: gateway:/path or nodeport:<service>/path'
                )
            plain = target.scheme == "http"
            local = self._call("connection", spec.source, target.service, target.port, http=plain)
            connect_to = f"127.0.0.1:{local}" if local else None
        elif target.via == "gateway":
            number = target.gateway_port
            host = target.service or "localhost"
            url = f"{target.scheme}://{host}:{number}{target.path}"
            connect_to = f"127.0.0.1:{self._call('gateway_port', number, target.gateway)}"
        else:
            entrances: dict[str, Entrance] = self._call("entrances")
            entrance = entrances.get(f"nodeport:{target.service}")
            if entrance is None:
                known = ", ".join(name for name in entrances if name.startswith("nodeport:"))
                raise NotFoundError(
                    f"{target.service!r} is no Service with a node port. "
                    f"There are: {known or 'none; a Service has one with type: NodePort'}"
                )
            url = f"http://{entrance.authority}{target.path}"
            connect_to = f"127.0.0.1:{entrance.port}"
        route = LocalRoute("127.0.0.1", port, token)
        return ClientSending(route, spec, url=url, connect_to=connect_to, lost=self._link.check)

    # --- end ----------------------------------------------------------------------------------------------------

    def reset(self) -> Leftovers:
        """Remove everything that was applied; the gateway and the engine stay."""
        removed, remaining = self._call("reset", timeout_s=60.0)
        self._access.forget()
        self._spans.forget()
        return Leftovers(tuple(removed), tuple(remaining))

    def close(self) -> Leftovers:
        """Stop everything and prove it: no process, no listening port, no folder. Idempotent."""
        if self._closed is not None:
            return self._closed
        with contextlib.suppress(EngineError):
            # What an interrupted close() has asked for the supervisor may not be there to tell again.
            if self._inventory is None:
                there = [resource.ref for resource in self._call("get")]
                self._inventory = (there, *self._call("inventory"))
            self._call("close")
        removed, pids, listened = self._inventory or ([], [], [])
        starts = {pid: rundir.process_start(pid) for pid in pids}
        self._link.close()
        self._end_process(5.0)
        deadline = time.monotonic() + 3.0
        remaining = self._remaining(starts, listened)
        while remaining and time.monotonic() < deadline:
            time.sleep(0.01)
            remaining = self._remaining(starts, listened)
        self._log.close()
        self._closed = Leftovers(tuple(removed), tuple(remaining))
        return self._closed

    def _remaining(self, starts: Mapping[int, str], listened: Iterable[int]) -> list[str]:
        left = [f"process {pid}" for pid, start in starts.items() if rundir.alive(pid, start)]
        left += [f"port {port}" for port in _listening(self._process.pid, listened)]
        if self._folder.exists():
            left.append(f"folder {self._folder}")
        return left

    def _end_process(self, timeout_s: float) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout_s)

    def __enter__(self) -> EmbeddedEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed is not None else f"supervisor {self._process.pid}"
        return f"<EmbeddedEngine {state}, kernel {os.getpid()}>"


def _listening(session: int, ports: Iterable[int]) -> list[int]:
    """Those of a lab's ports on which a process of its session still listens.

    A number that was given back may be in use by somebody else at once, so that an answer there would prove nothing.
    """
    import psutil

    wanted = set(ports)
    listening = set()
    # macOS lets only root ask; there the end of all processes is the proof.
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp4"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.pid
                and connection.laddr
                and connection.laddr.port in wanted
            ):
                with contextlib.suppress(ProcessLookupError):
                    if os.getsid(connection.pid) == session:
                        listening.add(connection.laddr.port)
    return sorted(listening)


def _measured(result: ApplyResult, seconds: float, warnings: tuple[str, ...]) -> ApplyResult:
    unchanged = all(change.action == "unchanged" for change in result.changes)
    return replace(result, in_force_s=0.0 if unchanged else seconds, warnings=(*warnings, *result.warnings))
