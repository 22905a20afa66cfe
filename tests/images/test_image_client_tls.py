"""The load client in TLS and over bare connections: what it trusts and shows, and failures in words."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from image_app import App, StartApp, free_port

from labsupport.certificates import Authority, Certificate

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@pytest.fixture(scope="module")
def client(start_app: StartApp) -> App:
    return start_app("client")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Test CA")


class Server:
    """Takes connections, in TLS if it has a context, and answers what it was sent."""

    def __init__(self, context: ssl.SSLContext | None, *, echo: str = "", lines: int = 1) -> None:
        self.context, self.echo, self.lines = context, echo, lines
        self.names: list[str | None] = []
        self.seen: list[str] = []
        if context is not None:
            context.sni_callback = lambda connection, name, _: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                with connection:
                    self._answer(connection)
            except OSError:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        if not self.echo:
            while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
                received += piece
            self.seen.append(received.decode("latin-1"))
            connection.sendall(ANSWER)
            return
        for _ in range(self.lines):
            while b"\n" not in received and (piece := connection.recv(65536)):
                received += piece
            line, _, received = received.partition(b"\n")
            connection.sendall(f"{self.echo} ".encode() + line + b"\n")

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(timeout=10)


@contextmanager
def serving(context: ssl.SSLContext | None, **options: Any) -> Iterator[Server]:
    server = Server(context, **options)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def context(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return made(authority.server("shop.example"), tmp_path)


def made(certificate: Certificate, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "server.pem").write_text(certificate.key + certificate.certificate)
    context.load_cert_chain(folder / "server.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


def ask(client: App, server: Server, host: str = "shop.example", **more: Any) -> dict[str, Any]:
    (record,) = client.run(url=f"https://{host}/", connect_to=server.address, count=1, **more)
    return record


def test_the_record_tells_what_was_agreed_on(client: App, authority: Authority, context: ssl.SSLContext) -> None:
    with serving(context) as server:
        record = ask(client, server, tls={"ca": authority.certificate}, keep_body=True)
        assert (record["outcome"], record["body"], server.names) == ("ok", "ok", ["shop.example"])
        told = record["tls"]
        assert (told["version"], told["alpn"], told["server_name"]) == ("TLSv1.3", "http/1.1", "shop.example")
        assert (told["subject"].split(",")[-1], told["names"]) == ("CN=shop.example", "shop.example")
        assert "CN=Test CA" in told["issuer"] and len(told["fingerprint"]) == 64 and told["not_after"] > "2"


def test_without_authority_every_server_is_trusted_and_still_described(client: App, context: ssl.SSLContext) -> None:
    with serving(context) as server:
        record = ask(client, server, "else.example")
        assert (record["outcome"], record["tls"]["names"]) == ("ok", "shop.example")


def test_the_server_name_is_the_urls_host_and_the_authority_the_header(client: App, context: ssl.SSLContext) -> None:
    with serving(context) as server:
        assert ask(client, server, headers={"Host": "inner.example"})["outcome"] == "ok"
        assert server.names == ["shop.example"] and "host: inner.example\r\n" in server.seen[0].lower()


def test_what_the_client_does_not_trust(
    client: App, authority: Authority, context: ssl.SSLContext, tmp_path: Path
) -> None:
    with serving(context) as server:
        stranger = ask(client, server, tls={"ca": Authority("Test CA").certificate})
        elsewhere = ask(client, server, "else.example", tls={"ca": authority.certificate})
        assert {stranger["outcome"], elsewhere["outcome"]} == {"connection"}
        assert "does not trust who signed" in stranger["error"]
        assert elsewhere["error"] == "TLS: the server's certificate is for other names, not for else.example"
    with serving(made(authority.server("shop.example", days=-1), tmp_path)) as server:
        assert "has expired" in ask(client, server, tls={"ca": authority.certificate})["error"]


def test_a_certificate_of_the_client(client: App, authority: Authority, context: ssl.SSLContext) -> None:
    context.load_verify_locations(cadata=authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    alice, mallory = authority.client("alice"), Authority("Test CA").client("alice")
    with serving(context) as server:
        for version in ("1.2", "1.3"):
            own = {"certificate": alice.certificate, "key": alice.key, "version": version}
            assert ask(client, server, tls=own)["outcome"] == "ok"
            missing = ask(client, server, tls={"version": version})
            assert missing["outcome"] == "connection" and missing["error"].startswith("TLS: ")
            wrong = ask(client, server, tls={**own, "certificate": mallory.certificate, "key": mallory.key})
            assert "does not trust the authority that signed the client's" in wrong["error"]


def test_a_version_that_the_server_does_not_speak(client: App, context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with serving(context) as server:
        assert ask(client, server, tls={"version": "1.3"})["outcome"] == "ok"
        refused = ask(client, server, tls={"version": "1.2"})
        assert (refused["outcome"], "version of TLS" in refused["error"]) == ("connection", True)


def test_a_server_that_does_not_speak_tls(client: App, start_app: StartApp) -> None:
    plain = start_app("web")
    (record,) = client.run(url="https://shop.example/", connect_to=f"127.0.0.1:{plain.port}", count=1)
    assert "does not speak TLS" in record["error"]


def test_a_server_that_closes_during_the_handshake(client: App) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def close_each() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.close()

    thread = threading.Thread(target=close_each, daemon=True)
    thread.start()
    with listener:
        (record,) = client.run(
            url="https://shop.example/", connect_to=f"127.0.0.1:{listener.getsockname()[1]}", count=1
        )
        thread.join(timeout=10)
    assert record["outcome"] == "connection" and "closed the connection during the handshake" in record["error"]


def test_connections_in_tls_are_reused(client: App, start_app: StartApp, authority: Authority) -> None:
    own = authority.server("web.example")
    web = start_app("web", TLS_CERT=own.certificate, TLS_KEY=own.key, SERVICE_VERSION="safe")
    records = client.run(
        url="https://web.example/",
        connect_to=f"127.0.0.1:{web.port}",
        count=20,
        concurrency=2,
        reuse_connections=True,
        tls={"ca": authority.certificate},
    )
    assert {record["outcome"] for record in records} == {"ok"}
    assert {record["connection"] for record in records} <= {0, 1}
    assert all(record["tls"]["subject"] for record in records)


@pytest.mark.parametrize("secure", [False, True])
def test_bytes_are_sent_as_lines_and_as_many_lines_are_read(
    client: App, authority: Authority, context: ssl.SSLContext, secure: bool
) -> None:
    with serving(context if secure else None, echo="v1", lines=2) as server:
        url = "tls://shop.example" if secure else f"tcp://{server.address}"
        options = {"tls": {"ca": authority.certificate}} if secure else {}
        records = client.run(
            url=url, connect_to=server.address, body="one\ntwo", count=5, concurrency=2, keep_body=True, **options
        )
    assert [(record["outcome"], record["status"], record["body"]) for record in records] == [
        ("ok", 0, "v1 one\nv1 two")
    ] * 5
    assert all(record["path"] == [["", "v1", ""]] for record in records)
    assert sorted(record["connection"] for record in records) == list(range(5))
    assert all(("tls" in record) == secure for record in records)


def test_a_connection_that_ends_before_its_reply(client: App) -> None:
    with serving(None, echo="v1", lines=1) as server:
        (short,) = client.run(url=f"tcp://{server.address}", body="one\ntwo", count=1, keep_body=True)
    assert (short["outcome"], short["body"]) == ("connection", "v1 one")
    assert short["error"] == "the connection was closed after 1 of 2 lines"
    (refused,) = client.run(url=f"tcp://127.0.0.1:{free_port()}", body="x", count=1)
    assert refused["outcome"] == "connection" and refused["connection"] == -1


def test_a_silent_server_is_a_timeout(client: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (record,) = client.run(url=f"tcp://127.0.0.1:{listener.getsockname()[1]}", body="x", count=1, timeout_s=0.2)
    assert record["outcome"] == "timeout"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"url": "tcp://a:1"}, "body"),
        ({"url": "tcp://a", "body": "x"}, "url"),
        ({"url": "tls://a/path", "body": "x"}, "url"),
        ({"url": "https://a/", "tls": {"ca": "no pem"}}, "tls.ca"),
        ({"url": "https://a/", "tls": {"key": "x"}}, "tls.certificate"),
        ({"url": "https://a/", "tls": {"certificate": "x", "key": "secret"}}, "tls.certificate"),
        ({"url": "https://a/", "tls": {"version": "2"}}, "tls.version"),
        ({"url": "https://a/", "tls": {"pem": ""}}, "tls"),
    ],
)
def test_what_makes_no_sense_is_refused_without_showing_keys(client: App, spec: dict[str, Any], field: str) -> None:
    reply = requests.post(f"{client.url}/run", json={"count": 1, **spec}, timeout=10)
    assert (reply.status_code, reply.json()["field"]) == (400, field)
    assert "secret" not in reply.text
