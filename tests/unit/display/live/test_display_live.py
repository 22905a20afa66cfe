"""The kernel's side of the live picture: what is sent, how often, and what clicks do."""

import gc
import threading
import time
import weakref

import pytest
from display_samples import T0, response, texts
from small_mesh import SteppedMesh, until

from labsupport.cell import CellRun
from labsupport.display.live.live import LiveTraffic, live_of
from labsupport.errors import TrafficError, UsageError
from labsupport.records import TrafficSpec
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.recording import Mark, Recording, TrafficSnapshot
from labsupport.traffic.weights import Split, SplitPart

VIEW = "application/vnd.jupyter.widget-view+json"


class Source:
    """Traffic whose clock and responses the test sets."""

    steering = None

    def __init__(self):
        self.recording = Recording()
        self.state, self.rate, self.error, self.now = "running", 40.0, "", T0
        self.calls = []
        self.refuse = None

    def snapshot(self, since=0):
        new, following, missed = self.recording.new_since(since)
        spec = TrafficSpec(url="gateway:/", source="outside", rate=40.0)
        marks = self.recording.marks
        return TrafficSnapshot(new, following, missed, {}, marks, self.state, self.rate, self.error, spec, self.now)

    def _called(self, *call):
        self.calls.append(call)
        if self.refuse is not None:
            refuse, self.refuse = self.refuse, None
            raise refuse

    def start(self):
        self._called("start")

    def halt(self):
        self._called("halt")

    def resume(self):
        self._called("resume")

    def set_rate(self, rate):
        self._called("rate", rate)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def live(source, monkeypatch):
    monkeypatch.setattr("labsupport.display.live.live.time.time", lambda: T0)
    picture = LiveTraffic(source, expected={"v1": 90, "v2": 10})
    picture.sent = []
    monkeypatch.setattr(picture, "send", lambda message, buffers=None: picture.sent.append(message))
    yield picture
    picture.close()


def fill(source, begin, end, step=0.1):
    at = begin
    while at < end:
        source.recording.add(response(at))
        at += step
    source.now = T0 + end


def test_a_step_sends_what_is_new_and_nothing_twice(live, source):
    fill(source, 0, 1)
    live._step()
    fill(source, 1, 1.2)
    live._step()
    first, second = live.sent
    assert {"b60", "b61", "shares", "notes", "marks", "scale"} <= set(first["parts"])
    assert {name for name in second["parts"] if name.startswith("b")} <= {"b61", "b62"}
    assert "scale" not in second["parts"]
    assert second["seq"] == first["seq"] + 1


def test_nothing_new_is_not_worth_a_message(live, source):
    source.state = "stopped"
    fill(source, 0, 1)
    live._step()
    live._step()
    assert len(live.sent) == 1


def test_a_picture_that_is_shown_again_has_all_of_its_history(live, source, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    fill(source, 0, 20)
    live._repr_mimebundle_()
    assert {f"b{index}" for index in range(60, 100)} <= set(live.picture["parts"])
    assert live.picture["full"]


def test_a_view_that_says_hello_gets_everything(live, source):
    fill(source, 0, 5)
    live._step()
    live._receive(live, {"do": "hello"}, None)
    live._step()
    assert live.sent[-1]["full"]
    assert {"frame", "b60", "b65"} <= set(live.sent[-1]["parts"])


def test_clicks_are_done_by_the_pictures_own_thread_in_their_order(live, source):
    for message in ({"do": "stop"}, {"do": "rate", "rate": 10}, {"do": "rate", "rate": 80}, {"do": "start"}):
        live._receive(live, message, None)
    assert source.calls == []
    live._step()
    assert source.calls == [("halt",), ("start",), ("rate", 80.0)]


@pytest.mark.parametrize(
    "message", ["text", {"do": "rate", "rate": "much"}, {"do": "format disk"}, {}, None, {"do": ["x"]}]
)
def test_nonsense_from_a_browser_does_nothing(live, source, message):
    live._receive(live, message, None)
    live._step()
    assert source.calls == []


def test_a_rate_out_of_range_is_brought_into_it(live, source):
    live._receive(live, {"do": "rate", "rate": -4}, None)
    live._step()
    assert source.calls == [("rate", 0.1)]


def test_what_a_click_could_not_do_is_said_in_the_picture_until_the_next_click(live, source):
    source.refuse = UsageError("not now")
    live._receive(live, {"do": "stop"}, None)
    live._step()
    assert live.sent[-1]["state"]["error"] == "not now"
    live._receive(live, {"do": "stop"}, None)
    live._step()
    assert live.sent[-1]["state"]["error"] == ""


def test_start_after_a_failure_begins_again(live, source):
    source.refuse = TrafficError("the traffic stopped: gone")
    live._receive(live, {"do": "start"}, None)
    live._step()
    assert source.calls == [("start",), ("start",)]


def test_marks_of_changes_are_drawn(live, source):
    fill(source, 0, 3)
    source.recording.add_mark(Mark("apply 90/10", T0 + 2, 0.004))
    live._step()
    assert "apply 90/10" in live.sent[-1]["parts"]["marks"]
    assert "in force after 4.0 ms" in live.sent[-1]["parts"]["marks"]


def test_time_stands_still_while_nothing_is_sent(live, source):
    fill(source, 0, 3)
    live._step()
    assert ">now<" in live.sent[-1]["parts"]["frame"]
    source.state, source.now = "stopped", T0 + 500
    live._step()
    assert live._picture.timeline.last == 66
    assert ">end<" in live.sent[-1]["parts"]["frame"]


def test_a_screen_reader_is_not_told_five_times_a_second(live, source):
    for step in range(10):
        fill(source, step / 5, (step + 1) / 5)
        live._step()
    assert sum("summary" in message for message in live.sent) == 1
    assert "v1 100 %" in live.sent[0]["summary"]


def test_an_error_of_the_thread_is_raised_by_the_next_call(live, source, monkeypatch):
    def broken(**_):
        raise RuntimeError("out of ink")

    monkeypatch.setattr(live, "_message", broken)
    live._run()
    with pytest.raises(TrafficError, match="out of ink"):
        live.snapshot()


def test_the_plain_form_has_no_address_in_memory(live):
    assert repr(live) == "<LiveTraffic of gateway:/ from outside>"


def test_a_snapshot_is_a_static_figure_with_the_same_words(live, source):
    fill(source, 0, 5)
    figure = live.snapshot()
    assert "v1 100 %" in figure.summary
    assert "expected 90" in figure._repr_html_()


def test_at_100_requests_a_second_messages_are_few_and_small(live, source):
    live._asked_s = time.monotonic()
    for step in range(100):
        fill(source, step / 5, (step + 1) / 5, step=0.01)
        live._step()
    sizes = sorted(sum(map(len, message["parts"].values())) for message in live.sent)
    assert len(live.sent) <= 100
    assert sizes[len(sizes) // 2] < 6_000


def test_each_pod_is_shown_below_where_that_is_asked_for(live, source):
    fill(source, 0, 3)
    live._step()
    assert live.sent[-1]["parts"]["pods"] == "" and live.sent[-1]["state"]["pods"] == 0
    assert "each pod" not in texts(live.snapshot().body)
    live.pods = True
    live._step()
    assert "reviews-v1-x" in texts(live.sent[-1]["parts"]["pods"]) and live.sent[-1]["state"]["pods"] > 60
    assert "each pod: requests upward" in texts(live.snapshot().body)


def test_a_snapshot_reaches_back_over_all_that_is_kept(live, source):
    fill(source, 0, 200, step=0.5)
    source.recording.add_mark(Mark("apply early", T0 + 10, 0.004))
    source.state = "stopped"
    shown = live.snapshot().body
    assert "apply early" in shown
    assert "−240 s" in shown
    assert "apply early" not in live.snapshot(last_s=30).body


def test_viewers_without_widgets_get_what_there_was_to_see(live, source, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)

    def forms():
        return live._repr_mimebundle_()[0]

    assert "image/svg+xml" not in forms()
    fill(source, 0, 5)
    assert forms()["image/svg+xml"].startswith("<svg")
    assert forms()["text/plain"] == repr(live)


class Kernel:
    """Runs of cells, and what they published."""

    def __init__(self, monkeypatch):
        self.places, self.beside, self.now = [], [], CellRun("", "")
        monkeypatch.setattr("labsupport.display.live.live_view.cell.here", lambda: self.now)
        monkeypatch.setattr("labsupport.display.live.live_view.publish", self.publish)
        monkeypatch.setattr(threading.Thread, "start", lambda self: None)

    def publish(self, data, metadata, place, update=False):
        if place.endswith("-still"):
            self.beside.append((place, update, data["text/html"]))
        else:
            self.places.append((place, update, set(data)))

    def run(self, cell, number):
        self.now = CellRun(cell, f"run-{number}")


def test_a_picture_ends_when_its_cell_shows_another_one(source, monkeypatch):
    kernel = Kernel(monkeypatch)
    kernel.run("cell-1", 1)
    first, beside = LiveTraffic(source), LiveTraffic(source)
    first._ipython_display_()
    beside._ipython_display_()
    kernel.run("cell-2", 2)
    beside._ipython_display_()
    assert first.comm is not None
    kernel.run("cell-1", 3)
    again = LiveTraffic(source)
    again._ipython_display_()
    assert first.comm is None
    assert beside.comm is not None
    again.close()
    beside.close()


def test_a_picture_that_is_shown_again_by_its_own_cell_goes_on(source, monkeypatch):
    kernel = Kernel(monkeypatch)
    live = LiveTraffic(source)
    for number in range(3):
        kernel.run("cell-1", number)
        live._ipython_display_()
    assert live.comm is not None
    assert len(live._places) == 1
    live.close()


def test_a_frozen_picture_is_a_static_one_wherever_it_was_shown(source, monkeypatch):
    kernel = Kernel(monkeypatch)
    live = LiveTraffic(source)
    live._ipython_display_()
    live._ipython_display_()
    live.freeze()
    live.freeze()
    (one_place, _, first), (other, _, second), *later = kernel.places
    assert first == second == {VIEW, "text/plain"}
    assert [(place, update) for place, update, _ in later] == [(one_place, True), (other, True)]
    assert not any(VIEW in kinds for *_, kinds in later)
    assert live.comm is None


def test_beside_a_picture_is_a_static_form_for_a_notebook_without_its_kernel(source, monkeypatch):
    kernel = Kernel(monkeypatch)
    live = LiveTraffic(source)
    live._ipython_display_()
    (place, update, before), *_ = kernel.beside
    assert not update and "ws-still" in before and "<svg" in before
    fill(source, T0, T0 + 5)
    live._keep()
    live.freeze()
    live._keep()
    first, second = kernel.beside[1:]
    assert first[:2] == second[:2] == (place, True)
    assert '<td class="n">51</td>' in first[2] and '<td class="n">51</td>' not in before
    assert "ws-still" not in second[2].partition("</style>")[2] and "ws-gone" in second[2], "the figure needs none"


def test_the_static_form_is_made_anew_when_the_traffic_stops_and_now_and_then_while_it_runs(source, monkeypatch):
    kernel = Kernel(monkeypatch)
    live = LiveTraffic(source)
    assert not live._wants_still(sent=True, busy=False), "it is shown nowhere"
    live._ipython_display_()
    assert not live._wants_still(sent=True, busy=True)
    assert live._wants_still(sent=True, busy=False)
    live._still_s -= 60
    assert live._wants_still(sent=True, busy=True)
    assert not live._wants_still(sent=False, busy=True)
    live._keep()
    assert not live._wants_still(sent=True, busy=True)
    assert len(kernel.beside) == 2
    live.close()


def test_a_picture_and_its_traffic_are_forgotten_when_it_is_closed():
    traffic = BackgroundTraffic(SteppedMesh(), TrafficSpec(url="gateway:/", rate=1.0, concurrency=1))
    picture = live_of(traffic)
    assert live_of(traffic) is picture
    picture.close()
    assert live_of(traffic) is not picture
    live_of(traffic).close()
    gone = weakref.ref(traffic)
    del traffic, picture
    gc.collect()
    assert gone() is None


class Rules:
    """What the rules in force want, as the test sets it."""

    def __init__(self):
        self.shares, self.asked, self.turned = {"v1": 0.9, "v2": 0.1}, [], []
        self.copied = None
        self.may_be_out = {}

    def ejectable(self, service=""):
        return self.may_be_out

    def expected(self, service=""):
        self.asked.append(service)
        return self.shares

    def copies(self, since_s):
        return self.copied

    def split(self, rule):
        parts = tuple(SplitPart("web", f"v{number}", weight) for number, weight in enumerate((90, 10), start=1))
        return Split(rule.ref, 0, parts)

    def turn(self, rule, weights):
        self.turned.append((rule.ref.name, weights))

    def when_closed(self, act):
        pass


@pytest.fixture
def ruled(source, monkeypatch):
    source.steering = Rules()
    monkeypatch.setattr("labsupport.display.live.live.time.time", lambda: T0)
    picture = LiveTraffic(source)
    picture.sent = []
    monkeypatch.setattr(picture, "send", lambda message, buffers=None: picture.sent.append(message))
    yield picture
    picture.close()


def test_the_expected_shares_are_those_of_the_rules_and_change_with_them(ruled, source):
    fill(source, 0, 1)
    ruled._step()
    assert "expected 90," in ruled.sent[-1]["parts"]["shares"]
    source.steering.shares = {"v1": 0.5, "v2": 0.5}
    ruled._step()
    assert "expected 50," in ruled.sent[-1]["parts"]["shares"]
    ruled.expected = {"v1": 1, "v2": 3}
    ruled._step()
    assert "expected 25," in ruled.sent[-1]["parts"]["shares"]


def test_mirror_copies_are_shown_where_a_rule_makes_some(ruled, source, monkeypatch):
    monkeypatch.setattr("labsupport.display.live.live._COPIES_S", 0.0)
    fill(source, 0, 1)
    ruled._step()
    assert "copies" not in ruled.sent[-1]["parts"]["shares"]
    source.steering.copied = [(sent.request_id, "v3") for sent in source.recording.kept]
    monkeypatch.setattr("labsupport.display.live.live.time.time", lambda: T0 + 10)
    ruled._step()
    shown = ruled.sent[-1]["parts"]["shares"]
    assert "mirror copies" in shown and "v3" in shown
    assert "mirror copies" in ruled.snapshot().summary


def test_what_was_wanted_of_traffic_that_has_ended_stays(ruled, source):
    fill(source, 0, 1)
    ruled._step()
    source.state, source.steering.shares = "stopped", {"v2": 1.0}
    ruled._step()
    assert "expected 90 " in ruled.snapshot().summary or "expected 90.0 %" in ruled.snapshot().summary


def test_rules_that_come_after_traffic_has_ended_say_nothing_of_it(ruled, source):
    source.steering.shares = None
    for seen in (
        response(0.0, "v2", status=503),
        *(response(0.3 + place * 0.1, index=1 + place) for place in range(30)),
    ):
        source.recording.add(seen)
    source.now = T0 + 4
    ruled._step()
    source.state, source.steering.shares = "stopped", {"v1": 0.5, "v2": 0.5}
    source.steering.may_be_out = {"reviews-v2-x": 0.5}
    ruled._step()
    summary = ruled.snapshot().summary
    assert "503" in summary
    assert "expected" not in summary
    assert "received nothing" not in summary


def test_a_pod_that_may_be_ejected_and_gets_nothing_has_a_bar(ruled, source):
    failing = [response(at, "v2", status=503, index=index) for index, at in enumerate((0.0, 0.2))]
    others = [response(0.3 + place * 0.1, "v1", index=2 + place) for place in range(30)]
    for seen in (*failing, *others):
        source.recording.add(seen)
    source.now = T0 + 4
    ruled._step()
    assert "errors" not in texts(ruled.sent[-1]["parts"]["marks"])
    assert "received nothing" not in ruled.snapshot().summary
    source.steering.may_be_out = {"reviews-v2-x": 0.5}
    ruled._step()
    assert texts(ruled.sent[-1]["parts"]["marks"]) == "3.00 s 2 errors"
    assert ruled.snapshot().summary.endswith("v2 received nothing for 3.00 s after 2 errors until now.")


def test_weights_that_are_turned_reach_the_rule_and_the_sliders_show_it(ruled, source):
    ruled.turn("web")
    ruled._step()
    shown = ruled.sent[-1]["state"]["weights"]
    assert [part["name"] for part in shown["parts"]] == ["v1", "v2"]
    assert (shown["rule"], shown["weights"], shown["ready"]) == ("VirtualService/web", [90, 10], True)
    ruled._receive(ruled, {"do": "weights", "weights": [30, 70]}, None)
    ruled._step()
    until(lambda: source.steering.turned)
    assert source.steering.turned == [("web", [30, 70])]


def test_weights_are_for_traffic_of_a_lab(live):
    with pytest.raises(UsageError, match=r"not made by lab\.traffic"):
        live.turn("web")
    live._receive(live, {"do": "weights", "weights": [30, 70]}, None)
    live._step()
    assert live.sent[-1]["state"].get("weights") is None


@pytest.mark.parametrize(("url", "counted"), [("http://web.default:8080/", ""), ("gateway:/productpage", "web")])
def test_the_versions_counted_are_those_that_the_weights_divide(url, counted):
    traffic = BackgroundTraffic(SteppedMesh(), TrafficSpec(url=url, rate=1.0), steering=Rules())
    picture = live_of(traffic, rule="vs/web")
    assert picture.service == counted
    assert live_of(traffic) is picture
    picture.close()


def test_a_picture_of_longer_traffic_says_that_it_is_its_end(source):
    source.recording = Recording(capacity=20)
    for number in range(50):
        source.recording.add(response(number / 10, "v1"))
    told = LiveTraffic(source).snapshot().subtitle
    assert "the last 20 of 50 requests" in told


def test_a_run_of_days_is_binned(source):
    source.recording.add(response(0))
    source.recording.add(response(200_000))
    source.now = T0 + 200_001
    shown = LiveTraffic(source).snapshot().body
    # Two columns, and the mark and the bar of the share beside them.
    assert shown.count("ws-c0") == 4
