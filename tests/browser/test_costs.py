"""What a live picture costs at 100 requests a second: the kernel's and the browser's time, messages, memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psutil
import pytest
from test_traffic_picture import OPEN, picture_of

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRAFFIC = 'live = lab.traffic("http://web:8080/", source="client", rate=100).start()\n'
# The pictures with the most in them: two versions with sliders, ten pods with a row each, a pool that is in use.
WATCHED = {
    "weights": 'watch(live, rule="vs/web")',
    "pods": 'lab.scale("web-safe", 8)\nwatch(live, pods=True)',
    "pools": 'watch(lab.pools("client"))',
}
# The whole width of the plot is in use before anything is measured.
FULL = "() => document.querySelectorAll('.ws-live .ws-panel svg svg > g > g').length >= 60"
MEASURED_S = 15.0


@pytest.mark.parametrize("watched", WATCHED)
def test_a_live_picture_costs_little_and_does_not_grow(watched: str, jupyterlab: Server, page: JupyterPage):
    path = jupyterlab.make(f"costs-{watched}", OPEN, TRAFFIC + WATCHED[watched], "import os\nos.getpid()")
    page.open(jupyterlab.url, jupyterlab.token, path)
    session = page.page.context.new_cdp_session(page.page)
    # Time that the thread worked, without the time in which other programs of the machine had its core.
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")

    def metrics() -> dict[str, float]:
        return {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}

    page.run()
    kernel = psutil.Process(int(page.page.locator(".jp-CodeCell .jp-OutputArea-output").last.inner_text()))
    if watched != "pools":
        page.until(lambda: page.page.evaluate(FULL), "the plot is not full", 120)
        assert "100 requests/s" in picture_of(page).inner_text()

    def state() -> tuple[float, float, float, int]:
        now = page.page.evaluate("() => performance.now()") / 1000
        return now, sum(kernel.cpu_times()[:2]), metrics()["TaskDuration"], page.comms["received"]

    def memory() -> dict[str, float]:
        # Outside of what is measured: a full collection takes longer than many pictures.
        session.send("HeapProfiler.collectGarbage")
        return metrics()

    held, before = memory(), state()
    page.page.wait_for_timeout(MEASURED_S * 1000)
    after, holds = state(), memory()
    seconds = after[0] - before[0]
    cost = {
        "kernel": (after[1] - before[1]) / seconds,
        "main thread": (after[2] - before[2]) / seconds,
        "messages/s": (after[3] - before[3]) / seconds,
        "heap": holds["JSHeapUsedSize"] / held["JSHeapUsedSize"],
        "nodes": holds["Nodes"] / held["Nodes"],
    }
    print(watched, json.dumps(cost))
    assert cost["kernel"] < 0.10, cost
    assert cost["main thread"] < 0.20, cost
    # Nothing is told of a pool in which nothing changes.
    assert watched == "pools" or cost["messages/s"] > 1.0, cost
    assert cost["messages/s"] <= 5.0, cost
    assert cost["heap"] < 1.1, cost
    assert cost["nodes"] < 1.1, cost
