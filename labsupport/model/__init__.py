"""Typed models of the manifests: schema, defaults and validation, one module per API group."""

from __future__ import annotations

from labsupport.model.base import Metadata, Origin, Resource, Schema

__all__ = ["Metadata", "Origin", "Resource", "Schema"]
