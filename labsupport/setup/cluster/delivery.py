"""``workshop cluster images``: the course's images for a shared cluster, or as archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from labsupport.errors import StorageError, UsageError
from labsupport.setup.cluster import cache, containers, images
from labsupport.setup.cluster.options import Reporter

__all__ = ["deliver"]

_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(/v\d+)?")


def deliver(
    report: Reporter,
    *,
    provider: str | None = None,
    platforms: Sequence[str] = (),
    registry: str | None = None,
    tag: str | None = None,
    archive: Path | None = None,
) -> list[str]:
    """Build all images of the course, and push or save them.

    Args:
        report: who shows what happens.
        provider: ``docker`` or ``podman``; by default the one that answers.
        platforms: such as ``linux/amd64`` and ``linux/arm64``; that of this machine by default.
        registry: where they are pushed to; None pushes nothing.
        tag: of the images.
        archive: folder in which they are saved; None saves nothing.

    Returns:
        What to do next, line by line.

    Raises:
        UsageError: options that do not go together.
        EngineError: an image could not be built or pushed.
    """
    _check(platforms, registry, archive)
    report.begin("container engine")
    engine = containers.find(provider)
    report.end(f"{engine.title} {engine.version}")
    log = cache.log_file("images")
    targets: dict[str, str] = {}
    for name in images.names():
        target = targets[name] = images.reference(name, prefix=registry, tag=tag)
        report.begin(f"image {name}")
        if platforms and registry:
            images.build_platforms(engine, name, target, platforms, log=log, on_line=report.line)
            report.end(f"{target} for {', '.join(platforms)}, pushed")
            continue
        images.build(engine, name, target, log=log, on_line=report.line)
        if registry:
            images.push(engine, target, log=log, on_line=report.line)
        report.end(f"{target}, pushed" if registry else target)
        if archive is not None:
            report.begin(f"archive {name}")
            file = archive / f"{name}.tar"
            images.save(engine, [target], file, log=log)
            report.end(str(file))
    return _next(targets, registry, archive)


def _check(platforms: Sequence[str], registry: str | None, archive: Path | None) -> None:
    for platform in platforms:
        if not _PLATFORM.fullmatch(platform):
            raise UsageError(f"{platform!r} is no platform: they are written linux/amd64 or linux/arm64.")
    if platforms and not registry:
        raise UsageError(
            "images for several platforms need --push REGISTRY: the image store of a container engine holds them for "
            "one platform only."
        )
    if platforms and archive is not None:
        raise UsageError("an archive is for the platform of this machine: give --archive or --platform.")
    if registry is not None and not images.is_remote(registry):
        raise UsageError(
            f"--push {registry}: name the registry with its host, such as registry.example.com/team, "
            "localhost:5000, or docker.io/YOUR-NAME."
        )
    if archive is not None:
        try:
            archive.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{archive} cannot be made: {error.strerror}.") from error


def _next(targets: dict[str, str], registry: str | None, archive: Path | None) -> list[str]:
    target = next(iter(targets.values()))
    prefix, version = target.rpartition("/")[0], target.rpartition(":")[2]
    if registry:
        return [
            "On a shared cluster, every learner sets, before ./workshop lab --engine cluster:",
            f"  export WORKSHOP_REGISTRY={prefix} WORKSHOP_IMAGE_TAG={version}",
            "If the registry asks for a password, the namespaces need a pull secret in their default service account.",
        ]
    if archive is not None:
        return [f"On the other machine: ./workshop cluster up --image-archives {archive}"]
    return ["./workshop cluster up loads them into a kind cluster; --push brings them to a registry."]
