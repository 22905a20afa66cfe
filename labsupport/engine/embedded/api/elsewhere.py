"""What clients of Istio look for in a cluster, and what the embedded mesh has none of: lists that do not change.

``istioctl analyze`` waits until it has listed every one of them. Discovery does not tell of them, so for kubectl there
are no such resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from labsupport.engine.embedded.api.kinds import API_KINDS, ApiKind
from labsupport.records import JsonObject

__all__ = ["NOT_HERE", "not_here"]

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NOT_HERE: Final[Mapping[str, str]] = {
    _CRDS: "CustomResourceDefinition",
    "/api/v1/nodes": "Node",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
}
"""The kind of each, by its path."""


def _definition(entry: ApiKind) -> JsonObject:
    """A kind of Istio as a cluster defines it, as far as clients look."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": entry.qualified, "uid": entry.qualified, "resourceVersion": "1"},
        "spec": {
            "group": entry.group,
            "names": {"kind": entry.manifest_kind, "plural": entry.plural},
            "scope": "Namespaced",
            "versions": [
                {"name": version, "served": True, "storage": version == entry.versions[0]} for version in entry.versions
            ],
        },
        "status": {"storedVersions": [entry.versions[0]]},
    }


def not_here(path: str) -> JsonObject:
    """The list of such a resource.

    Args:
        path: one of ``NOT_HERE``.
    """
    items = [_definition(entry) for entry in API_KINDS if not entry.built_in] if path == _CRDS else []
    api_version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
    about = {"kind": f"{NOT_HERE[path]}List", "apiVersion": api_version}
    return {**about, "metadata": {"resourceVersion": "1"}, "items": items}
