"""Images of manifests that a program of the workshop plays, for one apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from labsupport.engine.additions import WORKLOADS
from labsupport.errors import UsageError

if TYPE_CHECKING:
    from labsupport.model.reading.documents import Document

__all__ = ["let_play"]


def let_play(images: Mapping[str, str], manifests: Iterable[Document]) -> None:
    """Give containers other images, in place.

    Args:
        images: names of images, with or without a tag, and what takes the place of each.
        manifests: what was read.

    Raises:
        UsageError: no container has one of the images, or nothing is to take its place.
    """
    # A lab that is told of no image opens sooner without it.
    from labsupport.engine.podtemplate import image_names

    left, seen = dict(images), dict[str, None]()
    for container in [container for document in manifests for container in _containers(document.raw)]:
        written = str(container.get("image"))
        seen.setdefault(written)
        name = next((name for name in image_names(written) if name in images), None)
        if name is not None:
            container["image"] = images[name]
            left.pop(name, None)
    for name, program in images.items():
        if not program:
            raise UsageError(f"images={{{name!r}: {program!r}}}: name what takes its place, such as 'web'.")
    for name in left:
        known = ", ".join(seen) or "none"
        raise UsageError(f"images={{{name!r}: ...}}: no container has this image. Images of these manifests: {known}.")


def _containers(raw: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(raw, dict) or raw.get("kind") not in WORKLOADS:
        return
    pod: Any = raw
    for key in ("spec", "template", "spec"):
        pod = pod.get(key) if isinstance(pod, dict) else None
    for key in ("initContainers", "containers"):
        listed = pod.get(key) if isinstance(pod, dict) else None
        yield from (each for each in listed or () if isinstance(each, dict) and each.get("image"))
