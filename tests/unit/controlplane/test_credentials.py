"""What a proxy gets for a ``credentialName``: the keys that istiod reads, and words for what Envoy would refuse."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from labsupport.certificates import Authority
from labsupport.controlplane.credentials import SYSTEM_ROOTS, Credential, credential, references
from labsupport.model import Resource, parse
from labsupport.model.reading.documents import read

AUTHORITY = Authority("Test CA")
SERVER = AUTHORITY.server("shop.example")
OTHER = AUTHORITY.server("other.example")
NAME = "kubernetes://shop"
TRUST = "kubernetes://shop-cacert"


def objects(*texts: str) -> list[Resource]:
    """As an engine hands them on: with a namespace."""
    parsed = parse(read("---\n".join(texts))) if texts else []
    return [
        resource.model_copy(
            update={"metadata": resource.metadata.model_copy(update={"namespace": resource.namespace or "default"})}
        )
        for resource in parsed
    ]


def secret(name: str = "shop", namespace: str = "istio-system", **values: str) -> str:
    data = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in values.items()}
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def look(name: str, texts: Iterable[str], *, spaces: tuple[str, ...] = ("istio-system", "default")) -> Credential:
    use = "authority" if name.endswith("-cacert") or name.startswith("configmap") else "certificate"
    return credential(name, [use], objects(*texts), spaces)  # type: ignore[list-item]


def content(credential: Credential, *path: str) -> str:
    assert credential.secret is not None, credential.problem
    value: Any = credential.secret
    for key in path:
        value = value[key]
    return base64.b64decode(value["inline_bytes"]).decode()


@pytest.mark.parametrize(
    "text",
    [
        SERVER.secret("shop", namespace="istio-system"),
        SERVER.secret("shop", namespace="istio-system", generic=True),
        SERVER.secret("shop"),
        secret(cert=SERVER.certificate, key=SERVER.key, tls_crt=OTHER.certificate, tls_key=OTHER.key),
        secret(cert="", key="", tls_crt=SERVER.certificate, tls_key=SERVER.key),
    ],
    ids=["kubernetes.io/tls", "generic", "in the lab's namespace", "both: generic first", "generic but empty"],
)
def test_a_certificate_and_its_key(text: str) -> None:
    seen = look(NAME, [text])
    assert content(seen, "tls_certificate", "certificate_chain") == SERVER.certificate
    assert content(seen, "tls_certificate", "private_key") == SERVER.key
    assert (seen.name, seen.problem) == (NAME, "")


def test_the_gateways_own_namespace_comes_first() -> None:
    here, there = OTHER.secret("shop"), SERVER.secret("shop", namespace="istio-system")
    assert content(look(NAME, [here, there]), "tls_certificate", "certificate_chain") == SERVER.certificate


@pytest.mark.parametrize(
    "texts",
    [
        [SERVER.secret("shop", ca=AUTHORITY)],
        [SERVER.secret("shop", ca=AUTHORITY, generic=True)],
        [SERVER.secret("shop"), AUTHORITY.secret("shop-cacert")],
        [SERVER.secret("shop", ca=Authority("Other")), AUTHORITY.secret("shop-cacert", generic=False)],
    ],
    ids=["ca.crt beside", "cacert beside", "a Secret of its own", "the Secret of its own first"],
)
def test_whom_to_trust(texts: list[str]) -> None:
    assert content(look(TRUST, texts), "validation_context", "trusted_ca") == AUTHORITY.certificate


def test_string_data_counts_over_data() -> None:
    text = yaml.safe_load(OTHER.secret("shop"))
    text["stringData"] = {"tls.crt": SERVER.certificate, "tls.key": SERVER.key}
    assert content(look(NAME, [yaml.safe_dump(text)]), "tls_certificate", "private_key") == SERVER.key


def test_authorities_of_the_machine_and_of_a_config_map() -> None:
    seen = credential(SYSTEM_ROOTS, ["authority"], [], ["default"])
    assert seen.secret is not None and seen.secret["validation_context"]["trusted_ca"]["filename"].startswith("/")
    data = {"ca.crt": AUTHORITY.certificate}
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "roots"}, "data": data})
    seen = look("configmap://default/roots", [text])
    assert content(seen, "validation_context", "trusted_ca") == AUTHORITY.certificate


@pytest.mark.parametrize(
    ("name", "texts", "words"),
    [
        (NAME, [], "no such Secret in namespace istio-system or default"),
        (NAME, [SERVER.secret("shop", namespace="elsewhere")], "there is one in namespace elsewhere"),
        (TRUST, [SERVER.secret("shop")], "neither cacert nor ca.crt"),
        (TRUST, [], "nor one called shop"),
        (NAME, [AUTHORITY.secret("shop")], "neither cert and key nor tls.crt and tls.key"),
        (NAME, [secret(tls_crt=SERVER.certificate, tls_key=OTHER.key)], "tls.key does not belong to tls.crt"),
        (NAME, [secret(tls_crt="text", tls_key=SERVER.key)], "tls.crt is no certificate"),
        (NAME, [secret(tls_crt=SERVER.certificate, tls_key="text")], "tls.key is no private key"),
        (NAME, [secret(tls_crt=SERVER.certificate)], "its keys: tls.crt"),
        (TRUST, [secret(cacert="text")], "cacert is no certificate"),
        (TRUST, [secret(cacert=AUTHORITY.certificate, crl="text")], "crl is no list"),
        ("kubernetes://elsewhere/shop", [], "may not read Secrets of namespace elsewhere"),
        ("unknown://shop", [], "no credential of this form"),
    ],
)
def test_what_cannot_be_sent_is_named_and_not_sent(name: str, texts: list[str], words: str) -> None:
    seen = look(name, texts)
    assert seen.secret is None and words in seen.problem
    assert "BEGIN" not in seen.problem


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: _self_signed("rsa1024"), "RSA keys from 2048 bits, and this one has 1024"),
        (lambda: _self_signed("ed25519"), "on the curves"),
    ],
)
def test_keys_that_envoy_does_not_take(make: Any, words: str) -> None:
    certificate, key = make()
    assert words in look(NAME, [secret(cert=certificate, key=key)]).problem


def test_an_expired_certificate_is_sent_and_named() -> None:
    seen = look(NAME, [AUTHORITY.server("shop.example", days=-3).secret("shop")])
    assert seen.secret is not None and seen.problem.startswith("Secret/shop: tls.crt expired on 20")


def test_the_name_and_not_the_use_decides_what_istio_sends() -> None:
    both = objects(SERVER.secret("shop", ca=AUTHORITY), AUTHORITY.secret("shop-cacert"))
    for name, use in ((NAME, "authority"), (TRUST, "certificate")):
        seen = credential(name, [use], both, ["default"])  # type: ignore[list-item]
        assert seen.secret is None and "-cacert" in seen.problem


def test_a_sidecar_gets_no_private_key() -> None:
    both = objects(SERVER.secret("shop", ca=AUTHORITY))
    assert credential(NAME, ["certificate"], both, ["default"], gateway=False).secret is None
    assert credential(TRUST, ["authority"], both, ["default"], gateway=False).secret is not None


def test_references_are_found_wherever_they_are() -> None:
    socket = {
        "tls_certificate_sds_secret_configs": [{"name": "a"}, {"name": "b"}],
        "combined_validation_context": {"validation_context_sds_secret_config": {"name": "a"}},
    }
    resources = [{"filter_chains": [{"transport_socket": {"typed_config": {"common_tls_context": socket}}}]}, {}]
    assert references(resources) == {"a": {"certificate", "authority"}, "b": {"certificate"}}


def test_nothing_of_a_credential_is_shown() -> None:
    assert "inline" not in repr(look(NAME, [SERVER.secret("shop")]))


def _self_signed(kind: str) -> tuple[str, str]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    small = kind == "rsa1024"
    key = rsa.generate_private_key(65537, 1024) if small else ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    made = builder.sign(key, hashes.SHA256() if small else None)
    encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    return pem, key.private_bytes(*encodings).decode()
