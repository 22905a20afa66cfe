"""What a client asks first: which groups, versions and resources there are, one by one or all at once."""

from __future__ import annotations

from labsupport.engine.embedded.api.kinds import ApiKind, group_versions, kinds_of
from labsupport.records import JsonObject

__all__ = ["AGGREGATED", "aggregated", "group", "groups", "known_versions", "resources", "root", "version"]

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
_RELEASE = "v1.34.0"


def version() -> JsonObject:
    """``/version``: the Kubernetes that this front is like."""
    major, minor = _RELEASE.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{_RELEASE}+workshop",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    }


def root() -> JsonObject:
    """``/api``: versions of the core group."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> JsonObject:
    """``/apis``: all other groups."""
    listed = [group(name) for name, _ in group_versions() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(name: str) -> JsonObject:
    """``/apis/<group>``: the versions of a group."""
    versions = [{"groupVersion": f"{name}/{known}", "version": known} for known in dict(group_versions()).get(name, ())]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(name: str, known: str) -> JsonObject:
    """``/api/v1`` or ``/apis/<group>/<version>``: the resources of a version.

    Args:
        name: the group.
        known: the version.
    """
    listed = []
    for entry in kinds_of(name, known):
        listed.append(
            {
                "name": entry.plural,
                "singularName": entry.manifest_kind.lower(),
                "namespaced": entry.namespaced,
                "kind": entry.manifest_kind,
                "verbs": list(entry.verbs),
                "shortNames": list(entry.short),
                "categories": list(entry.categories),
            }
        )
        for sub, kind, verbs in entry.subresources:
            about = {"group": "autoscaling", "version": "v1"} if kind == "Scale" else {}
            listed.append(
                {
                    "name": f"{entry.plural}/{sub}",
                    "singularName": "",
                    "namespaced": entry.namespaced,
                    "kind": kind or entry.manifest_kind,
                    "verbs": list(verbs),
                    **about,
                }
            )
    group_version = f"{name}/{known}" if name else known
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def aggregated(*, core: bool, form: str = "v2") -> JsonObject:
    """All at once: what kubectl asks for.

    Args:
        core: of the core group alone, else of all others.
        form: version of the answer's form.
    """
    items = []
    for name, versions in group_versions():
        if (not name) != core:
            continue
        listed = [
            {"version": known, "resources": [_aggregated(entry, known) for entry in kinds_of(name, known)]}
            for known in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    version = f"apidiscovery.k8s.io/{form}"
    return {"kind": "APIGroupDiscoveryList", "apiVersion": version, "metadata": {}, "items": items}


def _aggregated(entry: ApiKind, known: str) -> JsonObject:
    subresources = [
        {
            "subresource": sub,
            "responseKind": (
                {"group": "autoscaling", "version": "v1", "kind": "Scale"}
                if kind == "Scale"
                else {"group": entry.group, "version": known, "kind": kind or entry.manifest_kind}
            ),
            "verbs": list(verbs),
        }
        for sub, kind, verbs in entry.subresources
    ]
    return {
        "resource": entry.plural,
        "responseKind": {"group": entry.group, "version": known, "kind": entry.manifest_kind},
        "scope": "Namespaced" if entry.namespaced else "Cluster",
        "singularResource": entry.manifest_kind.lower(),
        "verbs": list(entry.verbs),
        "shortNames": list(entry.short),
        "categories": list(entry.categories),
        **({"subresources": subresources} if subresources else {}),
    }


def known_versions() -> dict[tuple[str, ...], tuple[str, str]]:
    """Every group and version, by the parts of its path."""
    return {
        ("apis", group, version) if group else ("api", version): (group, version)
        for group, versions in group_versions()
        for version in versions
    }
