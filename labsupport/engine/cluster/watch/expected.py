"""What a change must make a proxy hold: the paths at which its configuration before and after differ, and only those.

A real istiod sends more than our translation makes: Istio's own filters, mutual TLS, the Services of other namespaces,
access logs. None of that changes with a rule, so none of it is looked at. What does change is compared value by value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from labsupport.controlplane.encode import ORDER, XdsType
from labsupport.controlplane.proxies import ProxyResources
from labsupport.records import EnvoyConfig

__all__ = ["Expected", "Held", "Mismatch", "Named", "expectations"]


@dataclass(frozen=True, slots=True)
class Named:
    """A step of a path into a list: to the item of this name, wherever it stands."""

    name: str


class _Absent:
    def __repr__(self) -> str:
        return "(nothing)"


ABSENT: Final = _Absent()
Path = tuple[str | int | Named, ...]
_RESOURCES: Mapping[XdsType, str] = {"CDS": "clusters", "EDS": "endpoints", "LDS": "listeners", "RDS": "routes"}
# Virtual hosts that istiod puts into every table, whatever is applied.
_ALWAYS = ("allow_any", "block_all", "blackhole")
# What another namespace's Services have a part in too.
_SHARED_LISTENER = "0.0.0.0_"
_INBOUND = "inbound|"


@dataclass(frozen=True, slots=True)
class Expected:
    """One value that a proxy has to hold once the change is in force.

    Args:
        xds: type of the resource.
        resource: its name.
        path: into the resource; empty for all of it.
        wanted: the value, with what it may lack of what istiod adds; ``ABSENT`` if it has to be gone.
    """

    xds: XdsType
    resource: str
    path: Path
    wanted: Any

    @property
    def place(self) -> str:
        """Type, resource and path as one text."""
        text = "".join(f".{step}" if isinstance(step, str) else f"[{_plain(step)}]" for step in self.path)
        return f"{self.xds} {self.resource}{' ' if text else ''}{text.lstrip('.')}"


def _plain(step: int | Named) -> str:
    return step.name if isinstance(step, Named) else str(step)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that a proxy does not hold yet, and what it holds there."""

    expected: Expected
    seen: Any

    def __str__(self) -> str:
        return f"{self.expected.place}: seen {_short(self.seen)}, wanted {_short(self.expected.wanted)}"


def _short(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


class Held:
    """What a proxy holds, in the form in which it is compared.

    Args:
        config: from its config dump.
    """

    def __init__(self, config: EnvoyConfig) -> None:
        self._config = config
        self._read: dict[tuple[XdsType, str], Any] = {}

    def mismatches(self, wanted: Sequence[Expected]) -> list[Mismatch]:
        """Those of the expected values that are not held."""
        missing = []
        for expectation in wanted:
            seen = _at(self._resource(expectation.xds, expectation.resource), expectation.path)
            if expectation.wanted is ABSENT:
                if seen is not ABSENT:
                    missing.append(Mismatch(expectation, seen))
            elif not _contains(seen, expectation.wanted):
                path, seen, wanted = _innermost(expectation.path, seen, expectation.wanted)
                missing.append(Mismatch(Expected(expectation.xds, expectation.resource, path, wanted), seen))
        return missing

    def _resource(self, xds: XdsType, name: str) -> Any:
        key = (xds, name)
        if key not in self._read:
            resource = getattr(self._config, _RESOURCES[xds]).get(name, ABSENT)
            self._read[key] = resource if resource is ABSENT else _comparable(xds, resource)
        return self._read[key]


def expectations(before: ProxyResources, after: ProxyResources, *, gateway: bool = False) -> list[Expected]:
    """What a proxy has to hold after a change, and did not before it.

    Args:
        before: its configuration before.
        after: its configuration after.
        gateway: whether it is a gateway, whose listeners belong to this namespace's Gateways alone.
    """
    expected: list[Expected] = []
    for xds in ORDER:
        if xds not in _RESOURCES:
            continue
        old, new = getattr(before, _RESOURCES[xds]), getattr(after, _RESOURCES[xds])
        for name in dict.fromkeys((*old, *new)):
            # Equal resources are mostly the very same object.
            if old.get(name) is new.get(name):
                continue
            expected += _of_resource(xds, name, old.get(name, ABSENT), new.get(name, ABSENT), gateway)
    return expected


def _of_resource(xds: XdsType, name: str, old: Any, new: Any, gateway: bool) -> Iterator[Expected]:
    before = ABSENT if old is ABSENT else _comparable(xds, old)
    after = ABSENT if new is ABSENT else _comparable(xds, new)
    if xds == "RDS":
        # A table may hold, and outlive with, the hosts of after namespaces.
        empty: dict[str, Any] = {"virtual_hosts": []}
        if after is ABSENT:
            before = {"virtual_hosts": before["virtual_hosts"]}
        before, after = (empty if before is ABSENT else before), (empty if after is ABSENT else after)
    elif xds == "LDS" and not gateway and name.startswith(_SHARED_LISTENER) and after is ABSENT:
        return
    for path, wanted in _differences(before, after, ()):
        if wanted is ABSENT and path and path[-1] in [Named(always) for always in _ALWAYS]:
            continue
        yield Expected(xds, name, path, wanted)


def _differences(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if old == new and isinstance(old, bool) == isinstance(new, bool):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        names, other = _names(old), _names(new)
        common = [name for name in names if name in other]
        hosts = bool(path) and path[-1] == "virtual_hosts"
        if (names or not old) and (other or not new) and (hosts or common == [n for n in other if n in names]):
            for name in dict.fromkeys((*names, *other)):
                here = (*path, Named(name))
                yield from _differences(names.get(name, ABSENT), other.get(name, ABSENT), here)
        elif len(old) == len(new):
            for index, (before, after) in enumerate(zip(old, new, strict=True)):
                yield from _differences(before, after, (*path, index))
        else:
            yield path, new
    else:
        yield path, new


def _names(items: list[Any]) -> dict[str, Any]:
    """The items by name, if each has one of its own; else nothing."""
    names = {item["name"]: item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)}
    return names if len(names) == len(items) else {}


def _at(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, Named):
            items = value if isinstance(value, list) else []
            value = next((item for item in items if isinstance(item, dict) and item.get("name") == step.name), ABSENT)
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else ABSENT
        else:
            value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def _contains(seen: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, apart from fields that istiod adds to messages."""
    if isinstance(wanted, dict):
        # Envoy leaves out what has the default value of its type.
        return isinstance(seen, dict) and all(
            _contains(seen[key], value) if key in seen else not value for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(seen, list)
            and len(seen) == len(wanted)
            and all(_contains(seen_item, other) for seen_item, other in zip(seen, wanted, strict=True))
        )
    return bool(seen == wanted) and isinstance(seen, bool) == isinstance(wanted, bool)


def _innermost(path: Path, seen: Any, wanted: Any) -> tuple[Path, Any, Any]:
    """The first place below a path at which a value differs from the wanted one."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for key, value in wanted.items():
            if not (_contains(seen[key], value) if key in seen else not value):
                return _innermost((*path, key), seen.get(key, ABSENT), value)
    if isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        for index, (seen_item, other) in enumerate(zip(seen, wanted, strict=True)):
            if not _contains(seen_item, other):
                return _innermost((*path, index), seen_item, other)
    return path, seen, wanted


# --- the form in which ours and istiod's are compared ---------------------------------------------------------------


def _comparable(xds: XdsType, resource: Any) -> Any:
    if xds == "EDS":
        return _endpoints(resource)
    made = _clean(resource)
    if xds == "CDS" and resource["name"].startswith(_INBOUND):
        # Istiod drops the note on the rule where an installation has no labels for metrics, so nobody may wait for it.
        made.pop("metadata", None)
    if xds == "LDS" and "filter_chains" in made:
        made["filter_chains"] = [
            filter_chain for filter_chain in made["filter_chains"] if not _for_mutual_tls(filter_chain)
        ]
    return made


def _clean(value: Any) -> Any:
    """Without Istio's own filters, mutual TLS of the mesh, access logs and tracing, which no rule changes."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if not _left_out(key, item)}
    if isinstance(value, list):
        return [_clean(item) for item in value if not _istio_filter(item)]
    return value


def _left_out(key: str, item: Any) -> bool:
    if key in ("access_log", "tracing", "decorator", "transport_socket_matches"):
        return True
    if key == "metadata":
        # Istio's note on which rule made this counts; the rest is for metrics, which an installation may switch off.
        note = ((item or {}).get("filter_metadata") or {}).get("istio") or {}
        return "config" not in note
    if key == "services":
        return isinstance(item, list) and all(isinstance(element, dict) and "host" in element for element in item)
    if key == "filters" and isinstance(item, list):
        return bool(item) and all(_istio_filter(entry) for entry in item)
    return key == "transport_socket" and '"ROOTCA"' in json.dumps(item)


def _istio_filter(item: Any) -> bool:
    return isinstance(item, dict) and "typed_config" in item and str(item.get("name", "")).startswith("istio.")


def _for_mutual_tls(chain: Any) -> bool:
    protocols = chain.get("filter_chain_match", {}).get("application_protocols", ())
    return any(name.startswith("istio") for name in protocols)


def _endpoints(assignment: Any) -> dict[str, Any]:
    """Endpoints by address: their order and grouping mean nothing, and their metadata tells of the node and of TLS."""
    endpoints: dict[str, Any] = {}
    for group in assignment.get("endpoints", ()):
        for item in group.get("lb_endpoints", ()):
            address = item["endpoint"]["address"]
            socket = address.get("socket_address")
            name = f"{socket['address']}:{socket.get('port_value', 0)}" if socket else json.dumps(address)
            endpoints[name] = {
                "health_status": item.get("health_status", "HEALTHY"),
                "priority": group.get("priority", 0),
            }
            if "load_balancing_weight" in item:
                endpoints[name]["load_balancing_weight"] = item["load_balancing_weight"]
    return {"endpoints": [{"name": name, **endpoint} for name, endpoint in sorted(endpoints.items())]}
