"""``DestinationRule`` of networking.istio.io: subsets of a host and how it is called."""

from __future__ import annotations

from pydantic import Field

from labsupport.model.kinds.selector import WorkloadSelector
from labsupport.model.kinds.trafficpolicy import TrafficPolicy
from labsupport.model.schema.base import IstioResource, Schema

__all__ = ["DestinationRule", "DestinationRuleSpec", "Subset"]


class Subset(Schema):
    """A named part of a host's endpoints, chosen by labels."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Schema):
    """``spec`` of a DestinationRule."""

    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = Field(default_factory=list)
    export_to: list[str] = Field(default_factory=list)
    workload_selector: WorkloadSelector | None = None


class DestinationRule(IstioResource):
    """Subsets of a host, and the policies for calls to it."""

    KIND = "DestinationRule"

    spec: DestinationRuleSpec = Field(default_factory=lambda: DestinationRuleSpec.model_construct(host=""))
