"""A question where it is shown: the widget, and beside it what is seen of it once its kernel is gone."""

from __future__ import annotations

import uuid
from typing import Any

from labsupport.course.questions import Asked, ChoiceQuestion, Question
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.text import el, esc
from labsupport.display.live.question import judged, question_widget
from labsupport.display.live.still import publish, still, view_only

__all__ = ["show_question"]


def show_question(asked: Asked) -> None:
    """Show a question, with a static form that follows its answers.

    Args:
        asked: what is asked, with the answer so far.
    """
    place = f"workshop-{uuid.uuid4().hex}"

    def keep(answer: float | str | None, *, mark: str = "", update: bool = True) -> None:
        publish(still(_markup(asked.question, answer, mark)), {}, place, update=update)

    shown: Any = question_widget(asked, answered=keep)._repr_mimebundle_()
    bundle = shown[0] if isinstance(shown, tuple) else shown
    publish(view_only(bundle), {}, f"{place}-widget")
    keep(asked.answer, mark=asked.mark, update=False)


def _markup(question: Question, answer: float | str | None, mark: str) -> str:
    """The card without controls."""
    choices = question.choices if isinstance(question, ChoiceQuestion) else ()
    listed = el("ul", *(el("li", esc(choice)) for choice in choices)) if choices else ""
    said = judged(question, answer, mark=mark)
    verdict = el("div", f"{said['sign']} {said['word']} ", esc(" ".join(said["lines"])), class_="ws-gap")
    return panel("", el("div", esc(question.text), class_="b"), listed, verdict)
