"""Who gets a sidecar, and when."""

from __future__ import annotations

from contract_mesh import SERVICE, SUBSETS, URL, Mesh, deployment, weights

from labsupport.records import Ref


def sidecars(mesh: Mesh) -> dict[str, bool]:
    return {pod.workload: pod.injected for pod in mesh.engine.pods() if pod.workload != "istio-ingressgateway"}


def unlabelled(name: str, version: str) -> str:
    return deployment(name, version).replace(', sidecar.istio.io/inject: "true"', "")


def test_pods_of_the_labs_namespace_get_a_sidecar_unless_they_say_no(mesh: Mesh) -> None:
    mesh.apply(SERVICE + unlabelled("web-safe", "safe") + deployment("web-risk", "risk", inject="false"))
    assert sidecars(mesh) == {"web-safe": True, "web-risk": False}


def test_giving_a_client_its_sidecar_makes_rules_apply_to_it(mesh: Mesh) -> None:
    mesh.apply(SERVICE + deployment("web-safe", "safe") + deployment("web-risk", "risk"), SUBSETS, weights(safe=1))
    mesh.apply("apps/client-plain")
    assert set(mesh.versions(URL, 60, source="client-plain")) == {"safe", "risk"}
    inject = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}}}
    mesh.engine.patch(Ref("Deployment", "client-plain"), inject)
    assert sidecars(mesh)["client-plain"] is True
    assert mesh.versions(URL, 60, source="client-plain") == {"safe": 60}


def test_a_server_without_a_sidecar_is_called_directly(mesh: Mesh) -> None:
    mesh.apply(SERVICE + deployment("web-safe", "safe", inject="false"), "apps/client")
    (seen,) = mesh.send(URL, 1)
    records = mesh.engine.access_records(request_ids=[seen.request_id])
    assert [(record.direction, record.upstream_pod) for record in records] == [("outbound", seen.path[0].pod)]


def test_two_workers_are_honoured(mesh: Mesh) -> None:
    mesh.apply(SERVICE + deployment("web-safe", "safe", proxy="concurrency: 2"))
    assert [pod.concurrency for pod in mesh.engine.pods() if pod.workload == "web-safe"] == [2]
