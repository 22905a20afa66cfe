"""Volumes as folders of a pod: a program finds its files below a folder that stands for its container's root."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from labsupport.engine.embedded.processes import rundir
from labsupport.engine.podfiles import VolumeFile
from labsupport.model.kinds.volumes import VolumeMount

__all__ = ["FILES_ROOT", "inside", "mount", "write_volumes"]

FILES_ROOT = "FILES_ROOT"
"""The variable that tells a program below which folder the paths of its container lie."""
_FOLDER = 0o700


def write_volumes(folder: Path, volumes: Mapping[str, Mapping[str, VolumeFile]]) -> None:
    """Write the files of a pod's volumes, each volume in a folder of its own.

    Args:
        folder: of the volumes; it is made.
        volumes: files by volume and path.

    Raises:
        StorageError: it cannot be made or written.
    """
    with rundir.explained(folder.parent):
        for name, files in volumes.items():
            (folder / name).mkdir(mode=_FOLDER, parents=True)
            for path, file in files.items():
                place = folder / name / path
                place.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
                # The owner is whom a container's root is: it reads everything.
                with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode | 0o600), "wb") as target:
                    target.write(file.content)


def inside(path: str) -> str:
    """A container's path, relative to its root, whatever dots it has; empty for the root itself."""
    return posixpath.normpath(f"/{path}").lstrip("/")


def mount(root: Path, volumes: Path, mounts: Sequence[VolumeMount]) -> None:
    """Make a container's root: where a volume is mounted, a link leads to its folder.

    Args:
        root: the folder that stands for the root; it is made.
        volumes: the folder of the pod's volumes.
        mounts: of the container, each of which leaves the root itself free.

    Raises:
        StorageError: it cannot be made or written.
    """
    with rundir.explained(root.parent):
        root.mkdir(mode=_FOLDER, parents=True)
        # Outer ones first: the next may lie inside.
        for each in sorted(mounts, key=lambda wanted: inside(wanted.mount_path).count("/")):
            source, place = volumes / each.name / each.sub_path, root / inside(each.mount_path)
            if not source.exists():
                source.mkdir(mode=_FOLDER, parents=True)
            place.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            place.unlink(missing_ok=True)
            place.symlink_to(source.resolve())
