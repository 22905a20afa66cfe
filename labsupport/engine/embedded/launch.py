"""Entry of the supervisor process: forks the spawner first, while nothing has started a thread yet."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Run a lab: ``<file descriptor of the kernel's socket> <run folder> <programs> <namespace>``."""
    descriptor, folder, written, namespace = arguments
    from labsupport.engine.embedded.processes import rundir

    parent = os.getppid()
    kernel = socket.socket(fileno=int(descriptor))
    kernel.set_inheritable(False)
    os.chdir(folder)
    for name in list(os.environ):
        # Programs of the mesh use the proxy that the mesh gives them, and no other.
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        from labsupport.engine.embedded.processes import spawner

        kernel.close()
        ours.close()
        os.setpgid(0, 0)
        known = (parent, rundir.process_start(parent))
        spawner.serve(theirs, Path(folder), Path(json.loads(written)[0]), kernel=known)
        os._exit(0)
    theirs.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rundir.record(Path(folder), rundir.OWNERS, os.getpid())
    rundir.record(Path(folder), rundir.OWNERS, pid)

    import asyncio

    from labsupport.engine.embedded.pods.programs import Programs
    from labsupport.engine.embedded.service import serve

    try:
        asyncio.run(serve(kernel, ours, pid, Path(folder), Programs.decoded(written), namespace))
    finally:
        # The spawner ends with its socket, kills what it started and removes the run folder.
        ours.close()
        os.waitpid(pid, 0)
        # Unless it was killed itself; then its children have ended by their parent-death signal.
        rundir.remove(Path(folder))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
