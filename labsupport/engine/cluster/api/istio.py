"""What Istio is in a cluster: its version, where it runs, how a namespace asks for its sidecars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import EngineError

__all__ = ["GATEWAY_API", "OLDEST", "Istio", "find", "istio_of", "parse_version"]

OLDEST = (1, 24)
"""The oldest Istio that the course runs on; what the lessons use has been there since."""

GATEWAY_API = (
    "Install the CRDs of the Gateway API, which are no part of Istio: kubectl apply --server-side -f "
    "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.0/experimental-install.yaml"
)
"""What to do where the kinds of the Gateway API are not there."""

_API = "/apis/networking.istio.io"
_REMEDY = "Install Istio (istioctl install), or make a cluster with it: workshop cluster up"


@dataclass(frozen=True, slots=True)
class Istio:
    """The Istio of a cluster.

    Args:
        namespace: where istiod runs; its root namespace.
        version: major and minor, such as ``(1, 31)``; empty when it cannot be found out.
        version_text: as it is written in the cluster, such as ``1.31.2``.
        revision: istiod's revision, ``default`` without one.
        injection: the label that makes a namespace's pods get sidecars; empty if no injector was found.
        mesh_config: ``MeshConfig`` of the revision; empty if it may not be read.
        notes: what could not be found out, and why.
    """

    namespace: str
    version: tuple[int, ...] = ()
    version_text: str = ""
    revision: str = "default"
    injection: Mapping[str, str] = field(default_factory=dict)
    mesh_config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parse_version(text: str) -> tuple[int, ...]:
    """Major and minor of a version such as ``1.31-alpha.abc`` or ``1.31.2-distroless``; empty if it is none."""
    match = re.match(r"v?(\d+)\.(\d+)(?=$|[.\-+_])", text)
    return (int(match[1]), int(match[2])) if match and int(match[1]) > 0 else ()


_found: WeakKeyDictionary[Connection, Istio] = WeakKeyDictionary()


def istio_of(connection: Connection) -> Istio:
    """What is known of the Istio behind a connection, read once; errors as of ``find``."""
    if (istio := _found.get(connection)) is None:
        istio = _found[connection] = find(connection)
    return istio


def find(connection: Connection) -> Istio:
    """Look for Istio in a cluster.

    Raises:
        EngineError: there is none, or it is older than ``OLDEST``, or it injects no sidecars.
        EngineLostError: the cluster does not answer.
    """
    try:
        served = {group_version["version"] for group_version in connection.get(_API)["versions"]}
    except ApiError as error:
        if not error.missing:
            raise
        raise EngineError(
            f"the cluster of context {connection.context!r} has no Istio (networking.istio.io is unknown). {_REMEDY}"
        ) from None
    notes: list[str] = []
    hooks = _injectors(connection, notes)
    injection, revision = _injection(hooks)
    control = _istiods(connection, revision, notes)
    namespace = control["metadata"]["namespace"] if control else "istio-system"
    text = _version_text(control) or (_asked_version(connection, control, namespace) if control else "")
    version = parse_version(text)
    if version:
        old = version < OLDEST
    else:
        # v1 of Istio's kinds has been served since Istio 1.22.
        old, text = "v1" not in served, text or ("older than 1.22" if "v1" not in served else "")
    if old:
        wanted = ".".join(map(str, OLDEST))
        raise EngineError(
            f"the cluster of context {connection.context!r} has Istio {text}, and the course needs {wanted} or newer. "
            "Upgrade it (istioctl upgrade), or make a cluster of your own: workshop cluster up"
        )
    if not version:
        notes.append("Istio's version cannot be found out, so it is taken to be new enough")
    if hooks is not None and not injection:
        raise EngineError(
            f"the Istio of context {connection.context!r} injects no sidecars: there is no injection webhook for "
            f"namespaces (istio-sidecar-injector). {_REMEDY}"
        )
    mesh = _mesh_config(connection, namespace, revision, notes)
    chosen = injection or {"istio-injection": "enabled"}
    return Istio(namespace, version, text, revision, chosen, mesh, tuple(notes))


def _injectors(connection: Connection, notes: list[str]) -> list[dict[str, Any]] | None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    try:
        webhooks = connection.request("GET", path, query={"labelSelector": "app=sidecar-injector"}).body["items"]
    except ApiError as error:
        if not error.forbidden:
            raise
        notes.append("the injection webhooks may not be read, so the label istio-injection=enabled is used")
        return None
    return [hook for configuration in webhooks for hook in configuration.get("webhooks") or []]


def _injection(hooks: list[dict[str, Any]] | None) -> tuple[dict[str, str], str]:
    """The namespace label that an injector answers to, and the revision behind it."""
    revisions: list[str] = []
    default = ""
    for hook in hooks or []:
        expressions = (hook.get("namespaceSelector") or {}).get("matchExpressions") or []
        chosen = {expression["key"]: expression for expression in expressions}
        service = (hook.get("clientConfig") or {}).get("service") or {}
        behind = str(service.get("name", "")).removeprefix("istiod").removeprefix("-") or "default"
        by_label = chosen.get("istio-injection", {})
        if by_label.get("operator") == "In" and "enabled" in (by_label.get("values") or []):
            default = behind
        by_revision = chosen.get("istio.io/rev", {})
        if by_revision.get("operator") == "In":
            revisions += [value for value in by_revision.get("values") or [] if value not in revisions]
    if default:
        return {"istio-injection": "enabled"}, default
    if revisions:
        return {"istio.io/rev": revisions[0]}, revisions[0]
    return {}, "default"


def _istiods(connection: Connection, revision: str, notes: list[str]) -> dict[str, Any] | None:
    for path in ("/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/istio-system/deployments"):
        try:
            deployments: list[dict[str, Any]] = connection.get(path, labelSelector="app=istiod")["items"]
        except ApiError as error:
            if not error.forbidden:
                raise
            continue
        of_revision = [
            deployment
            for deployment in deployments
            if deployment["metadata"].get("labels", {}).get("istio.io/rev") == revision
        ]
        if deployments:
            return (of_revision or deployments)[0]
        notes.append("no istiod runs in the cluster itself")
        return None
    notes.append("Istio's Deployments may not be read")
    return None


def _version_text(control: dict[str, Any] | None) -> str:
    if control is None:
        return ""
    labels = control["metadata"].get("labels") or {}
    image = str(control["spec"]["template"]["spec"]["containers"][0].get("image", ""))
    texts = [image.partition("@")[0].rpartition(":")[2], labels.get("operator.istio.io/version", "")]
    chart = labels.get("app.kubernetes.io/version", "")
    # A chart that was not made by a release carries this in place of a version.
    texts += [chart] if chart != "1.0.0" else []
    return next((text for text in texts if parse_version(text)), "")


def _asked_version(connection: Connection, control: dict[str, Any], namespace: str) -> str:
    """Ask istiod itself, through the API server; needs a right that a learner seldom has."""
    name = control["metadata"]["name"]
    try:
        said = connection.request("GET", f"/api/v1/namespaces/{namespace}/services/http:{name}:15014/proxy/version")
    except ApiError:
        return ""
    return said.text.strip().partition("-")[0]


def _mesh_config(connection: Connection, namespace: str, revision: str, notes: list[str]) -> dict[str, Any]:
    import yaml

    name = "istio" if revision == "default" else f"istio-{revision}"
    try:
        text = connection.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]["mesh"]
        read = yaml.safe_load(text)
    except (ApiError, KeyError, yaml.YAMLError) as error:
        if isinstance(error, ApiError) and not (error.forbidden or error.missing):
            raise
        notes.append(f"the mesh configuration (ConfigMap {namespace}/{name}) cannot be read")
        return {}
    return read if isinstance(read, dict) else {}
