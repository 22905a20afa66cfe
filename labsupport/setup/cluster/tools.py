"""kind and istioctl: one on PATH that fits, else the pinned one of the cache."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from labsupport.errors import EngineError
from labsupport.setup.cluster import downloads, versions
from labsupport.setup.cluster.programs import ask

__all__ = ["Tool", "istioctl", "kind"]

_TELL = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that was found.

    Args:
        name: such as ``kind``.
        path: where it is.
        version: as it tells it, such as ``0.33.0``.
        origin: ``PATH`` or ``cache``.
    """

    name: str
    path: str
    version: str
    origin: str

    @property
    def pinned(self) -> bool:
        """Whether it is of the version that the workshop downloads."""
        return self.version == {"kind": versions.KIND_VERSION, "istioctl": versions.ISTIO_VERSION}[self.name]

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.path if self.origin == 'PATH' else 'downloaded'})"


def kind(
    *, download: bool = True, progress: downloads.Progress | None = None, tell: _TELL | None = None
) -> Tool | None:
    """Find kind: 0.29 or newer on PATH, else the pinned one.

    Args:
        download: whether the pinned one is downloaded if it is not there.
        progress: is told how far a download is.
        tell: is told what a user should know.

    Returns:
        None only if nothing may be downloaded and nothing is there.

    Raises:
        EngineError: it cannot be downloaded, or does not run here.
    """
    return _find("kind", _kind_version, _kind_fits, versions.kind, download, progress, tell)


def istioctl(
    *, download: bool = True, progress: downloads.Progress | None = None, tell: _TELL | None = None
) -> Tool | None:
    """Find istioctl: one on PATH of the course's minor version, else the pinned one; arguments as of ``kind``."""
    return _find("istioctl", _istioctl_version, _istioctl_fits, versions.istioctl, download, progress, tell)


def _find(
    name: str,
    version_of: Callable[[str], str],
    fits: Callable[[str], bool],
    wanted: Callable[[str], versions.Download],
    download: bool,
    progress: downloads.Progress | None,
    tell: _TELL | None,
) -> Tool | None:
    on_path = shutil.which(name)
    if on_path:
        version = version_of(on_path)
        if fits(version):
            return Tool(name, on_path, version, "PATH")
        if tell is not None and download:
            shown = f"is version {version}" if version else "does not tell its version"
            tell(f"{on_path} {shown}, which does not fit: taking the pinned one")
    release = wanted(versions.this_platform())
    if not download and not _is_cached(release):
        return None
    path = str(downloads.program(release, progress=progress, tell=tell))
    version = version_of(path)
    if not version:
        raise EngineError(
            f"{path} does not run on this machine. Is its file system mounted 'noexec'? Then set WORKSHOP_CACHE to a "
            f"folder on another one, or put {name} {release.version} on PATH."
        )
    return Tool(name, path, version, "cache")


def _is_cached(release: versions.Download) -> bool:
    from labsupport.setup.cluster import cache

    return (cache.folder("bin") / f"{release.name}-{release.version}").is_file()


def _kind_version(path: str) -> str:
    done = ask([path, "version", "-q"])
    match = re.match(r"v?(\d+\.\d+\.\d+\S*)", done.output.strip())
    return match[1] if done.status == 0 and match else ""


def _kind_fits(version: str) -> bool:
    return _numbers(version) >= versions.OLDEST_KIND


def _istioctl_version(path: str) -> str:
    # Without --remote=false it looks for a cluster, for up to a minute.
    done = ask([path, "version", "--remote=false", "--output", "json"])
    try:
        return str(json.loads(done.output)["clientVersion"]["version"]) if done.status == 0 else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _istioctl_fits(version: str) -> bool:
    return _numbers(version) == _numbers(versions.ISTIO_VERSION)


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor, such as ``(1, 31)`` of ``1.31-eed52ebb66ad``; empty if it is no version."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else ()
