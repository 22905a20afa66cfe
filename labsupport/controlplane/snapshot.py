"""What one proxy is to hold: immutable, versioned by type, checked for consistency before it is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from labsupport.controlplane.encode import ORDER, Encoded, XdsType

__all__ = ["EMPTY", "InconsistentSnapshot", "Snapshot", "build", "referred"]


class InconsistentSnapshot(ValueError):
    """A snapshot refers to a resource that it does not hold; a proxy would wait for it forever."""


def referred(resources: Iterable[Encoded]) -> frozenset[str]:
    """Names of the endpoints that clusters refer to, or of the route tables that listeners or scopes refer to."""
    return frozenset().union(*(encoded.references for encoded in resources))


@dataclass(frozen=True)
class Snapshot:
    """All resources of one proxy.

    Args:
        resources: xDS type to resources by name; every type is present.
        versions: xDS type to the version text under which Envoy will know it.
    """

    resources: Mapping[XdsType, Mapping[str, Encoded]]
    versions: Mapping[XdsType, str] = field(default_factory=dict)

    @cached_property
    def expected(self) -> Mapping[XdsType, frozenset[str]]:
        """The names that a proxy holds once it has taken in everything, by type.

        Endpoints and routes are asked for by name, so this is what clusters, listeners and scopes refer to.
        """
        return {
            "CDS": frozenset(self.resources["CDS"]),
            "EDS": referred(self.resources["CDS"].values()),
            "LDS": frozenset(self.resources["LDS"]),
            "SRDS": frozenset(self.resources["SRDS"]),
            "RDS": referred(self.resources["LDS"].values()) | referred(self.resources["SRDS"].values()),
            # A reference to a Secret that does not exist is no mistake: a proxy does without, as in Istio.
            "SDS": frozenset(self.resources["SDS"]),
        }

    @cached_property
    def origins(self) -> frozenset[str]:
        """Config paths of all rules that this proxy holds something of."""
        return frozenset().union(*(encoded.origins for named in self.resources.values() for encoded in named.values()))

    def check(self) -> None:
        """Verify that everything referred to is there.

        Raises:
            InconsistentSnapshot: something is missing.
        """
        for kind in ("EDS", "RDS"):
            missing = self.expected[kind] - self.resources[kind].keys()
            if missing:
                raise InconsistentSnapshot(f"{kind} lacks {', '.join(sorted(missing))}")

    def changed(self, other: Snapshot) -> tuple[XdsType, ...]:
        """Types whose resources differ from those of another snapshot, in the order of sending."""
        return tuple(kind for kind in ORDER if self.resources[kind] != other.resources[kind])

    def keeping(self, previous: Snapshot) -> Snapshot:
        """This snapshot plus the clusters and endpoints that only the previous one has.

        Published first when something is removed, so that no route ever names a cluster that is already gone.
        """
        clusters = previous.resources["CDS"].keys() - self.resources["CDS"].keys()
        if not clusters or not previous.resources["RDS"]:
            return self
        merged = dict(self.resources)
        for kind in ("CDS", "EDS"):
            merged[kind] = {**previous.resources[kind], **self.resources[kind]}
        return Snapshot(merged, {**self.versions, "CDS": self.versions["CDS"] + "+", "EDS": self.versions["EDS"] + "+"})


EMPTY = Snapshot({kind: {} for kind in ORDER}, dict.fromkeys(ORDER, "0"))


def build(resources: Mapping[XdsType, Iterable[Encoded]], *, previous: Snapshot = EMPTY, version: str) -> Snapshot:
    """Make and check the next snapshot of a proxy.

    Args:
        resources: serialised resources by type; a missing type has none.
        previous: what the proxy holds so far; types that are equal keep their version.
        version: version text of the types that differ.

    Raises:
        InconsistentSnapshot: something that is referred to is missing.
    """
    named = {kind: {encoded.name: encoded for encoded in resources.get(kind, ())} for kind in ORDER}
    versions: dict[XdsType, str] = {
        kind: previous.versions[kind] if named[kind] == previous.resources[kind] else version for kind in ORDER
    }
    made = Snapshot(named, versions)
    made.check()
    return made
