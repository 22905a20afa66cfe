"""A Prometheus of this machine beside a lab: found, started, asked, ended; a small program stands for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labsupport import buy, check, paths
from labsupport.engine.embedded.processes import ports, rundir
from labsupport.engine.embedded.processes.spawner_client import Spawner
from labsupport.engine.embedded.prometheus import LocalPrometheus
from labsupport.errors import EngineError, UsageError
from labsupport.lab.lab import Lab
from labsupport.lab.sources import has_gap
from labsupport.metrics.promql import evaluate
from labsupport.metrics.series import Labels, Store, labels_of

pytestmark = pytest.mark.envoy

# It takes what the lab counts whenever it is asked what it has scraped, and answers each query with what it knows.
STAND_IN = """#!{python}
import json, os, sys, time, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

options = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
config = json.load(open(options["config.file"]))
target = config["scrape_configs"][0]["static_configs"][0]["targets"][0]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, rest = self.path.partition("?")
        asked = {{name: values[0] for name, values in urllib.parse.parse_qs(rest).items()}}
        query = asked.get("query", "")
        if path == "/-/ready":
            return self.answer(200, {{}})
        if query == "nonsense(":
            return self.answer(400, {{"status": "error", "error": "unclosed left parenthesis"}})
        value = asked.get("time", "0")
        if query.startswith("timestamp(up)"):
            # Prometheus' own clock, put beside the true one.
            value = str(time.time() + 0.02)
            page = urllib.request.urlopen(f"http://{{target}}/metrics").read().decode()
        labels = {{"pid": str(os.getpid()), "every": config["global"]["scrape_interval"], "target": target}}
        data = {{"resultType": "vector", "result": [{{"metric": labels, "value": [0, value]}}]}}
        self.answer(200, {{"status": "success", "data": data}})

    def answer(self, status, told):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

host, port = options["web.listen-address"].split(":")
assert host == "127.0.0.1"
ThreadingHTTPServer.allow_reuse_port = False
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    path = folder / "prometheus"
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = program(tmp_path / "bin", STAND_IN.format(python=sys.executable))
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    return path


def queries() -> list[str]:
    """Those of notebook 18, without the one that the learner fills in."""
    cells = json.loads((paths.root() / "notebooks" / "18-watch.ipynb").read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    return [text.partition("\n")[2] for text in texts if text.startswith("%%promql") and not has_gap(text)]


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while rundir.process_start(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not rundir.process_start(pid)


def test_it_answers_until_the_lab_is_closed_and_forgets_with_a_reset(on_path: Path) -> None:
    with Lab() as lab:
        metrics = lab.metrics()
        began = time.time()
        answer = metrics.ask("up")
        assert answer.source == "Prometheus" and answer.note == ""
        # It is asked about the moment of a scrape that came after the question.
        assert began < answer.value < time.time() + 1
        (first,) = (dict(element.labels) for element in answer)
        assert f"http://{first['target']}/metrics" == metrics.url and first["every"] == "1000ms"
        with pytest.raises(UsageError, match="unclosed left parenthesis"):
            metrics.ask("nonsense(")
        assert metrics.query("sum(istio_requests_total)").source == "this lab"

        os.kill(int(first["pid"]), signal.SIGKILL)
        assert gone(int(first["pid"]))
        (second,) = (dict(element.labels)["pid"] for element in metrics.ask("up"))

        assert lab.reset().remaining == ()
        assert gone(int(second))
        (third,) = (dict(element.labels)["pid"] for element in metrics.ask("up"))
        assert len({first["pid"], second, third}) == 3
    assert lab.close().remaining == ()
    assert gone(int(third))


def test_one_that_does_not_start_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "bin", "#!/bin/sh\necho flag provided but not defined: -config.file >&2\nexit 2\n")
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    with Lab() as lab:
        for _ in range(2):
            answer = lab.metrics().ask("vector(7)")
            assert (answer.source, answer.value) == ("this lab", 7)
            assert f"{path} cannot be used: flag provided but not defined" in answer.note
    assert lab.close().remaining == ()


@contextmanager
def spawner_process(folder: Path) -> Iterator[socket.socket]:
    """A spawner in a process of its own, as the supervisor's: this one has threads."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    code = "import socket, sys; from pathlib import Path; from labsupport.engine.embedded.processes import spawner\n"
    code += "spawner.serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))"
    argv = [sys.executable, "-c", code, str(theirs.fileno()), str(folder)]
    pid = os.posix_spawn(sys.executable, argv, os.environ)
    theirs.close()
    yield ours
    assert os.waitpid(pid, 0)[1] == 0


def test_where_somebody_else_takes_its_port_it_gets_another(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    once = ports.reserve
    taken: list[socket.socket] = []

    def quicker(wanted: int = 0) -> ports.ReservedPort:
        port = once(wanted)
        if not taken:
            taken.append(ports.listen(port.number))
        return port

    monkeypatch.setattr(ports, "reserve", quicker)

    async def scenario(control: socket.socket) -> int:
        spawner = Spawner(control)
        await spawner.open()
        local = LocalPrometheus(folder, spawner)
        await local.start_prometheus(str(on_path), "127.0.0.1:1", 1.0)
        port = await local.prometheus_port()
        (pid,) = spawner.pids
        await local.stop()
        assert rundir.process_start(pid) == "" and not (folder / "prometheus").exists()
        with pytest.raises(EngineError, match="was stopped"):
            await local.prometheus_port()
        spawner.close()
        return port

    with spawner_process(folder) as control:
        port = asyncio.run(asyncio.wait_for(scenario(control), 120.0))
    with taken[0] as listening:
        assert port != listening.getsockname()[1]


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on PATH")
def test_a_real_one_and_the_lab_answer_the_queries_of_the_lesson_alike() -> None:
    with Lab() as lab:
        metrics = lab.metrics()
        lab.apply("18-watch/shop", "18-watch/gateway-shop.yaml", "18-watch/virtual-service-shop.yaml")
        lab.apply("18-watch/virtual-service-catalogue-slow.yaml", "18-watch/virtual-services-of-a-colleague.yaml")
        check.ok(lab.send("gateway:/", count=40, rate=20)).require()
        first = metrics.ask("sum(istio_requests_total)").value
        assert buy(lab)[-1].status == 503
        lab.apply("18-watch/deployment-carts-hangs.yaml", "18-watch/virtual-service-carts-timeout.yaml")
        check.ok(lab.send("gateway:/", count=40, rate=20)).require()
        assert metrics.ask("sum(istio_requests_total)").value > first

        seen = {}
        for query in queries():
            told = lab._engine.prometheus(query, since_s=time.time())
            assert told is not None and told["result"]
            seen[query] = told["result"]
            answer = metrics.query(query)
            if "rate(" not in query:
                # Nobody calls any more, so that both have counted the same, whenever they looked.
                ours = {element.labels: element.value for element in answer}
                unnamed = {"job": "", "instance": ""}
                theirs = {labels_of(each["metric"] | unnamed): float(each["value"][1]) for each in told["result"]}
                assert theirs == pytest.approx(ours, rel=1e-12), query
        scrapes: dict[int, dict[Labels, float]] = {}
        history = lab._engine.prometheus('{__name__=~"istio_.+"}[15m]', since_s=time.time())
        assert history is not None
        for series in history["result"]:
            for time_s, value in series["values"]:
                scrapes.setdefault(round(time_s * 1000), {})[labels_of(series["metric"])] = float(value)
    store = Store()
    for time_ms in sorted(scrapes):
        store.scrape(time_ms, scrapes[time_ms])
    for query, result in seen.items():
        theirs = {labels_of(each["metric"]): float(each["value"][1]) for each in result}
        own = evaluate(query, store, round(result[0]["value"][0] * 1000))
        assert not isinstance(own, float)
        assert {element.labels: element.value for element in own} == pytest.approx(theirs, rel=1e-12, nan_ok=True), (
            query
        )
