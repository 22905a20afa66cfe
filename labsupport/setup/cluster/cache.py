"""The folder of this user in which downloaded programs, logs and the record of a cluster are kept."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from labsupport.errors import StorageError

__all__ = ["Record", "folder", "log_file"]


def folder(*parts: str) -> Path:
    """A folder of the cache, made if it is not there: ``WORKSHOP_CACHE``, or where this system keeps caches.

    Raises:
        StorageError: it cannot be made.
    """
    if given := os.environ.get("WORKSHOP_CACHE"):
        base = Path(given).expanduser()
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "istio-traffic-workshop"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "istio-traffic-workshop"
    place = base.joinpath(*parts)
    try:
        # Programs are run from here, so nobody else may put one in their place.
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"{place} cannot be made ({error.strerror}). Set WORKSHOP_CACHE to a folder that you can write to."
        ) from error
    return place


def log_file(cluster: str) -> Path:
    """The file with the whole output of the programs that were run for a cluster."""
    return folder("logs") / f"{cluster}.log"


class Record:
    """What ``up`` has to remember about a cluster; losing it costs time, nothing else.

    Args:
        cluster: name of the kind cluster.
    """

    def __init__(self, cluster: str) -> None:
        self.file = folder("clusters") / f"{cluster}.json"

    def read(self) -> dict[str, Any]:
        """Everything that was kept; empty if nothing was, or if the file is damaged."""
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def update(self, **values: Any) -> None:
        """Keep values; ``None`` forgets one."""
        kept = {**self.read(), **values}
        text = json.dumps({name: value for name, value in kept.items() if value is not None}, indent=1)
        temporary = self.file.with_suffix(".new")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.file)
        except OSError as error:
            raise StorageError(f"{self.file} cannot be written: {error.strerror}.") from error

    def forget(self) -> None:
        """Remove the record."""
        self.file.unlink(missing_ok=True)
