"""Any valid set of TLS and TCP servers, rules and Secrets is one that Envoy takes, or is refused whole, by name."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
import yaml
from behaviour_mesh import Mesh, gateway, secret, server, subsets, to, virtual_service
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labsupport.certificates import Authority
from labsupport.errors import ConfigRejectedError, ManifestError, WaitTimeoutError

EXAMPLES = int(os.environ.get("BEHAVIOUR_EXAMPLES", "40"))
Json = dict[str, Any]
HOSTS = ("*", "a.example", "b.example", "*.example", "./a.example", "default/b.example", "v1.secure.example")
NAMES = ("one", "two", "absent", "broken", "trust")
# Drawn once for all examples: making keys is not what is tested.
_AUTHORITY = Authority("Property CA")
_ONE, _TWO = _AUTHORITY.server("a.example", "*.example"), _AUTHORITY.server("b.example")


def secrets() -> list[Json]:
    """Credentials of every kind but one."""
    broken = secret(_ONE.secret("broken", ca=_AUTHORITY))
    broken["data"]["tls.key"] = base64.b64encode(_TWO.key.encode()).decode()
    made = [secret(_ONE.secret("one", ca=_AUTHORITY)), secret(_TWO.secret("two", generic=True)), broken]
    return [*made, secret(_AUTHORITY.secret("trust-cacert")), secret(_ONE.secret("trust"))]


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


versions = pick("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
suites = pick(
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-SHA", "AES128-SHA", "DES-CBC3-SHA", "RC4-MD5",
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", "-AES128-SHA", "!aNULL", "ALL", "",
)  # fmt: skip
hashes = pick(*["ab" * 32, "AB:" * 31 + "AB"] * 4, "short", "zz" * 32)
keys = pick(*[base64.b64encode(b"k" * 32).decode()] * 8, "text", "")
ended = st.fixed_dictionaries(
    {"mode": pick("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"), "credentialName": pick(*NAMES)},
    optional={
        "minProtocolVersion": versions,
        "maxProtocolVersion": versions,
        "cipherSuites": st.lists(suites, max_size=3),
        "subjectAltNames": st.lists(pick("alice@workshop.example", "spiffe://a/b", ""), max_size=2),
        "verifyCertificateHash": st.lists(hashes, max_size=2),
        "verifyCertificateSpki": st.lists(keys, max_size=2),
        "caCertCredentialName": pick("trust-cacert", "trust", "absent-cacert"),
        "httpsRedirect": st.booleans(),
    },
)
passed = st.fixed_dictionaries({"mode": pick("PASSTHROUGH")})
numbers = pick(443, 8443, 9443, 80, 8080, 9000)


@st.composite
def servers(draw: st.DrawFn) -> list[Json]:
    made = []
    for index in range(draw(st.integers(1, 4))):
        protocol = draw(pick("HTTPS", "HTTPS", "TLS", "TLS", "TCP", "HTTP", "HTTP2", "GRPC", "MONGO"))
        first = server(*draw(st.lists(pick(*HOSTS), min_size=1, max_size=3, unique=True)), protocol=protocol)
        first["port"] |= {"number": draw(numbers), "name": f"p{index}"}
        if protocol in ("HTTPS", "TLS"):
            first["tls"] = draw(passed if protocol == "TLS" and draw(st.booleans()) else ended)
        elif draw(st.booleans()) and protocol in ("HTTP", "HTTP2"):
            first["tls"] = {"httpsRedirect": True}
        if draw(st.integers(0, 4)) == 0:
            first["name"] = draw(pick("named", "named-too", "named.three"))
        made.append(first)
    return made


destinations = st.builds(
    to, pick("echo", "secure", "web", "nobody"), pick("", "v1", "v2", "v9"), port=pick(0, 9000, 443)
)


@st.composite
def rules(draw: st.DrawFn, name: str) -> Json:
    bound = draw(st.lists(pick("entrance", "second", "default/entrance"), min_size=1, max_size=2, unique=True))
    hosts = draw(pick(["*"], ["*"], ["*.example"], ["a.example"], ["a.example", "b.example"]))
    made = virtual_service(hosts=hosts, name=name)
    spec: Json = {"hosts": hosts, "gateways": bound}
    route = st.lists(destinations, min_size=1, max_size=2)
    for kind in draw(st.lists(pick("http", "tls", "tcp"), min_size=1, max_size=3, unique=True)):
        rule: Json = {"route": draw(route)}
        if len(rule["route"]) > 1:
            for destination in rule["route"]:
                destination["weight"] = draw(st.integers(1, 99))
        if kind == "tls":
            covered = pick(*hosts) if "." in hosts[0][1:] and "*" not in hosts[0] else pick("a.example", "*.example")
            rule["match"] = [{"sniHosts": draw(st.lists(covered, min_size=1, max_size=2, unique=True))}]
        if kind != "http" and draw(st.booleans()):
            rule.setdefault("match", [{}])[0]["port"] = draw(numbers)
        spec[kind] = [rule]
    return {**made, "spec": spec}


sets = st.tuples(
    servers(), servers(), rules("first"), rules("second"), st.lists(st.integers(0, 4), max_size=5, unique=True)
)


@pytest.mark.slow
@pytest.mark.usefixtures("secured")
def test_envoy_takes_whatever_passes(mesh: Mesh) -> None:
    counts = {"taken": 0, "refused": 0}
    known = secrets()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(sets)
    def check(drawn: tuple[list[Json], list[Json], Json, Json, list[int]]) -> None:
        first, second, *bound, chosen = drawn
        objects = [gateway(*first), gateway(*second, name="second"), *bound, *(known[index] for index in chosen)]
        try:
            mesh.apply(subsets("echo"), subsets("secure"), *objects)
            counts["taken"] += 1
        except ManifestError as error:
            assert all(problem.object for problem in error.problems), error
            counts["refused"] += 1
        except (ConfigRejectedError, WaitTimeoutError) as error:
            raise AssertionError(f"{str(error)[-600:]}\n{yaml.safe_dump_all(objects)}") from None
        finally:
            mesh.clear()

    check()
    assert counts["taken"] > counts["refused"], counts
    assert mesh.request("http://web:8080/").status == 200
