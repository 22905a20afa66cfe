"""Names and labels of objects, as the API server accepts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from labsupport.model.schema.issues import Issue
from labsupport.model.schema.syntax import label_problems
from labsupport.records import Json

__all__ = ["is_dns_subdomain", "is_lower_dns_label", "label_issues", "name_problem"]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABELS = (("metadata", "labels"),)
_WORKLOAD_LABELS = (*_LABELS, ("spec", "selector", "matchLabels"), ("spec", "template", "metadata", "labels"))
_LABELS_OF = {"Service": (*_LABELS, ("spec", "selector"))} | dict.fromkeys(
    ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), _WORKLOAD_LABELS
)
_LONGEST_VALUE = 63
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_lower_dns_label(text: str) -> bool:
    """Tell whether text is one lower-case DNS label (RFC 1123), as names of namespaces are."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Tell whether text is lower-case DNS labels with dots between them (RFC 1123), as most names are."""
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def name_problem(kind: str, name: str, metadata: Mapping[str, Json]) -> Issue | None:
    """Check ``metadata.name`` and ``metadata.namespace``.

    Args:
        kind: the kind, which decides the rule.
        name: the name.
        metadata: the whole mapping.

    Returns:
        what is wrong, or None.
    """
    if not name:
        remedy = "Write name: below metadata:"
        if metadata.get("generateName"):
            remedy = "Use name instead of generateName, so that applying it again changes the same object."
        return Issue("object", "metadata.name", "the object has no name", remedy)
    what = ""
    if kind == "Service":
        if len(name) > 63 or not _LABEL_1035.fullmatch(name):
            what = "lower-case letters, digits and hyphens, at most 63, starting with a letter"
    elif kind == "Namespace":
        if not is_lower_dns_label(name):
            what = "lower-case letters, digits and hyphens, at most 63"
    elif not is_dns_subdomain(name):
        what = "lower-case letters, digits, hyphens and dots, at most 253"
    if what:
        return Issue("object", "metadata.name", f"{name[:80]!r} is not a valid name", f"Use {what}.")
    namespace = metadata.get("namespace") or ""
    if namespace and not is_lower_dns_label(namespace):
        remedy = "Use lower-case letters, digits and hyphens, at most 63."
        return Issue("object", "metadata.namespace", f"{namespace[:80]!r} is not a valid namespace", remedy)
    return None


def label_issues(kind: str, raw: Mapping[str, Json]) -> Iterator[Issue]:
    """Check an object's own labels, and those by which a Service or a workload selects pods.

    Args:
        kind: the kind, which decides where labels are.
        raw: the whole object.
    """
    for keys in _LABELS_OF.get(kind, _LABELS):
        labels: Json = raw
        for key in keys:
            labels = labels.get(key) if isinstance(labels, Mapping) else None
        # What is no mapping of texts is told already.
        texts = {key: value for key, value in labels.items() if isinstance(value, str)} if labels else {}
        remedy = "Leave the label out to select pods with any value of it." if "selector" in keys else ""
        for key, message in label_problems(texts.items()):
            yield Issue("object", f"{'.'.join(keys)}.{key}", message, remedy)
        for key, value in texts.items():
            if len(value) > _LONGEST_VALUE:
                yield Issue("object", f"{'.'.join(keys)}.{key}", f"is longer than {_LONGEST_VALUE} characters")
