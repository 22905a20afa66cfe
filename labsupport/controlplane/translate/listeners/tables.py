"""Which route tables a set of listeners asks for."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.records import JsonObject

__all__ = ["table_names"]


def table_names(listeners: Iterable[JsonObject]) -> list[str]:
    """Names of the tables that listeners get over RDS, sorted."""
    names = set()
    for listener in listeners:
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain") or {}):
            for item in chain.get("filters", ()):
                rds = item["typed_config"].get("rds")
                if rds is not None:
                    names.add(rds["route_config_name"])
    return sorted(names)
