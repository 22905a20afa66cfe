"""What the API server says to variables of containers: their names, and where their values come from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labsupport.model.kinds.kube import ObjectFieldSelector
from labsupport.model.kinds.pods import (
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    PodSpec,
    SecretKeySelector,
)
from labsupport.model.schema.issues import Issue
from labsupport.model.schema.names import is_dns_subdomain

__all__ = [
    "KEY_REMEDY",
    "NAME_REMEDY",
    "QUALIFIED_REMEDY",
    "containers_of",
    "is_key",
    "is_qualified",
    "issue",
    "reference_issues",
    "variable_issues",
]

_VARIABLE = re.compile(r"[ -<>-~]+")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_QUALIFIED = re.compile(r"(?:([^/]+)/)?([A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)")
_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_SUBSCRIPTED = re.compile(r"metadata\.(?:labels|annotations)\['(.*)'\]")
_VARIABLE_REMEDY = "Use letters, digits and underscores; printable ASCII characters other than = are allowed."
KEY_REMEDY = "Use letters, digits, hyphens, underscores and dots, at most 253, not beginning with two dots."
NAME_REMEDY = "Use lower-case letters, digits, hyphens and dots, at most 253."
QUALIFIED_REMEDY = "Use letters, digits, hyphens, underscores and dots, at most 63, perhaps with a domain and / before."


def issue(path: str, message: str, remedy: str = "") -> Issue:
    """What an API server objects to, in our words."""
    return Issue("object", path, message, remedy)


def is_key(key: str) -> bool:
    """Tell whether text is a key of a ConfigMap or Secret."""
    return _KEY.fullmatch(key) is not None and key != "." and not key.startswith("..")


def is_qualified(key: str) -> bool:
    """Tell whether text is a name, perhaps with a domain and a slash before it."""
    match = _QUALIFIED.fullmatch(key)
    return match is not None and (match[1] is None or is_dns_subdomain(match[1]))


def containers_of(pod: PodSpec, path: str) -> Iterator[tuple[str, Container]]:
    """The containers of a pod with their paths, those that begin before the others first.

    Args:
        pod: its specification.
        path: where that lies.
    """
    for field, containers in (("initContainers", pod.init_containers), ("containers", pod.containers)):
        yield from ((f"{path}.{field}[{index}]", container) for index, container in enumerate(containers))


def variable_issues(container: Container, path: str) -> Iterator[Issue]:
    """Check the variables of a container.

    Args:
        container: of a pod.
        path: its field path.

    Yields:
        what an API server refuses.
    """
    for index, source in enumerate(container.env_from):
        yield from _env_from(source, f"{path}.envFrom[{index}]")
    for index, variable in enumerate(container.env):
        yield from _variable(variable, f"{path}.env[{index}]")


def _env_from(source: EnvFromSource, path: str) -> Iterator[Issue]:
    if source.prefix and not _VARIABLE.fullmatch(source.prefix):
        message = f"{source.prefix[:80]!r} is not the beginning of a variable's name"
        yield issue(f"{path}.prefix", message, _VARIABLE_REMEDY)
    given = [("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref)]
    given = [(name, reference) for name, reference in given if reference is not None]
    if len(given) != 1:
        yield issue(
            path, "needs either configMapRef or secretRef", "Write for instance configMapRef: {name: settings}."
        )
    for name, reference in given:
        if reference is not None:
            yield from reference_issues(reference.name, f"{path}.{name}")


def reference_issues(name: str, path: str) -> Iterator[Issue]:
    """Check the name of a ConfigMap or Secret that a pod refers to.

    Args:
        name: as it is written; empty if it is not.
        path: field path of the reference.
    """
    if not is_dns_subdomain(name):
        what = f"{name[:80]!r} is not a valid name" if name else "names no object"
        yield issue(f"{path}.name" if name else path, what, NAME_REMEDY if name else "Write name: with its name.")


def _variable(variable: EnvVar, path: str) -> Iterator[Issue]:
    if not _VARIABLE.fullmatch(variable.name):
        what = f"{variable.name[:80]!r} is not the name of a variable" if variable.name else "a variable needs a name"
        yield issue(f"{path}.name", what, _VARIABLE_REMEDY)
    origin = variable.value_from
    if origin is None:
        return
    if variable.value:
        yield issue(path, "only one of value and valueFrom may be given", "Remove one of them.")
    kinds: tuple[tuple[str, ConfigMapKeySelector | SecretKeySelector | None], ...] = (
        ("configMapKeyRef", origin.config_map_key_ref),
        ("secretKeyRef", origin.secret_key_ref),
    )
    for name, selected in kinds:
        if selected is not None:
            at = f"{path}.valueFrom.{name}"
            yield from reference_issues(selected.name, at)
            if not is_key(selected.key):
                yield issue(f"{at}.key", f"{selected.key[:80]!r} is not a key", KEY_REMEDY)
    if origin.field_ref is not None:
        yield from _field(origin.field_ref, f"{path}.valueFrom.fieldRef")
    elif not any((origin.config_map_key_ref, origin.secret_key_ref, origin.resource_field_ref, origin.file_key_ref)):
        remedy = "Write configMapKeyRef, secretKeyRef or fieldRef."
        yield issue(f"{path}.valueFrom", "does not say where the value comes from", remedy)


def _field(field: ObjectFieldSelector, path: str) -> Iterator[Issue]:
    if field.api_version not in ("", "v1"):
        yield issue(f"{path}.apiVersion", "is v1", "Leave it out.")
    subscripted = _SUBSCRIPTED.fullmatch(field.field_path)
    if subscripted is not None:
        if not is_qualified(subscripted[1]):
            yield issue(f"{path}.fieldPath", f"{subscripted[1][:80]!r} is not a key", QUALIFIED_REMEDY)
    elif field.field_path not in _FIELDS:
        known = f"{', '.join(_FIELDS)}, metadata.labels['key'] and metadata.annotations['key']"
        message = f"{field.field_path[:80]!r} is no field that a variable can have"
        yield issue(f"{path}.fieldPath", message, f"There are: {known}.")
