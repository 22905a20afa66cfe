"""Names of objects, as the API server accepts them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from labsupport.model.schema.issues import Issue
from labsupport.model.schema.types import Json

__all__ = ["is_dns_label", "name_problem"]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_dns_label(text: str) -> bool:
    """Tell whether text is one lower-case DNS label (RFC 1123), as names of namespaces are."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


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
        if not is_dns_label(name):
            what = "lower-case letters, digits and hyphens, at most 63"
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        what = "lower-case letters, digits, hyphens and dots, at most 253"
    if what:
        return Issue("object", "metadata.name", f"{name[:80]!r} is not a valid name", f"Use {what}.")
    namespace = metadata.get("namespace") or ""
    if namespace and not is_dns_label(namespace):
        remedy = "Use lower-case letters, digits and hyphens, at most 63."
        return Issue("object", "metadata.namespace", f"{namespace[:80]!r} is not a valid namespace", remedy)
    return None
