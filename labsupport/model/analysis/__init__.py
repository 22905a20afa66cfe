"""Notes about objects that are each valid but do not fit together, as ``istioctl analyze`` gives them."""

from __future__ import annotations

from labsupport.model.analysis.analyse import analyse
from labsupport.model.analysis.world import Note, PodLabels

__all__ = ["Note", "PodLabels", "analyse"]
