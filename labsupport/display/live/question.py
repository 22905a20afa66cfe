"""Questions of exercises as widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labsupport.course.questions import Asked, ChoiceQuestion
from labsupport.display.live.still import ASKED
from labsupport.errors import UsageError

__all__ = ["question_widget"]


def question_widget(asked: Asked, *, answered: Callable[[float | str], None] = lambda _: None) -> Any:
    """A question with something to click or to type in.

    Args:
        asked: what is asked, with the answer so far.
        answered: called with each answer that was noted.

    Returns:
        An ipywidgets container; its controls have labels and tooltips.
    """
    import ipywidgets as widgets

    question, answer = asked.question, asked.answer

    text = widgets.HTML(value="", layout=widgets.Layout(max_width="48em"))
    # Plain text in an HTML widget, so that nothing in a question is taken for markup.
    text.value = question.text.replace("&", "&amp;").replace("<", "&lt;")
    control: Any
    if isinstance(question, ChoiceQuestion):
        control = widgets.RadioButtons(
            options=list(question.choices),
            value=answer,
            description="",
            tooltip=question.text,
            layout={"width": "auto"},
        )
    else:
        # A text and not a number field: that one has no empty state, and would suggest an answer.
        control = widgets.Text(
            value="" if answer is None else f"{answer:g}",
            placeholder="a number",
            description=question.unit,
            tooltip=question.text,
            continuous_update=False,
        )
    said = widgets.Label(value=asked.mark if asked.mark else _said(answer))

    # A callback may run in another thread while a cell runs: it sets plain data, and neither prints nor raises.
    def changed(change: dict[str, Any]) -> None:
        try:
            asked.note(change["new"])
        except UsageError as error:
            said.value = str(error)
        else:
            said.value = _said(change["new"])
            answered(change["new"])

    control.observe(changed, names="value")
    return widgets.VBox([text, control, said]).add_class(ASKED)


def _said(answer: float | str | None) -> str:
    return "no answer yet" if answer is None else f"noted: {answer if isinstance(answer, str) else f'{answer:g}'}"
