"""What all manifest models share: strict fields, Kubernetes names, and the place they were read from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

__all__ = ["Metadata", "Origin", "Resource", "Schema"]


class Schema(BaseModel):
    """Base of every model: attributes have Istio's proto names, YAML keys are camelCase, unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
    )


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
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.line


class Metadata(Schema):
    """``metadata`` of an object, as far as the course uses it."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: datetime | None = Field(default=None, strict=False)
    generate_name: str = ""
    finalizers: list[str] = Field(default_factory=list)
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    self_link: str = ""
    managed_fields: list[Any] = Field(default_factory=list)
    owner_references: list[Any] = Field(default_factory=list)


class Resource(Schema):
    """One Kubernetes object.

    Subclasses set ``KIND``, ``GROUP`` and ``VERSIONS`` and add ``spec`` (or, for a ConfigMap, ``data``).
    """

    KIND: ClassVar[str] = ""
    GROUP: ClassVar[str] = ""
    VERSIONS: ClassVar[tuple[str, ...]] = ()

    api_version: str
    kind: str
    metadata: Metadata

    _origin: Origin = PrivateAttr(default_factory=Origin)
    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """Where it was read from."""
        return self._origin

    @property
    def raw(self) -> dict[str, Any]:
        """The mapping as it was written, untouched."""
        return self._raw

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """``metadata.namespace``; empty until an engine has put it into its own."""
        return self.metadata.namespace
