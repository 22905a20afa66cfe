"""Names of files in cards as links that a notebook server opens beside the notebook."""

from __future__ import annotations

import os
from urllib.parse import quote

from labsupport import paths
from labsupport.display.drawing.text import breakable, el
from labsupport.errors import NotFoundError

__all__ = ["file_href", "file_link"]


def file_href(place: str) -> str:
    """Where a place in a file is, as a link of a page in the notebook's folder.

    Args:
        place: ``file:line`` or a file, as messages name it.

    Returns:
        A relative address; empty where there is no such file, as for a cell of a notebook.
    """
    name, _, line = place.rpartition(":")
    name = name if name and line.isdecimal() else place
    if not name.endswith((".yaml", ".yml")):
        return ""
    try:
        return quote(os.path.relpath(paths.resolve(name)))
    except NotFoundError:
        return ""


def file_link(place: str) -> str:
    """A place in a file as HTML.

    Args:
        place: ``file:line`` or a file, as messages name it; a cell of a notebook stays plain text.

    Returns:
        A link that is relative to the notebook's folder, where there is such a file.
    """
    href = file_href(place)
    return el("a", breakable(place), href=href, target="_blank", rel="noopener") if href else breakable(place)
