"""Pods as the course's records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from labsupport.engine.additions import PROXY
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.objects.additions import PART_LABEL
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.parts import GATEWAY, OUTSIDE
from labsupport.engine.cluster.objects.rollout import is_ready, last_words, statuses, workload_of
from labsupport.engine.gatewayservices import MANAGED, MANAGER
from labsupport.records import Pod

__all__ = ["concurrency", "has_proxy", "is_gateway", "program", "records"]


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a pod, sidecars that are init containers (``restartPolicy: Always``) among them."""
    spec = pod["spec"]
    sidecars = [
        init_container
        for init_container in spec.get("initContainers") or ()
        if init_container.get("restartPolicy") == "Always"
    ]
    return [*sidecars, *spec["containers"]]


def has_proxy(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has an Envoy of Istio: a sidecar, or the gateway's."""
    return any(container["name"] == PROXY for container in containers(pod))


def is_gateway(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's Envoy is its program: injected as a gateway, or made for a Gateway of the Gateway API."""
    metadata = pod["metadata"]
    templates = (metadata.get("annotations") or {}).get("inject.istio.io/templates", "")
    made = (metadata.get("labels") or {}).get(MANAGED) == MANAGER
    return has_proxy(pod) and (made or "gateway" in templates.split(","))


def program(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """The container of a pod's own program: its first that is not the sidecar; None for a gateway."""
    return next((container for container in pod["spec"]["containers"] if container["name"] != PROXY), None)


def concurrency(pod: Mapping[str, Any]) -> int:
    """Worker threads of a pod's Envoy, as injection set them (``PROXY_CONFIG``, else the CPU limit); 0 without one."""
    proxy = next((container for container in containers(pod) if container["name"] == PROXY), None)
    if proxy is None:
        return 0
    variables = {variable["name"]: variable.get("value") or "" for variable in proxy.get("env") or ()}
    texts = (pod["metadata"].get("annotations", {}).get("proxy.istio.io/config", ""), variables.get("PROXY_CONFIG", ""))
    for text in texts:
        with contextlib.suppress(yaml.YAMLError, ValueError, AttributeError):
            wanted = (yaml.safe_load(text) or {}).get("concurrency")
            if isinstance(wanted, int) and wanted > 0:
                return wanted
    arguments = list(proxy.get("args") or ())
    with contextlib.suppress(ValueError, IndexError):
        return int(arguments[arguments.index("--concurrency") + 1])
    limit = str(((proxy.get("resources") or {}).get("limits") or {}).get("cpu") or "2")
    with contextlib.suppress(ValueError):
        # pilot-agent rounds a limit in thousandths up.
        return max(1, -(-int(limit[:-1]) // 1000) if limit.endswith("m") else int(float(limit)))
    return 2


def records(api: Api, images: Images, pods: Iterable[dict[str, Any]]) -> list[Pod]:
    """The course's records of a namespace's pods; those that are ending are left out, as is the client outside.

    Args:
        api: the cluster, to read the last words of what crashed.
        images: how images are shown.
        pods: as the API server has them, oldest first.
    """
    shown = []
    for pod in pods:
        metadata = pod["metadata"]
        labels = metadata.get("labels") or {}
        if metadata.get("deletionTimestamp") or labels.get(PART_LABEL) == OUTSIDE:
            continue
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        own = program(pod)
        shown.append(
            Pod(
                name=metadata["name"],
                namespace=metadata["namespace"],
                workload=workload_of(pod),
                labels=labels,
                injected=has_proxy(pod) and not is_gateway(pod),
                ready=is_ready(pod),
                restarts=sum(int(status.get("restartCount") or 0) for status in statuses(pod)),
                last_words=last_words(api, pod),
                image=images.short(own["image"]) if own is not None else "",
                concurrency=concurrency(pod),
            )
        )
    # As on the embedded engine, the gateway comes first: it is older than everything that was applied.
    return sorted(shown, key=lambda record: record.workload != GATEWAY)
