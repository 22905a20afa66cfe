"""The course's own images: built by Docker or Podman, put into archives, pushed to a registry."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from labsupport import paths
from labsupport.engine.cluster.objects.images import Images
from labsupport.errors import EngineError, NotFoundError, UsageError
from labsupport.setup.cluster import programs, remedies
from labsupport.setup.cluster.containers import Containers

__all__ = [
    "archived_names",
    "build",
    "build_platforms",
    "full_name",
    "is_remote",
    "names",
    "push",
    "reference",
    "registry",
    "save",
    "source_digest",
]

_BUILD_S = 1800.0
_PUSH_S = 1800.0
_BUILDER = "istio-traffic-workshop"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def names() -> list[str]:
    """The course's images: the folders of ``images`` that have a program."""
    return list(Images().known)


def full_name(reference_: str) -> str:
    """A name as nodes hold it: ``web:1`` is ``docker.io/library/web:1``."""
    first, slash, _ = reference_.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = reference_
    else:
        name = f"docker.io/{reference_}" if slash else f"docker.io/library/{reference_}"
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def is_remote(name: str) -> bool:
    """Whether a registry is a server (``registry.example.com/team``) and not only a prefix of names."""
    first = name.partition("/")[0]
    return "." in first or ":" in first or first == "localhost"


def registry() -> str:
    """What the names of the course's images begin with: ``WORKSHOP_REGISTRY``, else ``istio-traffic-workshop``."""
    return Images().registry


def reference(name: str, *, prefix: str | None = None, tag: str | None = None) -> str:
    """The full name of one of the course's images.

    Args:
        name: such as ``web``.
        prefix: what the name begins with; by default that of ``registry``.
        tag: by default ``WORKSHOP_IMAGE_TAG``, else the version of the workshop.
    """
    # With its registry spelt out, for Podman takes a short name for one of its own (localhost/...).
    return full_name(Images(prefix, tag).full(name))


def source_digest(name: str) -> str:
    """A checksum of the files that an image is built from."""
    digest = hashlib.sha256()
    shared = paths.images()
    recipe = [shared / "Dockerfile", shared / ".dockerignore", shared / name / "requirements.txt"]
    for file in sorted((*shared.glob("*.py"), *(shared / name).glob("*.py"), *filter(Path.is_file, recipe))):
        digest.update(f"{file.relative_to(shared)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(
    engine: Containers, name: str, target: str, *, log: Path | None, on_line: Callable[[str], None] | None = None
) -> None:
    """Build one image for this machine's platform.

    Args:
        engine: Docker or Podman.
        name: such as ``web``.
        target: the full name that it gets.
        log: file for the whole output.
        on_line: is given each line of output.

    Raises:
        EngineError: that failed; says why and what to do.
    """
    command = [engine.program, "build", "--tag", target, *_build_arguments(name), str(paths.images())]
    done = programs.run(command, timeout_s=_BUILD_S, environment=_environment(), on_line=on_line, log=log)
    if done.status:
        raise _failure(f"image {name} could not be built", done, log)
    if programs.ask([engine.program, "image", "inspect", target]).status:
        raise EngineError(
            f"image {name} was built, but the image store does not have it: a builder of another kind is in use. Take "
            f"the engine's own one: docker buildx use default (docker buildx ls lists them). The output is in {log}"
        )


def build_platforms(
    engine: Containers,
    name: str,
    target: str,
    platforms: Sequence[str],
    *,
    log: Path | None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Build one image for several platforms and push it: the image store of an engine holds one platform only.

    Args:
        engine: Docker (with buildx) or Podman.
        name: such as ``web``.
        target: the full name that it gets, in a registry.
        platforms: such as ``linux/amd64`` and ``linux/arm64``.
        log: file for the whole output.
        on_line: is given each line of output.

    Raises:
        EngineError: that failed; says why and what to do.
    """
    listed = ",".join(platforms)
    common = ["--platform", listed, *_build_arguments(name)]
    if engine.program == "podman":
        programs.ask(["podman", "manifest", "rm", target])  # else the images are added to those of last time
        commands = [
            ["podman", "build", "--manifest", target, *common, str(paths.images())],
            ["podman", "manifest", "push", "--all", target, f"docker://{target}"],
        ]
    else:
        _make_builder(log)
        builder = ["docker", "buildx", "build", "--builder", _BUILDER]
        commands = [[*builder, *common, "--tag", target, "--push", str(paths.images())]]
    for command in commands:
        done = programs.run(command, timeout_s=_BUILD_S, environment=_environment(), on_line=on_line, log=log)
        if done.status:
            raise _failure(f"image {name} could not be built for {listed} and pushed", done, log)


def _make_builder(log: Path | None) -> None:
    """Make a builder that can build for several platforms; Docker's own can do so only with some image stores."""
    if programs.ask(["docker", "buildx", "version"]).status:
        raise EngineError(
            "Docker has no buildx here, which builds for several platforms. Install it (Debian, Ubuntu: apt install "
            "docker-buildx or docker-buildx-plugin), or take Podman: --provider podman"
        )
    if programs.ask(["docker", "buildx", "inspect", _BUILDER]).status == 0:
        return
    command = ["docker", "buildx", "create", "--name", _BUILDER, "--driver", "docker-container"]
    done = programs.run(command, timeout_s=120, log=log)
    if done.status:
        raise _failure("a builder for several platforms could not be made", done, log)


def push(engine: Containers, target: str, *, log: Path | None, on_line: Callable[[str], None] | None = None) -> None:
    """Push one image to its registry.

    Raises:
        EngineError: that failed; says why and what to do.
    """
    done = programs.run([engine.program, "push", target], timeout_s=_PUSH_S, on_line=on_line, log=log)
    if done.status:
        raise _failure(f"{target} could not be pushed", done, log)


def save(engine: Containers, targets: Iterable[str], file: Path, *, log: Path | None) -> None:
    """Write images into an archive as ``docker save`` makes it.

    Raises:
        EngineError: that failed.
    """
    form = ["--format", "docker-archive", "--multi-image-archive"] if engine.program == "podman" else []
    file.unlink(missing_ok=True)  # Podman adds to a file that is there
    command = [engine.program, "save", *form, "--output", str(file), *targets]
    done = programs.run(command, timeout_s=_BUILD_S, log=log)
    if done.status:
        raise _failure(f"the images could not be saved to {file}", done, log)


def archived_names(file: Path) -> list[str]:
    """Names of the images in an archive, of the form of ``docker save`` or of OCI.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is no such archive.
    """
    try:
        with tarfile.open(file) as archive:
            members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
            index = {name: _json(archive, members.get(name)) for name in ("manifest.json", "index.json")}
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (tarfile.TarError, EOFError, ValueError):
        raise UsageError(f"{file} is no archive of images. Make one with: docker save -o FILE IMAGE") from None
    names = [tag for entry in index["manifest.json"] or [] for tag in entry.get("RepoTags") or []]
    for entry in (index["index.json"] or {}).get("manifests") or []:
        noted = entry.get("annotations") or {}
        name = noted.get("io.containerd.image.name") or noted.get("org.opencontainers.image.ref.name") or ""
        if "/" in name or ":" in name:
            names.append(name)
    if not names:
        raise UsageError(f"{file} names no image. Make it with: docker save -o FILE NAME:TAG")
    return sorted({full_name(name) for name in names})


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> Any:
    stream = archive.extractfile(member) if member is not None else None
    return json.loads(stream.read()) if stream is not None else None


def _build_arguments(name: str) -> list[str]:
    # One Dockerfile builds every image. The proxies are predefined in each, and kept out of the image by both engines.
    if name not in names():
        raise NotFoundError(f"there is no image {name!r}. The course has: {', '.join(names())}.")
    image = ["--build-arg", f"IMAGE={name}"]
    return [*image, *(part for proxy in _PROXIES if proxy in os.environ for part in ("--build-arg", proxy))]


def _environment() -> dict[str, str]:
    # Attestations would make each image an index, which some versions of containerd cannot import from an archive.
    return {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def _failure(what: str, done: programs.EndedProgram, log: Path | None) -> EngineError:
    kept = f"\n  Everything that was written is in {log}" if log else ""
    return programs.ProgramError(
        f"{what} ({done.command[0]} ended with status {done.status}):\n{done.last_lines()}\n"
        f"  {remedies.of_images(done.said)}{kept}",
        done,
    )
