"""Pages of the shop beside each other: each as it came, told by its version, and harmless."""

from __future__ import annotations

import html
import re

from labsupport.course.shopping import Visits
from labsupport.display.html.pages import visits_html
from labsupport.records import Hop, Response
from labsupport.traffic.observations import Observations

YELLOW = '<!DOCTYPE html><body class="yellow"><script>alert("socks")</script>'


def page(index: int, version: str) -> Response:
    return Response(
        index, 0.0, 0.1, "ok", 200, path=(Hop("front-end", version, f"front-end-{version}-1"),), body=YELLOW
    )


def test_each_page_is_shown_as_it_came_in_a_frame_where_nothing_runs():
    shown = visits_html(Visits(Observations([page(0, "v1"), page(1, "v2"), page(2, "v1")])))
    frames = re.findall(r"<iframe [^>]*>", shown)
    assert [re.findall(r'title="([^"]*)"', frame)[0] for frame in frames] == ["page 1, v1", "page 2, v2", "page 3, v1"]
    assert all(html.unescape(re.findall(r'srcdoc="([^"]*)"', frame)[0]) == YELLOW for frame in frames)
    assert all('sandbox=""' in frame for frame in frames)
    assert "3 pages: v1 2, v2 1" in shown and "<script>" not in shown


def test_a_page_that_did_not_come_says_why():
    lost = [Response(0, 0.0, 0.1, "http_error", 503, body="no healthy upstream"), Response(1, 0.0, 0.1, "connection")]
    shown = visits_html(Visits(Observations([*lost, page(2, "v1")])))
    assert "1 · 503 no healthy upstream" in shown and "2 · connection failed" in shown
    assert "3 pages: v1 1, 2 lost" in shown
