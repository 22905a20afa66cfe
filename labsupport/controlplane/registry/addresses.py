"""IP addresses in manifests."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["is_ip", "normal_block"]


@lru_cache(maxsize=4096)
def is_ip(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def normal_block(text: str) -> str | None:
    """An address or block as Istio keeps it: a block of one address is that address; None if it is neither."""
    if is_ip(text):
        return text
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return str(network.network_address) if network.num_addresses == 1 else text
