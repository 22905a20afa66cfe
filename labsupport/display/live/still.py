"""The static form beside a widget: what is seen of it once its kernel is gone, and in an exported notebook."""

from __future__ import annotations

from typing import Any

from labsupport.display.drawing.text import el

__all__ = ["ASKED", "gone", "publish", "still", "view_only"]

ASKED = "ws-asked"
"""The class of a question's widget; pictures have one of their own."""

_VIEW = "application/vnd.jupyter.widget-view+json"
# Two outputs of a cell, the widget and then its static form, of which one is seen: a notebook whose kernel is gone has
# an error text in the place of the widget.
_ALIVE = f":has(.ws-live,.{ASKED})"
_STYLE = (
    f".jp-OutputArea-child{_ALIVE}+.jp-OutputArea-child:has(.ws-still),"
    f".jp-OutputArea-child:not({_ALIVE}):has(+.jp-OutputArea-child .ws-still),"
    ".jp-OutputArea-child:has(.ws-gone){display:none}"
)


def still(markup: str) -> dict[str, str]:
    """The second output of a widget.

    Args:
        markup: what is to be seen without the widget.

    Returns:
        The output by MIME type; plain text has the widget's own output.
    """
    return {"text/html": f"<style>{_STYLE}</style>{el('div', markup, class_='ws-still')}", "text/plain": ""}


def gone() -> dict[str, str]:
    """What takes the place of a static form that is not needed any more."""
    return {"text/html": f'<style>{_STYLE}</style><span class="ws-gone"></span>', "text/plain": ""}


def view_only(bundle: dict[str, Any]) -> dict[str, Any]:
    """A widget's output without other forms of it, which its static form would repeat in a viewer without widgets."""
    return {kind: value for kind, value in bundle.items() if kind in (_VIEW, "text/plain")}


def publish(data: Any, metadata: Any, place: str, *, update: bool = False) -> None:
    """Show something, or put it in the place of what was shown there.

    Args:
        data: the output by MIME type.
        metadata: of the output.
        place: display id.
        update: whether it was shown before.
    """
    from IPython.display import publish_display_data

    shown: Any = publish_display_data
    shown(data, metadata, transient={"display_id": place}, update=update)
