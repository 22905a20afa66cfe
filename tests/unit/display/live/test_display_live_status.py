"""The live overview: what it sends, how often it looks, and how it ends."""

import pytest
from display_samples import T0, Page
from paced_views import own_clock, step, stepped
from small_mesh import until

from labsupport.display.live.live_status import LiveStatus
from labsupport.errors import EngineLostError
from labsupport.observe.tables import LabStatus, Pods
from labsupport.records import Pod, Ref, RuleStatus


class Lab:
    def __init__(self):
        self.pods = [Pod("web-1", "default", "web", {"version": "v1"}, True, True)]
        self.rules = [RuleStatus(Ref("VirtualService", "web"), T0, 0.004, ("web-1",))]
        self.last_error, self.looks, self.lost, self.closing = "", 0, None, []

    def status(self):
        self.looks += 1
        if self.lost is not None:
            raise self.lost
        return LabStatus("small", "default", T0, Pods(self.pods), tuple(self.rules), last_error=self.last_error)

    def when_closed(self, act):
        self.closing.append(act)


@pytest.fixture
def clock(monkeypatch):
    return own_clock(monkeypatch)


@pytest.fixture
def lab():
    return Lab()


@pytest.fixture
def live(lab, clock, monkeypatch):
    with stepped(LiveStatus, lab, monkeypatch) as view:
        yield view


def test_only_sections_that_changed_are_sent(live, lab, clock):
    step(live, clock)
    assert set(live.sent[0]["parts"]) == {"pods", "rules", "addresses", "notes"}
    step(live, clock)
    assert len(live.sent) == 1
    lab.pods.append(Pod("web-2", "default", "web", {"version": "v2"}, True, False))
    step(live, clock)
    assert list(live.sent[1]["parts"]) == ["pods"]
    assert "2 pods (1 ready)" in live.sent[1]["state"]["what"]


def test_the_last_error_appears_and_goes(live, lab, clock):
    step(live, clock)
    lab.last_error = "VirtualService/web: unknown field <wieght>"
    step(live, clock)
    assert "unknown field &lt;wieght&gt;" in live.sent[-1]["parts"]["notes"]
    lab.last_error = ""
    step(live, clock)
    assert live.sent[-1]["parts"]["notes"] == ""


def test_a_mesh_that_answers_slowly_is_asked_seldom(lab, clock, monkeypatch):
    live = LiveStatus(lab)
    looked = lab.status

    def slow():
        clock[0] += 3.0
        return looked()

    monkeypatch.setattr(lab, "status", slow)
    begun, before = clock[0], lab.looks
    while clock[0] < begun + 300:
        live._look()
        clock[0] += 1.0
    assert 8 <= lab.looks - before <= 10
    live.close()


def test_a_lost_mesh_leaves_what_was_seen_last_and_says_why(live, lab, clock):
    step(live, clock)
    lab.lost = EngineLostError("the mesh is gone")
    step(live, clock)
    assert live.sent[-1]["state"] == {"error": "the mesh is gone"}
    assert "web-1" in repr(live)


def test_it_can_be_read_as_text_and_as_html_without_a_browser(live):
    shown = live._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    assert "web-1" in Page(data["text/html"]).text
    assert data["text/plain"] == repr(live)
    assert repr(live).startswith("small mesh, namespace default: 1 pod (1 ready)")


def test_when_the_lab_closes_a_static_overview_takes_its_place(live, lab, monkeypatch):
    published = []
    monkeypatch.setattr(
        "labsupport.display.live.live_view.publish",
        lambda data, metadata, place, update=False: published.append((data, place, update)),
    )
    live._ipython_display_()
    (act,) = lab.closing
    act()
    act()
    (first, place, update), (still, *_), (last, same_place, updated), (gone, *_) = published
    assert "web-1" in Page(still["text/html"]).text and "ws-gone" in gone["text/html"]
    assert (update, updated) == (False, True)
    assert place == same_place
    assert "application/vnd.jupyter.widget-view+json" in first
    assert set(last) == {"text/html", "text/plain"}
    assert "web-1" in Page(last["text/html"]).text


def test_its_thread_ends_with_it(lab):
    live = LiveStatus(lab)
    live._repr_mimebundle_()
    thread = live._thread
    assert thread is not None and thread.is_alive()
    live.close()
    until(lambda: not thread.is_alive())
