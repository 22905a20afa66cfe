"""What the picture of traffic asks of its lab: expected shares from the rules in force, and weights to turn."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from explain_world import GATEWAY, PODS, SUBSETS, rules, to, virtual_service
from small_mesh import until

from labsupport import model
from labsupport.display.live.weight_dial import WeightDial
from labsupport.errors import EngineError, ManifestError, NotFoundError, Problem, UsageError
from labsupport.explain.ejectable import ejectable
from labsupport.explain.expected_shares import expected_shares, explanation_of, version_of
from labsupport.lab.refs import rule_of
from labsupport.model.reading import documents
from labsupport.records import AccessRecord, ApplyResult, Ref, TrafficSpec
from labsupport.traffic.rule_control import MeshState, Steering
from labsupport.traffic.weights import find_split, in_hundredths, patch_for

REVIEWS = TrafficSpec("http://reviews:9080/reviews/0", source="client-v1")


RULE = rule_of("reviews")


def split_of(*weights: int, subsets: str = "v1 v2 v3") -> str:
    entries = ", ".join(
        f"{{destination: {{host: reviews, subset: {name}}}, weight: {weight}}}"
        for name, weight in zip(subsets.split(), weights, strict=False)
    )
    return f"{{route: [{entries}]}}"


def expected(*texts: str, spec: TrafficSpec = REVIEWS, pods=PODS, service: str = ""):
    objects = rules(*texts)
    explanation = explanation_of(objects, pods, spec, service=service, namespace="default")
    return expected_shares(explanation, objects, pods, spec, service=service, namespace="default")


# --- expected shares --------------------------------------------------------------------------------------------------


def test_weights_are_the_expected_shares():
    rule = virtual_service(f"[{split_of(10, 10, 80)}]")
    assert expected(SUBSETS, rule) == pytest.approx({"v1": 0.1, "v2": 0.1, "v3": 0.8})


@pytest.mark.parametrize(
    ("added", "pods"),
    [
        pytest.param("", {"v1": 0.25, "v2": 0.75}, id="with its share"),
        pytest.param(", loadBalancer: {consistentHash: {httpHeaderName: x-user}}", {}, id="not where a hash chooses"),
    ],
)
def test_pods_that_may_be_ejected(added: str, pods: dict[str, float]):
    policy = f"trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 1}}{added}}}"
    objects = rules(SUBSETS.rstrip() + f"\n      {policy}\n", virtual_service(f"[{split_of(1, 3, 0)}]"))
    seen = ejectable(explanation_of(objects, PODS, REVIEWS, namespace="default"))
    version_of_pod = {pod.name: pod.version for pod in PODS}
    assert {version_of_pod[name]: share for name, share in seen.items()} == pytest.approx(pods)
    assert ejectable(explanation_of(rules(SUBSETS), PODS, REVIEWS, namespace="default")) == {}


def test_one_destination_gets_everything():
    assert expected(SUBSETS, virtual_service(f"[{to('v2')}]")) == {"v2": 1.0}


def test_without_a_rule_nothing_is_wanted():
    assert expected() is None
    assert expected(SUBSETS) is None


def test_a_destination_with_several_versions_wants_none_in_particular():
    assert expected(virtual_service("[{route: [{destination: {host: reviews}}]}]")) is None


def test_a_version_whose_pods_are_gone_is_wanted_all_the_same():
    left = [pod for pod in PODS if pod.version != "v2"]
    rule = virtual_service(f"[{split_of(50, 50)}]")
    assert expected(SUBSETS, rule, pods=left) == {"v1": 0.5, "v2": 0.5}


def test_headers_of_the_traffic_choose_among_the_rules():
    chosen = to("v2", match="[{headers: {end-user: {exact: jason}}}]")
    rule = virtual_service(f"[{chosen}, {split_of(100, 0)}]")
    jason = dataclasses.replace(REVIEWS, headers={"end-user": "jason"})
    assert expected(SUBSETS, rule, spec=jason) == {"v2": 1.0}
    assert expected(SUBSETS, rule) == {"v1": 1.0}


def test_requests_that_differ_want_nothing_together():
    chosen = to("v2", match="[{headers: {end-user: {exact: user-1}}}]")
    rule = virtual_service(f"[{chosen}, {to('v1')}]")
    assert expected(SUBSETS, rule, spec=dataclasses.replace(REVIEWS, headers={"end-user": "{user}"}, users=3)) is None


def test_a_service_on_the_way_has_its_own_shares():
    front = virtual_service(
        "[{route: [{destination: {host: productpage}}]}]", name="front", hosts='["*"]', extra=", gateways: [front]"
    )
    reviews = virtual_service(f"[{split_of(25, 75)}]")
    page = TrafficSpec("gateway:/productpage")
    assert expected(SUBSETS, GATEWAY, front, reviews, spec=page, service="reviews") == {"v1": 0.25, "v2": 0.75}
    assert expected(SUBSETS, GATEWAY, front, reviews, spec=page) == {"v1": 1.0}


def test_who_calls_a_service_on_the_way_is_not_known_so_that_a_match_leaves_nothing_to_say():
    rule = virtual_service(f"[{to('v2', match='[{headers: {end-user: {exact: jason}}}]')}, {to('v1')}]")
    assert expected(SUBSETS, rule, spec=TrafficSpec("gateway:/productpage"), service="reviews") is None


def test_a_service_that_there_is_not_wants_nothing():
    assert expected(SUBSETS, spec=TrafficSpec("gateway:/"), service="nobody") is None
    assert expected(SUBSETS, spec=TrafficSpec("no url at all")) is None


def test_a_subset_stands_for_its_version_label_else_for_its_name():
    objects = rules(SUBSETS)
    assert version_of(objects, "reviews.default.svc.cluster.local", "v3") == "v3"
    assert version_of(objects, "reviews", "blue") == "blue"


# --- the split of a rule ----------------------------------------------------------------------------------------------


def test_a_split_is_found_by_the_rules_name():
    split = find_split(rules(SUBSETS, virtual_service(f"[{to('v1', name='x')}, {split_of(90, 10)}]")), RULE)
    assert (split.ref, split.rule, split.weights) == (Ref("VirtualService", "reviews"), 1, (90, 10))
    assert [part.version for part in split.parts] == ["v1", "v2"]
    assert (
        find_split(
            rules(SUBSETS, virtual_service(f"[{split_of(90, 10)}]")), rule_of("VirtualService/reviews.default")
        ).rule
        == 0
    )


@pytest.mark.parametrize(
    ("name", "http", "error", "words"),
    [
        ("nobody", f"[{to('v1')}]", NotFoundError, "There are: reviews"),
        ("reviews", f"[{to('v1')}]", UsageError, "weight: 0"),
        ("reviews", f"[{split_of(1, 1)}, {split_of(2, 2)}]", UsageError, r"'vs/reviews\[0\]' or 'vs/reviews\[1\]'"),
        ("reviews[0]", f"[{to('v1')}, {split_of(50, 50)}]", UsageError, r"Rules that have: http\[1\]"),
        ("vs/reviews/0", f"[{to('v1')}]", UsageError, "does not name one object"),
        ("dr/reviews", f"[{to('v1')}]", UsageError, "what turns is the weights of a VirtualService"),
    ],
)
def test_what_cannot_be_turned_is_said(name, http, error, words):
    with pytest.raises(error, match=words):
        find_split(rules(SUBSETS, virtual_service(http)), rule_of(name))


@pytest.mark.parametrize(
    ("given", "made"),
    [((90, 10), [90, 10]), ((1, 1, 1), [34, 33, 33]), ((0, 0), [50, 50]), ((2, 1), [67, 33]), ((0, 7), [0, 100])],
)
def test_weights_become_parts_of_100(given, made):
    assert in_hundredths(given) == made
    assert sum(made) == 100


def test_a_patch_holds_the_whole_list_and_changes_only_the_weights():
    (resource,) = model.parse(documents.read(virtual_service(f"[{to('v1', name='x')}, {split_of(90, 10)}]"), file="f"))
    before = resource.model_dump_json()
    patch = patch_for(resource, find_split([resource], RULE), [30, 70])
    http = patch["spec"]["http"]
    assert [entry["weight"] for entry in http[1]["route"]] == [30, 70]
    assert http[0]["name"] == "x"
    assert resource.model_dump_json() == before


@pytest.mark.parametrize("weights", [[50, 40], [101, -1], [50.0, 50.0], [True, 99], [100], [30, 30, 40]])
def test_weights_that_make_no_sense_are_refused(weights):
    (resource,) = model.parse(documents.read(virtual_service(f"[{split_of(90, 10)}]"), file="f"))
    with pytest.raises(UsageError):
        patch_for(resource, find_split([resource], RULE), weights)


def test_a_rule_that_was_changed_meanwhile_is_told_in_right_english():
    before, after = (
        model.parse(documents.read(virtual_service(f"[{split_of(*weights)}]"), file="f"))[0]
        for weights in ((90, 10), (100,))
    )
    with pytest.raises(UsageError, match="has 1 destination now, not 2: it was changed meanwhile"):
        patch_for(after, find_split([before], RULE), [30, 70])


# --- asked by a picture -----------------------------------------------------------------------------------------------


class Mesh:
    """Objects in memory that can be looked at and patched."""

    def __init__(self, *weights: int):
        self.put(*weights)
        self.pods = PODS
        self.changes, self.looks, self.patches = 0, 0, []
        self.refuse: Exception | None = None
        self.closed = []
        self.steering = Steering(REVIEWS, self.look, self.patch, lambda: self.changes, self.closed.append)

    def put(self, *weights: int):
        self.objects = rules(SUBSETS, virtual_service(f"[{split_of(*weights)}]"))

    def look(self) -> MeshState:
        self.looks += 1
        if self.refuse is not None and self.refuse.args == ("closed",):
            raise self.refuse
        return MeshState(self.objects, self.pods, "default")

    def patch(self, ref, patch):
        if self.refuse is not None:
            raise self.refuse
        weights = [entry["weight"] for entry in patch["spec"]["http"][0]["route"]]
        self.patches.append(weights)
        self.put(*weights)
        self.changes += 1
        return ApplyResult(())


def test_the_mesh_is_read_again_only_when_it_was_changed():
    mesh = Mesh(90, 10)
    for _ in range(5):
        assert mesh.steering.expected() == {"v1": 0.9, "v2": 0.1}
    assert mesh.looks == 1
    mesh.put(50, 50)
    assert mesh.steering.expected() == {"v1": 0.9, "v2": 0.1}
    mesh.changes += 1
    assert mesh.steering.expected() == {"v1": 0.5, "v2": 0.5}


def test_the_mesh_is_explained_once_for_all_that_is_told_of_it(monkeypatch):
    mesh, made = Mesh(90, 10), []

    def explaining(*args, **options):
        made.append(options["service"])
        return explanation_of(*args, **options)

    monkeypatch.setattr("labsupport.traffic.rule_control.explanation_of", explaining)
    for _ in range(2):
        assert mesh.steering.expected() == {"v1": 0.9, "v2": 0.1} and mesh.steering.ejectable() == {}
    assert made == [""]
    mesh.changes += 1
    mesh.steering.ejectable()
    assert made == ["", ""]


def test_what_is_changed_past_the_lab_is_noticed_after_a_while(monkeypatch):
    mesh = Mesh(90, 10)
    mesh.steering.expected()
    mesh.put(50, 50)
    then = time.monotonic()
    monkeypatch.setattr("labsupport.traffic.rule_control.time.monotonic", lambda: then + 60)
    assert mesh.steering.expected() == {"v1": 0.5, "v2": 0.5}


def test_a_closed_lab_leaves_the_last_expected_shares():
    mesh = Mesh(90, 10)
    mesh.steering.expected()
    mesh.refuse, mesh.changes = UsageError("closed"), 9
    assert mesh.steering.expected() == {"v1": 0.9, "v2": 0.1}


def settled(dial: WeightDial, condition):
    until(lambda: condition(dial.state()))


def test_a_dial_puts_the_last_position_in_force_and_skips_those_before():
    mesh, woken = Mesh(90, 10), threading.Event()
    dial = WeightDial(mesh.steering, RULE, woken.set)
    assert dial.state()["weights"] == [90, 10]
    for second in range(11, 41):
        dial.ask([100 - second, second])
    assert dial.state()["weights"] == [60, 40]
    settled(dial, lambda state: not state["busy"])
    assert mesh.patches[-1] == [60, 40]
    assert len(mesh.patches) <= 3
    assert woken.is_set()
    assert dial.state()["problem"] == ""


def test_what_went_wrong_is_shown_and_the_sliders_go_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("labsupport.display.live.weight_dial._INTERVAL_S", 0.01)
    mesh = Mesh(90, 10)
    dial = WeightDial(mesh.steering, RULE, lambda: None)
    mesh.refuse = ManifestError([Problem("weights are refused today", "f.yaml", 2)])
    dial.ask([10, 90])
    settled(dial, lambda state: not state["busy"])
    assert "refused today" in dial.state()["problem"]
    assert dial.state()["weights"] == [90, 10]
    mesh.refuse = None
    dial.ask([10, 90])
    settled(dial, lambda state: not state["busy"])
    assert dial.state()["problem"] == ""


def test_an_error_that_nobody_foresaw_is_shown_too():
    mesh = Mesh(90, 10)
    dial = WeightDial(mesh.steering, RULE, lambda: None)
    mesh.refuse = ZeroDivisionError("oops")
    dial.ask([10, 90])
    settled(dial, lambda state: "ZeroDivisionError: oops" in state["problem"])


@pytest.mark.parametrize("nonsense", [None, "90/10", [1.5, 98.5], {"v1": 3}, 7])
def test_nonsense_from_a_browser_turns_nothing(nonsense):
    mesh = Mesh(90, 10)
    dial = WeightDial(mesh.steering, RULE, lambda: None)
    dial.ask(nonsense)
    assert dial.state()["busy"] is False
    assert mesh.patches == []


def test_a_rule_that_is_gone_stops_the_sliders_and_says_so():
    mesh = Mesh(90, 10)
    dial = WeightDial(mesh.steering, RULE, lambda: None)
    mesh.objects, mesh.changes = rules(SUBSETS), 1
    state = dial.state()
    assert not state["ready"]
    assert "There is no VirtualService/reviews" in state["problem"]
    assert state["weights"] == [90, 10]


def test_copies_are_read_from_the_log_only_where_a_rule_makes_some():
    pod = next(pod for pod in PODS if pod.version == "v2")
    lines = [
        AccessRecord("a", 1.0, pod.name, "inbound", mirrored=True),
        AccessRecord("b", 1.0, pod.name, "inbound"),
    ]
    mesh, asked = Mesh(90, 10), []
    mesh.steering = Steering(
        REVIEWS, mesh.look, mesh.patch, lambda: mesh.changes, print, lambda since_s: asked.append(since_s) or lines
    )
    assert mesh.steering.copies(5.0) is None and asked == []
    mesh.objects = rules(SUBSETS, virtual_service(f"[{split_of(90, 10)[:-1]}, mirror: {{host: reviews}}}}]"))
    mesh.changes += 1
    assert mesh.steering.copies(5.0) == [("a", "v2")] and asked == [5.0]
    # What a pod received before it went is told as before.
    mesh.pods, mesh.changes = (), mesh.changes + 1
    assert mesh.steering.copies(5.0) == [("a", "v2")]
    mesh.refuse = EngineError("closed")
    mesh.refuse.args = ("closed",)
    mesh.changes += 1
    assert mesh.steering.copies(5.0) is None


def test_a_rule_can_be_asked_for_while_a_log_is_read():
    mesh, waiting = Mesh(90, 10), []
    mesh.objects = rules(SUBSETS, virtual_service(f"[{split_of(90, 10)[:-1]}, mirror: {{host: reviews}}}}]"))

    def lines(since_s):
        asking = threading.Thread(target=mesh.steering.split, args=(RULE,), daemon=True)
        asking.start()
        asking.join(10)
        waiting.append(asking.is_alive())
        return []

    mesh.steering = Steering(REVIEWS, mesh.look, mesh.patch, lambda: mesh.changes, print, lines)
    assert mesh.steering.copies(5.0) == [] and waiting == [False]
