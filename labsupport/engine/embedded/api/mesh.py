"""What the front sees of the mesh, and how it changes it: the supervisor's own way, for it has no state of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labsupport.controlplane.desired import Key
from labsupport.engine.embedded.builtin import BuiltIn
from labsupport.engine.embedded.control import ControlPlane
from labsupport.model import Resource
from labsupport.records import ApplyResult, Ref, RuleStatus

__all__ = ["Mesh", "stamp"]


@dataclass(frozen=True)
class Mesh:
    """A lab, as its supervisor shows it to the front.

    Args:
        folder: its run folder.
        control: holds objects and pods.
        built_in: the gateway and the node ports.
        created: when objects were created, in seconds since the epoch.
        opened_s: when the lab was opened.
        rules: tells when rules came into force.
        apply: creates or changes objects, given with the verb that pictures of traffic show.
        delete: deletes objects, in the same way.
        check: what ``apply`` would refuse; it raises what ``apply`` would raise.
    """

    folder: Path
    control: ControlPlane
    built_in: BuiltIn
    created: Mapping[Key, float]
    opened_s: float
    rules: Callable[[], Awaitable[list[RuleStatus]]]
    apply: Callable[[list[Resource], str], Awaitable[ApplyResult]]
    delete: Callable[[list[Ref], str], Awaitable[ApplyResult]]
    check: Callable[[list[Resource]], Awaitable[None]]

    def created_s(self, key: Key) -> float:
        """When an object was created; what every mesh has, when it was opened."""
        return self.created.get(key, self.opened_s)


def stamp(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
