"""``Telemetry`` of telemetry.istio.io: what proxies tell of requests; its part on traces has a form of its own here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from labsupport.model.kinds.otheristio import OtherIstio
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import Double, Loose

__all__ = ["CustomTag", "Telemetry", "TelemetrySpec", "Tracing"]


class ProviderRef(Schema):
    """One of the ``extensionProviders`` of the mesh configuration."""

    name: str


class TracingSelector(Schema):
    """``match`` of a tracing rule."""

    mode: Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"] = "CLIENT_AND_SERVER"


class Selector(Schema):
    """``selector``: labels of the pods that it is for."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class LiteralTag(Schema):
    """A tag with a value that never changes."""

    value: str


class NamedTag(Schema):
    """A tag with the value of a header of the request, or of a variable of the proxy."""

    name: str
    default_value: str = ""


class CustomTag(Schema):
    """A tag of spans."""

    ONE_OF = (("literal", "environment", "header", "formatter"),)

    literal: LiteralTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None
    formatter: LiteralTag | None = None


class Tracing(Schema):
    """One rule on traces; what it leaves out is as a wider rule says."""

    match: TracingSelector | None = None
    providers: list[ProviderRef] = Field(default_factory=list)
    random_sampling_percentage: Annotated[Double, Field(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


class TelemetrySpec(Schema):
    """``spec`` of a Telemetry."""

    selector: Selector | None = None
    target_ref: Loose = None
    target_refs: list[Loose] = Field(default_factory=list)
    tracing: list[Tracing] = Field(default_factory=list)
    metrics: list[Loose] = Field(default_factory=list)
    access_logging: list[Loose] = Field(default_factory=list)


class Telemetry(OtherIstio):
    """What the proxies of the mesh, of a namespace or of some pods tell of requests."""

    KIND = "Telemetry"
    GROUP = "telemetry.istio.io"
    VERSIONS = ("v1", "v1alpha1")

    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)

    @property
    def match_labels(self) -> dict[str, str] | None:
        """Labels of the pods that it is for, None if it has no selector."""
        selector = self.spec.selector
        return dict(selector.match_labels) if selector is not None else None
