"""Which cell of a notebook is running: so that what a cell started ends when the cell is run again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["CellRun", "here", "number"]


@dataclass(frozen=True, slots=True)
class CellRun:
    """One run of one cell.

    Args:
        cell: id of the cell, as JupyterLab and Notebook 7 tell the kernel; empty where the front end does not.
        run: id of this run.
    """

    cell: str
    run: str

    def reruns(self, former: CellRun) -> bool:
        """Whether this is another run of the same cell."""
        return bool(self.cell) and self.cell == former.cell and self.run != former.run


def here() -> CellRun:
    """The run of a cell that is executing now; an empty one outside a notebook."""
    shell = _shell()
    parent = getattr(shell, "parent_header", None) or {}
    header, metadata = parent.get("header") or {}, parent.get("metadata") or {}
    return CellRun(str(metadata.get("cellId") or ""), str(header.get("msg_id") or ""))


def number() -> int:
    """The number of the cell that is executing now, which a notebook shows as ``In [18]``; 0 outside a notebook."""
    # Not execution_count: newer IPythons count on before the cell runs, and only this property knows which do.
    return int(getattr(getattr(_shell(), "displayhook", None), "prompt_count", 0) or 0)


def _shell() -> Any:
    # IPython is never imported for this: who does not run in it has no cells.
    interactive = sys.modules.get("IPython")
    return interactive.get_ipython() if interactive is not None else None
