"""What the parts of Kubernetes' own kinds have in common."""

from __future__ import annotations

from typing import ClassVar

from labsupport.model.schema.base import Schema

__all__ = ["KubeSchema", "ObjectFieldSelector"]


class KubeSchema(Schema):
    """Part of a built-in kind of Kubernetes, where an explicit null counts as unset."""

    NULLS: ClassVar[bool] = True


class ObjectFieldSelector(KubeSchema):
    """A field of the pod, such as ``metadata.name`` or ``metadata.labels['version']``."""

    api_version: str = "v1"
    field_path: str
