"""One mesh for all behaviours, on the engine that ``--engine`` names: each test brings only its rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from behaviour_mesh import APPLICATIONS, NAMESPACE, Json, Mesh, secure_applications

from labsupport.certificates import Authority
from labsupport.lab.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.apply("apps/client", APPLICATIONS, name="applications")
        yield lab
    assert lab.close().remaining == ()


@pytest.fixture
def mesh(lab: Lab) -> Iterator[Mesh]:
    mesh = Mesh(lab)
    yield mesh
    mesh.clear()


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Signs whatever certificate a test needs."""
    return Authority("Behaviour CA")


@pytest.fixture(scope="session")
def secured(lab: Lab, authority: Authority) -> None:
    """Programs that speak TLS, or no HTTP at all."""
    own = authority.server("v1.secure.example", "v2.secure.example", f"secure.{NAMESPACE}.svc.cluster.local")
    lab.apply(secure_applications(own.certificate, own.key), name="secure applications")


def _deployment(name: str, app: str, image: str = "web") -> Json:
    labels = {"app": app, "version": "v1"}
    container = {"name": image, "image": image, "ports": [{"containerPort": 5000}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "other"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _service(name: str, *ports: int) -> Json:
    listed = [{"name": f"http-{port}", "port": port, "targetPort": 5000} for port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "other"},
        "spec": {"selector": {"app": "cart"}, "ports": listed},
    }


@pytest.fixture(scope="module")
def other(lab: Lab) -> Iterator[None]:
    """A second namespace, with a client and services of its own."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    space["metadata"]["labels"] = {"istio-injection": "enabled"}  # type: ignore[index]
    lab.apply(yaml.safe_dump(space))
    made = [_deployment("cart-v1", "cart"), _deployment("stranger", "stranger", "client")]
    lab.apply(yaml.safe_dump_all([*made, _service("cart", 80, 8080), _service("web", 8080)]))
    yield
    lab.delete("namespace/other")
