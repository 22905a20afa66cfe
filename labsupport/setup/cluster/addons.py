"""Kiali, Prometheus, Grafana and Jaeger, from the samples of the Istio release; all optional, for looking around."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import EngineError, NotFoundError, UsageError, WaitTimeoutError
from labsupport.setup.cluster.downloads import fetch_text
from labsupport.setup.cluster.versions import ADDONS_URL, ISTIO_VERSION

if TYPE_CHECKING:
    from labsupport.engine.cluster.api.connect import Connection

__all__ = ["NAMES", "chosen", "install", "ready"]

NAMES = ("prometheus", "kiali", "grafana", "jaeger")
_NEEDS_PROMETHEUS = ("kiali", "grafana")
_NAMESPACE = "istio-system"
_READY_S = 420.0
_POLL_S = 1.0
_TRACING = {
    "apiVersion": "telemetry.istio.io/v1",
    "kind": "Telemetry",
    "metadata": {"name": "workshop-tracing", "namespace": _NAMESPACE},
    "spec": {"tracing": [{"providers": [{"name": "jaeger"}], "randomSamplingPercentage": 100}]},
}


def chosen(text: str) -> tuple[str, ...]:
    """The add-ons that an option names: ``all``, or names with commas; what one needs comes along.

    Raises:
        UsageError: there is no such add-on.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    wanted = set(NAMES) if "all" in words else set(words)
    if unknown := wanted - set(NAMES):
        raise UsageError(f"there is no add-on {', '.join(sorted(unknown))}: take {', '.join(NAMES)} or all.")
    if wanted & set(_NEEDS_PROMETHEUS):
        wanted.add("prometheus")
    return tuple(name for name in NAMES if name in wanted)


def ready(connection: Connection) -> list[str]:
    """The add-ons that run."""
    items = connection.get(f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments")["items"]
    running = {item["metadata"]["name"] for item in items if _is_ready(item)}
    return [name for name in NAMES if name in running]


def install(
    connection: Connection,
    wanted: Sequence[str],
    *,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Apply the manifests of add-ons and wait until they run.

    Args:
        connection: to the cluster.
        wanted: their names.
        folder: where their manifests are, as in ``samples/addons`` of an Istio release; downloaded by default.
        on_line: is told what happens.

    Raises:
        NotFoundError: the folder has no such manifest.
        EngineError: the API server refuses one.
        WaitTimeoutError: one does not become ready.
    """
    tell = on_line or (lambda line: None)
    for name in wanted:
        tell(f"applying {name}")
        for document in _documents(name, folder):
            _apply(connection, document)
    if "jaeger" in wanted:
        _apply(connection, _TRACING)
    _wait(connection, wanted, tell)


def _documents(name: str, folder: Path | None) -> list[dict[str, Any]]:
    import yaml

    if folder is not None:
        file = folder / f"{name}.yaml"
        if not file.is_file():
            raise NotFoundError(f"there is no {file}: --addon-manifests names a folder like samples/addons of Istio.")
        text = file.read_text(encoding="utf-8")
    else:
        url = ADDONS_URL.format(version=ISTIO_VERSION, name=name)
        text = fetch_text(url, sort=f"the manifests of {name} (or --addon-manifests DIR)")
    try:
        return [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except yaml.YAMLError as error:
        raise EngineError(f"the manifest of {name} is no YAML: {error}") from None


def _apply(connection: Connection, document: dict[str, Any]) -> None:
    from labsupport.engine.cluster.api.connect import FIELD_MANAGER

    api, sort = str(document.get("apiVersion", "")), str(document.get("kind", ""))
    base = f"/apis/{api}" if "/" in api else f"/api/{api}"
    served = connection.get(base)["resources"]
    resource = next((entry for entry in served if entry["kind"] == sort and "/" not in entry["name"]), None)
    if resource is None:
        raise EngineError(f"the cluster knows no {sort} of {api}, which an add-on consists of")
    name = document["metadata"]["name"]
    path = f"{base}/{resource['name']}/{name}"
    if resource["namespaced"]:
        namespace = document["metadata"].get("namespace") or _NAMESPACE
        path = f"{base}/namespaces/{namespace}/{resource['name']}/{name}"
    connection.request(
        "PATCH",
        path,
        query={"fieldManager": FIELD_MANAGER, "force": "true"},
        body=document,
        content_type="application/apply-patch+yaml",
    )


def _is_ready(deployment: dict[str, Any]) -> bool:
    status = deployment.get("status") or {}
    current = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    return current and int(status.get("availableReplicas") or 0) > 0


def _wait(connection: Connection, wanted: Sequence[str], tell: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _READY_S
    while missing := [name for name in wanted if name not in ready(connection)]:
        why = _why_not(connection, missing)
        tell(f"waiting for {', '.join(missing)}" + (f": {why}" if why else ""))
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                f"{', '.join(missing)} did not become ready in {_READY_S:.0f} s" + (f" ({why})" if why else "") + ". "
                "If images cannot be pulled: check the network and Docker Hub's limit, or bring them with "
                "--image-archives. Run it again to go on; the course needs none of the add-ons."
            )
        time.sleep(_POLL_S)


def _why_not(connection: Connection, missing: Sequence[str]) -> str:
    """What keeps the pods of add-ons from running, in the words of Kubernetes."""
    reasons: list[str] = []
    for pod in connection.get(f"/api/v1/namespaces/{_NAMESPACE}/pods")["items"]:
        if not any(pod["metadata"]["name"].startswith(f"{name}-") for name in missing):
            continue
        for container in (pod.get("status") or {}).get("containerStatuses") or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason"):
                reasons.append(f"{pod['metadata']['name']}: {waiting['reason']}")
    return "; ".join(reasons)
