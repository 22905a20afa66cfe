"""A log is read again until who answered a client has written, and no longer than that."""

from __future__ import annotations

import pytest

from labsupport.observe import arrivals
from labsupport.observe.tables import AccessLog
from labsupport.records import AccessRecord, Hop, Pod, Response

PAGE, REVIEWS = "productpage-v1-ab12-cd34", "reviews-v1-ab12-ef56"
INNER = [
    AccessRecord("id-1", 1.0, PAGE, "outbound", upstream_pod=REVIEWS, status=503),
    AccessRecord("id-1", 1.1, REVIEWS, "inbound", status=503),
]
OUTER = AccessRecord("id-1", 0.9, PAGE, "inbound", status=503)
ANSWERED = Response(0, 0.0, 0.1, "http_error", 503, "id-1", (Hop("productpage", "v1", PAGE),))


class Growing:
    """A log that gets its last line at the third look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> AccessLog:
        self.looks += 1
        return AccessLog([*INNER, OUTER] if self.looks > 2 else INNER)


def pods(*, injected: bool = True) -> list[Pod]:
    return [Pod(name, "default", name.rsplit("-", 2)[0], injected=injected) for name in (PAGE, REVIEWS)]


def test_who_answered_the_client_is_waited_for() -> None:
    log = Growing()
    assert OUTER in arrivals.arrived(log, [ANSWERED], pods) and log.looks == 3


def test_who_took_part_behind_a_pod_without_a_sidecar_is_waited_for() -> None:
    log = Growing()
    bare = Hop("shop", "v1", "shop-v1-ab12-gh78")
    through = Response(0, 0.0, 0.1, "http_error", 503, "id-1", (bare, *ANSWERED.path))
    assert OUTER in arrivals.arrived(log, [through], pods) and log.looks == 3


@pytest.mark.parametrize("response", [ANSWERED, Response(0, 0.0, 0.1, "http_error", 504, "id-1")])
def test_who_has_no_sidecar_and_who_did_not_answer_are_not_waited_for(response: Response) -> None:
    log = Growing()
    arrivals.arrived(log, [response], lambda: pods(injected=not response.path))
    assert log.looks == 1


def test_a_line_that_never_comes_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_APPEARS_S", 0.05)
    assert len(arrivals.arrived(lambda: AccessLog(INNER), [ANSWERED], pods)) == 2


def test_requests_that_a_deployment_received_are_counted_with_every_try() -> None:
    log = AccessLog([*INNER, OUTER, AccessRecord("id-1", 1.2, REVIEWS, "inbound", attempt=2)])
    assert (log.received("reviews-v1"), log.received(PAGE), log.received("reviews")) == (2, 1, 0)
