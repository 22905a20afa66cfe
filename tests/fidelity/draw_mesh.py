"""Random meshes: Services, workloads, Gateways, ServiceEntries and Sidecars."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from draw import FOREIGN, PORT_NAMES, PORTS, SPACES, SUBSETS, Json
from draw_policies import DrawPolicies
from draw_routes import DrawRoutes

__all__ = ["DrawMesh"]


class DrawMesh(DrawRoutes, DrawPolicies):
    """Draws everything."""

    def cluster(self) -> None:
        for name, namespace, ports in (
            ("web", "default", [("http", 8080, 5000)]),
            ("reviews", "default", [("http", 9080, 9080)]),
            ("ratings", "default", [("http", 9080, 9080), ("grpc", 9090, 9090)]),
            ("api", "blue", [("http", 80, 8080)]),
        ):
            self.service(name, namespace, ports)
        self.add("v1", "Namespace", "blue", "")
        if self.maybe(0.5):
            names = self.some([name for name in PORT_NAMES if name], 4, 1)
            numbers = self.some(PORTS, len(names), len(names))
            ports = [(name, number, number + 1000) for name, number in zip(names, numbers, strict=True)]
            self.service("multi", self.pick(SPACES), ports)
        if self.maybe(0.3):
            self.service("plain", "default", [("", self.pick(PORTS), 8080)])
        if self.maybe(0.2):
            self.service("nodes", "default", [(self.pick(PORT_NAMES) or "http", self.pick(PORTS), 8080)], headless=True)
        if self.maybe(0.2):
            self.service(
                "api", "green", [("http", 80, 8080), ("tcp", 7000, 7000)], export=self.pick((".", "blue,.", "*"))
            )
        if self.maybe(0.15):
            # Not one of the mesh: whether such an alias or its target gets a name is then random in istiod.
            target = self.pick(("api.example.com", "outside.example"))
            spec = {
                "type": "ExternalName",
                "externalName": target,
                "ports": [{"name": "http", "port": self.pick(PORTS)}],
            }
            self.add("v1", "Service", "alias", "default", spec=spec)
        if self.maybe(0.2):
            self.places = True
            for index, (region, zone) in enumerate((("eu", "eu-a"), ("eu", "eu-b"), ("us", "us-a"))):
                labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
                self.add("v1", "Node", f"node-{index}", "", labels=labels)
        if self.maybe(0.15):
            policy = {"mode": self.pick(("REGISTRY_ONLY", "ALLOW_ANY"))}
            mesh = {"outboundTrafficPolicy": policy, "connectTimeout": self.pick(("250ms", "3s", "1m"))}
            self.add("v1", "ConfigMap", "istio", "istio-system", data={"mesh": yaml.safe_dump(mesh)})
        if self.maybe(0.3):
            conditions = [{"type": "Ready", "status": self.pick(("True", "False"))}]
            self.add(
                "v1",
                "Pod",
                "lone",
                "default",
                labels={"app": self.pick(("web", "reviews")), "version": "v3"},
                spec={"containers": [{"name": "app", "image": "web"}], **self.node()},
                status={"conditions": conditions},
            )
        for name, namespace, labels in (
            ("web-v1", "default", {"app": "web", "version": "v1"}),
            ("web-v2", "default", {"app": "web", "version": "v2"}),
            ("reviews-v1", "default", {"app": "reviews", "version": "v1"}),
            ("client", "default", {"app": "client"}),
            ("api", "blue", {"app": "api", "version": "v1"}),
        ):
            self.deployment(name, namespace, labels)

    def service(
        self,
        name: str,
        namespace: str,
        ports: Sequence[tuple[str, int, int]],
        *,
        headless: bool = False,
        export: str = "",
    ) -> None:
        spec: Json = {"selector": {"app": self.pick((name, name, "web", "api"))}}
        spec["ports"] = [
            {"port": port, "targetPort": self.pick((target, target, "serve")), **({"name": label} if label else {})}
            for label, port, target in ports
        ]
        if headless:
            spec["clusterIP"] = "None"
        if export:
            self.add("v1", "Service", name, namespace, spec=spec, annotations={"networking.istio.io/exportTo": export})
        else:
            self.add("v1", "Service", name, namespace, spec=spec)

    def container(self) -> Json:
        result: Json = {"name": "app", "image": "web"}
        if self.maybe(0.5):
            result["ports"] = [self.fill({"name": "serve", "containerPort": 8081}, 0.5, protocol=lambda: "TCP")]
        return result

    def deployment(self, name: str, namespace: str, labels: dict[str, str]) -> None:
        if self.maybe(0.15):
            labels = {**labels, "sidecar.istio.io/inject": "false"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [self.container()], **self.node()}}
        spec: Json = {"selector": {"matchLabels": {"app": labels["app"]}}, "template": template}
        if self.maybe(0.4):
            spec["replicas"] = self.number(0, 3)
        self.add("apps/v1", "Deployment", name, namespace, spec=spec)

    def gateway(self, name: str) -> None:
        servers = []
        for index in range(self.number(1, 3)):
            kind = self.pick(("HTTP", "HTTP", "HTTP", "HTTPS", "TLS", "TCP", "GRPC"))
            number = self.pick({"HTTPS": (443, 8443), "TLS": (443, 9443), "TCP": (7000, 80)}.get(kind, (80, 8080, 81)))
            hosts = self.some(
                ("*", "*.example.com", "a.example.com", "default/web.test", "./b.example.com", "*/c.example.com"), 3, 1
            )
            server: Json = {"port": {"number": number, "name": f"p{index}", "protocol": kind}, "hosts": hosts}
            if kind == "HTTPS":
                server["tls"] = self.pick(
                    (
                        {"mode": "SIMPLE", "credentialName": "c"},
                        {"mode": "MUTUAL", "credentialName": "c"},
                        {"mode": "PASSTHROUGH"},
                    )
                )
            elif kind == "TLS":
                server["tls"] = self.pick(({"mode": "PASSTHROUGH"}, {"mode": "SIMPLE", "credentialName": "c"}))
            elif kind == "HTTP" and self.maybe(0.2):
                server["tls"] = {"httpsRedirect": True}
            servers.append(server)
        selector = self.pick(
            (
                {"istio": "ingressgateway"},
                {"istio": "ingressgateway"},
                {"app": "istio-ingressgateway"},
                {"istio": "none"},
            )
        )
        self.add(
            "networking",
            "Gateway",
            name,
            self.pick(("default", "default", "blue")),
            spec={"selector": selector, "servers": servers},
        )

    def service_entry(self, index: int) -> None:
        resolution = self.pick(("STATIC", "DNS", "NONE", "DNS"))
        names = self.some(("http", "tls", "tcp", "https", "grpc"), 2, 1)
        ports = [
            {"number": number, "name": name, "protocol": name.upper()}
            for name, number in zip(names, self.some(PORTS, len(names), len(names)), strict=True)
        ]
        hosts = [self.pick(FOREIGN)]
        if resolution == "NONE" and self.maybe(0.4):
            hosts = ["*.example.com"]
        spec: Json = {
            "hosts": hosts,
            "resolution": resolution,
            "ports": ports,
            "location": self.pick(("MESH_EXTERNAL", "MESH_INTERNAL")),
        }
        if resolution == "STATIC" or (resolution == "DNS" and self.maybe(0.4)):
            spec["endpoints"] = [
                self.fill(
                    {"address": f"{self.number(1, 9)}.1.1.{number}"},
                    0.4,
                    labels=lambda: {"version": self.pick(SUBSETS)},
                    weight=lambda: self.number(1, 9),
                )
                for number in range(1, self.number(2, 4))
            ]
        if self.maybe(0.2):
            spec["exportTo"] = self.pick((["."], ["*"], ["default"]))
        self.add("networking", "ServiceEntry", f"se-{index}", self.pick(SPACES), spec=spec)

    def workload_entry(self) -> None:
        labels = {"app": self.pick(("web", "vm")), "version": self.pick(SUBSETS)}
        spec = self.fill(
            {"address": "172.16.0.9", "labels": labels},
            0.4,
            weight=lambda: self.number(1, 9),
            serviceAccount=lambda: "vm",
            ports=lambda: {"http": 8888},
        )
        self.add("networking", "WorkloadEntry", "vm", self.pick(("default", "green")), spec=spec)
        ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}]
        entry = {"hosts": ["vm.example.com"], "resolution": "STATIC", "ports": ports, "location": "MESH_INTERNAL"}
        entry["workloadSelector"] = {"labels": {"app": self.pick(("web", "vm"))}}
        self.add("networking", "ServiceEntry", "vm", self.pick(("default", "green")), spec=entry)

    def sidecar(self) -> None:
        hosts = self.some(
            (
                "./*",
                "*/*",
                "blue/*",
                "default/web.default.svc.cluster.local",
                "*/*.example.com",
                "green/*",
                "istio-system/*",
            ),
            3,
            1,
        )
        spec: Json = {"egress": [{"hosts": hosts}]}
        if self.maybe(0.25):
            number = self.pick(PORTS)
            port = {"number": number, "name": "p", "protocol": self.pick(("HTTP", "TCP", "TLS"))}
            first = self.fill({"port": port, "hosts": hosts}, 0.3, bind=lambda: "127.0.0.1", captureMode=lambda: "NONE")
            spec["egress"].insert(0, first)
        if self.maybe(0.25):
            port = {
                "number": self.pick((5000, 8080, 9999)),
                "name": "i",
                "protocol": self.pick(("HTTP", "TCP", "GRPC")),
            }
            target = self.pick(("127.0.0.1:8080", "0.0.0.0:8081", "unix:///x.sock"))
            spec["ingress"] = [self.fill({"port": port}, 0.5, defaultEndpoint=lambda: target)]
        if self.maybe(0.2):
            spec["inboundConnectionPool"] = self.connection_pool()
        if self.maybe(0.4):
            spec["outboundTrafficPolicy"] = {"mode": self.pick(("REGISTRY_ONLY", "ALLOW_ANY"))}
        if self.maybe(0.3):
            spec["workloadSelector"] = {"labels": {"app": self.pick(("client", "web"))}}
        self.add("networking", "Sidecar", "scope", self.pick((*SPACES, "istio-system")), spec=spec)
