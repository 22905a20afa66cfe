"""Sock Shop, all fourteen Deployments in the shape in which they are published: it runs, and it sells."""

from __future__ import annotations

import json
from typing import Any

import yaml

from labsupport.lab.lab import Lab

SPACE = "sock-shop"
JAVA = [{"name": "JAVA_OPTS", "value": "-Xms64m -Xmx128m -XX:+UseG1GC -Dspring.zipkin.enabled=false"}]
GO = {"command": ["/app"], "args": ["-port=80"]}
TMP: dict[str, Any] = {"volumeMounts": [{"mountPath": "/tmp", "name": "tmp-volume"}]}
# Name, image, port, and what is special about its container.
PARTS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("front-end", "weaveworksdemos/front-end:0.3.12", 8079, {"env": [{"name": "SESSION_REDIS", "value": "true"}]}),
    ("catalogue", "weaveworksdemos/catalogue:0.3.5", 80, GO),
    ("carts", "weaveworksdemos/carts:0.4.8", 80, {"env": JAVA, **TMP}),
    ("orders", "weaveworksdemos/orders:0.4.7", 80, {"env": JAVA, **TMP}),
    ("payment", "weaveworksdemos/payment:0.4.3", 80, {}),
    ("queue-master", "weaveworksdemos/queue-master:0.3.1", 80, {"env": JAVA}),
    ("shipping", "weaveworksdemos/shipping:0.4.8", 80, {"env": JAVA, **TMP}),
    ("user", "weaveworksdemos/user:0.4.7", 80, {"env": [{"name": "mongo", "value": "user-db:27017"}]}),
    ("carts-db", "mongo", 27017, TMP),
    ("catalogue-db", "weaveworksdemos/catalogue-db:0.3.0", 3306, {"env": [{"name": "MYSQL_DATABASE", "value": "x"}]}),
    ("orders-db", "mongo", 27017, TMP),
    ("rabbitmq", "rabbitmq:3.6.8-management", 5672, {}),
    ("session-db", "redis:alpine", 6379, {}),
    ("user-db", "weaveworksdemos/user-db:0.3.0", 27017, TMP),
)


def part(name: str, image: str, port: int, special: dict[str, Any]) -> list[dict[str, Any]]:
    """A Deployment and its Service."""
    probe = {"httpGet": {"path": "/health", "port": port}, "initialDelaySeconds": 180, "periodSeconds": 3}
    container = {
        "name": name,
        "image": image,
        "resources": {"limits": {"cpu": "300m", "memory": "500Mi"}, "requests": {"cpu": "100m", "memory": "200Mi"}},
        "ports": [{"containerPort": port}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "capabilities": {"drop": ["all"], "add": ["NET_BIND_SERVICE"]},
            "readOnlyRootFilesystem": True,
        },
        **({"livenessProbe": probe, "readinessProbe": probe} if port == 80 else {}),
        **special,
    }
    more = [{"name": "rabbitmq-exporter", "image": "kbudde/rabbitmq-exporter", "ports": [{"containerPort": 9090}]}]
    pod = {
        "containers": [container, *(more if name == "rabbitmq" else [])],
        **(
            {"volumes": [{"name": "tmp-volume", "emptyDir": {"medium": "Memory"}}]}
            if special.get("volumeMounts")
            else {}
        ),
        "nodeSelector": {"beta.kubernetes.io/os": "linux"},
    }
    labels = {"name": name}
    entrance = {"type": "NodePort", "ports": [{"port": 80, "targetPort": 8079, "nodePort": 30001}]}
    ports = entrance if name == "front-end" else {"ports": [{"port": port, "targetPort": port}]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "namespace": SPACE},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": labels, "namespace": SPACE},
            "spec": {**ports, "selector": labels},
        },
    ]


def test_sock_shop_as_it_is_published_runs_and_sells(lab: Lab) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    made = lab.apply(yaml.safe_dump_all([space, *(thing for each in PARTS for thing in part(*each))]), name=SPACE)
    # Neither of the two containers of rabbitmq, nor any port, is where nothing listens.
    assert not any("listens on" in note for note in made.notes), made.notes
    way, cookies = f"nodeport:front-end.{SPACE}", {"shop_session": f"{7:032x}", "logged_in": "nadia"}
    assert lab.send(f"{way}/cart", method="POST", body=json.dumps({"id": "lagoon"}), cookies=cookies)[0].status == 201
    order = lab.send(f"{way}/orders", method="POST", cookies=cookies, keep_body=True)[0]
    assert order.status == 201 and json.loads(order.body)["order"]["total"] == 11.0
    assert {hop.service for hop in order.path} == {"front-end", "carts", "orders", "user", "payment", "shipping"}
    assert not any(pod.injected for pod in lab.pods() if pod.namespace == SPACE)
