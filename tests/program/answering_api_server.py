"""A server that answers as the API server of the cluster that ``fake_cluster`` pretends to have made."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from fake_cluster import World


class ApiServer:
    """Answers as the API server of a cluster with what the stand-ins have put into it.

    Attributes:
        denied: rights that a ``SelfSubjectAccessReview`` does not give, as ``verb resource``.
        applied: objects that were sent by server-side apply, by path.
        gateway_api: whether the CRDs of the Gateway API are there.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.denied: set[str] = set()
        self.applied: dict[str, Any] = {}
        self.namespaces: dict[str, dict[str, str]] = {}
        self.node: dict[str, Any] = {}
        self.gateway_api = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*server.get(urlsplit(self.path).path, urlsplit(self.path).query))

            def do_POST(self) -> None:
                asked = self._body()["spec"]["resourceAttributes"]
                resource = "/".join(part for part in (asked["resource"], asked.get("subresource")) if part)
                self._answer(201, {"status": {"allowed": f"{asked['verb']} {resource}" not in server.denied}})

            def do_PATCH(self) -> None:
                path = urlsplit(self.path).path
                server.applied[path] = self._body()
                self._answer(200, server.applied[path])

            def _body(self) -> Any:
                return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, status: int, body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        world.change(server=self.url)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def get(self, path: str, query: str) -> tuple[int, Any]:
        state = self.world.read()
        istio = state.get("istio")
        if path == "/version":
            return 200, {"gitVersion": "v1.36.4"}
        if path == "/api/v1/nodes":
            return 200, {"items": [self._node(state)]}
        if path == "/api/v1/namespaces":
            ours = [name for name, labels in self.namespaces.items() if "managed-by" in str(labels)]
            return 200, {"items": [{"metadata": {"name": name}} for name in ours]}
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            name = path.rpartition("/")[2]
            if name in self.namespaces:
                return 200, {"metadata": {"name": name, "labels": self.namespaces[name]}}
        if path == "/api/v1/namespaces/istio-system/pods":
            return 200, {"items": []}
        if path == "/api/v1":
            kinds = (("configmaps", "ConfigMap"), ("services", "Service"))
            return 200, {"resources": [{"name": n, "kind": k, "namespaced": True} for n, k in kinds]}
        if path == "/apis/apps/v1":
            return 200, {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]}
        if path == "/apis/gateway.networking.k8s.io" and self.gateway_api:
            return 200, {"versions": [{"version": "v1"}]}
        if path == "/apis/telemetry.istio.io/v1":
            return 200, {"resources": [{"name": "telemetries", "kind": "Telemetry", "namespaced": True}]}
        if path == "/apis/apps/v1/namespaces/istio-system/deployments":
            applied = [body for at, body in self.applied.items() if "/deployments/" in at]
            return 200, {"items": [{**body, "status": {"availableReplicas": 1}} for body in applied]}
        if istio:
            return self._istio(path, istio)
        return 404, {"kind": "Status", "reason": "NotFound", "message": f"{path} not found", "code": 404}

    def _node(self, state: dict[str, Any]) -> dict[str, Any]:
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"architecture": "amd64"},
            "allocatable": {"memory": f"{8 * 1024**2}Ki"},
            "images": [{"names": [name]} for name in state.get("held", [])],
        }
        return {"metadata": {"name": "node"}, "status": {**status, **self.node}}

    def _istio(self, path: str, istio: dict[str, Any]) -> tuple[int, Any]:
        deployment = {
            "metadata": {"name": "istiod", "namespace": "istio-system", "labels": {"istio.io/rev": "default"}},
            "spec": {"template": {"spec": {"containers": [{"image": f"docker.io/istio/pilot:{istio['tag']}"}]}}},
            "status": {"availableReplicas": 1},
        }
        selector = {"matchExpressions": [{"key": "istio-injection", "operator": "In", "values": ["enabled"]}]}
        hook = {"namespaceSelector": selector, "clientConfig": {"service": {"name": "istiod"}}}
        answers = {
            "/apis/networking.istio.io": {"versions": [{"version": "v1"}]},
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": {"items": [{"webhooks": [hook]}]},
            "/apis/apps/v1/deployments": {"items": [deployment]},
            "/apis/apps/v1/namespaces/istio-system/deployments/istiod": deployment,
            "/api/v1/namespaces/istio-system/configmaps/istio": {"data": {"mesh": json.dumps(istio["mesh"])}},
        }
        if path in answers:
            return 200, answers[path]
        return 404, {"kind": "Status", "reason": "NotFound", "message": f"{path} not found", "code": 404}
