"""Istio in the cluster: installed by istioctl with an access log in JSON, as the course reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.engine.tracers import JAEGER
from labsupport.errors import EngineError, NotFoundError
from labsupport.setup.cluster import cache, programs, remedies
from labsupport.setup.cluster.tools import Tool

if TYPE_CHECKING:
    from labsupport.engine.cluster.api.connect import Connection

__all__ = ["configuration", "install", "installed"]

_INSTALL_S = 900.0
_SYSTEM = "istio-system"


def configuration(*, hub: str = "", tag: str = "", tracing: bool = False) -> dict[str, Any]:
    """What istioctl installs: ``IstioOperator`` of ``install.istio.io/v1alpha1``.

    Only istiod is installed (profile ``minimal``): every lab brings an ingress gateway of its own.

    Args:
        hub: registry of Istio's images; empty for Istio's own.
        tag: of Istio's images; empty for istioctl's version.
        tracing: send spans to the add-on Jaeger.
    """
    mesh: dict[str, Any] = {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"}
    if tracing:
        mesh["enableTracing"] = True
        mesh["defaultConfig"] = {"tracing": {}}  # else sidecars send to a Zipkin that is not there
        mesh["extensionProviders"] = [JAEGER]
    # Istio's own requests (500m and 2 GiB for istiod, 100m for each sidecar) would not fit a laptop with 20 pods.
    small = {"requests": {"cpu": "10m", "memory": "40Mi"}}
    values: dict[str, Any] = {
        "global": {"proxy": {"resources": small}, "proxy_init": {"resources": small}},
        "pilot": {"autoscaleEnabled": False, "resources": {"requests": {"cpu": "50m", "memory": "200Mi"}}},
    }
    spec: dict[str, Any] = {"profile": "minimal", "meshConfig": mesh, "values": values}
    if hub:
        spec["hub"] = hub
    if tag:
        spec["tag"] = tag
    return {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}


def installed(connection: Connection, *, tag: str = "", tracing: bool = False) -> str:
    """Which Istio runs in the cluster, if it is the wanted one and ready.

    Args:
        connection: to the cluster.
        tag: the image tag that istiod must have; empty for any.
        tracing: whether spans must go to Jaeger.

    Returns:
        Such as ``Istio 1.31.1``; empty if it has to be installed (again).
    """
    from labsupport.engine.cluster.api.apierror import ApiError
    from labsupport.engine.cluster.api.istio import find
    from labsupport.errors import EngineLostError

    try:
        istio = find(connection)
        control = connection.get(f"/apis/apps/v1/namespaces/{istio.namespace}/deployments/istiod")
    except ApiError as error:
        if error.missing:
            return ""
        raise
    except EngineLostError:
        raise
    except EngineError:
        return ""  # none, or too old, or without an injector: istioctl puts all of that right
    ready = int((control.get("status") or {}).get("availableReplicas") or 0)
    images = [container.get("image", "") for container in control["spec"]["template"]["spec"]["containers"]]
    right_tag = not tag or any(image.endswith(f":{tag}") for image in images)
    providers = [provider.get("name") for provider in istio.mesh_config.get("extensionProviders") or []]
    right_mesh = bool(istio.mesh_config.get("accessLogFile")) and (not tracing or "jaeger" in providers)
    if not (ready and right_tag and right_mesh):
        return ""
    return f"Istio {istio.version_text or 'of an unknown version'}"


def install(
    tool: Tool,
    context: str,
    *,
    cluster: str,
    hub: str = "",
    tag: str = "",
    tracing: bool = False,
    over: Sequence[Path] = (),
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Install Istio, or bring it to this configuration.

    Args:
        tool: istioctl.
        context: of the kubeconfig.
        cluster: its name, for files and messages.
        hub: registry of Istio's images.
        tag: of Istio's images.
        tracing: send spans to the add-on Jaeger.
        over: files with an ``IstioOperator`` each, whose fields take the place of ours.
        on_line: is given each line of istioctl.

    Raises:
        NotFoundError: one of the files is not there.
        EngineError: istioctl failed; says why and what to do.
    """
    for file in over:
        if not file.is_file():
            raise NotFoundError(f"there is no file {file} (--istio-config).")
    ours = cache.folder("clusters") / f"{cluster}.istio.json"
    ours.write_text(json.dumps(configuration(hub=hub, tag=tag, tracing=tracing), indent=1), encoding="utf-8")
    command = [tool.path, "install", "--context", context, "--skip-confirmation", "--readiness-timeout", "300s"]
    for file in (ours, *over):
        command += ["--filename", str(file)]
    log = cache.log_file(cluster)
    done = programs.run(command, timeout_s=_INSTALL_S, on_line=on_line, log=log)
    if done.status:
        raise programs.ProgramError(
            f"Istio could not be installed (istioctl ended with status {done.status}):\n{done.last_lines()}\n"
            f"  {remedies.of_istioctl(done.said)}\n  Everything that was written is in {log}",
            done,
        )
