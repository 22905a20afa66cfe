"""The pods of the embedded mesh: a program and, if it is injected, a sidecar, on ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.envoy import admin, binary
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.pods.probes import healthy, listening
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.embedded.processes import ports, rundir
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.engine.embedded.processes.spawner_client import Process, Spawner
from labsupport.errors import StorageError
from labsupport.records import Pod as PodRecord

__all__ = ["CLIENT", "Addresses", "EnvoyUnit", "LivePod", "Workplace", "pod_suffix"]

# Kubernetes' alphabet for generated names: no vowels, so no words, and nothing that looks like something else.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_POD_NETWORK = "10.244."
CLIENT = "client"
APP_LOG, ENVOY_LOG = "app.log", "envoy.log"


def pod_suffix() -> str:
    """Five random characters, as at the end of a pod's name."""
    return "".join(random.choices(_ALPHABET, k=5))


class Addresses:
    """Local ports by mesh address, for the life of the lab; they are made when they are first asked for."""

    def __init__(self) -> None:
        self._pods: dict[str, LivePod] = {}
        self._owners: dict[int, tuple[str, bool]] = {}
        self._count = 0
        self.refusing = ports.reserve_refusing()

    def next_ip(self) -> str:
        """A mesh address that no pod of this lab ever had."""
        self._count += 1
        return f"{_POD_NETWORK}{self._count >> 8 & 255}.{self._count & 255}"

    def add(self, pod: LivePod) -> None:
        """Make a pod known by its mesh address."""
        self._pods[pod.info.ip] = pod

    def remove(self, pod: LivePod) -> None:
        """Forget a pod; its address leads nowhere from now on."""
        self._pods.pop(pod.info.ip, None)

    def own(self, port: int, pod: str, *, sidecar: bool) -> None:
        """Note whose a local port is, for those who read logs; it stays noted when the pod is gone."""
        self._owners[port] = (pod, sidecar)

    def owners(self) -> dict[int, tuple[str, bool]]:
        """By local port: the pod it was last used for, and whether a proxy listens there."""
        return dict(self._owners)

    def port(self, ip: str, number: int) -> int:
        """The local port that stands for a port of a pod, as others call it."""
        pod = self._pods.get(ip)
        return int(self.refusing) if pod is None else pod.called_at(number, int(self.refusing))


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
            (folder / APP_LOG).write_bytes(b"\0" * 4096)
            (folder / APP_LOG).write_bytes(b"")
        return folder


class EnvoyUnit:
    """One Envoy and the ports it listens on.

    Args:
        place: where it runs.
        name: folder name, and the name in messages.
        node: its node id.
        cluster: its service cluster.
        concurrency: worker threads.
    """

    def __init__(
        self,
        place: Workplace,
        name: str,
        *,
        node: str,
        cluster: str,
        concurrency: int,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._place = place
        self.name = name
        self.node = node
        self.folder = place.folder / name
        self._argv = binary.argv(binary.bootstrap(node, cluster, metadata), concurrency=concurrency)
        self._ends = 0
        self.keeper = Keeper(self._start, self._check, self._changed)

    @property
    def admin(self) -> str:
        """Path of the admin socket, relative to the supervisor's working directory (a Unix socket's path is short)."""
        return f"{self.name}/{binary.ADMIN_SOCKET}"

    async def drained(self, *, timeout_s: float) -> None:
        """Wait until nobody is connected to an inbound listener any more, or only idle connections are left."""
        deadline = time.monotonic() + timeout_s
        quiet = 0
        while time.monotonic() < deadline and self.keeper.ready:
            with contextlib.suppress(OSError):
                counts = await admin.statistics(self.admin, r"^http\.inbound.*downstream_(cx|rq)_active$")
                connections = sum(value for name, value in counts.items() if name.endswith("cx_active"))
                requests = sum(value for name, value in counts.items() if name.endswith("rq_active"))
                # Callers close their idle connections once the endpoint is gone: none left means none can call.
                quiet = quiet + 1 if requests == 0 else 0
                if connections == 0 or quiet >= 20:
                    return
            await asyncio.sleep(0.02)

    async def warmed(self, *, timeout_s: float) -> None:
        """Wait until no listener waits for anything any more before it serves."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.keeper.ready:
            with contextlib.suppress(OSError):
                warming = await admin.statistics(self.admin, r"^listener_manager\.total_listeners_warming$")
                if not any(warming.values()):
                    return
            await asyncio.sleep(0.01)

    def _changed(self) -> None:
        if self.keeper.restarts > self._ends:
            self._ends = self.keeper.restarts
            self._place.ads.ended(self.node, self.keeper.last_words)
        self._place.changed()

    async def _start(self) -> Process:
        (self.folder / binary.ADMIN_SOCKET).unlink(missing_ok=True)
        return await self._place.spawner.start_program(self._argv, cwd=self.folder, log=self.folder / ENVOY_LOG)

    async def _check(self) -> None:
        while not self._place.ads.connected(self.node):
            await asyncio.sleep(0.003)
        await self._place.ads.settled(self.node, timeout_s=60.0)
        # An acknowledged listener is bound, but it listens only once its route tables are there too.
        listeners = self._place.ads.snapshot(self.node).resources["LDS"].values()
        bound = [listener.json["address"]["socket_address"]["port_value"] for listener in listeners]
        await asyncio.gather(*(listening(port) for port in bound))


class LivePod:
    """A pod that runs, or is about to.

    Args:
        place: where it runs.
        addresses: of the lab; the pod adds itself.
        info: what the control plane knows of it; ``ready`` is kept up to date here.
        digest: of its template; empty for the gateway.
        image: the program; empty for the gateway, which has none.
        listens: ports on which the program listens; None if nothing says which.
        concurrency: worker threads of its Envoy.
        grace_s: how long requests may take when it ends.
        env: its program's environment, completed here.
        proxy: HTTP proxy of a program without a sidecar.
    """

    def __init__(
        self,
        place: Workplace,
        addresses: Addresses,
        info: PodInfo,
        *,
        role: str = "sidecar",
        digest: str = "",
        image: str = "",
        listens: tuple[int, ...] | None = None,
        concurrency: int = 1,
        grace_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        proxy: str = "",
    ) -> None:
        self._place = place
        self._addresses = addresses
        self._info = info
        self.role = role
        self.digest = digest
        self.image = image
        self.concurrency = concurrency
        self.grace_s = grace_s
        self.created = time.time()
        self.announced = False
        self.terminating = False
        self.folder = place.make_folder(info.name)
        self._listens = listens
        self.app_port = ports.reserve()
        self.outbound = ports.reserve()
        self.listeners: dict[int, ports.ReservedPort] = {}
        self._connections: dict[tuple[str, int], ports.ReservedPort] = {}
        self.node = binary.node_id(role, info.ip, info.name, info.namespace)
        self._env = dict(env or {})
        self._proxy = f"http://{ports.LOOPBACK}:{self.outbound.number}" if info.injected else proxy
        self.app: Keeper | None = None
        self.envoy: EnvoyUnit | None = None
        addresses.add(self)
        addresses.own(self.app_port.number, info.name, sidecar=False)
        addresses.own(self.outbound.number, info.name, sidecar=True)

    def start(self) -> None:
        """Start its processes; its proxy's configuration must have been given to the ADS server."""
        if self._info.injected or self.role == "gateway":
            self.envoy = EnvoyUnit(
                self._place,
                self._info.name,
                node=self.node,
                cluster=f"{self._info.labels.get('app', self._info.workload)}.{self._info.namespace}",
                concurrency=self.concurrency,
                metadata={"NAME": self._info.name, "NAMESPACE": self._info.namespace},
            )
        if self.image:
            self.app = Keeper(self._start_app, self._app_ready, self._place.changed)

    async def _app_ready(self) -> None:
        if "\ndef create_server(" in self._program.read_text(encoding="utf-8"):
            # It does not speak HTTP, so there is nothing to ask it.
            await listening(self.app_port.number)
        else:
            await healthy(self.app_port.number, tls=bool(self._env.get("TLS_CERT")))

    @property
    def _program(self) -> Path:
        return self._place.programs.path(self.image)

    @property
    def info(self) -> PodInfo:
        """What the control plane knows of it now: the same object as long as it is the same, as memos need it."""
        if self._info.ready != self.ready:
            self._info = replace(self._info, ready=self.ready)
        return self._info

    @property
    def name(self) -> str:
        """Pod name."""
        return self._info.name

    @property
    def _keepers(self) -> list[Keeper]:
        keepers = (self.app, self.envoy.keeper if self.envoy else None)
        return [keeper for keeper in keepers if keeper is not None]

    @property
    def pid(self) -> int:
        """Process of its Envoy; 0 while it has none."""
        return self.envoy.keeper.process.pid if self.envoy is not None and self.envoy.keeper.process is not None else 0

    @property
    def ready(self) -> bool:
        """Whether it takes traffic."""
        return bool(self._keepers) and all(keeper.ready for keeper in self._keepers) and not self.terminating

    @property
    def restarts(self) -> int:
        """How often its program or its Envoy was started again."""
        return sum(keeper.restarts for keeper in self._keepers)

    @property
    def last_words(self) -> str:
        """Last line of the log of whatever crashed last."""
        return next((keeper.last_words for keeper in self._keepers if keeper.last_words), "")

    @property
    def failure(self) -> Exception | None:
        """What keeps it from starting, if a new start will not cure it."""
        return next((keeper.failure for keeper in self._keepers if isinstance(keeper.failure, Exception)), None)

    def listener(self, number: int) -> int:
        """The local port of its proxy's listener for a port of the pod."""
        if number not in self.listeners:
            self.listeners[number] = ports.reserve()
            self._addresses.own(self.listeners[number].number, self.name, sidecar=True)
        return self.listeners[number].number

    def connection(self, address: tuple[str, int]) -> int:
        """The local port of its proxy's listener for connections that its program opens to an address."""
        if address not in self._connections:
            self._connections[address] = ports.reserve()
            self._addresses.own(self._connections[address].number, self.name, sidecar=True)
        return self._connections[address].number

    def app_at(self, number: int, refusing: int) -> int:
        """The local port of its program, if that listens on this port of the pod."""
        listens = bool(self.image) and (self._listens is None or number in self._listens)
        return self.app_port.number if listens else refusing

    def called_at(self, number: int, refusing: int) -> int:
        """The local port at which others reach a port of this pod."""
        if self.role == "gateway" or self._info.injected:
            return self.listener(number)
        return self.app_at(number, refusing)

    def record(self) -> PodRecord:
        """What a learner sees of it."""
        return PodRecord(
            name=self.name,
            namespace=self._info.namespace,
            workload=self._info.workload,
            labels=dict(self._info.labels),
            injected=self._info.injected,
            ready=self.ready,
            restarts=self.restarts,
            last_words=self.last_words,
            image=self.image,
            concurrency=self.concurrency if self.envoy is not None else 0,
        )

    async def stop(self, *, graceful: bool) -> None:
        """End its processes, the program first so that its last requests still pass the sidecar."""
        self.terminating = True
        if graceful and self.envoy is not None:
            await self.envoy.drained(timeout_s=self.grace_s)
        elif graceful:
            # Its callers' proxies have dropped it; this is for what they had sent just before.
            await asyncio.sleep(0.1)
        if self.app is not None:
            await self.app.stop(grace_s=self.grace_s if graceful else 0.0)
        if self.envoy is not None:
            await self.envoy.keeper.stop()
        self._place.ads.remove(self.node)
        self._addresses.remove(self)
        for port in (self.app_port, self.outbound, *self.listeners.values(), *self._connections.values()):
            port.close()

    async def _start_app(self) -> Process:
        proxies = {"HTTP_PROXY": self._proxy, "http_proxy": self._proxy} if self._proxy else {}
        env = {
            "PORT": str(self._listens[0] if self._listens else self.app_port.number),
            **self._env,
            **proxies,
            **({"RUN_TOKEN": self._place.run_token} if self.image == CLIENT else {}),
        }
        return await self._place.spawner.start_app(
            self._program,
            env=env,
            port=self.app_port.number,
            log=self.folder / APP_LOG,
            grace_s=self.grace_s,
        )


def check_storage(folder: Path) -> None:
    """Raise the reason if nothing can be written any more.

    Raises:
        StorageError: the disk is full or read-only.
    """
    with rundir.explained(folder):
        probe = folder / "probe"
        try:
            probe.write_bytes(b"\0" * 4096)
        finally:
            with contextlib.suppress(OSError, StorageError):
                probe.unlink()
