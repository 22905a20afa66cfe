"""Reading access logs: complete lines only, all hops, copies told apart; and Envoy's admin pages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from labsupport.engine import dumps
from labsupport.engine.accesslog import parse_line, unwritten
from labsupport.engine.embedded.accesslog import AccessLogReader
from labsupport.engine.embedded.processes import rundir
from labsupport.errors import StorageError

# client (sidecar 1001) -> a (sidecar 1002, program 2002); b is another server (sidecar 1003).
OWNERS = {1001: ("client", True), 1002: ("a", True), 2002: ("a", False), 1003: ("b", True), 2003: ("b", False)}


def line(direction: str, *, id: str = "r1", upstream: int = 0, tries: int = 1, time: float = 1.0, **more: Any) -> str:
    raw = {
        "id": id, "time": f"{time:.6f}", "us": 1500, "method": "GET", "authority": "web:8080", "path": "/",
        "status": 200, "flags": "-", "details": "via_upstream", "route": "default", "cluster": "c", "attempt": "1",
        "upstream": f"127.0.0.1:{upstream}" if upstream else None, "tries": str(tries),
        "protocol": "HTTP/1.1", "direction": direction,
    }  # fmt: skip
    return json.dumps({**raw, **more}) + "\n"


class Logs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, str] = {}
        self.reader = AccessLogReader(lambda: (self.paths, OWNERS), folder)

    def write(self, pod: str, text: str) -> None:
        path = self.folder / pod / "access.log"
        path.parent.mkdir(exist_ok=True)
        with open(path, "a") as file:
            file.write(text)
        self.paths[pod] = str(path)

    def read(self, *requests: str, timeout_s: float = 0.0) -> list[tuple[str, str, bool]]:
        records = self.reader.records(request_ids=requests or None, since_s=None, timeout_s=timeout_s)
        return [(record.pod, record.direction, record.mirrored) for record in records]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_a_line_is_read_in_full(logs: Logs) -> None:
    logs.write("client", line("outbound", upstream=1002, attempt="3"))
    (record,) = logs.reader.records(request_ids=None, since_s=None, timeout_s=0)
    assert (record.upstream_pod, record.duration_s, record.flags, record.time_s) == ("a", 0.0015, "", 1.0)
    assert record.attempt == 1, "what a proxy counts towards its upstream is no attempt that it received"


def test_a_request_that_is_traced_is_found_by_the_id_it_was_sent_with(logs: Logs) -> None:
    sent, traced = (f"2b3c5f0e-7d1a-{mark}c55-9b0d-5f6f6f0e1a2b" for mark in "49")
    logs.write("client", line("outbound", id=traced, upstream=1002))
    assert logs.read(sent) == logs.read(traced) == [("client", "outbound", False)]
    assert [record.request_id for record in logs.reader.records(request_ids=None, since_s=None, timeout_s=0)] == [sent]


def test_half_a_line_is_not_read_before_it_is_whole(logs: Logs) -> None:
    text = line("outbound", upstream=1002)
    logs.write("client", text[:40])
    assert logs.read() == []
    logs.write("client", text[40:])
    assert logs.read() == [("client", "outbound", False)]
    assert parse_line("{}", "a", OWNERS) is None


def test_a_rotated_log_is_read_to_its_end(logs: Logs, tmp_path: Path) -> None:
    logs.write("client", line("outbound", upstream=1002))
    assert len(logs.read()) == 1
    logs.write("client", line("outbound", upstream=1002, id="r2"))
    log = tmp_path / "client" / "access.log"
    os.replace(log, log.with_suffix(".log.1"))
    logs.write("client", line("outbound", upstream=1002, id="r3"))
    assert len(logs.read()) == 3


def test_a_copy_that_is_over_first_does_not_make_a_request_complete() -> None:
    copy = parse_line(line("inbound", upstream=2003, time=1.001), "b", OWNERS)
    made_by_copy = parse_line(line("outbound", upstream=1002, time=1.002), "b", OWNERS)
    served = parse_line(line("inbound", upstream=2002, time=1.003), "a", OWNERS)
    original = parse_line(line("outbound", upstream=1003, time=1.0), "client", OWNERS)
    assert copy and made_by_copy and served and original
    assert unwritten([copy, made_by_copy, served], ["r1"], OWNERS) == ({"r1"}, set())
    assert unwritten([copy, made_by_copy, served, original], ["r1"], OWNERS) == (set(), set())


def test_a_request_whose_caller_has_gone_lasted_as_long_as_the_caller_waited(logs: Logs) -> None:
    logs.write("a", line("inbound", upstream=2002, us=None, ms="250"))
    (record,) = logs.reader.records(request_ids=None, since_s=None, timeout_s=0)
    assert record.duration_s == 0.25


def test_who_was_called_has_to_have_a_line() -> None:
    def read(*texts: str) -> list[Any]:
        return [parse_line(text, "client" if "outbound" in text else "a", OWNERS) for text in texts]

    outer = line("outbound", upstream=1002)
    assert unwritten(read(outer), ["r1", "r2"], OWNERS) == ({"r2"}, {"r1"})
    assert unwritten(read(outer, line("inbound", upstream=2002)), ["r1"], OWNERS) == (set(), set())
    # A server's line comes before its caller's.
    assert unwritten(read(line("inbound", upstream=2002)), ["r1"], OWNERS) == (set(), {"r1"})
    # The last try of a retry must have a line, an earlier one may have failed on its way.
    retried = line("outbound", upstream=1002, tries=2)
    assert unwritten(read(retried), ["r1"], OWNERS) == ({"r1"}, {"r1"})
    last = line("inbound", upstream=2002, attempt="2")
    assert unwritten(read(retried, last), ["r1"], OWNERS) == ({"r1"}, set())
    assert unwritten(read(retried, line("inbound", upstream=2002), last), ["r1"], OWNERS) == (set(), set())


def test_a_second_try_is_no_copy(logs: Logs) -> None:
    logs.write("client", line("outbound", upstream=1003, tries=2))
    logs.write("a", line("inbound", upstream=2002, time=1.001))
    logs.write("b", line("inbound", upstream=2003, time=1.002, attempt="2"))
    assert [mirrored for _, _, mirrored in logs.read("r1")] == [False, False, False]


def test_only_a_copy_has_no_caller(logs: Logs) -> None:
    logs.write("client", line("outbound", upstream=1002))
    logs.write("a", line("inbound", upstream=2002, time=1.001))
    logs.write("b", line("inbound", upstream=2003, time=1.002))
    assert logs.read("r1") == [("client", "outbound", False), ("a", "inbound", False), ("b", "inbound", True)]


def test_a_copy_to_the_same_pod_is_the_later_one(logs: Logs) -> None:
    logs.write("client", line("outbound", upstream=1002))
    logs.write("a", line("inbound", upstream=2002, time=1.001) + line("inbound", upstream=2002, time=1.002))
    assert [mirrored for _, _, mirrored in logs.read("r1")] == [False, False, True]


def test_calls_of_callers_without_a_sidecar_are_no_copies(logs: Logs) -> None:
    logs.write("a", line("inbound", upstream=2002))
    assert logs.read("r1") == [("a", "inbound", False)]


def test_what_a_caller_without_a_sidecar_leads_to_is_no_copy(logs: Logs) -> None:
    logs.write("a", line("inbound", upstream=2002, time=1.0) + line("outbound", upstream=1003, time=1.1))
    logs.write("b", line("inbound", upstream=2003, time=1.2))
    assert logs.read("r1") == [("a", "inbound", False), ("a", "outbound", False), ("b", "inbound", False)]


def test_two_calls_of_a_caller_without_a_sidecar_are_no_copies_of_one_another(logs: Logs) -> None:
    logs.write("a", line("inbound", upstream=2002, path="/catalogue"))
    logs.write("b", line("inbound", upstream=2003, time=1.1, path="/carts/nadia"))
    assert logs.read("r1") == [("a", "inbound", False), ("b", "inbound", False)]


def test_a_call_of_a_program_without_a_sidecar_is_no_copy_of_another_call_of_the_request(logs: Logs) -> None:
    # The client calls a program without a sidecar, which calls a and b.
    logs.write("client", line("outbound", upstream=2009, path="/orders"))
    logs.write("a", line("inbound", upstream=2002, time=1.1, path="/customers"))
    logs.write("b", line("inbound", upstream=2003, time=1.2, path="/carts/nadia"))
    assert logs.read("r1") == [("client", "outbound", False), ("a", "inbound", False), ("b", "inbound", False)]


def test_since_is_about_when_a_line_was_written(logs: Logs) -> None:
    logs.write("client", line("outbound", id="r0", time=1.0) + line("outbound", id="r1", time=1.0, us=4_500_000))
    logs.write("client", line("outbound", id="r2", time=5.0, us=9_000_000))
    logs.write("client", line("outbound", id="r3", time=14.5))
    seen = logs.reader.records(request_ids=None, since_s=5.0, timeout_s=0)
    assert [record.request_id for record in seen] == ["r1", "r2", "r3"]


def test_missing_lines_on_a_full_disk_are_explained(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.write("client", line("outbound", upstream=1002))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="full"):
        logs.read("r1", timeout_s=5.0)


def test_a_prometheus_page_becomes_samples() -> None:
    page = '# TYPE a counter\na{x="1",y="q\\"uote"} 3\nb 2.5\n\nbroken\n'
    seen = [(sample.name, dict(sample.labels), sample.value) for sample in dumps.samples("pod", page)]
    assert seen == [("a", {"x": "1", "y": 'q"uote'}, 3.0), ("b", {}, 2.5)]


def test_a_config_dump_becomes_what_the_proxy_holds() -> None:
    prefix = "type.googleapis.com/envoy."
    cluster = {"@type": f"{prefix}config.cluster.v3.Cluster", "name": "c"}
    listener = {"@type": f"{prefix}config.listener.v3.Listener", "name": "l"}
    route = {"@type": f"{prefix}config.route.v3.RouteConfiguration", "name": "8080"}
    endpoints = {"@type": f"{prefix}config.endpoint.v3.ClusterLoadAssignment", "cluster_name": "c"}
    dump = {
        "configs": [
            {
                "@type": f"{prefix}admin.v3.ClustersConfigDump",
                "static_clusters": [{"cluster": {**cluster, "name": "xds-grpc"}}],
                "dynamic_active_clusters": [
                    {"version_info": "9", "cluster": cluster},
                    {"version_info": "10", "cluster": {**cluster, "name": "d"}},
                ],
            },
            {
                "@type": f"{prefix}admin.v3.ListenersConfigDump",
                "dynamic_listeners": [{"name": "l", "active_state": {"version_info": "3", "listener": listener}}],
            },
            {
                "@type": f"{prefix}admin.v3.RoutesConfigDump",
                "dynamic_route_configs": [{"version_info": "4", "route_config": route}],
            },
            {
                "@type": f"{prefix}admin.v3.EndpointsConfigDump",
                "dynamic_endpoint_configs": [{"endpoint_config": endpoints}],
            },
        ]
    }
    config = dumps.proxy_config("pod", json.dumps(dump))
    assert list(config.clusters) == ["c", "d"]
    assert config.clusters["c"] == {"name": "c"}
    assert (list(config.listeners), list(config.routes), list(config.endpoints)) == (["l"], ["8080"], ["c"])
    assert config.versions == {"CDS": "10", "LDS": "3", "RDS": "4"}


def test_a_run_folder_is_private_and_swept_only_when_its_owners_are_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = rundir.create()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert rundir.sweep() == []
    rundir.record(folder, rundir.OWNERS, os.getpid())
    assert rundir.sweep() == []
    (folder / rundir.OWNERS).write_text(f"{os.getpid()} another-start\n")
    assert rundir.sweep() == [folder]
