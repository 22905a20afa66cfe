"""The one normalisation under which our xDS and istiod's are compared; ``README.md`` here has it as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["TYPES", "differences", "normalise"]

TYPES = ("clusters", "endpoints", "listeners", "routes")
# Conditions of a route match that istiod takes from hash maps; all of them must hold, so that order means nothing.
_UNORDERED = ("headers", "query_parameters", "dynamic_metadata")


def normalise(resources: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Leave out what upstream Envoy lacks or a mesh without certificates does not need; by type and name."""
    result: dict[str, dict[str, Any]] = {}
    # Without a tracer nobody sees what spans are called.
    unseen = () if _traces(resources["listeners"]) else ("decorator",)
    for kind in TYPES:
        named = {}
        for resource in resources[kind]:
            clean = _clean(resource, (), unseen)
            if kind == "listeners":
                _drop_mutual_tls_chains(clean)
            if kind == "endpoints":
                for group in clean.get("endpoints", ()):
                    # Pods of one locality have no order; istiod keeps them in a hash map of slices.
                    group.get("lb_endpoints", []).sort(key=_address)
            if kind == "clusters":
                _clean_cluster(clean)
            named[clean.get("name") or clean["cluster_name"]] = clean
        result[kind] = named
    return result


def _address(endpoint: dict[str, Any]) -> tuple[str, int]:
    address = endpoint["endpoint"]["address"]
    socket = address.get("socket_address", {})
    return str(socket.get("address", address)), int(socket.get("port_value", 0))


def _traces(value: Any) -> bool:
    if isinstance(value, dict):
        return "provider" in value.get("tracing", ()) or any(map(_traces, value.values()))
    return isinstance(value, list) and any(map(_traces, value))


def _clean(value: Any, path: tuple[str, ...], unseen: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {
            key: _clean(item, (*path, key), unseen)
            for key, item in value.items()
            if key not in unseen and not _left_out(key, item)
        }
    if isinstance(value, list):
        items = [_clean(item, path, unseen) for item in value if not _istio_filter(item)]
        return sorted(items, key=_by_name) if path and path[-1] in _UNORDERED else items
    return value


def _by_name(condition: Any) -> tuple[str, str]:
    return str(condition.get("name", "")), json.dumps(condition, sort_keys=True)


def _istio_filter(item: Any) -> bool:
    return isinstance(item, dict) and "typed_config" in item and str(item.get("name", "")).startswith("istio.")


def _left_out(key: str, item: Any) -> bool:
    if key == "filters" and isinstance(item, list):
        return all(_istio_filter(entry) for entry in item)
    if key == "tracing":
        return "provider" not in item
    return key == "transport_socket_matches"


def _clean_cluster(cluster: dict[str, Any]) -> None:
    socket = cluster.get("transport_socket")
    if socket is not None and '"ROOTCA"' in _text(socket):
        del cluster["transport_socket"]


def _text(value: Any) -> str:
    return json.dumps(value)


def _drop_mutual_tls_chains(listener: dict[str, Any]) -> None:
    """Chains that only another sidecar's handshake can match."""
    chains = listener.get("filter_chains")
    if chains is None:
        return
    listener["filter_chains"] = [
        chain
        for chain in chains
        if not any(
            name.startswith("istio") for name in chain.get("filter_chain_match", {}).get("application_protocols", ())
        )
    ]
    for chain in listener["filter_chains"]:
        if '"ROOTCA"' in _text(chain.get("transport_socket", {})):
            del chain["transport_socket"]


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where two normalised values differ, as lines of text."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            where = f"{path}/{key}"
            if key not in ours:
                yield f"{where}: missing, istiod has {_short(theirs[key])}"
            elif key not in theirs:
                yield f"{where}: only ours has {_short(ours[key])}"
            else:
                yield from differences(ours[key], theirs[key], where)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (our, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(our, other, f"{path}[{index}]")
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        yield f"{path}: ours {_short(ours)}, istiod's {_short(theirs)}"


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 400 else f"{text[:400]}..."
