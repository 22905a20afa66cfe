"""Certificates made for a lab: what Python's own TLS makes of them, and the Secrets that carry them."""

from __future__ import annotations

import base64
import contextlib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labsupport.certificates import Authority, Certificate
from labsupport.errors import UsageError
from labsupport.model import parse
from labsupport.model.reading.documents import read


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Test CA")


def handshake(
    folder: Path, server: Certificate, *, name: str, trusted: str, client: Certificate | None = None, wants: str = ""
) -> str:
    """Let Python's TLS talk to itself in memory; returns the server's view of the client's subject, or an error."""

    def load(context: ssl.SSLContext, certificate: Certificate) -> None:
        path = folder / "pair.pem"
        path.write_text(certificate.key + certificate.certificate)
        context.load_cert_chain(path)

    accepts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(accepts, server)
    if wants:
        accepts.load_verify_locations(cadata=wants)
        accepts.verify_mode = ssl.CERT_REQUIRED
    calls = ssl.create_default_context(cadata=trusted)
    if client is not None:
        load(calls, client)
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        calls.wrap_bio(pipes[0], pipes[1], server_hostname=name),
        accepts.wrap_bio(pipes[1], pipes[0], server_side=True),
    ]
    try:
        for _ in range(6):
            for end in ends:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLError as error:
        return f"{error.reason}"
    return str(ends[1].getpeercert())


def test_a_server_is_trusted_under_its_names_by_who_trusts_the_authority(authority: Authority, tmp_path: Path) -> None:
    server = authority.server("shop.example", "*.shop.example", "127.0.0.1")
    for name in ("shop.example", "www.shop.example", "127.0.0.1"):
        assert handshake(tmp_path, server, name=name, trusted=authority.certificate) == "None"
    for name, trusted in (("else.example", authority), ("shop.example", Authority("Test CA"))):
        assert "CERTIFICATE_VERIFY_FAILED" in handshake(tmp_path, server, name=name, trusted=trusted.certificate)


def test_a_client_is_known_by_its_name(authority: Authority, tmp_path: Path) -> None:
    server = authority.server("shop.example")
    options = {"name": "shop.example", "trusted": authority.certificate, "wants": authority.certificate}
    assert "alice" in handshake(tmp_path, server, client=authority.client("alice"), **options)
    assert "CERTIFICATE" in handshake(tmp_path, server, client=Authority("Other").client("alice"), **options)
    assert "CERTIFICATE" in handshake(tmp_path, server, **options)


def test_an_expired_certificate_can_be_made(authority: Authority, tmp_path: Path) -> None:
    server = authority.server("shop.example", days=-1)
    assert "FAILED" in handshake(tmp_path, server, name="shop.example", trusted=authority.certificate)


def test_secrets_have_the_keys_that_istio_reads(authority: Authority) -> None:
    server = authority.server("shop.example")
    texts = [
        server.secret("shop"),
        server.secret("shop", ca=authority, namespace="istio-system"),
        server.secret("shop", ca=authority.certificate, generic=True),
        authority.secret("shop-cacert"),
        authority.secret("shop-cacert", generic=False),
    ]
    safe_load = [yaml.safe_load(text) for text in texts]
    assert [(secret["type"], sorted(secret["data"])) for secret in safe_load] == [
        ("kubernetes.io/tls", ["tls.crt", "tls.key"]),
        ("kubernetes.io/tls", ["ca.crt", "tls.crt", "tls.key"]),
        ("Opaque", ["cacert", "cert", "key"]),
        ("Opaque", ["cacert"]),
        ("Opaque", ["ca.crt"]),
    ]
    assert safe_load[1]["metadata"] == {"name": "shop", "namespace": "istio-system"}
    assert base64.b64decode(safe_load[0]["data"]["tls.key"]).decode() == server.key
    assert len(parse(read("---\n".join(texts[:1])))) == 1


def test_nothing_shows_a_key(authority: Authority) -> None:
    server = authority.server("shop.example")
    assert "BEGIN" not in repr(server) and "BEGIN" not in repr(authority)
    assert "BEGIN" not in server.secret("shop")


def test_a_certificate_without_a_name_is_refused(authority: Authority) -> None:
    for wrong in (lambda: authority.server(), lambda: authority.client(""), lambda: Authority("")):
        with pytest.raises(UsageError):
            wrong()


def test_importing_the_library_does_not_load_cryptography() -> None:
    program = "import labsupport.certificates, labsupport, sys; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
