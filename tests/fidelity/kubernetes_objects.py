"""Objects of Kubernetes' own kinds with odd values, each with what is odd about it as its name."""

from __future__ import annotations

from typing import Any

__all__ = ["OBJECTS"]

Object = dict[str, Any]


def deployment(**container: Any) -> Object:
    program = {"name": "web", "image": "web", **container}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [program]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def meta(**fields: Any) -> Object:
    made = deployment()
    made["metadata"] |= fields
    return made


def template(**fields: Any) -> Object:
    made = deployment()
    made["spec"]["template"]["metadata"] |= fields
    return made


def spec(**fields: Any) -> Object:
    made = deployment()
    made["spec"] |= fields
    return made


def pod(**fields: Any) -> Object:
    made = deployment()
    made["spec"]["template"]["spec"] |= fields
    return made


def rolling(**fields: Any) -> Object:
    return spec(strategy={"rollingUpdate": fields})


def service(*ports: Object, name: str = "web", **fields: Any) -> Object:
    given = {"ports": list(ports or [{"port": 80}]), **fields}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given}


def config(**fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, **fields}


def secret(**fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}, **fields}


def namespace(**fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", **fields}}


def variable(name: str, value: str = "x") -> Object:
    return deployment(env=[{"name": name, "value": value}])


def taken(**origin: Any) -> Object:
    return deployment(env=[{"name": "A", "valueFrom": origin}])


def field(path: str, **fields: Any) -> Object:
    return taken(fieldRef={"fieldPath": path, **fields})


def port(**fields: Any) -> Object:
    return deployment(ports=[{"containerPort": 80, **fields}])


OBJECTS: dict[str, Object] = {
    "env equals": variable("A=B"),
    "env empty": variable(""),
    "env NUL": variable("A\0"),
    "env newline": variable("A\nB"),
    "env umlaut": variable("Ä"),
    "env space": variable("A B"),
    "env digit": variable("1A"),
    "env dots": variable(".."),
    "env dot": variable("."),
    "env dotdot first": variable("..a"),
    "env dash": variable("a-b.c"),
    "env punctuation": variable("a!b/c"),
    "env value NUL": variable("A", "x\0"),
    "env value newline": variable("A", "a\nb"),
    "env value control": variable("A", "\x1b[31m"),
    "env valueFrom empty": taken(),
    "env both": deployment(
        env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    ),
    "env both empty value": deployment(
        env=[{"name": "A", "value": "", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    ),
    "env fieldRef unknown": field("metadata.nope"),
    "env fieldRef label": field("metadata.labels['app']"),
    "env fieldRef bad label": field("metadata.labels['a b']"),
    "env fieldRef annotation": field("metadata.annotations['a/b']"),
    "env fieldRef subscript": field("metadata.name['a']"),
    "env fieldRef no path": field(""),
    "env fieldRef labels": field("metadata.labels"),
    "env fieldRef uid": field("metadata.uid"),
    "env fieldRef podIP": field("status.podIP"),
    "env fieldRef hostIP": field("status.hostIP"),
    "env fieldRef podIPs": field("status.podIPs"),
    "env fieldRef phase": field("status.phase"),
    "env fieldRef node": field("spec.nodeName"),
    "env fieldRef account": field("spec.serviceAccountName"),
    "env fieldRef version": field("metadata.name", apiVersion="v2"),
    "env configMapKeyRef no name": taken(configMapKeyRef={"key": "k"}),
    "env configMapKeyRef no key": taken(configMapKeyRef={"name": "c", "key": ""}),
    "env configMapKeyRef bad key": taken(configMapKeyRef={"name": "c", "key": "a b"}),
    "env configMapKeyRef bad name": taken(configMapKeyRef={"name": "A_", "key": "k"}),
    "env secretKeyRef no name": taken(secretKeyRef={"key": "k"}),
    "env secretKeyRef bad key": taken(secretKeyRef={"name": "c", "key": "a/b"}),
    "env twice": deployment(env=[{"name": "A", "value": "x"}] * 2),
    "envFrom empty": deployment(envFrom=[{}]),
    "envFrom no name": deployment(envFrom=[{"configMapRef": {}}]),
    "envFrom bad name": deployment(envFrom=[{"secretRef": {"name": "A B"}}]),
    "envFrom both": deployment(envFrom=[{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]),
    "envFrom prefix": deployment(envFrom=[{"prefix": "A=", "configMapRef": {"name": "b"}}]),
    "envFrom prefix digit": deployment(envFrom=[{"prefix": "1", "configMapRef": {"name": "b"}}]),
    "container port 0": port(containerPort=0),
    "container port 65536": port(containerPort=65536),
    "container port -1": port(containerPort=-1),
    "container port name": port(name="HTTP"),
    "container port long name": port(name="a" * 16),
    "container port digits": port(name="80"),
    "container port hyphens": port(name="a--b"),
    "container port edge hyphen": port(name="-a"),
    "container port names twice": deployment(
        ports=[{"name": "a", "containerPort": 80}, {"name": "a", "containerPort": 81}]
    ),
    "container port numbers twice": deployment(
        ports=[{"name": "a", "containerPort": 80}, {"name": "b", "containerPort": 80}]
    ),
    "container hostPort": port(hostPort=70000),
    "container name upper": deployment(name="Web"),
    "container name empty": deployment(name=""),
    "container name dot": deployment(name="a.b"),
    "container name long": deployment(name="a" * 64),
    "container image empty": deployment(image=""),
    "container image spaces": deployment(image=" web "),
    "container image upper": deployment(image="WEB WEB"),
    "containers same name": pod(containers=[{"name": "a", "image": "web"}, {"name": "a", "image": "web"}]),
    "containers none": pod(containers=[]),
    "grace negative": pod(terminationGracePeriodSeconds=-1),
    "grace 0": pod(terminationGracePeriodSeconds=0),
    "service account": pod(serviceAccountName="A_"),
    "restart policy": pod(restartPolicy="Never"),
    "name upper": meta(name="WEB"),
    "name path": meta(name="../x"),
    "name dots": meta(name="a.b"),
    "name underscore": meta(name="a_b"),
    "name long": meta(name="a" * 253),
    "name longer": meta(name="a" * 254),
    "name edge": meta(name="-a"),
    "name digit": meta(name="1a"),
    "name empty": meta(name=""),
    "name newline": meta(name="a\n"),
    "label key": meta(labels={"a b": "x"}),
    "label value newline": meta(labels={"a": "x\n"}),
    "label value long": meta(labels={"a": "x" * 64}),
    "label key prefix": meta(labels={"A.B/c": "x"}),
    "label key slashes": meta(labels={"a/b/c": "x"}),
    "label empty value": meta(labels={"a": ""}),
    "label key empty": meta(labels={"": "x"}),
    "label value umlaut": meta(labels={"a": "ä"}),
    "label key long": meta(labels={"a" * 64: "x"}),
    "annotation key": meta(annotations={"a b": "x"}),
    "annotation key upper": meta(annotations={"A.b/C": "x"}),
    "annotation value": meta(annotations={"a": "\0\x1b\n"}),
    "annotation large": meta(annotations={"a": "x" * (256 * 1024)}),
    "annotation key empty": meta(annotations={"": "x"}),
    "annotation prefix upper": meta(annotations={"EXAMPLE.com/C": "x"}),
    "template label newline": template(labels={"app": "web", "b": "x\n"}),
    "template annotation key": template(annotations={"a b": "x"}),
    "selector empty": spec(selector={}),
    "selector mismatch": spec(selector={"matchLabels": {"app": "other"}}),
    "selector expressions": spec(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    "selector expressions mismatch": spec(selector={"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
    "selector expressions operator": spec(selector={"matchExpressions": [{"key": "app", "operator": "Is"}]}),
    "selector missing": {**deployment(), "spec": {"template": deployment()["spec"]["template"]}},
    "replicas negative": spec(replicas=-1),
    "replicas 0": spec(replicas=0),
    "strategy type": spec(strategy={"type": "Canary"}),
    "strategy both": spec(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
    "strategy surge text": rolling(maxSurge="many"),
    "strategy surge percent": rolling(maxSurge="50%"),
    "strategy surge negative": rolling(maxSurge=-1),
    "strategy surge digits": rolling(maxSurge="²"),
    "strategy both zero": rolling(maxSurge=0, maxUnavailable=0),
    "strategy unavailable over": rolling(maxUnavailable="150%"),
    "strategy list": spec(strategy={"rollingUpdate": ["a"]}),
    "service ok": service(),
    "service no ports": service(ports=[]),
    "service headless no ports": service(ports=[], clusterIP="None"),
    "service external no ports": service(ports=[], type="ExternalName", externalName="a.b"),
    "service external no name": service(ports=[], type="ExternalName"),
    "service external bad name": service(ports=[], type="ExternalName", externalName="a b"),
    "service unnamed two": service({"port": 80}, {"port": 81}),
    "service names twice": service({"name": "a", "port": 80}, {"name": "a", "port": 81}),
    "service ports twice": service({"name": "a", "port": 80}, {"name": "b", "port": 80}),
    "service ports twice udp": service({"name": "a", "port": 80}, {"name": "b", "port": 80, "protocol": "UDP"}),
    "service port name upper": service({"name": "HTTP", "port": 80}),
    "service port name dot": service({"name": "a.b", "port": 80}),
    "service port name long": service({"name": "a" * 64, "port": 80}),
    "service port name 63": service({"name": "a" * 63, "port": 80}),
    "service port name digits": service({"name": "80", "port": 80}),
    "service port 0": service({"port": 0}),
    "service port 65536": service({"port": 65536}),
    "service targetPort 0": service({"port": 80, "targetPort": 0}),
    "service targetPort 65536": service({"port": 80, "targetPort": 65536}),
    "service targetPort name": service({"port": 80, "targetPort": "http"}),
    "service targetPort bad name": service({"port": 80, "targetPort": "a_b"}),
    "service targetPort long name": service({"port": 80, "targetPort": "a" * 16}),
    "service targetPort digits": service({"port": 80, "targetPort": "8080"}),
    "service targetPort empty": service({"port": 80, "targetPort": ""}),
    "service nodePort 80": service({"port": 80, "nodePort": 80}, type="NodePort"),
    "service nodePort fine": service({"port": 80, "nodePort": 30080}, type="NodePort"),
    "service nodePort cluster": service({"port": 80, "nodePort": 30080}),
    "service selector newline": service(selector={"app": "a\n"}),
    "service selector star": service(selector={"app": "*"}),
    "service selector key": service(selector={"a b": "x"}),
    "service selector empty value": service(selector={"app": ""}),
    "service appProtocol": service({"port": 80, "appProtocol": "kubernetes.io/h2c"}),
    "service appProtocol bad": service({"port": 80, "appProtocol": "a b"}),
    "service affinity": service(sessionAffinity="Cookie"),
    "service affinity ok": service(sessionAffinity="ClientIP"),
    "service clusterIP bad": service(clusterIP="10.0.0"),
    "service externalIPs bad": service(externalIPs=["a"]),
    "service externalIPs local": service(externalIPs=["127.0.0.1"]),
    "service traffic policy": service(externalTrafficPolicy="Local"),
    "service trafficDistribution": service(trafficDistribution="PreferNear"),
    "service trafficDistribution ok": service(trafficDistribution="PreferClose"),
    "service name digit": service(name="1web"),
    "service name dot": service(name="a.b"),
    "service name long": service(name="a" * 64),
    "config map ok": config(data={"a.b_c-D": "x"}),
    "config map key space": config(data={"a b": "x"}),
    "config map key slash": config(data={"a/b": "x"}),
    "config map key dot": config(data={".": "x"}),
    "config map key dots": config(data={"..": "x"}),
    "config map key dots first": config(data={"..a": "x"}),
    "config map key empty": config(data={"": "x"}),
    "config map key long": config(data={"a" * 254: "x"}),
    "config map value NUL": config(data={"a": "x\0"}),
    "config map both": config(data={"a": "x"}, binaryData={"a": "eA=="}),
    "config map binary key": config(binaryData={"a b": "eA=="}),
    "config map large": config(data={"a": "x" * (1024 * 1024 + 1)}),
    "config map value umlaut": config(data={"a": "ä\x1b"}),
    "secret key slash": secret(stringData={"a/b": "x"}),
    "secret data key": secret(data={"a b": "eA=="}),
    "secret large": secret(stringData={"a": "x" * (1024 * 1024 + 1)}),
    "secret tls": secret(type="kubernetes.io/tls", data={"tls.crt": "eA==", "tls.key": "eA=="}),
    "secret tls missing": secret(type="kubernetes.io/tls", data={"tls.crt": "eA=="}),
    "secret docker": secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "eA=="}),
    "secret basic": secret(type="kubernetes.io/basic-auth", data={}),
    "secret ssh": secret(type="kubernetes.io/ssh-auth", data={}),
    "namespace ok": namespace(labels={"istio-injection": "enabled"}),
    "namespace upper": namespace(name="Shop"),
    "namespace dot": namespace(name="a.b"),
    "namespace long": namespace(name="a" * 64),
    "namespace label": namespace(labels={"a": "b c"}),
}
