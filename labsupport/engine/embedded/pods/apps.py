"""A program of a pod: its process, the local port at which it listens, its variables and its log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.engine.embedded.pods.mounting import FILES_ROOT, mount
from labsupport.engine.embedded.pods.probes import healthy, listening
from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.embedded.processes import ports
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.engine.embedded.processes.spawner_client import Process
from labsupport.model.kinds.volumes import VolumeMount

__all__ = ["CLIENT", "App", "Planned"]

CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Planned:
    """What a container of a pod is to run.

    Args:
        container: its name.
        program: the program that plays its image.
        listens: ports of the pod on which the program listens; None if nothing says which.
        env: its environment.
        mounts: where it sees volumes of the pod.
    """

    container: str
    program: str
    listens: tuple[int, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[VolumeMount, ...] = ()


class App:
    """A program that runs in a pod, or is about to.

    Args:
        place: where it runs.
        planned: what it is to be.
        log: where what it says goes.
        proxy: its HTTP proxy; empty for none.
        grace_s: how long requests may take when it ends.

    Attributes:
        port: the local port at which it listens.
        keeper: keeps it running; None until it is started.
    """

    def __init__(self, place: Workplace, planned: Planned, log: Path, *, proxy: str, grace_s: float) -> None:
        self._place = place
        self.planned = planned
        self._log = log
        self._proxy = proxy
        self._grace_s = grace_s
        self.port = ports.reserve()
        self.keeper: Keeper | None = None
        self._files: dict[str, str] = {}

    @property
    def is_client(self) -> bool:
        """Whether it is the load client."""
        return self.planned.program == CLIENT

    def mount(self, volumes: Path, root: Path, *, following: Collection[str] = ()) -> None:
        """Give it the files of its pod's volumes.

        Args:
            volumes: the folder of the volumes.
            root: the folder that is to stand for its container's root; it is made.
            following: volumes whose files follow the objects that they are from.

        Raises:
            StorageError: it cannot be made.
        """
        if self.planned.mounts:
            mount(root, volumes, self.planned.mounts, following=following)
            self._files = {FILES_ROOT: str(root.resolve())}

    def start(self) -> None:
        """Start it, and start it again whenever it ends."""
        self.keeper = Keeper(self._start, self._ready, self._place.changed)

    def listens_at(self, number: int) -> bool:
        """Whether it listens on a port of the pod."""
        return self.planned.listens is None or number in self.planned.listens

    async def stop(self, *, grace_s: float) -> None:
        """End it."""
        if self.keeper is not None:
            await self.keeper.stop(grace_s=grace_s)
        self.port.close()

    @property
    def _program(self) -> Path:
        return self._place.programs.path(self.planned.program)

    async def _ready(self) -> None:
        if "\ndef create_server(" in self._program.read_text(encoding="utf-8"):
            # It does not speak HTTP, so there is nothing to ask it.
            await listening(self.port.number)
        else:
            await healthy(self.port.number)

    async def _start(self) -> Process:
        proxies = {"HTTP_PROXY": self._proxy, "http_proxy": self._proxy} if self._proxy else {}
        env = {
            "PORT": str(self.planned.listens[0] if self.planned.listens else self.port.number),
            **self.planned.env,
            **proxies,
            **self._files,
            **({"RUN_TOKEN": self._place.run_token} if self.is_client else {}),
        }
        return await self._place.spawner.start_app(
            self._program,
            env=env,
            port=self.port.number,
            log=self._log,
            grace_s=self._grace_s,
        )
