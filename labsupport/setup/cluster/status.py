"""``workshop cluster status`` and ``down``: what is there, what comes next, and removing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from labsupport.errors import EngineError, LabError
from labsupport.setup.cluster import addons, cache, containers, images, tools
from labsupport.setup.cluster.kind import Kind, check_name
from labsupport.setup.finding import Finding

__all__ = ["down", "status"]

_UP = "./workshop cluster up"


def status(name: str, *, provider: str | None = None) -> Iterator[Finding]:
    """Look at a cluster and change nothing.

    Args:
        name: of the kind cluster.
        provider: ``docker`` or ``podman``; by default the one that answers.

    Yields:
        What was found, each with what to do about it.
    """
    up = _UP if name == "istio-traffic-workshop" else f"{_UP} --name {name}"
    try:
        engine = containers.find(provider)
        yield Finding("ok", engine.title, engine.version)
    except EngineError as error:
        yield Finding("error", "container engine", str(error), f"Then: {up}")
        return
    tool = tools.kind(download=False)
    for sort, program in (("kind", tool), ("istioctl", tools.istioctl(download=False))):
        if program is None:
            yield Finding("note", sort, "not on PATH in a fitting version, and not downloaded", f"{up} downloads it.")
        else:
            yield Finding("ok", sort, f"{program.version} ({program.path})")
    if tool is None:
        return
    kind = Kind(tool, engine, check_name(name))
    if not kind.exists():
        yield Finding("note", "cluster", f"there is no kind cluster {name}", up)
        return
    if stopped := kind.stopped():
        yield Finding("error", "cluster", f"{name} does not run ({', '.join(stopped)})", f"{up} starts it.")
        return
    yield Finding("ok", "cluster", f"{name} runs ({', '.join(kind.nodes())})")
    yield from _inside(kind, up)


def _inside(kind: Kind, up: str) -> Iterator[Finding]:
    from labsupport.engine.cluster.api.connect import MANAGED_BY, Connection
    from labsupport.engine.cluster.api.istio import find

    try:
        connection = Connection(kind.context, timeout_s=5)
        version = str(connection.get("/version")["gitVersion"])
    except LabError as error:
        yield Finding("error", "Kubernetes", str(error), up)
        return
    yield Finding("ok", "Kubernetes", f"{version.removeprefix('v')} at {connection.server}")
    current = Connection().context
    if current == kind.context:
        yield Finding("ok", "context", f"{current} is the one that a lab takes")
    else:
        yield Finding(
            "warning",
            "context",
            f"a lab takes {current}, not {kind.context}",
            f"export WORKSHOP_CONTEXT={kind.context}",
        )
    try:
        istio = find(connection)
        yield Finding("ok", "Istio", istio.version_text or "of an unknown version")
    except EngineError as error:
        yield Finding("error", "Istio", str(error), up)
        return
    yield from _images(kind, up)
    if running := addons.ready(connection):
        shown = ", ".join(f"istioctl dashboard {name}" for name in running)
        yield Finding("ok", "add-ons", f"{', '.join(running)}; to open one: {shown}")
    labs = connection.get("/api/v1/namespaces", labelSelector="=".join(MANAGED_BY))["items"]
    yield Finding("ok", "labs", ", ".join(sorted(lab["metadata"]["name"] for lab in labs)) or "none was opened yet")


def _images(kind: Kind, up: str) -> Iterator[Finding]:
    wanted = {images.reference(name) for name in images.names()}
    registry = images.registry()
    missing = sorted(name for name in wanted if not all(name in node for node in kind.images().values()))
    if not missing:
        yield Finding("ok", "images", ", ".join(sorted(wanted)))
    elif images.is_remote(registry):
        yield Finding("note", "images", f"pods pull them from {registry} (WORKSHOP_REGISTRY)")
    else:
        yield Finding("error", "images", f"not in the cluster: {', '.join(missing)}", f"{up} builds and loads them.")


def down(name: str, *, provider: str | None = None, on_line: Callable[[str], None] | None = None) -> bool:
    """Remove the kind cluster of a name, with everything in it, and its context; no other one.

    Args:
        name: of the cluster.
        provider: ``docker`` or ``podman``; by default the one that answers.
        on_line: is given each line that kind writes.

    Returns:
        Whether there was one.
    """
    tool = tools.kind()
    assert tool is not None
    kind = Kind(tool, containers.find(provider), check_name(name))
    there = kind.exists()
    if there:
        kind.delete(on_line=on_line)
    cache.Record(name).forget()
    return there
