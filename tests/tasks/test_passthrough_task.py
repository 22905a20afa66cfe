"""SNI passthrough: the gateway reads the server name alone, and nginx shows a certificate of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from task_manifests import Apply

from labsupport.certificates import Authority
from labsupport.errors import ManifestError, WaitTimeoutError
from labsupport.lab.lab import Lab
from labsupport.traffic.tls import Tls

HOST = "nginx.example.com"
PAIR = """
apiVersion: v1
kind: Secret
metadata: {{name: nginx-server-certs}}
type: kubernetes.io/tls
stringData:
  tls.crt: {certificate!r}
  tls.key: {key!r}
"""


@pytest.fixture(autouse=True)
def afresh(lab: Lab) -> Iterator[None]:
    yield
    assert lab.reset().remaining == ()


def certificate(authority: Authority) -> str:
    pair = authority.server(HOST)
    return PAIR.format(certificate=pair.certificate, key=pair.key).replace("'", '"')


def test_the_servers_own_certificate_passes_the_gateway(lab: Lab, apply: Apply) -> None:
    authority, other = Authority("Example"), Authority("Other")
    lab.apply(certificate(authority), name="certificate")
    apply("nginx-configmap", "nginx", "curl")
    # Asked from within, whoever signed it.
    (inside,) = lab.send("https://my-nginx/", source="curl", tls=Tls(), keep_body=True)
    assert inside.status == 200 and "Welcome to nginx!" in inside.body and HOST in inside.tls["subject"]
    apply("nginx-passthrough-gateway")
    (page,) = lab.send(f"https://{HOST}/", tls=Tls(ca=authority), keep_body=True)
    assert page.status == 200 and "Welcome to nginx!" in page.body
    assert [hop.service for hop in page.path] == ["my-nginx"]
    assert lab.send(f"https://{HOST}/", tls=Tls(ca=other))[0].outcome == "connection"
    assert lab.send("https://unknown.example.com/", tls=Tls(ca=authority))[0].outcome == "connection"
    lab.delete("gateway/mygateway", "virtualservice/nginx")
    assert lab.send(f"https://{HOST}/", tls=Tls(ca=authority))[0].outcome == "connection"
    lab.delete("secret/nginx-server-certs", "configmap/nginx-configmap", "service/my-nginx", "deployment/my-nginx")
    assert "my-nginx" not in {pod.workload for pod in lab.pods()}


def test_what_is_not_there_yet_is_named_and_what_nginx_cannot_read_is_its_last_words(lab: Lab, apply: Apply) -> None:
    with pytest.raises(ManifestError, match="ConfigMap/nginx-configmap does not exist"):
        apply("nginx")
    lab.apply(certificate(Authority("Example")).replace('tls.key: "', 'tls.key: "x'), name="broken")
    apply("nginx-configmap")
    with pytest.raises(WaitTimeoutError, match=r"cannot load certificate '/etc/nginx-server-certs/tls\.crt'"):
        apply("nginx")
