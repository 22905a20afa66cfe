"""LDS and RDS of gateways: the servers of all Gateway objects that select the pod, merged."""

from __future__ import annotations

from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.gateway.listeners import gateway_listeners
from labsupport.controlplane.translate.gateway.merge import merge_servers
from labsupport.controlplane.translate.gateway.tables import gateway_table
from labsupport.controlplane.translate.listeners.tables import table_names
from labsupport.records import JsonObject

__all__ = ["build_gateway"]


def build_gateway(context: Context) -> tuple[dict[str, JsonObject], dict[str, JsonObject]]:
    """The listeners and route tables of a gateway.

    Args:
        context: the gateway's pod.

    Returns:
        Listeners and route tables by name; both empty if no Gateway selects the pod.
    """
    merged = merge_servers(context)
    listeners = gateway_listeners(context, merged)
    tables = {name: gateway_table(context, merged, name) for name in table_names(listeners.values())}
    return listeners, tables
