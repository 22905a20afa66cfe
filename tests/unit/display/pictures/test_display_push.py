"""Who was told of a change, and who acknowledged it when: as a record, and as a picture."""

import pytest
from display_samples import Page, texts

from labsupport.display import show
from labsupport.display.drawing.theme import style
from labsupport.observe.pushed import pushed_by
from labsupport.records import ApplyResult, ObjectChange, Pod, ProxyChange, Ref

CHANGES = (
    ObjectChange(Ref("VirtualService", "web<b>"), "created"),
    ObjectChange(Ref("DestinationRule", "web"), "unchanged"),
)
PODS = [
    Pod("late-1", "default", "late", injected=True),
    Pod("early-1", "default", "early", injected=True),
    Pod("istio-ingressgateway-1", "istio-system", "istio-ingressgateway", concurrency=1),
    Pod("bare-1", "default", "bare"),
]


def pushed(count=0):
    more = tuple(ProxyChange(f"web-{number:02}", 0.001, ("EDS",)) for number in range(count))
    proxies = (ProxyChange("late-1", 0.02, ("CDS", "RDS")), ProxyChange("early-1", 0.005, ("RDS",)), *more)
    return pushed_by(ApplyResult(CHANGES, proxies, 0.021), PODS)


def test_proxies_stand_in_the_order_of_their_acknowledgements_and_the_others_are_named():
    made = pushed()
    assert [proxy.proxy for proxy in made.proxies] == ["early-1", "late-1"]
    assert made.untold == ("istio-ingressgateway-1",)
    assert made.in_force_s == 0.02
    assert [change.ref.kind for change in made.changes] == ["VirtualService"]


def test_the_picture_says_who_was_told_what_and_who_acknowledged_it_when():
    figure = show(pushed())
    words = texts(figure.body)
    assert words.index("early-1") < words.index("late-1")
    assert "✓ 5.0 ms" in words and "✓ 20 ms" in words
    assert "CDS, RDS" in words and "RDS = routes" in words
    assert "not told, because nothing of theirs changed: istio-ingressgateway-1" in words
    assert "bare-1" not in words
    assert not Page(figure._repr_html_()).all("b")
    assert "early-1 (RDS), acknowledged after 5.0 ms" in figure.summary


@pytest.mark.parametrize("count", [0, 10, 40])
def test_many_proxies_are_counted(count):
    figure = show(pushed(count))
    told = texts(figure.body)
    assert ("more prox" in told) == (count + 2 > 12)
    assert figure.height < 600


def test_nothing_moves_where_motion_is_not_welcome():
    sheet = style()
    assert "animation" not in sheet[: sheet.index("@media(prefers-reduced-motion:no-preference)")]
