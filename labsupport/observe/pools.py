"""How full the connection pools of one proxy are, against the limits that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from labsupport import words
from labsupport.arguments import checked
from labsupport.errors import NotFoundError
from labsupport.records import EnvoyConfig, Sample

__all__ = ["Pool", "Pools", "pools_of"]

_PREFIX = "envoy_cluster_"
_CLUSTER = "envoy_cluster_name"
# Envoy's own word for no limit, as istiod writes it.
_NO_LIMIT = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Pool:
    """The pool of one proxy for one of its clusters: all endpoints together.

    Args:
        cluster: Envoy's name of it.
        connections, max_connections: open now, and at most; None for no limit.
        under_way, max_under_way: requests that have a connection, and at most.
        waiting, max_waiting: requests that wait for one, and at most.
        refused: requests answered 503 because a limit was met, since its Envoy started.
        opened: connections opened since its Envoy started.
    """

    cluster: str
    connections: int = 0
    max_connections: int | None = None
    under_way: int = 0
    max_under_way: int | None = None
    waiting: int = 0
    max_waiting: int | None = None
    refused: int = 0
    opened: int = 0

    @property
    def host(self) -> str:
        """The short name of its service; empty for the pool to the pod's own application."""
        return self.cluster.rsplit("|", 1)[-1].partition(".")[0]

    @property
    def title(self) -> str:
        """Whom it leads to, in words."""
        direction, port, subset, host = self.cluster.split("|", 3)
        if direction == "inbound":
            return f"to its own application, port {port}"
        version = f", subset {subset}" if subset else ""
        return f"to {words.cluster(host)}:{port}{version}"

    @property
    def limited(self) -> bool:
        """Whether it has any limit."""
        return (self.max_connections, self.max_under_way, self.max_waiting) != (None, None, None)


@checked
@dataclass(frozen=True, slots=True, repr=False)
class Pools:
    """The pools of one proxy that have a limit, or were used.

    Args:
        pod: its pod.
        pools: in order of name.
        again: looks once more; None for a record that stays as it is.
        when_closed: has a function called before the lab ends.
    """

    pod: str
    pools: tuple[Pool, ...] = ()
    again: Callable[[], Pools] | None = field(default=None, compare=False)
    when_closed: Callable[[Callable[[], None]], None] | None = field(default=None, compare=False)

    def of(self, host: str, *, subset: str = "") -> Pool:
        """The pool for one service.

        Args:
            host: its short name, such as ``web``; empty for the pool to the pod's own application.
            subset: the subset, if it is about one.

        Raises:
            NotFoundError: there is no such pool, or it was never used and has no limit.
        """
        for pool in self.pools:
            if pool.host == host and pool.cluster.split("|", 3)[2] == subset:
                return pool
        there = "; ".join(pool.title for pool in self.pools) or "none"
        raise NotFoundError(f"{self.pod} has no pool to {host!r} that was used or is limited. Its pools: {there}.")

    @words.shown
    def __repr__(self) -> str:
        if not self.pools:
            return f"{self.pod}: no pool was used, and none has a limit"
        lines = [f"Pools of {self.pod}"]
        for pool in self.pools:
            lines.append(f"  {pool.title}")
            lines += [f"    {name}: {said(now, most)}" for name, now, most in places(pool)]
            lines.append(f"    refused so far: {pool.refused:,}")
        return "\n".join(lines)


def places(pool: Pool) -> tuple[tuple[str, int, int | None], ...]:
    """What a pool counts: name, number now, limit."""
    return (
        ("connections", pool.connections, pool.max_connections),
        ("requests under way", pool.under_way, pool.max_under_way),
        ("requests waiting", pool.waiting, pool.max_waiting),
    )


def said(now: int, most: int | None) -> str:
    """A number against its limit, in words."""
    return f"{now:,}, no limit" if most is None else f"{now:,} of {most:,}"


def pools_of(
    config: EnvoyConfig,
    samples: Iterable[Sample],
    *,
    again: Callable[[], Pools] | None = None,
    when_closed: Callable[[Callable[[], None]], None] | None = None,
) -> Pools:
    """Put together the limits that a proxy holds and what it counts.

    Args:
        config: what its Envoy holds.
        samples: statistics of any proxies.
        again: see ``Pools``.
        when_closed: see ``Pools``.
    """
    counted: dict[str, dict[str, int]] = {}
    for sample in samples:
        if sample.pod == config.pod and sample.name.startswith(_PREFIX):
            values = counted.setdefault(sample.labels.get(_CLUSTER, ""), {})
            values[sample.name.removeprefix(_PREFIX)] = int(sample.value)
    pools = []
    for name, written in sorted(config.clusters.items()):
        if name.startswith(("outbound|", "inbound|")):
            counts = counted.get(name, {})
            pool = _pool(name, written, counts)
            if pool.limited or pool.refused or counts.get("upstream_rq_total"):
                pools.append(pool)
    return Pools(config.pod, tuple(pools), again, when_closed)


def _pool(name: str, cluster: Mapping[str, object], counts: Mapping[str, int]) -> Pool:
    breakers = cluster.get("circuit_breakers")
    thresholds = breakers.get("thresholds") if isinstance(breakers, Mapping) else None
    limits = thresholds[0] if isinstance(thresholds, list) and thresholds else {}

    def most(field_name: str) -> int | None:
        limit = int(limits.get(field_name, _NO_LIMIT))
        return None if limit >= _NO_LIMIT else limit

    return Pool(
        name,
        connections=counts.get("upstream_cx_active", 0),
        max_connections=most("max_connections"),
        under_way=counts.get("upstream_rq_active", 0),
        max_under_way=most("max_requests"),
        waiting=counts.get("upstream_rq_pending_active", 0),
        max_waiting=most("max_pending_requests"),
        refused=counts.get("upstream_rq_pending_overflow", 0) + counts.get("upstream_rq_active_overflow", 0),
        opened=counts.get("upstream_cx_total", 0),
    )
