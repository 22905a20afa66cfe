"""Images: the short names of the course's manifests, and where a cluster gets them from."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from labsupport import paths

__all__ = ["Images", "pod_specs"]

_REGISTRY_VARIABLE = "WORKSHOP_REGISTRY"
_TAG_VARIABLE = "WORKSHOP_IMAGE_TAG"
DEFAULT_REGISTRY = "istio-traffic-workshop"
_TEMPLATES = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")


def pod_specs(kind: str, raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod specification inside an object, with its field path; nothing for kinds without one."""
    spec = raw.get("spec") or {}
    if kind in _TEMPLATES:
        inner = (spec.get("template") or {}).get("spec")
        if isinstance(inner, dict):
            yield "spec.template.spec", inner
    elif kind == "Pod" and isinstance(spec, dict):
        yield "spec", spec


class Images:
    """Turns ``web`` into ``<registry>/web:<tag>`` and back.

    Args:
        registry: what stands before the name; ``WORKSHOP_REGISTRY``, else the name that ``workshop cluster up`` loads
            images under.
        tag: ``WORKSHOP_IMAGE_TAG``, else the version of this package.
    """

    def __init__(self, registry: str | None = None, tag: str | None = None) -> None:
        self.registry = (registry or os.environ.get(_REGISTRY_VARIABLE) or DEFAULT_REGISTRY).rstrip("/")
        self.tag = tag or os.environ.get(_TAG_VARIABLE) or version("istio-traffic-workshop")
        folder = paths.images()
        self.known = tuple(sorted(program.parent.name for program in folder.glob("*/app.py")))

    def full(self, image: str) -> str:
        """Where a cluster gets an image: a short name of the course in full, every other name as it is."""
        return f"{self.registry}/{image}:{self.tag}" if image in self.known else image

    def short(self, image: str) -> str:
        """The name as manifests write it."""
        name, _, tag = image.removeprefix(f"{self.registry}/").rpartition(":")
        is_ours = image.startswith(f"{self.registry}/") and tag == self.tag and name in self.known
        return name if is_ours else image

    def unknown(self, image: str) -> bool:
        """Whether a name has neither path nor tag, so that it must be one of the course's, and is none."""
        return not any(mark in image for mark in "/:@") and image not in self.known

    def filled(self, kind: str, raw: dict[str, Any]) -> dict[str, Any]:
        """A copy of an object with all images in full; they are pulled only where a node does not have them."""
        made = copy.deepcopy(raw)
        for container in _containers(kind, made):
            if container.get("image") in self.known:
                container["image"] = self.full(container["image"])
                container.setdefault("imagePullPolicy", "IfNotPresent")
        return made

    def hidden(self, kind: str, raw: dict[str, Any]) -> dict[str, Any]:
        """A copy of an object with the images as manifests write them."""
        made = copy.deepcopy(raw)
        for container in _containers(kind, made):
            if isinstance(container.get("image"), str):
                container["image"] = self.short(container["image"])
        return made

    def problems(self, kind: str, raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Path, message and remedy of each image that does not exist."""
        for path, spec in pod_specs(kind, raw):
            for field in ("initContainers", "containers"):
                for index, container in enumerate(spec.get(field) or ()):
                    image = container.get("image")
                    if isinstance(image, str) and self.unknown(image):
                        yield (
                            f"{path}.{field}[{index}].image",
                            f"there is no image {image!r}",
                            f"Known images: {', '.join(self.known)}. A cluster pulls any other: write it with its "
                            "registry or tag (WORKSHOP_IMAGES and Lab(images=...) are for the embedded engine).",
                        )


def _containers(kind: str, raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    listed: Callable[[Any], list[Any]] = lambda value: value if isinstance(value, list) else []  # noqa: E731
    for _, spec in pod_specs(kind, raw):
        for container in (*listed(spec.get("initContainers")), *listed(spec.get("containers"))):
            if isinstance(container, dict):
                yield container
