"""Questions of exercises as widgets: a card with something to choose or to type in, which says at once what is so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

from labsupport.check.result import CheckState
from labsupport.course.questions import Asked, ChoiceQuestion, NumberQuestion, Question
from labsupport.display.drawing.theme import STATIC, style
from labsupport.display.live.scripts import script
from labsupport.errors import UsageError

__all__ = ["QuestionView", "judged", "question_widget"]

Answered = Callable[[float | str], None]

_RIGHT, _WRONG = {"sign": "✓", "word": "RIGHT"}, {"sign": "✗", "word": "NOT RIGHT"}
_NONE, _NOTED = {"sign": "○", "word": "NO ANSWER YET"}, {"sign": "✓", "word": "NOTED"}


class QuestionView(anywidget.AnyWidget):
    """A question in one or more places of a page, with its answer.

    Args:
        asked: what is asked, with the answer so far.
        answered: called with each answer that was noted.
    """

    _esm = script("question.mjs")
    _css = style() + (STATIC / "live.css").read_text(encoding="utf-8")
    question = traitlets.Dict().tag(sync=True)
    said = traitlets.Dict().tag(sync=True)

    def __init__(self, asked: Asked, answered: Answered) -> None:
        self._asked, self._answered = asked, answered
        question = asked.question
        choices = list(question.choices) if isinstance(question, ChoiceQuestion) else []
        unit = question.unit if isinstance(question, NumberQuestion) else ""
        super().__init__(
            question={"text": question.text, "choices": choices, "unit": unit},
            said=judged(question, asked.answer, mark=asked.mark),
        )
        self.on_msg(self._receive)

    def answer(self, value: float | str) -> None:
        """Take an answer, and say what it is worth.

        Args:
            value: a choice, or what was typed in.
        """
        try:
            self._asked.note(value)
        except UsageError as error:
            self.said = {**_NONE, "state": "none", "answer": str(value), "lines": [str(error)]}
            return
        parsed = self._asked.question.parse(value)
        self.said = judged(self._asked.question, parsed)
        self._answered(parsed)

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # May run in another thread while a cell runs: it sets plain data, and neither prints nor raises.
        if not isinstance(content, Mapping):
            return
        if content.get("do") == "hello":
            self.send({"kind": "here"})
        elif isinstance(content.get("answer"), str):
            self.answer(content["answer"])


def judged(question: Question, answer: float | str | None, *, mark: str = "") -> dict[str, Any]:
    """What the card says of an answer.

    Args:
        question: what is asked.
        answer: the answer so far; None without one.
        mark: what else is to be known of the answer.

    Returns:
        ``sign`` and ``word`` of the verdict, its ``state``, the ``answer`` as text, and ``lines`` that say why.
    """
    more = [f"({mark})"] if mark else []
    if answer is None:
        return {**_NONE, "state": "none", "answer": "", "lines": []}
    shown = answer if isinstance(answer, str) else f"{answer:g}"
    if question.predicts:
        # A prediction is answered by what is seen afterwards.
        said = f"{shown!r}"
        if isinstance(question, NumberQuestion):
            said = f"{shown} {question.unit.removesuffix('s') if answer == 1 else question.unit}"
        line = f"Your prediction is {said}. The requests will tell."
        return {**_NOTED, "state": "noted", "answer": shown, "lines": [line, *more]}
    outcome = question.judge(answer)
    face = _RIGHT if outcome.state is CheckState.PASSED else _WRONG
    return {**face, "state": "right" if outcome else "wrong", "answer": shown, "lines": [*outcome.lines, *more]}


def question_widget(asked: Asked, *, answered: Answered = lambda _: None) -> QuestionView:
    """A question with something to click or to type in.

    Args:
        asked: what is asked, with the answer so far.
        answered: called with each answer that was noted.
    """
    return QuestionView(asked, answered)
