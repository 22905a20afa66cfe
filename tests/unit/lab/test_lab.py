from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from small_engine import SmallEngine

from labsupport.cell import CellRun, here
from labsupport.engine.protocol import Engine
from labsupport.errors import EngineLostError, ManifestError, NotFoundError, UsageError
from labsupport.lab import current
from labsupport.lab.lab import Lab
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.records import Leftovers, Pod, Ref

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
    - route:
        - destination: {host: web, subset: safe}
          weight: 90
        - destination: {host: web, subset: risk}
          weight: 10
"""
PODS = (
    Pod("web-safe-2", "default", "web-safe", {"app": "web", "version": "safe"}, True, True, concurrency=1),
    Pod("web-safe-10", "default", "web-safe", {"app": "web", "version": "safe"}, True, False, 2, "boom", concurrency=1),
    Pod("client-1", "default", "client", {"app": "client"}, False, True),
)


@pytest.fixture
def engine() -> SmallEngine:
    return SmallEngine(pods=PODS)


@pytest.fixture
def lab(engine: SmallEngine) -> Iterator[Lab]:
    with Lab(engine) as opened:
        yield opened


def test_the_small_engine_follows_the_protocol(engine: SmallEngine) -> None:
    assert isinstance(engine, Engine)


def test_apply_takes_text_and_says_what_changed(lab: Lab) -> None:
    assert "VirtualService/web created" in repr(lab.apply(RULE))
    assert lab.apply(RULE).changes[0].action == "unchanged"


def test_apply_takes_an_object_and_a_list_of_sources(lab: Lab) -> None:
    lab.apply(RULE)
    (rule,) = lab.get("vs", "web")
    assert lab.apply([rule, "apps/web"]).changes[0].action == "unchanged"
    assert {deployment.name for deployment in lab.get("deploy")} == {"web-safe", "web-risk"}


def test_a_path_is_found_below_manifests_and_named_so_in_the_result(lab: Lab) -> None:
    sources = {change.source for change in lab.apply("apps/web").changes}
    assert all(source.startswith("apps/web/") for source in sources)


def test_an_unknown_path_names_near_ones(lab: Lab) -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean apps/web"):
        lab.apply("apps/wep")


@pytest.mark.parametrize("sources", [(), ("",), (3,), ([],)], ids=["none", "empty", "number", "no items"])
def test_apply_of_nothing_is_a_usage_error(lab: Lab, sources: tuple[object, ...]) -> None:
    with pytest.raises(UsageError):
        lab.apply(*sources)  # type: ignore[arg-type]


def test_all_problems_of_all_sources_are_told_and_nothing_is_applied(lab: Lab, engine: SmallEngine) -> None:
    with pytest.raises(ManifestError) as caught:
        lab.apply(RULE, RULE.replace("weight: 90", "weigth: 90"), "kind: [", name="mine")
    assert len(caught.value.problems) >= 2
    assert "weigth" in str(caught.value)
    assert engine.objects == {}
    assert "weigth" in lab.status().last_error


def test_a_status_is_what_a_cluster_has_and_elsewhere_what_istiod_would_write(lab: Lab, engine: SmallEngine) -> None:
    text = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n"
    (route,) = parse(read(text + "spec: {parentRefs: [{group: '', kind: Service, name: web}]}\n"))
    written = {"parents": [{"conditions": [{"type": "Accepted", "status": "Unknown", "reason": "Pending"}]}]}
    route._raw = {**route.raw, "status": written}
    engine.objects["HTTPRoute", "web"] = route
    assert "Pending" not in repr(lab.get("HTTPRoute"))
    engine.name = "cluster"
    assert "Pending" in repr(lab.get("HTTPRoute"))


def test_delete_takes_reference_text_path_and_object(lab: Lab, engine: SmallEngine) -> None:
    for target in ("VirtualService/web", "vs/web", RULE, Ref("VirtualService", "web")):
        lab.apply(RULE)
        lab.delete(target)
        assert engine.objects == {}
    lab.apply("apps/web", RULE)
    lab.delete("apps/web", *lab.get("VirtualService"))
    assert engine.objects == {}


def test_deleting_by_name_alone_tells_the_kinds_of_that_name(lab: Lab, engine: SmallEngine) -> None:
    lab.apply(RULE)
    with pytest.raises(NotFoundError, match=r"An object is named with its kind: 'VirtualService/web'\.$") as error:
        lab.delete("web")
    assert str(Path.cwd()) not in str(error.value)
    assert engine.objects


def test_deleting_what_is_not_there_is_refused_unless_asked_for(lab: Lab) -> None:
    with pytest.raises(NotFoundError):
        lab.delete("VirtualService/web")
    assert lab.delete("VirtualService/web", missing_ok=True).changes == ()
    assert lab.delete(*lab.get("VirtualService"), missing_ok=True).changes == ()


def test_scale_takes_the_name_of_a_deployment_only(lab: Lab, engine: SmallEngine) -> None:
    lab.scale("web-safe", 9)
    assert engine.patches == [(Ref("Deployment", "web-safe"), {"spec": {"replicas": 9}})]
    with pytest.raises(UsageError, match="only a Deployment"):
        lab.scale("Service/web", 2)
    for wrong in (-1, 1.5, True, "9"):
        with pytest.raises(UsageError, match="whole number"):
            lab.scale("web-safe", wrong)  # type: ignore[arg-type]


def test_patch_needs_a_mapping_and_one_object(lab: Lab, engine: SmallEngine) -> None:
    lab.patch("deploy/web-safe", {"spec": {"replicas": 3}})
    assert engine.patches[0][0] == Ref("Deployment", "web-safe")
    with pytest.raises(UsageError, match="mapping"):
        lab.patch("deploy/web-safe", "replicas: 3")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Did you mean VirtualService"):
        lab.patch("VirtualServce/web", {})
    with pytest.raises(UsageError, match="kind and name"):
        lab.patch("web", {})


def test_one_object_is_shown_as_yaml_and_several_by_name(lab: Lab) -> None:
    assert repr(lab.get("vs")) == "no objects"
    lab.apply(RULE)
    assert yaml.safe_load(repr(lab.get("vs", "web"))) == yaml.safe_load(RULE)
    lab.apply("apps/web")
    assert set(repr(lab.get("deploy")).split()) == {"Deployment/web-risk", "Deployment/web-safe"}
    assert len(list(yaml.safe_load_all(lab.get("all").yaml))) == 4


def test_get_names_what_there_is(lab: Lab) -> None:
    lab.apply(RULE)
    with pytest.raises(NotFoundError, match="web"):
        lab.get("VirtualService", "reviews")


def test_pods_are_a_table_in_natural_order(lab: Lab) -> None:
    assert [pod.name for pod in lab.pods()] == ["client-1", "web-safe-2", "web-safe-10"]
    assert "last words before it stopped: boom" in repr(lab.pods())
    assert repr(lab.pods().of("no")) == "no pods"


def test_status_shows_everything_at_a_glance(lab: Lab) -> None:
    lab.apply(RULE)
    status = lab.status()
    assert status.proxies == ("web-safe-2", "web-safe-10")
    text = repr(status)
    for part in ("3 pods (2 ready)", "VirtualService/web", "web-safe-10 is not ready", "http://127.0.0.1:1234"):
        assert part in text


def test_rules_are_those_of_a_virtual_service(lab: Lab) -> None:
    lab.apply(RULE, "apps/web")
    seen = lab.send("http://web:8080/", source="client", count=3)
    assert lab.rules("vs/web", seen).rule == "VirtualService/web"
    with pytest.raises(UsageError, match="name a VirtualService"):
        lab.rules("deploy/web-safe", seen)
    with pytest.raises(NotFoundError):
        lab.rules("vs/other", seen)


def test_pushed_tells_of_the_last_change_that_concerned_a_proxy(lab: Lab) -> None:
    with pytest.raises(UsageError, match="Apply a rule"):
        lab.pushed()
    lab.apply(RULE)
    assert [proxy.proxy for proxy in lab.pushed().proxies] == ["client-1"]
    lab.reset()
    with pytest.raises(UsageError, match="Apply a rule"):
        lab.pushed()


def test_logs_take_a_deployment_and_show_as_they_are(lab: Lab) -> None:
    assert repr(lab.logs("web-safe", container="proxy")) == "proxy of web-safe-2\nready"
    with pytest.raises(NotFoundError, match="client-1"):
        lab.logs("nobody")
    with pytest.raises(UsageError, match="'app' or 'proxy'"):
        lab.logs("web-safe", container="istio-proxy")  # type: ignore[arg-type]


def test_send_without_a_count_sends_one_request(lab: Lab, engine: SmallEngine) -> None:
    assert len(lab.send("http://web:8080/name", source="client", headers={"end-user": "jason"})) == 1
    assert engine.specs[0].headers == {"end-user": "jason"}
    assert engine.specs[0].reuse_connections is False


def test_access_log_is_found_by_observations(lab: Lab) -> None:
    log = lab.access_log(lab.send("http://web:8080/name", count=2))
    assert len(log) == 2
    assert "web:8080/name" in repr(log)


def test_changes_leave_marks_in_running_traffic(lab: Lab) -> None:
    with lab.traffic("http://web:8080/name", rate=100) as live:
        lab.apply(RULE)
        lab.apply(RULE)
        lab.scale("web-safe", 9)
        lab.delete("VirtualService/web")
        assert [mark.label for mark in live.marks] == [
            "apply 90/10",
            "scale web-safe to 9",
            "delete web",
        ]
        assert "in force after 4.0 ms" in live.marks[0].detail
        assert lab.status().traffic == ("http://web:8080/name from outside",)
    lab.apply(RULE)
    assert len(live.marks) == 3


def test_reset_and_close_stop_traffic(lab: Lab) -> None:
    first = lab.traffic("http://web:8080/name", rate=100)
    lab.reset()
    assert first.state == "stopped"
    second = lab.traffic("http://web:8080/name", rate=100)
    lab.close()
    assert second.state == "stopped"


def test_many_threads_may_apply_but_one_change_is_made_at_a_time(lab: Lab, engine: SmallEngine) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                lab.apply(RULE)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert engine.most_busy == 1


def test_a_second_lab_closes_the_first(engine: SmallEngine) -> None:
    first = Lab(engine)
    other = SmallEngine()
    with Lab(other) as second:
        assert engine.closed == 1
        assert current.current() is second
        with pytest.raises(UsageError, match="Open another one"):
            first.pods()
        first.close()
        assert engine.closed == 1
        assert current.current() is second
    assert other.closed == 1
    with pytest.raises(UsageError, match="No lab is open"):
        current.current()


class InterruptedOnce(SmallEngine):
    """An engine whose first close() is stopped by a Ctrl-C."""

    interrupts = 1

    def close(self) -> Leftovers:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        return super().close()


def test_an_interrupted_close_is_not_closed_and_the_next_one_goes_on() -> None:
    engine = InterruptedOnce()
    lab = Lab(engine)
    with pytest.raises(KeyboardInterrupt):
        lab.close()
    assert engine.closed == 0 and "closed" not in repr(lab)
    assert current.current() is lab
    left = lab.close()
    assert engine.closed == 1 and left == SmallEngine().close()
    with pytest.raises(UsageError, match="No lab is open"):
        current.current()


def test_a_lab_whose_close_was_interrupted_by_the_next_lab_is_closed_by_the_one_after() -> None:
    engine, other = InterruptedOnce(), SmallEngine()
    first = Lab(engine)
    with pytest.raises(KeyboardInterrupt):
        Lab(other)
    assert current.current() is first and engine.closed == 0
    with Lab(other):
        assert engine.closed == 1


def test_a_failing_close_of_the_first_lab_does_not_prevent_the_next() -> None:
    class Lost(SmallEngine):
        def close(self):  # type: ignore[no-untyped-def]
            super().close()
            raise EngineLostError("the supervisor is gone")

    first = Lab(Lost())
    with Lab(SmallEngine()) as second:
        assert current.current() is second
        with pytest.raises(UsageError):
            first.pods()


def test_the_engine_is_chosen_by_name_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="this installation has the engines"):
        Lab("kubernetes")
    monkeypatch.setenv("WORKSHOP_ENGINE", "nothing")
    with pytest.raises(UsageError, match="WORKSHOP_ENGINE='nothing'"):
        Lab()
    with pytest.raises(UsageError, match="takes no options"):
        Lab(SmallEngine(), workers=2)
    with pytest.raises(UsageError, match="timeout_s"):
        Lab(SmallEngine(), timeout_s=0)


# --- traffic and its pictures -----------------------------------------------------------------------------------------


def in_cell(monkeypatch: pytest.MonkeyPatch, cell: str, run: str) -> None:
    monkeypatch.setattr("labsupport.cell.here", lambda: CellRun(cell, run))


def test_a_cell_that_is_run_again_ends_the_traffic_of_its_run_before(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    in_cell(monkeypatch, "cell-1", "run-1")
    first = lab.traffic("http://web:8080/", source="client", rate=20)
    beside = lab.traffic("http://web:8080/", source="client", rate=20)
    in_cell(monkeypatch, "cell-2", "run-2")
    other = lab.traffic("http://web:8080/", source="client", rate=20)
    assert [live.running for live in (first, beside, other)] == [True, True, True]
    in_cell(monkeypatch, "cell-1", "run-3")
    again = lab.traffic("http://web:8080/", source="client", rate=30)
    assert [live.state in ("stopping", "stopped") for live in (first, beside)] == [True, True]
    assert [live.state for live in (other, again)] == ["running", "running"]


def test_a_script_has_no_cells_so_that_all_of_its_traffic_runs(lab: Lab) -> None:
    assert here() == CellRun("", "")
    several = [lab.traffic("http://web:8080/", source="client", rate=20) for _ in range(3)]
    assert [live.state for live in several] == ["running"] * 3


def test_the_mark_of_a_patch_names_the_weights_that_came_of_it(lab: Lab) -> None:
    lab.apply(RULE)
    with lab.traffic("http://web:8080/", source="client", rate=20) as live:
        lab.patch("VirtualService/web", {"spec": {}})
        assert [mark.label for mark in live.marks] == ["patch 90/10"]


def test_a_picture_is_told_when_the_lab_closes_and_cannot_keep_it_from_closing(engine: SmallEngine) -> None:
    lab, told = Lab(engine), []

    def fails() -> None:
        told.append("first")
        raise RuntimeError("no page any more")

    lab.when_closed(fails)
    lab.when_closed(lambda: told.append("second"))
    lab.close()
    lab.close()
    assert told == ["first", "second"]
    assert engine.closed == 1
