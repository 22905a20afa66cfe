"""Folders of Jupyter and IPython that belong to the workshop, so that nothing of the learner's own plays a part."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from labsupport import paths
from labsupport.errors import StorageError

__all__ = ["make_folders", "own_folders"]

_PROFILE = Path("ipython", "profile_default")


def own_folders(root: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead Jupyter, its kernels and what they import to the workshop's folder.

    Args:
        root: the repository.
        base: the environment to start from. A folder of Jupyter's that it names is named on purpose; a start-up file of
            the learner's IPython must never run in a notebook of the course.

    Returns:
        Variables to be set.
    """
    state = paths.state(root)
    own = {
        "JUPYTER_CONFIG_DIR": str(state / "jupyter"),
        "JUPYTER_DATA_DIR": str(state / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(state / "jupyter" / "runtime"),
        # Matplotlib complains, and makes its list of fonts anew in each kernel, where the home folder is read-only.
        "MPLCONFIGDIR": str(state / "matplotlib"),
    }
    return {name: base.get(name, folder) for name, folder in own.items()} | {"IPYTHONDIR": str(state / "ipython")}


def make_folders(root: Path) -> None:
    """Make them, with a profile of IPython that loads the workshop in each kernel.

    Args:
        root: the repository.

    Raises:
        StorageError: they cannot be written.
    """
    state = paths.state(root)
    try:
        # Nobody else is to read what a learner has answered, or which servers of his run.
        for folder in (state.parent, state):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (state / "jupyter", state / _PROFILE):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(state, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for file in (root / "jupyter" / "ipython").glob("*.json"):
            shutil.copyfile(file, state / _PROFILE / file.name)
    except OSError as error:
        raise StorageError(
            f"{state} cannot be written ({error.strerror}), so notebooks could not be saved either. "
            "Copy the workshop to a folder of your own, and start it there."
        ) from error
