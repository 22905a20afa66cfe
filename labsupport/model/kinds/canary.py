"""``Canary`` of flagger.app: how a new version is released in steps, and by what it is judged.

The lab keeps such an object and plays it; on a cluster, Flagger does. Source: ``charts/flagger/crds/crd.yaml`` and
``pkg/apis/flagger/v1beta1/canary.go`` of Flagger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, cast

from pydantic import Field

from labsupport.model.schema.base import Resource, Schema
from labsupport.model.schema.types import Double, Duration, IntOrString, Loose, PortNumber, Rule
from labsupport.records import Json

__all__ = [
    "ALWAYS_VALID",
    "METRICS",
    "Canary",
    "CanaryAnalysis",
    "CanaryMetric",
    "CanaryService",
    "CanarySpec",
    "SessionAffinity",
]

METRICS: Final = ("request-success-rate", "request-duration")
"""The metrics that Flagger has without a template."""

ALWAYS_VALID: Final = "always-valid"
"""The MetricTemplate that the lab has: the test that may be looked at after each interval."""


def _fields(value: Json) -> Mapping[str, Json]:
    """A mapping, as the rules below get it."""
    return cast(Mapping[str, Json], value)


def _left_to_flagger(*names: str) -> tuple[Rule, ...]:
    """Rules against fields that change what happens, and that the lab does not play."""

    def absent(name: str) -> Rule:
        message = "is played by Flagger on a cluster, and not by the lab; leave it out here"
        return Rule(lambda value: name not in _fields(value), message, at=f".{name}")

    return tuple(map(absent, names))


def _percentages(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(weight, int) and 0 < weight <= 100 for weight in value)


def _sided(metric: Mapping[str, Json]) -> bool:
    bound = _fields(metric["thresholdRange"])
    return "max" in bound if metric["name"] == METRICS[1] else 0 < cast(float, bound.get("min", 0)) < 100


_PER_CENT = Rule(lambda value: isinstance(value, int) and 0 < value <= 100, "must be a percentage, 1 to 100")


class ThresholdRange(Schema):
    """What a metric may be."""

    RULES = (
        Rule(lambda value: bool(_fields(value)), "bounds nothing: write min for a success rate, or max for a duration"),
    )

    min: Double | None = None
    max: Double | None = None


class TemplateRef(Schema):
    """The MetricTemplate that tells a metric."""

    RULES = (
        Rule(
            lambda value: _fields(value)["name"] == ALWAYS_VALID,
            f"is not known here: the lab has the template {ALWAYS_VALID} alone",
            at=".name",
        ),
    )

    name: str
    namespace: str = ""


class CanaryMetric(Schema):
    """A measure of the new version, and where it has to lie."""

    RULES = (
        Rule(
            lambda value: _fields(value)["name"] in METRICS,
            f"is not known here: write {' or '.join(METRICS)}",
            at=".name",
        ),
        Rule(
            lambda value: "templateRef" not in _fields(value) or _sided(_fields(value)),
            f"does not fit {ALWAYS_VALID}: it needs min below 100 for a success rate, and max for a duration",
            at=".thresholdRange",
        ),
    )

    name: str
    interval: Duration | None = None
    threshold_range: ThresholdRange
    template_ref: TemplateRef | None = None


class SessionAffinity(Schema):
    """The cookie that keeps a user on the new version whom the weights sent there once."""

    cookie_name: str = "flagger-cookie"
    max_age: Annotated[int, Field(ge=1)] = 86_400


class CanaryAnalysis(Schema):
    """Steps, checks, and how many may fail."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda value: "stepWeights" in _fields(value) or "stepWeight" in _fields(value),
            "has no steps: write stepWeights, such as [1, 5, 25], or stepWeight and maxWeight",
        ),
        *_left_to_flagger("iterations", "match", "mirror", "mirrorWeight", "stepWeightPromotion", "webhooks"),
        *_left_to_flagger("primaryReadyThreshold", "canaryReadyThreshold"),
    )

    interval: Duration
    # Flagger has no upper bound; more checks than that nobody waits for.
    threshold: Annotated[int, Field(ge=1, le=1_000)]
    max_weight: Annotated[int, _PER_CENT] = 100
    step_weight: Annotated[int, _PER_CENT] | None = None
    step_weights: Annotated[
        list[int], Field(min_length=1), Rule(_percentages, "must be percentages, 1 to 100, such as [1, 5, 25]")
    ] = Field(default_factory=list)
    metrics: list[CanaryMetric] = Field(default_factory=list)
    session_affinity: SessionAffinity | None = None
    # What tells people, and what the lab refuses by name.
    alerts: Loose = None
    iterations: Loose = None
    match: Loose = None
    mirror: Loose = None
    mirror_weight: Loose = None
    step_weight_promotion: Loose = None
    webhooks: Loose = None
    primary_ready_threshold: Loose = None
    canary_ready_threshold: Loose = None

    @property
    def steps(self) -> tuple[int, ...]:
        """The weights of the new version, in order; after a check at the last one it is promoted."""
        if self.step_weights:
            return tuple(self.step_weights)
        step = self.step_weight or self.max_weight
        return (*range(step, self.max_weight, step), self.max_weight)


class TargetRef(Schema):
    """The Deployment whose new version is released."""

    api_version: str = "apps/v1"
    kind: Literal["Deployment"]
    name: str


class CanaryService(Schema):
    """The host that is called, and at which port."""

    RULES = _left_to_flagger("headers", "match", "retries", "rewrite", "timeout", "trafficPolicy")

    port: PortNumber
    name: str = ""
    target_port: IntOrString = 0
    gateways: list[str] = Field(default_factory=list)
    hosts: list[str] = Field(default_factory=list)
    port_name: str = ""
    port_discovery: bool = False
    headers: Loose = None
    match: Loose = None
    retries: Loose = None
    rewrite: Loose = None
    timeout: Loose = None
    traffic_policy: Loose = None


class CanarySpec(Schema):
    """``spec`` of a Canary."""

    RULES = _left_to_flagger("autoscalerRef", "skipAnalysis", "suspend")

    provider: Literal["istio"] = "istio"
    target_ref: TargetRef
    service: CanaryService
    analysis: CanaryAnalysis
    progress_deadline_seconds: int = 600
    autoscaler_ref: Loose = None
    skip_analysis: Loose = None
    suspend: Loose = None

    @property
    def host(self) -> str:
        """The Service that is called."""
        return self.service.name or self.target_ref.name


class Canary(Resource):
    """How a new version is released in steps, and by what it is judged."""

    KIND: ClassVar[str] = "Canary"
    GROUP: ClassVar[str] = "flagger.app"
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1beta1",)

    spec: CanarySpec
    status: Loose = None
