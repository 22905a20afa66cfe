"""The answer to a query as a table."""

from __future__ import annotations

from labsupport.display.html.mesh_html import answer_html
from labsupport.metrics.answers import Answer
from labsupport.metrics.operators import Element
from labsupport.metrics.series import labels_of


def _answer(*codes: str, note: str = "", scalar: bool = False) -> Answer:
    elements = tuple(
        Element(labels_of({"code": code, "job": "<a>"} if code else {}), number) for number, code in enumerate(codes)
    )
    return Answer("up", elements, scalar, "this lab", note)


def test_what_all_elements_have_is_told_once_and_markup_is_shown_as_text() -> None:
    html = answer_html(_answer("200", "503"))
    assert html.count("&lt;a&gt;") == 1 and "<a>" not in html
    assert ">503</th>" in html and "2 elements, of this lab" in html


def test_numbers_notes_and_nothing() -> None:
    assert "a number, of this lab" in answer_html(_answer("", scalar=True))
    assert "no series fits" in answer_html(_answer())
    assert "<p>look &amp; see</p>" in answer_html(_answer("200", note="look & see"))


def test_an_element_with_many_labels_stands_upright_and_begins_with_its_value() -> None:
    labels = labels_of({f"label_{number}": f"is {number}" for number in range(9)})
    html = answer_html(Answer("up", (Element(labels, 7),), False, "this lab"))
    assert html.index(">7</td>") < html.index("label_0") < html.index("label_8")
    assert html.count("<tr>") == 10


def test_long_answers_are_cut_and_say_so() -> None:
    html = answer_html(_answer(*map(str, range(201))))
    assert "the first 200 of 201" in html and ">200</th>" not in html
