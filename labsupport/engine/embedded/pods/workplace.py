"""Where pods run: their folders, who starts their processes, and who configures their proxies."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.embedded.processes import rundir
from labsupport.engine.embedded.processes.spawner_client import Spawner

__all__ = ["Workplace", "log_name"]

_LOG = "app.log"


def log_name(index: int) -> str:
    """The name of a program's log in its pod's folder.

    Args:
        index: of the program among those of its pod.
    """
    return _LOG if index == 0 else f"app-{index}.log"


@dataclass(frozen=True)
class Workplace:
    """What pods need to run: where, who starts their processes, and who configures their proxies."""

    folder: Path
    programs: Programs
    spawner: Spawner
    ads: AdsServer
    changed: Callable[[], None]
    # Load clients listen on a port that everybody on this machine can reach, and obey whoever knows this.
    run_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def make_folder(self, name: str) -> Path:
        """A fresh folder for the files of one pod.

        Raises:
            StorageError: it cannot be made or written.
        """
        folder = self.folder / name
        with rundir.explained(self.folder):
            folder.mkdir(mode=0o700)
            # Fails now if the disk is full, instead of silently when the first line of a log is lost.
            (folder / log_name(0)).write_bytes(b"\0" * 4096)
            (folder / log_name(0)).write_bytes(b"")
        return folder
