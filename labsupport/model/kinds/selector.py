"""The two ways in which Istio's kinds select workloads by labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import Rule

__all__ = ["SelectorValue", "WorkloadLabels", "WorkloadSelector"]

SelectorValue = Annotated[
    str, Field(max_length=63), Rule(lambda value: "*" not in value, "wildcards are not supported in selectors")
]


class WorkloadSelector(Schema):
    """Selects pods by ``matchLabels`` (``istio.type.v1beta1``): as DestinationRule does."""

    match_labels: Annotated[
        dict[str, SelectorValue],
        Field(max_length=4096),
        Rule(lambda value: all("*" not in key for key in value), "wildcards are not supported in label keys"),
        Rule(lambda value: "" not in value, "a label key must not be empty"),
    ] = Field(default_factory=dict)


class WorkloadLabels(Schema):
    """Selects pods by ``labels``: ServiceEntry and Sidecar."""

    labels: Annotated[dict[str, SelectorValue], Field(max_length=256)] = Field(default_factory=dict)
