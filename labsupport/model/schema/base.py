"""What all manifest models share: strict fields, Kubernetes names, and the place they were read from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel, to_snake

from labsupport.errors import Problem
from labsupport.model.schema.types import Format, IntOrString, Loose, Rule
from labsupport.records import JsonObject, Ref

__all__ = ["EPOCH", "IstioResource", "Metadata", "Origin", "Resource", "Schema", "around"]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""Age of the first object; each one without a creationTimestamp is a second younger than the one before it."""


class Schema(BaseModel):
    """Base of every model: attributes have Istio's proto names, YAML keys are camelCase, unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        defer_build=True,
        validate_by_alias=True,
        validate_by_name=False,
    )

    ONE_OF: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of YAML names of which at most one may be given (``oneof`` of the proto)."""

    RULES: ClassVar[tuple[Rule, ...]] = ()
    """Rules over the fields of one mapping (CEL rules of the CRD)."""

    NULLS: ClassVar[bool] = False
    """Whether it is part of a built-in kind, of which a Go program reads null in a list or map as an empty value."""


def around(path: str) -> str:
    """The path of what a field stands in: ``spec.http[0]`` of ``spec.http[0].timeout``; empty for the outermost.

    Args:
        path: of the field.
    """
    return path[: max(path.rfind("."), path.rfind("["), 0)]


class Origin(BaseModel):
    """Where an object was read from.

    Args:
        file: file name, or the name of the cell.
        document: number of the YAML document in the file, from 1.
        line: line of the document's first key, from 1.
        lines: field path (``spec.http[0].timeout``) to its line in the file.
    """

    file: str = ""
    document: int = 0
    line: int = 0
    lines: dict[str, int] = Field(default_factory=dict)

    def line_of(self, path: str) -> int:
        """Line of a field, or of the nearest field around it; 0 if unknown."""
        while path:
            if path in self.lines:
                return self.lines[path]
            parent, dot, name = path.rpartition(".")
            # Some fields have an older spelling beside the one of their path: mirror_percent.
            if (older := f"{parent}{dot}{to_snake(name)}") in self.lines:
                return self.lines[older]
            path = around(path)
        return self.line


class OwnerReference(Schema):
    """What an object belongs to."""

    NULLS: ClassVar[bool] = True

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ManagedFields(Schema):
    """Who set which fields of an object; an API server writes it."""

    NULLS: ClassVar[bool] = True

    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: Annotated[datetime | None, Format("date-time")] = Field(default=None, strict=False)
    fields_type: str = ""
    fields_v1: Loose = Field(default=None, alias="fieldsV1")
    subresource: str = ""


class Metadata(Schema):
    """``metadata`` of an object, as far as the course uses it."""

    NULLS: ClassVar[bool] = True

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: Annotated[datetime | None, Format("date-time")] = Field(default=None, strict=False)
    generate_name: str = ""
    finalizers: list[str] = Field(default_factory=list)
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    self_link: str = ""
    deletion_timestamp: Annotated[datetime | None, Format("date-time")] = Field(default=None, strict=False)
    deletion_grace_period_seconds: int | None = None
    managed_fields: list[ManagedFields] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class Resource(Schema):
    """One Kubernetes object.

    Subclasses set ``KIND``, ``GROUP`` and ``VERSIONS`` and add ``spec`` (or, for a ConfigMap, ``data``); one whose kind
    another group has, too, sets ``CALLED``, by which the lab tells the two apart.
    """

    KIND: ClassVar[str] = ""
    CALLED: ClassVar[str] = ""
    GROUP: ClassVar[str] = ""
    VERSIONS: ClassVar[tuple[str, ...]] = ()

    api_version: str
    kind: str
    metadata: Metadata

    _origin: Origin = PrivateAttr(default_factory=Origin)
    _raw: JsonObject = PrivateAttr(default_factory=dict)
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def origin(self) -> Origin:
        """Where it was read from."""
        return self._origin

    @property
    def raw(self) -> JsonObject:
        """The mapping as it was written; of a kind of Istio without the nulls that an API server drops."""
        return self._raw

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Istiod's admission warnings, with file and line."""
        return self._warnings

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @property
    def called(self) -> str:
        """How the lab calls its kind: as manifests do, where no other group has one of that name."""
        return self.CALLED or self.kind

    @property
    def ref(self) -> Ref:
        """What names it in the lab."""
        return Ref(self.called, self.name, self.namespace)

    @property
    def namespace(self) -> str:
        """``metadata.namespace``; empty until an engine has put it into its own."""
        return self.metadata.namespace


class AnalysisMessageType(Schema):
    """Which message of the analysis a status carries."""

    name: str = ""
    code: str = ""


class AnalysisMessage(Schema):
    """A message of the analysis in a status."""

    type: AnalysisMessageType | None = None
    level: Literal["UNKNOWN", "ERROR", "WARNING", "INFO"] = "UNKNOWN"
    documentation_url: str = ""


class StatusCondition(Schema):
    """A condition in a status."""

    type: str = ""
    status: str = ""
    last_probe_time: Annotated[str, Format("date-time")] = ""
    last_transition_time: Annotated[str, Format("date-time")] = ""
    reason: str = ""
    message: str = ""
    observed_generation: IntOrString = 0


class IstioStatus(Schema):
    """``status``, which only the control plane writes; other fields are kept."""

    model_config = ConfigDict(extra="allow")

    conditions: list[StatusCondition] = Field(default_factory=list)
    validation_messages: list[AnalysisMessage] = Field(default_factory=list)
    observed_generation: IntOrString = 0


class IstioResource(Resource):
    """What the kinds of Istio have in common."""

    GROUP: ClassVar[str] = "networking.istio.io"
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1", "v1beta1", "v1alpha3")

    status: IstioStatus | None = None
