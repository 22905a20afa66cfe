"""IP addresses in manifests."""

from __future__ import annotations

import ipaddress

from labsupport.model.schema.syntax import is_ip

__all__ = ["normal_block"]


def normal_block(text: str) -> str | None:
    """An address or block as Istio keeps it: a block of one address is that address; None if it is neither."""
    if is_ip(text):
        return text
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return str(network.network_address) if network.num_addresses == 1 else text
