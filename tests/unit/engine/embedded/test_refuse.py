"""What the running embedded mesh refuses by name, and what it lists as without effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labsupport.engine.dangling import dangling
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.embedded.refuse import notes, problems, taken_node_ports
from labsupport.model import parse
from labsupport.model.kinds.core import Service
from labsupport.model.reading.documents import read

NETWORKING = "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"
SECURITY = "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"
SERVER = (
    "{{selector: {{istio: ingressgateway}}, servers: [{{port: {{number: 443, name: https, protocol: {protocol}}}, "
    "hosts: ['*'], {more}}}]}}"
)
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: x}}
spec:
  selector: {{matchLabels: {{app: x}}}}
  template: {{metadata: {{labels: {{app: x}}}}, spec: {{{pod}containers: [{{name: a, image: {image}{container}}}]}}}}
"""


@pytest.fixture
def images(tmp_path: Path) -> Programs:
    for name in ("web", "client"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").touch()
    (tmp_path / "notes").mkdir()
    return Programs(tmp_path)


def deployment(image: str = "web", container: str = "", pod: str = "") -> str:
    return DEPLOYMENT.format(image=image, container=container, pod=pod)


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        pytest.param(SECURITY.format(kind="PeerAuthentication", spec="{}"), "", "no certificates", id="mutual TLS"),
        pytest.param(SECURITY.format(kind="AuthorizationPolicy", spec="{}"), "", "access policies", id="policies"),
        pytest.param(
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIP: None, ports: [{port: 1}]}\n",
            "spec.clusterIP",
            "headless",
            id="headless",
        ),
        pytest.param(
            NETWORKING.format(
                kind="DestinationRule", spec="{host: x, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}"
            ),
            "spec.trafficPolicy.loadBalancer.simple",
            "PASSTHROUGH",
            id="passthrough",
        ),
        pytest.param(
            NETWORKING.format(kind="DestinationRule", spec="{host: x, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
            "spec.trafficPolicy.tls.mode",
            "ISTIO_MUTUAL",
            id="mutual TLS of a rule",
        ),
        pytest.param(
            NETWORKING.format(kind="Sidecar", spec="{ingress: [{port: {number: 80, protocol: HTTP, name: a}}]}"),
            "spec.ingress",
            "ports of its container",
            id="listeners of a sidecar for what comes in",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Sidecar",
                spec="{egress: [{port: {number: 80, protocol: HTTP, name: a}, bind: 127.0.0.9, hosts: ['*/*']}]}",
            ),
            "spec.egress[0].bind",
            "one address",
            id="an address of a sidecar's listener",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Sidecar",
                spec="{egress: [{port: {number: 80, protocol: HTTP, name: a}, captureMode: NONE, hosts: ['*/*']}]}",
            ),
            "spec.egress[0].captureMode",
            "all or nothing",
            id="a listener that nothing is led to",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Gateway",
                spec=SERVER.format(
                    protocol="HTTPS", more="tls: {mode: SIMPLE, serverCertificate: /etc/c, privateKey: /etc/k}"
                ),
            ),
            "spec.servers[0].tls.serverCertificate",
            "names a file",
            id="certificates in files at the gateway",
        ),
        pytest.param(
            NETWORKING.format(kind="Gateway", spec=SERVER.format(protocol="HTTP", more="bind: 127.0.0.1")),
            "spec.servers[0].bind",
            "one address",
            id="an address of its own",
        ),
        pytest.param(
            NETWORKING.format(kind="Gateway", spec=SERVER.format(protocol="HTTPS", more="tls: {mode: ISTIO_MUTUAL}")),
            "spec.servers[0].tls.mode",
            "mutual TLS between sidecars",
            id="mutual TLS of the mesh at the gateway",
        ),
        pytest.param(
            NETWORKING.format(
                kind="DestinationRule",
                spec="{host: x, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}}}",
            ),
            "spec.trafficPolicy.tls.caCertificates",
            "names a file",
            id="authorities in a file",
        ),
        pytest.param(
            NETWORKING.format(
                kind="ServiceEntry",
                spec="{hosts: [out.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
            ),
            "spec.hosts[0]",
            "outside this machine",
            id="a host outside",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Gateway",
                spec=SERVER.format(
                    protocol="HTTPS",
                    more="tls: {mode: MUTUAL, credentialName: c, verifyCertificateHash: [short]}",
                ),
            ),
            "spec.servers[0].tls.verifyCertificateHash[0]",
            "64 hexadecimal digits",
            id="no fingerprint",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Gateway",
                spec=SERVER.format(
                    protocol="HTTPS", more="tls: {mode: MUTUAL, credentialName: c, verifyCertificateSpki: [text]}"
                ),
            ),
            "spec.servers[0].tls.verifyCertificateSpki[0]",
            "in base64",
            id="no fingerprint of a key",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Gateway",
                spec=SERVER.format(
                    protocol="HTTPS", more="tls: {mode: SIMPLE, credentialName: c, cipherSuites: ['!aNULL']}"
                ),
            ),
            "spec.servers[0].tls.cipherSuites[0]",
            "no list of ciphers",
            id="an expression instead of ciphers",
        ),
        pytest.param(
            NETWORKING.format(
                kind="Gateway",
                spec=SERVER.format(
                    protocol="HTTPS", more="tls: {mode: SIMPLE, credentialName: c, subjectAltNames: [alice]}"
                ),
            ),
            "spec.servers[0].tls.subjectAltNames",
            "trusts no authority",
            id="names of clients that show nothing",
        ),
        pytest.param(deployment("wbe"), "spec.template.spec.containers[0].image", "wbe", id="unknown image"),
        pytest.param(
            deployment().replace("spec:\n", "spec:\n  replicas: 10000\n", 1),
            "spec.replicas",
            "at most",
            id="too many pods",
        ),
        pytest.param(
            deployment(container=", command: [sh]"),
            "spec.template.spec.containers[0].command",
            "command",
            id="command",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(images: Programs, text: str, path: str, words: str) -> None:
    problem, *_ = problems(parse(read(text)), images)
    assert problem.path == path
    assert words in problem.message
    assert problem.remedy
    assert problem.line > 0


@pytest.mark.parametrize(
    ("protocol", "tls"),
    [
        ("HTTPS", "{mode: SIMPLE, credentialName: shop}"),
        ("HTTPS", "{mode: MUTUAL, credentialName: shop, caCertificates: /ignored}"),
        ("HTTPS", "{mode: OPTIONAL_MUTUAL, credentialNames: [shop, other]}"),
        ("TLS", "{mode: SIMPLE, credentialName: shop, minProtocolVersion: TLSV1_3}"),
        ("TLS", "{mode: PASSTHROUGH}"),
        ("TLS", "{mode: SIMPLE, credentialName: shop, cipherSuites: [ALL, -AES128-SHA]}"),
        ("TLS", "{mode: SIMPLE, credentialName: shop, cipherSuites: ['[AES128-SHA|AES256-SHA]']}"),
    ],
)
def test_tls_at_a_gateway_does_run(images: Programs, protocol: str, tls: str) -> None:
    spec = SERVER.format(protocol=protocol, more=f"tls: {tls}")
    assert problems(parse(read(NETWORKING.format(kind="Gateway", spec=spec))), images) == []


def test_tls_that_a_proxy_begins_runs_where_its_certificates_can_be_had(images: Programs) -> None:
    for tls in ("{mode: SIMPLE}", "{mode: SIMPLE, caCertificates: system}", "{mode: MUTUAL, credentialName: shop}"):
        spec = f"{{host: x, trafficPolicy: {{tls: {tls}}}}}"
        assert problems(parse(read(NETWORKING.format(kind="DestinationRule", spec=spec))), images) == []


def test_a_redirect_to_https_needs_no_certificate(images: Programs) -> None:
    spec = (
        "{selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, "
        "hosts: ['*'], tls: {httpsRedirect: true}}]}"
    )
    assert problems(parse(read(NETWORKING.format(kind="Gateway", spec=spec))), images) == []


def test_tcp_at_a_gateway_does_run(images: Programs) -> None:
    spec = "{hosts: [x], gateways: [g], tcp: [{route: [{destination: {host: x}}]}]}"
    assert problems(parse(read(NETWORKING.format(kind="VirtualService", spec=spec))), images) == []


def test_images_are_folders_with_a_program(images: Programs) -> None:
    assert images.known() == ["client", "web"]
    (problem,) = problems(parse(read(deployment("nginx"))), images)
    assert problem.remedy.startswith("Known images: client, web, and those of Istio's samples. ")
    assert "FOLDER/nginx/app.py" in problem.remedy and "WORKSHOP_IMAGES=FOLDER" in problem.remedy
    assert "Lab(images={'nginx': 'web'})" in problem.remedy


def test_fields_without_effect_are_named_once(images: Programs) -> None:
    container = ", resources: {limits: {cpu: 1}}, imagePullPolicy: Always, stdin: false, lifecycle: {}"
    first = deployment(container=container)
    text = f"{first}---{first.replace('name: x', 'name: other', 1)}"
    told: set[str] = set()
    assert notes(parse(read(text)), images, told) == ["no effect on the embedded mesh: resources, imagePullPolicy"]
    assert notes(parse(read(text)), images, told) == []
    assert notes(parse(read(deployment(container=", resources: {limits: {cpu: 1}}, tty: true"))), images, told) == [
        "no effect on the embedded mesh: tty"
    ]


def test_a_load_balancer_is_said_to_have_no_address_here(images: Programs) -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: %s, ports: [{port: 80}]}\n"
    told: set[str] = set()
    (note,) = notes(parse(read(text % "LoadBalancer")), images, told)
    assert notes(parse(read(text % "LoadBalancer")), images, told) == []
    assert note.startswith("Service/web: no load balancer gives it an address here") and "loadbalancer:web/" in note
    assert notes(parse(read(text % "NodePort")), images, set()) == []


@pytest.mark.parametrize(
    ("spec", "opened"),
    [
        ("type: NodePort", True),
        ("type: LoadBalancer", True),
        ("type: LoadBalancer, allocateLoadBalancerNodePorts: false", False),
        ("type: ClusterIP", False),
    ],
)
def test_node_ports_are_opened_for_the_types_of_kubernetes(spec: str, opened: bool) -> None:
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{{spec}, ports: [{{port: 80}}]}}\n"
    (service,) = parse(read(text))
    assert isinstance(service, Service) and service.spec.opens_node_ports is opened


def test_a_variable_from_nowhere_is_refused() -> None:
    env = ", env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]"
    (problem,) = dangling(parse(read(deployment(container=env))))
    assert "ConfigMap/absent" in problem.message


def test_variables_that_no_program_can_get_are_refused() -> None:
    env = "{name: A, value: " + "x" * 100_000 + "}, {name: B, value: $(A)$(A)}"
    (problem,) = dangling(parse(read(deployment(container=f", env: [{env}]"))))
    assert (problem.path, problem.line) == ("spec.template.spec.containers[0].env", 7)
    assert "the variable B" in problem.message and problem.remedy


RULE = NETWORKING.format(
    kind="DestinationRule",
    spec="{host: x, subsets: [{name: a, trafficPolicy: {loadBalancer: {consistentHash: {%s}}}}]}",
)


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ("useSourceIp: true, maglev: {tableSize: 1}", "maglev.tableSize", "no prime"),
        (
            "useSourceIp: true, ringHash: {minimumRingSize: 131073}",
            "ringHash.minimumRingSize",
            "131,072 hashes at most",
        ),
        ("useSourceIp: true, minimumRingSize: 8388608", "minimumRingSize", "131,072 hashes at most"),
        ('httpCookie: {name: "a\\rb", ttl: 1s}', "httpCookie.name", "control characters"),
        ('httpCookie: {name: "a\\0", ttl: 1s}', "httpCookie.name", "control characters"),
        ('httpCookie: {name: a, path: "/\\nb", ttl: 1s}', "httpCookie.path", "control characters"),
        (
            'httpCookie: {name: a, ttl: 1s, attributes: [{name: b, value: "\\r\\nx: y"}]}',
            "httpCookie.attributes[0].value",
            "control characters",
        ),
    ],
)
def test_a_hash_that_harms_an_envoy_is_refused(images: Programs, settings: str, field: str, words: str) -> None:
    (problem,) = problems(parse(read(RULE % settings)), images)
    assert problem.path == f"spec.subsets[0].trafficPolicy.loadBalancer.consistentHash.{field}"
    assert words in problem.message and problem.remedy and problem.line == 4


@pytest.mark.parametrize(
    "settings",
    [
        "useSourceIp: true, maglev: {tableSize: 2}",
        "useSourceIp: true, maglev: {tableSize: 4999999}",
        "useSourceIp: true, ringHash: {minimumRingSize: 131072}",
        "httpCookie: {name: a, path: /b, ttl: 1s}",
    ],
)
def test_a_hash_that_an_envoy_can_do_with_runs(images: Programs, settings: str) -> None:
    assert problems(parse(read(RULE % settings)), images) == []


def configured(written: str) -> str:
    annotations = f"annotations: {{proxy.istio.io/config: {json.dumps(written)}}}, "
    return deployment().replace("metadata: {labels:", f"metadata: {{{annotations}labels:")


@pytest.mark.parametrize(
    "written",
    [
        "concurrency: true",
        "concurrency: -1",
        "concurrency: 1.5",
        "concurrency: many",
        "concurrency: [1]",
        "a word",
        "not: [closed",
        "[" * 5000,
        "{a: " * 400 + "1" + "}" * 400,
    ],
    ids=lambda written: written[:20],
)
def test_a_proxys_configuration_that_istio_cannot_read_is_refused(images: Programs, written: str) -> None:
    (problem,) = problems(parse(read(configured(written))), images)
    assert problem.path == "spec.template.metadata.annotations.proxy.istio.io/config" and problem.line == 7
    assert "no sidecar" in problem.message and problem.remedy


@pytest.mark.parametrize("written", ["", "concurrency: 0", "concurrency: '3'", "concurrency: ~", "drainDuration: 5s"])
def test_a_proxys_configuration_that_istio_can_read_runs(images: Programs, written: str) -> None:
    assert problems(parse(read(configured(written))), images) == []


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: %s, ports: [%s]}\n"


@pytest.mark.parametrize(
    ("type_", "ports", "told"),
    [
        ("NodePort", "{name: a, port: 80, nodePort: 30000}, {name: b, port: 81, nodePort: 32767}", ()),
        ("LoadBalancer", "{port: 80, nodePort: 31532}", ()),
        ("NodePort", "{port: 80, nodePort: 0}", ()),
        ("ClusterIP", "{port: 80, nodePort: 0}", ()),
        ("NodePort", "{port: 80, nodePort: 29999}", ("29999 is not in the range of node ports, 30000-32767",)),
        ("LoadBalancer", "{port: 80, nodePort: 32768}", ("32768 is not in the range of node ports, 30000-32767",)),
        ("ClusterIP", "{port: 80, nodePort: 31532}", ("a Service of type ClusterIP has no node ports",)),
    ],
)
def test_node_ports_are_refused_as_a_cluster_refuses_them(
    images: Programs, type_: str, ports: str, told: tuple[str, ...]
) -> None:
    refused = problems(parse(read(SERVICE % ("web", type_, ports))), images)
    assert tuple(problem.message for problem in refused) == told
    assert all(problem.path == "spec.ports[0].nodePort" and problem.remedy for problem in refused)


def test_a_node_port_is_that_of_one_service_and_one_of_its_ports() -> None:
    both = "{name: a, port: 80, nodePort: 31532}, {name: b, port: 81, nodePort: 31532}"
    apart = "{name: a, port: 80, nodePort: 31532}, {name: b, port: 80, nodePort: 31532, protocol: UDP}"
    web = SERVICE % ("web", "NodePort", "{port: 80, nodePort: 31532}")
    (problem,) = taken_node_ports(parse(read(SERVICE % ("web", "NodePort", both))))
    assert problem.path == "spec.ports[1].nodePort"
    (problem,) = taken_node_ports(parse(read(f"{web}---\n{web.replace('name: web', 'name: other')}")))
    assert problem.object == "Service/other" and "31532 is the node port of Service/web already" in problem.message
    assert taken_node_ports(parse(read(SERVICE % ("web", "NodePort", apart)))) == []
    assert (
        taken_node_ports(parse(read(SERVICE % ("web", "NodePort", "{name: a, port: 80}, {name: b, port: 81}")))) == []
    )


ENTRY = (
    "{{hosts: [x.example], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, "
    "endpoints: [{{address: '{address}'}}]}}"
)


@pytest.mark.parametrize(
    "address",
    ["192.0.2.10", "10.244.0.1", "::1", "2001:db8::1", "0.0.0.0", "169.254.169.254", "unix:///var/run/x.sock"],
)
def test_no_proxy_connects_to_another_machine_or_another_programs_socket(images: Programs, address: str) -> None:
    text = NETWORKING.format(kind="ServiceEntry", spec=ENTRY.format(address=address))
    (problem,) = problems(parse(read(text)), images)
    assert problem.path == "spec.endpoints[0].address"
    assert "127.0.0.1" in problem.remedy


def test_a_program_of_this_machine_may_be_named(images: Programs) -> None:
    text = NETWORKING.format(kind="ServiceEntry", spec=ENTRY.format(address="127.0.0.1"))
    assert problems(parse(read(text)), images) == []


def test_addresses_outside_that_lead_nowhere_are_named(images: Programs) -> None:
    text = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n"
    )
    (note,) = notes(parse(read(text)), images, set())
    assert note == "Service/web: nothing leads from its externalIPs to this machine"
