"""What is drawn seldom: written-down endpoints, mesh configuration, sockets, objects that no API server takes."""

from __future__ import annotations

import yaml
from draw import PORTS, SPACES, Json
from draw_mesh import DrawMesh

__all__ = ["DrawOdd"]

_MESH = (
    {"accessLogFile": "/dev/stdout"},
    {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"},
    {"protocolDetectionTimeout": "5s"},
    {"pathNormalization": {"normalization": "MERGE_SLASHES"}},
    {"tcpKeepalive": {"time": "10s", "probes": 3}},
    {"h2UpgradePolicy": "UPGRADE"},
    {"defaultHttpRetryPolicy": {"attempts": 3, "retryOn": "503,reset"}},
    {"localityLbSetting": {"enabled": False}},
    {"zoneAwareLbSetting": {"enabled": True}},
    {
        "defaultTrafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 7}},
            "outlierDetection": {"interval": "3s"},
        }
    },
    {"tlsDefaults": {"ecdhCurves": ["P-256"]}},
    {"defaultServiceExportTo": ["."]},
)
_OWNERS = (
    {"kind": "ReplicaSet", "name": "owner-abc"},
    {"kind": "Job", "name": "owner-12345678"},
    {"kind": "Job", "name": "owner-1"},
    {"kind": "StatefulSet", "name": "owner"},
)


class DrawOdd(DrawMesh):
    """Draws everything, and now and then something odd."""

    def odd(self) -> None:
        """Add one of the odd things."""
        self.pick(
            (
                self.mesh_config,
                self.written_endpoints,
                self.bare_workload,
                self.owned_pod,
                self.odd_service,
                self.socket,
                self.dynamic_entry,
                self.certificates,
                self.proxy_protocol,
                self.claims,
                self.unknown_kind,
            )
        )()

    def mesh_config(self) -> None:
        if any(item["kind"] == "ConfigMap" for item in self.objects):
            return
        chosen: Json = {}
        for part in self.some(_MESH, 3, 1):
            chosen.update(part)
        self.add("v1", "ConfigMap", "istio", "istio-system", data={"mesh": yaml.safe_dump(chosen)})

    def written_endpoints(self) -> None:
        ports = [{"name": "http", "port": 80}, {"name": "tcp", "port": self.pick((7000, 9090))}]
        spec: Json = {"ports": ports}
        if self.maybe(0.3):
            spec["clusterIP"] = "None"
        self.add("v1", "Service", "manual", "default", spec=spec)
        # Without a reference, istiod takes the pod that has the address if it happens to know it already.
        target: Json = {}
        address = "8.8.8.8"
        if self.maybe(0.5):
            pod = {"kind": "Pod", "namespace": "default", "name": self.pick(("client-0", "nobody"))}
            address, target = "10.244.0.2", {"targetRef": pod}
        listed = [{"name": "http", "port": 8000}, {"name": "tcp", "port": 8001}][: self.number(1, 2)]
        if self.maybe(0.5):
            subset = {"addresses": [{"ip": address, **target}, {"ip": "9.9.9.9"}], "ports": listed}
            self.add("v1", "Endpoints", "manual", "default", subsets=[subset])
            return
        conditions = self.pick(({}, {"ready": True}, {"ready": False, "serving": False, "terminating": False}))
        self.add(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "manual-1",
            "default",
            labels={"kubernetes.io/service-name": "manual"},
            addressType="IPv4",
            ports=listed,
            endpoints=[{"addresses": [address], "conditions": conditions, **target}],
        )

    def bare_workload(self) -> None:
        """A workload that an API server would not take: no containers, no selector, fields that nobody knows."""
        template: Json = {"metadata": {"labels": {"app": "web", "version": self.pick(("v1", "v3"))}}}
        if self.maybe(0.5):
            template["spec"] = {"unknownField": 1}
        kind = self.pick(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"))
        self.add("apps/v1", kind, "bare", "default", spec={"template": template, "unknownField": True})

    def owned_pod(self) -> None:
        owner = {"apiVersion": "v1", "uid": "u", "controller": True, **self.pick(_OWNERS)}
        labels = {"app": "web", "version": "v2"}
        if self.maybe(0.5):
            labels["pod-template-hash"] = "abc"
        if self.maybe(0.3):
            labels["service.istio.io/workload-name"] = "named"
        self.add("v1", "Pod", "owned", "default", labels=labels, spec={"containers": [{"name": "a", "image": "b"}]})
        meta = self.objects[-1]["metadata"]
        meta["ownerReferences"] = [owner]
        if self.maybe(0.7):
            meta["generateName"] = "owner-abc-"

    def odd_service(self) -> None:
        addresses = self.pick((["fd00::5"], ["10.96.9.9", "fd00::5"], ["fd00::5", "10.96.9.9"]))
        ports = [{"name": "http", "port": self.pick(PORTS)}, {"name": "tcp", "port": 7001}]
        spec = {"selector": {"app": "web"}, "clusterIP": addresses[0], "clusterIPs": addresses, "ports": ports}
        labels = self.pick(({}, {"istio.io/persistent-session": "c"}))
        self.add("v1", "Service", "odd", "default", spec=spec, labels=labels)

    def socket(self) -> None:
        port = self.pick(
            (
                {"number": 15080, "protocol": "HTTP_PROXY", "name": "p"},
                {"number": 0, "protocol": "HTTP", "name": "p"},
            )
        )
        listener: Json = {"port": port, "hosts": self.some(("*/*", "./*", "blue/*"), 1, 1)}
        listener["bind"] = "127.0.0.1" if port["number"] else "unix:///var/run/x.sock"
        if port["number"]:
            listener["captureMode"] = "NONE"
        spec = {"egress": [listener, {"hosts": ["*/*"]}]}
        self.add("networking", "Sidecar", "socket", self.pick(("default", "blue")), spec=spec)

    def dynamic_entry(self) -> None:
        ports = [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 443, "name": "tls", "protocol": "TLS"},
            {"number": 7000, "name": "grpc", "protocol": "GRPC"},
        ]
        spec = {"hosts": ["*.dyn.example"], "resolution": "DYNAMIC_DNS", "ports": ports[: self.number(1, 3)]}
        self.add("networking", "ServiceEntry", "dynamic", "default", spec=spec)
        tls = self.fill(
            {"mode": self.pick(("SIMPLE", "ISTIO_MUTUAL", "DISABLE"))},
            0.3,
            sni=lambda: "s.example",
            subjectAltNames=lambda: ["n.example"],
            insecureSkipVerify=lambda: True,
        )
        self.add(
            "networking",
            "DestinationRule",
            "dynamic",
            "default",
            spec={"host": "*.dyn.example", "trafficPolicy": {"tls": tls}},
        )

    def certificates(self) -> None:
        servers = []
        for index in range(self.number(1, 3)):
            mode = self.pick(("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"))
            tls: Json = {"mode": mode}
            if self.maybe(0.5):
                tls["credentialName"] = self.pick(("c", "sds://c", "kubernetes://c", "builtin://"))
            else:
                tls |= {"serverCertificate": "/c", "privateKey": "/k"}
                if mode != "SIMPLE":
                    tls["caCertificates"] = "/ca"
            self.fill(
                tls,
                0.25,
                subjectAltNames=lambda: ["n.example"],
                insecureSkipVerify=lambda: True,
                minProtocolVersion=lambda: self.pick(("TLSV1_2", "TLSV1_3", "TLS_AUTO")),
                cipherSuites=lambda: ["AES128-SHA", "NOPE"],
                verifyCertificateHash=lambda: ["0" * 64],
            )
            port = {"number": 443, "name": f"t{index}", "protocol": self.pick(("HTTPS", "TLS"))}
            servers.append({"port": port, "hosts": [f"t{index}.example.com"], "tls": tls})
        spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
        self.add("networking", "Gateway", "certificates", "default", spec=spec)

    def proxy_protocol(self) -> None:
        policy: Json = {"proxyProtocol": self.pick(({}, {"version": "V1"}, {"version": "V2"}))}
        if self.maybe(0.6):
            policy["tls"] = {"mode": self.pick(("SIMPLE", "DISABLE", "ISTIO_MUTUAL"))}
        host = self.pick(("reviews", "api.example.com"))
        self.add(
            "networking", "DestinationRule", "proxied", self.pick(SPACES), spec={"host": host, "trafficPolicy": policy}
        )

    def claims(self) -> None:
        condition = self.pick(({}, {"exact": "a"}, {"prefix": "a"}, {"regex": "a|b"}))
        match = {self.pick(("headers", "withoutHeaders")): {"@request.auth.claims.group": condition}}
        rule = {"match": [match], "directResponse": {"status": 200, "body": {"bytes": "aGVsbG8="}}}
        gateways = [self.pick(("gate-a", "blue/gate-a"))]
        spec = {"hosts": ["a.example.com"], "gateways": gateways, "http": [rule]}
        self.add("networking", "VirtualService", "claims", "default", spec=spec)

    def unknown_kind(self) -> None:
        self.add("policy/v1", "PodDisruptionBudget", "budget", "default", spec={"minAvailable": 1})
