"""The pictures' JavaScript, joined to the one module that a widget can load.

The files are modules that node tests and lints as they are; a widget gets a single text, because a notebook server has
no address for the others.
"""

from __future__ import annotations

import re
from functools import cache

from labsupport.display.drawing.theme import STATIC

__all__ = ["script"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.mjs)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


@cache
def script(entry: str = "live.mjs") -> str:
    """A module with everything that it imports.

    Args:
        entry: the file whose default export is the widget.

    Returns:
        JavaScript without imports: each file once, after those that it needs.
    """
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        text = (STATIC / name).read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            if needed not in texts:
                add(needed)
        texts[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    add(entry)
    return "\n".join(texts.values())
