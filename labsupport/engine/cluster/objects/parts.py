"""What the engine keeps in a learner's namespace: an ingress gateway, access logs, a client outside the mesh.

The gateway is made by Istio's gateway injection (template ``gateway``, image ``auto``), as in Istio's documentation
on installing gateways. Each learner has one: the Gateways of all namespaces would otherwise meet in the same Envoy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from labsupport.engine.additions import proxy_config_text
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import FIELD_MANAGER, MANAGED_BY
from labsupport.engine.cluster.objects.additions import EXPORT_TO, LAB_LABEL, PART_LABEL
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.engine.gatewayservices import MANAGED, MANAGER
from labsupport.errors import EngineError
from labsupport.model import Resource

__all__ = ["GATEWAY", "OUTSIDE", "Parts"]

GATEWAY = "istio-ingressgateway"
OUTSIDE = "workshop-outside"
GATEWAY_TIMEOUT_S = 120.0
# Service port, port of the gateway's pod, node port that is asked for (0: any); as in Istio's own gateway, whose status
# port tells where the nodes can be reached while no Gateway has opened another one.
_PORTS = (("status-port", 15021, 15021, 0), ("http2", 80, 8080, 31080), ("https", 443, 8443, 31443))
_ACCESS_LOG = "workshop-access-log"
_REQUEST_IDS = "workshop-request-ids"


class Parts:
    """Makes and finds the engine's own objects in the namespace.

    Args:
        api: the cluster.
        images: where images come from.
    """

    def __init__(self, api: Api, images: Images) -> None:
        self._api = api
        self._images = images
        self._namespace = api.namespace
        self._rollout = Rollout(api)
        self.notes: list[str] = []

    def open(self, injection: Mapping[str, str], *, timeout_s: float = GATEWAY_TIMEOUT_S) -> None:
        """Make what is not there yet, and wait until the gateway is ready.

        Args:
            injection: the namespace's label for injection.
            timeout_s: how long the gateway may take, in seconds.

        Raises:
            WaitTimeoutError: the gateway is not ready in time.
            EngineError: it cannot start; says why.
        """
        self._access_log()
        self._request_ids()
        account = self._secret_reader()
        self.serve()
        self._apply(self._gateway(injection, account))
        try:
            self._rollout.wait([GATEWAY], timeout_s=timeout_s)
        except EngineError as error:
            raise type(error)(f"the ingress gateway of namespace {self._namespace!r} does not start: {error}") from None

    def outside(self, *, timeout_s: float = GATEWAY_TIMEOUT_S) -> str:
        """The name of the load client without a sidecar; made when it is first asked for.

        Raises:
            WaitTimeoutError: it is not ready in time.
        """
        labels = {"app": OUTSIDE, "sidecar.istio.io/inject": "false"}
        container = {
            "name": "client",
            "image": self._images.full("client"),
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": 5000}],
            "env": [
                {"name": "PORT", "value": "5000"},
                {"name": "SERVICE_NAME", "value": "outside"},
                {"name": "POD_NAME", "value": "outside"},
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }
        self._apply(self._deployment(OUTSIDE, labels, {}, container, grace_s=2))
        self._rollout.wait([OUTSIDE], timeout_s=timeout_s)
        return OUTSIDE

    # --- objects -----------------------------------------------------------------------------------------------

    def _meta(self, name: str, **more: Any) -> dict[str, Any]:
        labels = {MANAGED_BY[0]: MANAGED_BY[1], PART_LABEL: name}
        return {"name": name, "namespace": self._namespace, "labels": labels, **more}

    def _deployment(
        self,
        name: str,
        labels: dict[str, str],
        annotations: dict[str, str],
        container: dict[str, Any],
        *,
        grace_s: int,
        account: str = "",
    ) -> dict[str, Any]:
        selector = {"app": labels["app"]}
        spec = {"containers": [container], "terminationGracePeriodSeconds": grace_s}
        if account:
            spec["serviceAccountName"] = account
        template = {"metadata": {"labels": {**labels, PART_LABEL: name}, "annotations": annotations}, "spec": spec}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._meta(name),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": selector},
                "revisionHistoryLimit": 1,
                "template": template,
            },
        }

    def _gateway(self, injection: Mapping[str, str], account: str) -> dict[str, Any]:
        labels = {"app": GATEWAY, "istio": "ingressgateway", LAB_LABEL: self._namespace}
        labels["sidecar.istio.io/inject"] = "true"
        if "istio.io/rev" in injection:
            labels["istio.io/rev"] = injection["istio.io/rev"]
        annotations = {"inject.istio.io/templates": "gateway", "proxy.istio.io/config": proxy_config_text()}
        container = {
            "name": "istio-proxy",
            # The injector puts its own image here; without a policy the API server takes a name without tag for latest.
            "image": "auto",
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }
        return self._deployment(GATEWAY, labels, annotations, container, grace_s=5, account=account)

    def serve(self, gateways: Iterable[Resource] = ()) -> None:
        """Give the gateway's Service a port for each port that Gateways name; those it has are kept.

        Args:
            gateways: objects of kind Gateway.
        """
        wanted = {port: (name, target, node) for name, port, target, node in _PORTS}
        for resource in gateways:
            servers = resource.spec.servers if resource.spec.selector.get("istio") == "ingressgateway" else ()  # type: ignore[attr-defined]
            for server in servers:
                number = server.port.number
                # As with 80 and 443: a gateway's Envoy may not listen on privileged ports everywhere.
                wanted.setdefault(number, (f"port-{number}", number if number >= 1024 else number + 8000, 0))
        present = {port["port"]: port for port in self._ports()}
        if present and wanted.keys() <= present.keys():
            return
        kept: list[dict[str, Any]] = [
            {key: port[key] for key in ("name", "port", "targetPort", "nodePort") if key in port}
            for port in present.values()
        ]
        new: list[dict[str, Any]] = [
            {"name": name, "port": number, "targetPort": target, **({"nodePort": node} if node else {})}
            for number, (name, target, node) in wanted.items()
            if number not in present
        ]
        try:
            self._apply(self._service([*kept, *new]))
        except ApiError as error:
            if error.status != 422:
                raise
            # Another learner's gateway has these numbers; any others do as well.
            for port in new:
                port.pop("nodePort", None)
            self._apply(self._service([*kept, *new]))

    def _ports(self) -> list[dict[str, Any]]:
        try:
            service_ports: list[dict[str, Any]] = self._api.connection.get(self._api.path_of("Service", GATEWAY))[
                "spec"
            ]["ports"]
        except ApiError as error:
            if not error.missing:
                raise
            return []
        return service_ports

    def _service(self, ports: list[dict[str, Any]]) -> dict[str, Any]:
        metadata = self._meta(GATEWAY, annotations={EXPORT_TO: "."})
        metadata["labels"] |= {"app": GATEWAY, "istio": "ingressgateway"}
        selector = {"app": GATEWAY, LAB_LABEL: self._namespace}
        spec = {"type": "NodePort", "selector": selector, "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    def _secret_reader(self) -> str:
        """A service account that may read the namespace's Secrets: istiod gives certificates to none but such."""
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]
        group = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": GATEWAY, "namespace": self._namespace}
        try:
            self._apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self._meta(GATEWAY)})
            role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": self._meta(GATEWAY), "rules": rules}
            self._apply(role)
            self._apply(
                {
                    "apiVersion": f"{group}/v1",
                    "kind": "RoleBinding",
                    "metadata": self._meta(GATEWAY),
                    "roleRef": {"apiGroup": group, "kind": "Role", "name": GATEWAY},
                    "subjects": [subject],
                }
            )
        except ApiError as error:
            if not error.forbidden:
                raise
            self.notes.append(
                "you may not make a ServiceAccount and a Role here, so the gateway serves no TLS with credentialName"
            )
            return ""
        return GATEWAY

    def _access_log(self) -> None:
        # The provider "envoy" writes to the proxy's standard output, in the format of the mesh configuration.
        telemetry = {
            "apiVersion": "telemetry.istio.io/v1",
            "kind": "Telemetry",
            "metadata": self._meta(_ACCESS_LOG),
            "spec": {"accessLogging": [{"providers": [{"name": "envoy"}]}]},
        }
        try:
            self._apply(telemetry)
        except ApiError as error:
            if not error.forbidden:
                raise
            self.notes.append(
                "you may not make a Telemetry object, so there are access logs only if the mesh writes them"
            )

    def _request_ids(self) -> None:
        # The load client numbers its requests; Istio's gateway would give them other numbers, under which nobody could
        # find them in the access logs. There is no other way to this setting of Envoy's.
        name = "envoy.filters.network.http_connection_manager"
        kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        value = {"name": name, "typed_config": {"@type": kind, "preserve_external_request_id": True}}
        match = {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": name}}}}
        patch = {"applyTo": "NETWORK_FILTER", "match": match, "patch": {"operation": "MERGE", "value": value}}
        ways = {_REQUEST_IDS: {LAB_LABEL: self._namespace}, f"{_REQUEST_IDS}-gateway-api": {MANAGED: MANAGER}}
        try:
            for part, labels in ways.items():
                envoy_filter = {
                    "apiVersion": "networking.istio.io/v1alpha3",
                    "kind": "EnvoyFilter",
                    "metadata": self._meta(part),
                    "spec": {"workloadSelector": {"labels": labels}, "configPatches": [patch]},
                }
                self._apply(envoy_filter)
        except ApiError as error:
            if not error.forbidden:
                raise
            self.notes.append(
                "you may not make an EnvoyFilter here, so requests from outside cannot be found in the access logs"
            )

    def _apply(self, body: dict[str, Any]) -> None:
        path = self._api.path(body["apiVersion"], body["kind"], body["metadata"]["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self._api.connection.request(
            "PATCH", path, query=query, body=json.dumps(body), content_type="application/apply-patch+yaml"
        )
