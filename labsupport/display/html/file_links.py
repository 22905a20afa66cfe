"""Names of files in cards as links that a notebook server opens beside the notebook."""

from __future__ import annotations

import os
from urllib.parse import quote

from labsupport import paths
from labsupport.display.drawing.text import breakable, el
from labsupport.errors import NotFoundError

__all__ = ["file_link"]


def file_link(place: str) -> str:
    """A place in a file as HTML.

    Args:
        place: ``file:line`` or a file, as messages name it; a cell of a notebook stays plain text.

    Returns:
        A link that is relative to the notebook's folder, where there is such a file.
    """
    name, _, line = place.rpartition(":")
    name = name if name and line.isdecimal() else place
    shown = breakable(place)
    if not name.endswith((".yaml", ".yml")):
        return shown
    try:
        path = paths.resolve(name)
    except NotFoundError:
        return shown
    return el("a", shown, href=quote(os.path.relpath(path)), target="_blank", rel="noopener")
