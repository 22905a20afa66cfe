"""The pods of the embedded mesh: a program and, if it is injected, a sidecar, on ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.envoy import admin, binary, httpconn
from labsupport.engine.embedded.pods.apps import App, Planned
from labsupport.engine.embedded.pods.mounting import Volumes, write_volumes
from labsupport.engine.embedded.pods.probes import listening
from labsupport.engine.embedded.pods.workplace import Workplace, log_name
from labsupport.engine.embedded.processes import ports, rundir
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.engine.embedded.processes.spawner_client import Process
from labsupport.engine.podfiles import UnfitFile
from labsupport.engine.podtemplate import MissingReference
from labsupport.errors import StorageError
from labsupport.model import Resource
from labsupport.records import Pod as PodRecord

__all__ = ["Addresses", "EnvoyUnit", "LivePod", "pod_suffix"]

# Kubernetes' alphabet for generated names: no vowels, so no words, and nothing that looks like something else.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_POD_NETWORK = "10.244."
ENVOY_LOG = "envoy.log"


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
                # Callers close their idle connections once the endpoint is gone. Their workers hear of that a little
                # after it is acknowledged, and may open a connection until then.
                quiet = quiet + 1 if requests == 0 else 0
                if quiet >= (5 if connections == 0 else 20):
                    return
            await asyncio.sleep(0.02)

    async def warmed(self, *, timeout_s: float) -> None:
        """Wait until no listener waits for anything any more before it serves."""
        await self._none("total_listeners_warming", timeout_s)

    async def renewed(self, *, timeout_s: float) -> None:
        """Wait until no connection is served any more by what a listener was before; Envoy closes it in the end."""
        await self._none("total_(listeners_warming|listeners_draining|filter_chains_draining)", timeout_s)

    async def _none(self, counters: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.keeper.ready:
            with contextlib.suppress(OSError):
                left = await admin.statistics(self.admin, rf"^listener_manager\.{counters}$")
                if not any(left.values()):
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
        # An acknowledged listener is bound, but it listens only once its route tables are there too. One without tables
        # listens no later, and would pass our connection on to somebody, and log it.
        listeners = [listener.json for listener in self._place.ads.snapshot(self.node).resources["LDS"].values()]
        waiting = [listener for listener in listeners if httpconn.has_tables(listener)]
        bound = [listener["address"]["socket_address"]["port_value"] for listener in waiting or listeners]
        await asyncio.gather(*(listening(port) for port in bound))


class LivePod:
    """A pod that runs, or is about to.

    Args:
        place: where it runs.
        addresses: of the lab; the pod adds itself.
        info: what the control plane knows of it; ``ready`` is kept up to date here.
        created: when it was made, in seconds since the epoch; now by default.
        digest: of its template; empty for the gateway.
        programs: what its containers run; none for the gateway.
        concurrency: worker threads of its Envoy.
        grace_s: how long requests may take when it ends.
        proxy: HTTP proxy of programs without a sidecar.
    """

    def __init__(
        self,
        place: Workplace,
        addresses: Addresses,
        info: PodInfo,
        *,
        role: str = "sidecar",
        created: float | None = None,
        digest: str = "",
        programs: Sequence[Planned] = (),
        concurrency: int = 1,
        grace_s: float = 30.0,
        proxy: str = "",
    ) -> None:
        self._place = place
        self._addresses = addresses
        self._info = info
        self.role = role
        self.digest = digest
        self.concurrency = concurrency
        self.grace_s = grace_s
        self.created = time.time() if created is None else created
        self.announced = False
        self.terminating = False
        self.folder = place.make_folder(info.name)
        self.outbound = ports.reserve()
        self.listeners: dict[int, ports.ReservedPort] = {}
        self._connections: dict[tuple[str, int], ports.ReservedPort] = {}
        self.node = binary.node_id(role, info.ip, info.name, info.namespace)
        proxy = f"http://{ports.LOOPBACK}:{self.outbound.number}" if info.injected else proxy
        self.apps = [
            App(place, planned, self.folder / log_name(index), proxy=proxy, grace_s=grace_s)
            for index, planned in enumerate(programs)
        ]
        self.envoy: EnvoyUnit | None = None
        self._made_of: Callable[[Sequence[Resource]], Volumes] | None = None
        self._volumes: Volumes = {}
        addresses.add(self)
        for app in self.apps:
            addresses.own(app.port.number, info.name, sidecar=False)
        addresses.own(self.outbound.number, info.name, sidecar=True)

    @property
    def service_cluster(self) -> str:
        """How its proxy calls itself, as in Istio: ``<app>.<namespace>``."""
        return f"{self._info.labels.get('app', self._info.workload)}.{self._info.namespace}"

    def start(self) -> None:
        """Start its processes; its proxy's configuration must have been given to the ADS server."""
        if self._info.injected or self.role == "gateway":
            self.envoy = EnvoyUnit(
                self._place,
                self._info.name,
                node=self.node,
                cluster=self.service_cluster,
                concurrency=self.concurrency,
                metadata={"NAME": self._info.name, "NAMESPACE": self._info.namespace},
            )
        for app in self.apps:
            app.start()

    def make_files(self, made: Callable[[Sequence[Resource]], Volumes], objects: Sequence[Resource]) -> None:
        """Write the files of its volumes, before it is started.

        Args:
            made: makes them of the objects.
            objects: the desired state.

        Raises:
            StorageError: they cannot be written.
        """
        self._made_of, self._volumes = made, made(objects)
        write_volumes(self.folder / "volumes", self._volumes)
        following = [name for name, files in self._volumes.items() if files]
        for index, app in enumerate(self.apps):
            app.mount(self.folder / "volumes", self.folder / f"root-{index}", following=following)

    def follow_files(self, objects: Sequence[Resource]) -> None:
        """Let the files of its volumes be what the objects are now; as a kubelet, it keeps what cannot be made anew.

        Args:
            objects: the desired state.

        Raises:
            StorageError: they cannot be written.
        """
        if self._made_of is None:
            return
        with contextlib.suppress(MissingReference, UnfitFile):
            volumes = self._made_of(objects)
            write_volumes(self.folder / "volumes", volumes, former=self._volumes)
            self._volumes = volumes

    @property
    def image(self) -> str:
        """Its first program; empty for the gateway, which has none."""
        return self.apps[0].planned.program if self.apps else ""

    @property
    def client(self) -> App | None:
        """The load client among its programs."""
        return next((app for app in self.apps if app.is_client), None)

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
        keepers = (*(app.keeper for app in self.apps), self.envoy.keeper if self.envoy else None)
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
        """The local port of its program that listens on this port of the pod."""
        # One that says where it listens comes before one of which nobody knows.
        known = sorted(self.apps, key=lambda app: app.planned.listens is None)
        return next((app.port.number for app in known if app.listens_at(number)), refusing)

    def called_at(self, number: int, refusing: int) -> int:
        """The local port at which others reach a port of this pod."""
        if self.role == "gateway" or self._info.injected:
            return self.listener(number)
        return self.app_at(number, refusing)

    @property
    def _listens(self) -> tuple[int, ...] | None:
        known = [app.planned.listens for app in self.apps]
        return None if None in known or not known else tuple(port for ports in known for port in ports or ())

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
            listens=self._listens,
        )

    async def stop(self, *, graceful: bool) -> None:
        """End its processes, the program first so that its last requests still pass the sidecar."""
        self.terminating = True
        if graceful and self.envoy is not None:
            await self.envoy.drained(timeout_s=self.grace_s)
        elif graceful:
            # Its callers' proxies have dropped it; this is for what they had sent just before.
            await asyncio.sleep(0.1)
        await asyncio.gather(*(app.stop(grace_s=self.grace_s if graceful else 0.0) for app in self.apps))
        if self.envoy is not None:
            await self.envoy.keeper.stop()
        self._place.ads.remove(self.node)
        self._addresses.remove(self)
        for port in (self.outbound, *self.listeners.values(), *self._connections.values()):
            port.close()


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
