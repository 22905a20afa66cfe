"""The live picture of a proxy's pools: what it sends, how often it looks, and how it ends."""

import threading

import pytest
from paced_views import own_clock, step, stepped

from labsupport.display.live.live_pools import LivePools
from labsupport.errors import EngineLostError
from labsupport.observe.pools import Pool, Pools

WEB = "outbound|8080||web.default.svc.cluster.local"


class Proxy:
    """What a proxy counts; ``look_s`` is how long an answer takes by the clock of the test."""

    def __init__(self, clock):
        self.clock, self.look_s = clock, 0.0
        self.waiting, self.looks, self.lost, self.closing = 0, 0, None, []

    def pools(self):
        pool = Pool(WEB, connections=1, max_connections=1, waiting=self.waiting, max_waiting=4)
        return Pools("client-1", (pool,), self.again, self.closing.append)

    def again(self):
        self.looks += 1
        self.clock[0] += self.look_s
        if self.lost is not None:
            raise self.lost
        return self.pools()


@pytest.fixture
def clock(monkeypatch):
    return own_clock(monkeypatch)


@pytest.fixture
def proxy(clock):
    return Proxy(clock)


@pytest.fixture
def live(proxy, monkeypatch):
    with stepped(LivePools, proxy.pools(), monkeypatch) as view:
        yield view


def test_the_picture_is_sent_when_a_number_changed_and_only_then(live, proxy, clock):
    step(live, clock)
    assert "requests waiting" in live.sent[0]["parts"]["pods"]
    assert live.sent[0]["state"]["what"] == "in the proxy of client-1"
    step(live, clock)
    assert (proxy.looks, len(live.sent)) == (2, 1)
    proxy.waiting = 3
    step(live, clock)
    assert "requests waiting: 3 of 4" in live.sent[1]["parts"]["pods"]


def test_a_proxy_that_answers_slowly_is_asked_seldom(live, proxy, clock):
    proxy.look_s = 1.0
    step(live, clock)
    for _ in range(4):
        step(live, clock)
    assert proxy.looks == 1
    step(live, clock)
    assert proxy.looks == 2


def test_a_proxy_that_does_not_answer_leaves_the_last_picture_and_the_error(live, proxy, clock):
    proxy.waiting = 2
    step(live, clock)
    proxy.lost = EngineLostError("the cluster is gone")
    step(live, clock)
    assert live.sent[-1]["parts"] == {}
    assert "the cluster is gone" in live.sent[-1]["state"]["error"]
    assert "requests waiting: 2 of 4" in repr(live)
    proxy.lost = None
    step(live, clock)
    assert live.sent[-1]["state"]["error"] == ""


def test_a_record_that_stays_as_it_is_is_drawn_and_never_asked(clock, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    live = LivePools(Pools("client-1", (Pool(WEB, connections=1, max_connections=1),)))
    assert "connections: 1 of 1" in live.snapshot().summary
    live.close()


def test_the_end_of_the_lab_is_the_end_of_the_picture(live, proxy, clock):
    (freeze,) = proxy.closing
    freeze()
    assert live._ended.is_set()
    step(live, clock)
    assert live.sent == []


def test_what_stays_is_what_is_so_now(live, proxy, clock):
    proxy.waiting = 4
    assert "requests waiting: 4 of 4" in live.snapshot().summary
    assert repr(live) == repr(proxy.pools())
