"""The files of a pod's volumes: what ConfigMaps, Secrets and fields of the pod give to its containers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labsupport.engine.podtemplate import MissingReference, field_of_pod
from labsupport.model import ConfigMap, Deployment, Resource, Secret
from labsupport.model.kinds.volumes import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeSource,
    KeyToPath,
    SecretProjection,
    SecretVolumeSource,
    Volume,
)

__all__ = ["LARGEST_VOLUMES", "UnfitFile", "VolumeFile", "volume_files"]

LARGEST_VOLUMES = 16 * 1024 * 1024
"""Bytes of all files of a pod: sixteen ConfigMaps of the largest size."""
_LONGEST_NAME, _LONGEST_PATH = 255, 1024
_MODE = 0o644


class UnfitFile(ValueError):
    """A file of a volume that cannot be made: its name is too long, or all of them are too much."""


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A file of a volume.

    Args:
        content: what it holds.
        mode: who may do what with it.
    """

    content: bytes
    mode: int


def volume_files(
    deployment: Deployment, objects: Sequence[Resource], *, pod: Mapping[str, str], labels: Mapping[str, str]
) -> dict[str, dict[str, VolumeFile]]:
    """The files of a pod's volumes, by volume and by path inside it; an ``emptyDir`` has none.

    Args:
        deployment: the Deployment.
        objects: where ConfigMaps and Secrets are looked up.
        pod: values of downward API fields by path, such as ``metadata.name``.
        labels: the pod's labels.

    Raises:
        MissingReference: a ConfigMap, Secret or key that is not optional does not exist.
        UnfitFile: a file cannot be made.
    """
    annotations = deployment.spec.template.metadata.annotations
    made: dict[str, dict[str, VolumeFile]] = {}
    size = 0
    for volume in deployment.spec.template.spec.volumes:
        files = made.setdefault(volume.name, {})
        for source, default_mode in _sources(volume):
            if isinstance(source, DownwardAPIVolumeSource):
                given = _fields(source, pod, labels, annotations)
            else:
                given = _values(source, deployment.namespace, objects)
            for path, content, mode in given:
                size += len(content)
                if size > LARGEST_VOLUMES:
                    raise UnfitFile(f"the files of its volumes are more than {LARGEST_VOLUMES:,} bytes")
                if len(path.encode()) > _LONGEST_PATH or any(
                    len(part.encode()) > _LONGEST_NAME for part in path.split("/")
                ):
                    raise UnfitFile(f"no file can be called {path[:80]!r}..., its name is too long")
                files[path] = VolumeFile(content, default_mode if mode is None else mode)
    return made


_Source = ConfigMapVolumeSource | SecretVolumeSource | SecretProjection | DownwardAPIVolumeSource


def _sources(volume: Volume) -> Iterator[tuple[_Source, int]]:
    """What gives files to a volume, with the mode of those that have none of their own."""
    for source in (volume.config_map, volume.secret, volume.downward_api):
        if source is not None:
            yield source, _MODE if source.default_mode is None else source.default_mode
    if volume.projected is not None:
        mode = volume.projected.default_mode
        for part in volume.projected.sources:
            for projected in (part.config_map, part.secret, part.downward_api):
                if projected is not None:
                    yield projected, _MODE if mode is None else mode


def _values(
    source: ConfigMapVolumeSource | SecretVolumeSource | SecretProjection, namespace: str, objects: Sequence[Resource]
) -> Iterator[tuple[str, bytes, int | None]]:
    kind = "ConfigMap" if isinstance(source, ConfigMapVolumeSource) else "Secret"
    name = source.secret_name if isinstance(source, SecretVolumeSource) else source.name
    owner = next((each for each in objects if (each.kind, each.namespace, each.name) == (kind, namespace, name)), None)
    if owner is None:
        if source.optional:
            return
        raise MissingReference(f"{kind}/{name} does not exist")
    data = _data(owner)
    for item in source.items or [KeyToPath(key=key, path=key) for key in data]:
        if item.key in data:
            yield item.path, data[item.key], item.mode
        elif not source.optional:
            raise MissingReference(f"{kind}/{name} has no key {item.key}")


def _data(owner: Resource) -> dict[str, bytes]:
    if isinstance(owner, ConfigMap):
        binary = {key: base64.b64decode(value) for key, value in owner.binary_data.items()}
        return {**binary, **{key: value.encode() for key, value in owner.data.items()}}
    if isinstance(owner, Secret):
        decoded = {key: base64.b64decode(value) for key, value in owner.data.items()}
        return {**decoded, **{key: value.encode() for key, value in owner.string_data.items()}}
    return {}


def _fields(
    source: DownwardAPIVolumeSource, pod: Mapping[str, str], labels: Mapping[str, str], annotations: Mapping[str, str]
) -> Iterator[tuple[str, bytes, int | None]]:
    for item in source.items:
        if item.field_ref is None:
            continue
        text = field_of_pod(item.field_ref.field_path, pod, labels, annotations)
        yield item.path, text.encode(), item.mode
