"""What a pod remembers: SQLite in its memory, as long as it runs; and how much of it."""

from __future__ import annotations

import sqlite3
from typing import Any

__all__ = ["Store"]


class Store:
    """A database of one pod.

    Args:
        tables: SQL that makes its tables.
    """

    def __init__(self, tables: str) -> None:
        # Made where the application is built, used where it serves: never at the same time.
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(tables)

    def run(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run one statement; returns the rows that it gives."""
        return [dict(row) for row in self._database.execute(sql, values)]

    def keep_newest(self, table: str, count: int) -> None:
        """Forget the oldest rows of a table, so that a pod never remembers more than so many."""
        self.run(
            f"DELETE FROM {table} WHERE rowid NOT IN (SELECT rowid FROM {table} ORDER BY rowid DESC LIMIT {count})"
        )

    def close(self) -> None:
        """Forget everything."""
        self._database.close()
