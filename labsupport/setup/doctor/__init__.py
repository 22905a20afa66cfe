"""What could keep the workshop from running, on this machine or on a cluster, found before a learner does.

Each check is a function that yields findings; ``examine`` runs them all, and one that fails does not hide the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from labsupport.setup.doctor import cluster, machine, software
from labsupport.setup.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]

_CHECKS: tuple[Callable[[str], Iterator[Finding]], ...] = (
    software.python,
    machine.platform_,
    software.packages,
    software.envoy,
    machine.memory,
    machine.disk,
    machine.open_files,
    machine.inotify,
    machine.loopback,
    machine.proxies,
    software.repository,
    software.kernel,
    software.servers,
    software.chromium,
    machine.leftovers,
    cluster.container_engine,
    cluster.cluster,
)


def examine(*, engine: str = "embedded") -> Iterator[Finding]:
    """Look at this machine, and for the cluster engine at the cluster.

    Args:
        engine: the engine that will be used; what only the other one needs is then no error.

    Yields:
        findings as they are made, good ones too.
    """
    for check in _CHECKS:
        try:
            yield from check(engine)
        except Exception as error:  # a surprise in one check is itself a finding
            yield Finding(
                "warning",
                check.__name__.strip("_"),
                f"could not be checked ({type(error).__name__}: {error})",
                "This is a mistake of the doctor: please report it.",
            )
