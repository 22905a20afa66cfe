"""``Telemetry`` of telemetry.istio.io: metrics, access logs and traces."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.otheristio import (
    NonEmpty,
    OtherIstio,
    PolicyTargetReference,
    TargetReferences,
    WorkloadMode,
)
from labsupport.model.kinds.selector import WorkloadSelector
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import CLEARABLE, Double, Duration, Rule, at_most_one

__all__ = [
    "AccessLogging",
    "CustomTag",
    "LogFilter",
    "MetricSelector",
    "Metrics",
    "MetricsOverrides",
    "ModeSelector",
    "NamedTag",
    "ProviderRef",
    "TagOverride",
    "Telemetry",
    "TelemetrySpec",
    "Tracing",
    "ValueTag",
]

IstioMetric = Literal[
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
]


class ProviderRef(Schema):
    """A provider of the mesh configuration."""

    name: NonEmpty


class ModeSelector(Schema):
    """Which side of a call."""

    mode: WorkloadMode = "CLIENT_AND_SERVER"


class LogFilter(Schema):
    """Which requests are logged."""

    expression: str = ""


class AccessLogging(Schema):
    """Access logs."""

    match: ModeSelector | None = None
    providers: list[ProviderRef] = Field(default_factory=list)
    disabled: Annotated[bool | None, CLEARABLE] = None
    filter: LogFilter | None = None


class MetricSelector(Schema):
    """Which metric."""

    ONE_OF: ClassVar = (("metric", "customMetric"),)

    metric: IstioMetric | None = None
    custom_metric: NonEmpty | None = None
    mode: WorkloadMode = "CLIENT_AND_SERVER"


class TagOverride(Schema):
    """A change of a label."""

    RULES: ClassVar = (
        # The rule of the CRD fails, too, where an UPSERT has no value at all.
        Rule(lambda tag: tag.get("operation") != "UPSERT" or bool(tag.get("value")), "UPSERT needs a value"),
        Rule(lambda tag: tag.get("operation") != "REMOVE" or "value" not in tag, "REMOVE takes no value"),
    )

    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


class MetricsOverrides(Schema):
    """Changes of metrics."""

    match: MetricSelector | None = None
    disabled: Annotated[bool | None, CLEARABLE] = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)


class Metrics(Schema):
    """Metrics."""

    providers: list[ProviderRef] = Field(default_factory=list)
    overrides: list[MetricsOverrides] = Field(default_factory=list)
    reporting_interval: Duration | None = None


class ValueTag(Schema):
    """A tag with a value."""

    value: NonEmpty


class NamedTag(Schema):
    """A tag taken from a variable or a header."""

    name: NonEmpty
    default_value: str = ""


class CustomTag(Schema):
    """A tag of spans."""

    ONE_OF: ClassVar = (("literal", "environment", "header", "formatter"),)

    literal: ValueTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None
    formatter: ValueTag | None = None


class Tracing(Schema):
    """Traces."""

    match: ModeSelector | None = None
    providers: list[ProviderRef] = Field(default_factory=list)
    random_sampling_percentage: Annotated[Double | None, Field(ge=0, le=100), CLEARABLE] = None
    disable_span_reporting: Annotated[bool | None, CLEARABLE] = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: Annotated[bool | None, CLEARABLE] = None
    enable_istio_tags: Annotated[bool | None, CLEARABLE] = None
    disable_context_propagation: Annotated[bool | None, CLEARABLE] = None


class TelemetrySpec(Schema):
    """``spec`` of a Telemetry."""

    RULES: ClassVar = (
        Rule(
            at_most_one("selector", "targetRef", "targetRefs"),
            "only one of selector, targetRef and targetRefs may be given",
        ),
    )

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    tracing: list[Tracing] = Field(default_factory=list)
    metrics: list[Metrics] = Field(default_factory=list)
    access_logging: list[AccessLogging] = Field(default_factory=list)


class Telemetry(OtherIstio):
    """Metrics, access logs and traces."""

    KIND = "Telemetry"
    GROUP = "telemetry.istio.io"
    VERSIONS = ("v1", "v1alpha1")
    PURPOSE = "configures metrics, access logs and traces"

    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
