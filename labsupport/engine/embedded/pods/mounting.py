"""Volumes as folders of a pod: a program finds its files below a folder that stands for its container's root."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from labsupport.engine.embedded.processes import rundir
from labsupport.engine.podfiles import VolumeFile
from labsupport.model.kinds.volumes import VolumeMount

__all__ = ["FILES_ROOT", "Volumes", "inside", "mount", "write_volumes"]

FILES_ROOT = "FILES_ROOT"
"""The variable that tells a program below which folder the paths of its container lie."""
_FOLDER = 0o700
_UNFINISHED = ".unfinished"


Volumes = Mapping[str, Mapping[str, VolumeFile]]
"""Files by volume and path."""


def write_volumes(folder: Path, volumes: Volumes, *, former: Volumes | None = None) -> None:
    """Write the files of a pod's volumes, each volume in a folder of its own.

    Args:
        folder: of the volumes; it is made.
        volumes: what the files are to be.
        former: what they are, where they were written before; only what is another file is touched.

    Raises:
        StorageError: it cannot be made or written.
    """
    with rundir.explained(folder.parent):
        for name, files in volumes.items():
            (folder / name).mkdir(mode=_FOLDER, parents=True, exist_ok=former is not None)
            before = (former or {}).get(name, {})
            for path in before.keys() - files.keys():
                (folder / name / path).unlink(missing_ok=True)
            for path, file in files.items():
                if before.get(path) == file:
                    continue
                place, made = folder / name / path, folder / _UNFINISHED
                place.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
                # The owner is whom a container's root is: it reads everything.
                with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode | 0o600), "wb") as target:
                    target.write(file.content)
                # Whoever reads meanwhile gets the old file or the new one.
                made.replace(place)


def inside(path: str) -> str:
    """A container's path, relative to its root, whatever dots it has; empty for the root itself."""
    return posixpath.normpath(f"/{path}").lstrip("/")


def mount(root: Path, volumes: Path, mounts: Sequence[VolumeMount], *, following: Collection[str] = ()) -> None:
    """Make a container's root: where a volume is mounted, a link leads to its folder.

    As in Kubernetes, a file that is mounted by ``subPath`` stays as it is when its ConfigMap or Secret changes.

    Args:
        root: the folder that stands for the root; it is made.
        volumes: the folder of the pod's volumes.
        mounts: of the container, each of which leaves the root itself free.
        following: volumes whose files follow the objects that they are from.

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
            if not each.sub_path or each.name not in following:
                place.symlink_to(source.resolve())
            elif source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copy(source, place)
