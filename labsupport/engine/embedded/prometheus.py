"""The Prometheus of this machine, if there is one on ``PATH``: it scrapes what a lab counted, and answers queries."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from labsupport import words
from labsupport.engine.embedded.pods.probes import healthy
from labsupport.engine.embedded.processes import ports
from labsupport.engine.embedded.processes.keeper import Keeper
from labsupport.engine.embedded.processes.spawner_client import Process, Spawner
from labsupport.errors import EngineError, LabError, UsageError
from labsupport.records import Json

__all__ = ["PROGRAM", "LocalPrometheus", "ask"]

PROGRAM = "prometheus"
"""Its name on ``PATH``."""
_TRIES = 3
_READY_S = 20.0
# Prometheus looks for what to scrape every 5 seconds, and the machine may be busy.
_SCRAPED_S = 20.0
_POLL_S = 0.02
# Prometheus puts the time of a scrape up to 2 ms beside the true one, so that samples lie evenly.
_ALIGNED_S = 0.01


class LocalPrometheus:
    """Runs in the supervisor: one process, which listens on 127.0.0.1 and keeps its data in the lab's folder.

    Args:
        folder: of the lab.
        spawner: starts it.
    """

    def __init__(self, folder: Path, spawner: Spawner) -> None:
        self._folder = folder / "prometheus"
        self._spawner = spawner
        self._argv: tuple[str, ...] = ()
        self._keeper: Keeper | None = None
        self._failure = ""
        self._changing = asyncio.Lock()
        self._changed = asyncio.Event()
        self.ports: tuple[int, ...] = ()

    async def start_prometheus(self, program: str, target: str, every_s: float) -> None:
        """Start it, or start it anew with nothing remembered; nobody waits until it is ready.

        Args:
            program: its path.
            target: host and port that it scrapes.
            every_s: seconds from one scrape to the next.
        """
        await self.stop()
        async with self._changing:
            self._folder.mkdir(mode=0o700)
            every = f"{round(every_s * 1000)}ms"
            scraping = {"job_name": "lab", "static_configs": [{"targets": [target]}]}
            config = {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": [scraping]}
            # JSON is YAML.
            (self._folder / "prometheus.yml").write_text(json.dumps(config))
            self._argv = (program, "--config.file=prometheus.yml", "--storage.tsdb.path=data")
            self._failure = f"{program} was stopped."
            self._keeper = Keeper(self._start, self._ready, self._changed.set)

    async def prometheus_port(self) -> int:
        """The port at which it answers, once it is ready.

        Raises:
            EngineError: it does not get ready; it is given up.
        """
        deadline = time.monotonic() + _READY_S
        while (keeper := self._keeper) is not None and not keeper.ready:
            left = deadline - time.monotonic()
            if left <= 0 or keeper.restarts >= _TRIES:
                said = keeper.last_words or f"not ready after {_READY_S:.0f} s"
                self._failure = words.sentence(f"{self._argv[0]} cannot be used: {said}")
                await self.stop()
                continue
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        if keeper is None:
            raise EngineError(self._failure)
        return self.ports[0]

    async def stop(self) -> None:
        """End it, and forget what it knows."""
        async with self._changing:
            keeper, self._keeper, self.ports = self._keeper, None, ()
            if keeper is not None:
                await keeper.stop()
                shutil.rmtree(self._folder, ignore_errors=True)
                self._changed.set()

    async def _start(self) -> Process:
        # It shares its port with nobody, so that the number is given back before. If somebody is quicker, it ends, and
        # is started again with another.
        port = ports.reserve()
        port.close()
        self.ports = (port.number,)
        argv = (*self._argv, f"--web.listen-address={ports.LOOPBACK}:{port.number}")
        return await self._spawner.start_program(argv, cwd=self._folder, log=self._folder / "prometheus.log")

    async def _ready(self) -> None:
        await healthy(self.ports[0], "/-/ready")


def ask(port: Callable[[], int], query: str, *, since_s: float) -> Json:
    """Ask it about the moment of a scrape.

    Args:
        port: tells at which port it answers.
        query: in PromQL.
        since_s: the scrape is a later one than this, in seconds since the epoch; it is waited for.

    Raises:
        UsageError: it refuses the query.
        EngineError: it does not answer, or nothing was scraped in time.
    """
    later = f"timestamp(up) > {since_s + _ALIGNED_S:.3f} and (up == 1)"
    deadline, said = time.monotonic() + _SCRAPED_S, ""
    while time.monotonic() < deadline:
        try:
            if scraped := _answer(port(), later)["result"]:
                return _answer(port(), query, time=scraped[0]["value"][1])
            said = "it has scraped nothing of late"
        except LabError:
            raise
        # It may be about to be started again.
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            said = words.reason(error)
        time.sleep(_POLL_S)
    raise EngineError(f"Prometheus does not answer: {said}.")


def _answer(port: int, query: str, **moment: str) -> Any:
    connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=_SCRAPED_S)
    try:
        connection.request("GET", f"/api/v1/query?{urlencode({'query': query, **moment})}")
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if told["status"] != "success":
        raise UsageError(f"PromQL: {told['error']}")
    return told["data"]
