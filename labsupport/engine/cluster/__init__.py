"""The cluster engine: the course on a Kubernetes with Istio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labsupport.engine.cluster.engine import ClusterEngine

__all__ = ["ClusterEngine"]


def __getattr__(name: str) -> Any:
    # The engine imports the Kubernetes client, which costs a third of a second that ``workshop --help`` need not spend.
    if name == "ClusterEngine":
        from labsupport.engine.cluster.engine import ClusterEngine

        return ClusterEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
