"""What both engines add to the pods of a workload where its manifest does not say otherwise.

Exact counts need one worker in each Envoy and all of its counters, and an answer tells who gave it by the variables of
its pod. So that no manifest has to repeat these lines, and files from elsewhere count exactly too, they are added when
a workload is applied and taken away when it is shown. The embedded mesh runs Deployments, a cluster also StatefulSets
and DaemonSets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from labsupport.model.reading.goyaml import Composer, YamlProblem
from labsupport.model.schema.syntax import is_digits

__all__ = [
    "PROXY",
    "PROXY_CONFIG",
    "PROXY_CONFIG_ANNOTATION",
    "REVISION",
    "REVISION_LABEL",
    "WORKLOADS",
    "add",
    "proxy_config",
    "proxy_config_text",
    "take_away",
    "variables",
    "workers",
]

PROXY = "istio-proxy"
"""Name of the sidecar's container."""
PROXY_CONFIG: Mapping[str, Any] = {
    "concurrency": 1,
    "proxyStatsMatcher": {
        "inclusionPrefixes": [
            "cluster.outbound", "cluster.inbound", "http.outbound", "http.inbound", "tcp.outbound", "tcp.inbound",
        ]
    },
}  # fmt: skip
"""Fields of the annotation ``proxy.istio.io/config``: round robin and pool limits are exact on one worker only."""

PROXY_CONFIG_ANNOTATION = "proxy.istio.io/config"
"""Of a pod: the configuration of its proxy, as YAML."""
REVISION_LABEL = "istio.io/rev"
"""Of a namespace or a pod: the control plane whose sidecars it gets."""
REVISION = "default"
"""What an installation of Istio without revisions, and the control plane of the embedded mesh, are called."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds whose pods get the additions."""

_INJECT = "sidecar.istio.io/inject"


def proxy_config(annotations: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration of a pod's proxy: ours, field by field replaced by what the annotation says.

    Args:
        annotations: of the pod.

    Returns:
        the fields; None if what is written is no mapping, which is for Istio to judge.
    """
    written = annotations.get(PROXY_CONFIG_ANNOTATION) or ""
    try:
        # The reader of manifests, which knows how deep and how large something may be that a stranger wrote.
        tree = next(Composer(written, loose=True).documents(), None)
    except (YamlProblem, yaml.YAMLError):
        return None
    own = tree.value if tree is not None else None
    return {**PROXY_CONFIG, **(own or {})} if own is None or isinstance(own, dict) else None


def workers(config: Mapping[str, Any]) -> int | None:
    """Worker threads as a proxy's configuration writes them, in any form that Istio reads; None if it is no number."""
    # 2, "2" and 2.0 are one number to Istio.
    text = str(config["concurrency"]).removesuffix(".0")
    return int(text) if is_digits(text) else None


def proxy_config_text(config: Mapping[str, Any] = PROXY_CONFIG) -> str:
    """A proxy's configuration as the annotation holds it, on one line."""
    return yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=True, width=10_000).strip()


def variables(container: Mapping[str, Any], labels: Mapping[str, str], workload: str) -> list[dict[str, Any]]:
    """The variables that a pod's program gets besides those of its manifest.

    Args:
        container: the program's container; what it names itself is left alone.
        labels: of the pod.
        workload: name of the workload, which stands in for a missing label ``app``.

    Returns:
        entries of ``env``, as a manifest writes them.
    """
    added = [_from_pod("POD_NAME", "metadata.name"), _from_pod("POD_NAMESPACE", "metadata.namespace")]
    # What a ConfigMap or Secret gives as a whole is not known before the pod starts, and env would override it.
    if not container.get("envFrom"):
        named = _from_pod("SERVICE_NAME", "metadata.labels['app']")
        added.append(named if "app" in labels else {"name": "SERVICE_NAME", "value": workload})
        added.append(_from_pod("SERVICE_VERSION", "metadata.labels['version']"))
    own = {entry.get("name") for entry in container.get("env") or () if isinstance(entry, dict)}
    return [entry for entry in added if entry["name"] not in own]


def _from_pod(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def add(raw: dict[str, Any]) -> None:
    """Complete an object for a cluster, in place; only a workload changes.

    Args:
        raw: the object, a copy of the caller's own.
    """
    template = _template(raw)
    if template is None:
        return
    metadata = template["metadata"] = dict(template.get("metadata") or {})
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    config = proxy_config(annotations)
    without_proxy = str(labels.get(_INJECT, annotations.get(_INJECT, ""))).lower() == "false"
    if config is not None and not without_proxy:
        metadata["annotations"] = {**annotations, PROXY_CONFIG_ANNOTATION: proxy_config_text(config)}
    for container in _programs(template):
        added = variables(container, labels, raw["metadata"]["name"])
        if added:
            container["env"] = [*(container.get("env") or ()), *added]


def take_away(raw: dict[str, Any]) -> None:
    """The opposite of ``add``, in place: what is as we would add it is not shown.

    Args:
        raw: the object, a copy of the caller's own.
    """
    template = _template(raw)
    if template is None:
        return
    metadata = template.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if PROXY_CONFIG_ANNOTATION in annotations and (config := proxy_config(annotations)) is not None:
        own = {name: value for name, value in config.items() if PROXY_CONFIG.get(name) != value}
        if own:
            annotations[PROXY_CONFIG_ANNOTATION] = yaml.safe_dump(own, sort_keys=False)
        else:
            del annotations[PROXY_CONFIG_ANNOTATION]
        if not annotations:
            del metadata["annotations"]
    for container in _programs(template):
        if not container.get("env"):
            continue
        bare = {name: value for name, value in container.items() if name != "env"}
        added = variables(bare, metadata.get("labels") or {}, raw["metadata"]["name"])
        container["env"] = [entry for entry in container["env"] if entry not in added]
        if not container["env"]:
            del container["env"]


def _template(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    template = (raw.get("spec") or {}).get("template") if raw.get("kind") in WORKLOADS else None
    return template if isinstance(template, dict) else None


def _programs(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a pod's own programs; none for a gateway."""
    containers = (template.get("spec") or {}).get("containers") or ()
    return [container for container in containers if container.get("name") != PROXY]
