"""What is read of pods: their logs, and what they use of the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from labsupport.engine.additions import PROXY
from labsupport.engine.embedded.api.answers import Refused
from labsupport.engine.embedded.api.mesh import Mesh, stamp
from labsupport.engine.embedded.api.requests import hung_up
from labsupport.engine.embedded.envoy import admin
from labsupport.engine.embedded.envoy.httpconn import ACCESS_LOG
from labsupport.engine.embedded.pods.pods import ENVOY_LOG, LivePod
from labsupport.engine.embedded.pods.workplace import log_name
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.records import JsonObject

__all__ = ["Usage", "admin_page", "log", "no_stream"]

ADMIN_PORT = "15000"
_LOOK_S = 0.2
_READ = 1 << 16


def no_stream(name: str, what: str) -> Refused:
    """Nothing runs in a pod but its program, and what it listens on is on this machine anyway."""
    message = f"pod {name} of the embedded mesh is a process of this machine, and no container: "
    if what == "exec":
        message += "nothing is run in it. Send requests from it with lab.send(url, source=...)"
    else:
        message += "there is no port to forward. lab.urls() tells the addresses of the gateway and of node ports"
    return Refused(403, message)


async def admin_page(mesh: Mesh, namespace: str, named: str, path: str, query: str) -> web.Response:
    """A page of the admin interface of a pod's Envoy.

    Args:
        mesh: the lab.
        namespace: of the pod.
        named: the pod and the port of the interface, such as ``client-0:15000``.
        path: of the page, such as ``config_dump``.
        query: what follows its question mark.

    Raises:
        Refused: there is no such pod, no Envoy in it, or no such page.
    """
    name, _, port = named.partition(":")
    pod = mesh.control.pods.get(name)
    if pod is None or pod.info.namespace != namespace:
        raise Refused(404, f'pods "{name}" not found')
    if pod.envoy is None or port != ADMIN_PORT:
        raise Refused(404, f"of pod {name} only the admin interface of a sidecar is reached, as {name}:{ADMIN_PORT}")
    try:
        page = await admin.fetch(pod.envoy.admin, f"/{path}{'?' if query else ''}{query}")
    except OSError as error:
        raise Refused(503, str(error), reason="ServiceUnavailable") from error
    return web.Response(text=page, content_type="application/json" if page.startswith("{") else "text/plain")


async def log(mesh: Mesh, pod: JsonObject, request: web.Request) -> web.StreamResponse:
    """The log of a container, to its end or for as long as the pod is there.

    Args:
        mesh: the lab.
        pod: as the API shows it.
        request: with what is asked for.

    Raises:
        Refused: there is no such container.
    """
    query = request.query
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [entry["name"] for entry in (*spec.get("initContainers", ()), *spec["containers"])]
    container = query.get("container") or spec["containers"][0]["name"]
    if container not in names:
        raise Refused(400, f"container {container} is not valid for pod {name}")
    if query.get("previous") == "true":
        raise Refused(400, f'previous terminated container "{container}" in pod "{name}" not found')
    folder = mesh.folder / name
    # As in Istio's container, requests are told in the same log as what Envoy says of itself.
    files = [folder / ENVOY_LOG, folder / ACCESS_LOG] if container == PROXY else []
    own = [entry["name"] for entry in spec["containers"] if entry["name"] != PROXY]
    if container in own:
        files = [folder / log_name(own.index(container))]
    lines = int(query["tailLines"]) if query.get("tailLines", "").isdigit() else None
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    starts = [_size(path) for path in files]
    text = b"".join(_read(path, 0, size) for path, size in zip(files, starts, strict=True))
    if lines is not None:
        kept = text.splitlines(keepends=True)
        text = b"".join(kept[len(kept) - lines :] if lines else ())
    if query.get("limitBytes", "").isdigit():
        text = text[: int(query["limitBytes"])]
    await response.write(text)
    if query.get("follow") == "true":
        await _follow(mesh, name, files, starts, request, response)
    return response


async def _follow(
    mesh: Mesh,
    name: str,
    files: Sequence[Path],
    starts: list[int],
    request: web.Request,
    response: web.StreamResponse,
) -> None:
    while not hung_up(request):
        ended = name not in mesh.control.pods
        for index, path in enumerate(files):
            size = _size(path)
            # A log that was rotated begins anew.
            starts[index] = min(starts[index], size)
            if size > starts[index]:
                try:
                    await response.write(_read(path, starts[index], size))
                except ConnectionError:
                    return
                starts[index] = size
        if ended:
            return
        await asyncio.sleep(_LOOK_S)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, start: int, end: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(end - start)
    except OSError:
        return b""


class Usage:
    """What pods use, for ``kubectl top``: since it was last asked for, or since the process began.

    Args:
        mesh: the lab.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._last: dict[int, tuple[float, float]] = {}

    def measured(self, namespace: str) -> list[JsonObject]:
        """``PodMetrics`` of pods.

        Args:
            namespace: of the pods; empty for all.
        """
        return [
            self._pod(pod)
            for pod in self._mesh.control.pods.values()
            if not pod.terminating and namespace in ("", pod.info.namespace)
        ]

    def _pod(self, pod: LivePod) -> JsonObject:
        containers = []
        keepers = [(app.planned.container, app.keeper) for app in pod.apps]
        for name, keeper in (*keepers, (PROXY, pod.envoy.keeper if pod.envoy is not None else None)):
            if keeper is not None:
                used = self._process(keeper)
                if used is not None:
                    containers.append({"name": name, "usage": {"cpu": f"{used[0]}n", "memory": f"{used[1] >> 10}Ki"}})
        about = {"name": pod.name, "namespace": pod.info.namespace, "labels": dict(pod.info.labels)}
        return {
            "kind": "PodMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {**about, "creationTimestamp": stamp(time.time())},
            "timestamp": stamp(time.time()),
            "window": "15s",
            "containers": containers,
        }

    def _process(self, keeper: Keeper) -> tuple[int, int] | None:
        """Nanoseconds of a CPU per second, and bytes of memory."""
        import psutil

        if keeper.process is None or not keeper.process.running:
            return None
        pid = keeper.process.pid
        try:
            process = psutil.Process(pid)
            times, memory = process.cpu_times(), process.memory_info().rss
            began = process.create_time()
        except psutil.Error:
            return None
        now, spent = time.time(), times.user + times.system
        before, known = self._last.get(pid, (began, 0.0))
        self._last[pid] = (now, spent)
        return int((spent - known) / max(now - before, 0.001) * 1e9), memory
