"""What the API server says to volumes: their names and sources, and where containers mount them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labsupport.model.kinds.pods import Container, PodSpec
from labsupport.model.kinds.volumes import DownwardAPIVolumeFile, KeyToPath, Volume
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.names import is_lower_dns_label
from labsupport.model.validation.variables import (
    containers_of,
    issue,
    reference_issues,
)

__all__ = ["volume_issues"]

_INSIDE = "Write a path inside the volume, such as tls.crt."


def volume_issues(pod: PodSpec, path: str) -> Iterator[Issue]:
    """Check the volumes of a pod.

    Args:
        pod: its spec.
        path: the field path of that.

    Yields:
        what an API server refuses.
    """
    names: set[str] = set()
    for index, volume in enumerate(pod.volumes):
        at = f"{path}.volumes[{index}]"
        if not is_lower_dns_label(volume.name):
            remedy = "Use lower-case letters, digits and hyphens, at most 63."
            yield issue(f"{at}.name", f"{volume.name[:80]!r} is not a name of a volume", remedy)
        elif volume.name in names:
            yield issue(f"{at}.name", f"there is already a volume {volume.name}", "Rename one of them.")
        names.add(volume.name)
        if len(volume.sources) > 1:
            yield issue(at, f"has several sources: {', '.join(volume.sources)}", "Make a volume of each.")
        yield from _source(volume, at)
    for at, container in containers_of(pod, path):
        yield from _mounts(container, names, at)


def _source(volume: Volume, path: str) -> Iterator[Issue]:
    if volume.config_map is not None:
        yield from reference_issues(volume.config_map.name, f"{path}.configMap")
        yield from _mode(volume.config_map.default_mode, f"{path}.configMap.defaultMode")
        yield from _items(volume.config_map.items, f"{path}.configMap")
    if volume.secret is not None:
        if volume.secret.secret_name:
            yield from reference_issues(volume.secret.secret_name, f"{path}.secret")
        else:
            yield issue(f"{path}.secret", "names no Secret", "Write secretName: with its name.")
        yield from _mode(volume.secret.default_mode, f"{path}.secret.defaultMode")
        yield from _items(volume.secret.items, f"{path}.secret")
    if volume.downward_api is not None:
        yield from _mode(volume.downward_api.default_mode, f"{path}.downwardAPI.defaultMode")
        yield from _items(volume.downward_api.items, f"{path}.downwardAPI")
    if volume.projected is None:
        return
    yield from _mode(volume.projected.default_mode, f"{path}.projected.defaultMode")
    for index, part in enumerate(volume.projected.sources):
        at = f"{path}.projected.sources[{index}]"
        if part.config_map is not None:
            yield from reference_issues(part.config_map.name, f"{at}.configMap")
            yield from _items(part.config_map.items, f"{at}.configMap")
        if part.secret is not None:
            yield from reference_issues(part.secret.name, f"{at}.secret")
            yield from _items(part.secret.items, f"{at}.secret")
        if part.downward_api is not None:
            yield from _items(part.downward_api.items, f"{at}.downwardAPI")


def _items(items: Sequence[KeyToPath | DownwardAPIVolumeFile], path: str) -> Iterator[Issue]:
    for index, item in enumerate(items):
        at = f"{path}.items[{index}]"
        if isinstance(item, KeyToPath) and not item.key:
            yield issue(f"{at}.key", "names no key", "Write key: with a key of the object's data.")
        if not item.path or not _is_inside(item.path):
            yield issue(f"{at}.path", f"{item.path[:80]!r} is not a path of a file in a volume", _INSIDE)
        yield from _mode(item.mode, f"{at}.mode")


def _mode(mode: int | None, path: str) -> Iterator[Issue]:
    if mode is not None and not 0 <= mode <= 0o777:
        yield issue(path, f"must be a file mode, 0 to 0777, got {mode}", "Write for instance 0440.")


def _mounts(container: Container, volumes: set[str], path: str) -> Iterator[Issue]:
    places: set[str] = set()
    for index, mount in enumerate(container.volume_mounts):
        at = f"{path}.volumeMounts[{index}]"
        if mount.name not in volumes:
            known = f"There are: {', '.join(sorted(volumes))}." if volumes else "Add it to volumes of the pod."
            yield issue(f"{at}.name", f"there is no volume {mount.name[:80]!r}", known)
        if not mount.mount_path:
            yield issue(f"{at}.mountPath", "is empty", "Write where the container sees the volume.")
        elif mount.mount_path in places:
            yield issue(f"{at}.mountPath", f"{mount.mount_path[:80]} is mounted twice", "Change one of them.")
        places.add(mount.mount_path)
        if not _is_inside(mount.sub_path):
            yield issue(f"{at}.subPath", f"{mount.sub_path[:80]!r} leads out of the volume", _INSIDE)


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")
