"""Kernels of notebooks that are reached by Unix sockets instead of ports."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from itertools import count
from typing import Any

from jupyter_client.manager import KernelManager

__all__ = ["SocketKernelManager"]

# Not below the runtime folder of Jupyter: the path of a socket has about a hundred characters at most.
_FOLDER = tempfile.mkdtemp(prefix="kernels-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
_NUMBERS = count(1)


class SocketKernelManager(KernelManager):
    """Starts a kernel that needs no ports.

    A port that Jupyter picks for a kernel is free until the kernel binds it, seconds later. Of 240 kernels that started
    two at a time, one died because another one had its port by then.

    Args:
        options: as for ``KernelManager``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(transport="ipc", ip=f"{_FOLDER}/{next(_NUMBERS)}", **options)
