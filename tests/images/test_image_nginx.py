"""The web server that reads nginx's configuration: what it answers, and what it refuses to leave out."""

from __future__ import annotations

import re
import socket
import ssl
import time
from pathlib import Path

import pytest
from image_app import App, StartApp, free_port, start, stop

from labsupport.certificates import Authority

MAIN = "etc/nginx/nginx.conf"
TLS = """
# One server with a certificate, as a tutorial on passthrough writes it.
events {
}
http {
  log_format main '$remote_addr - $remote_user [$time_local]  $status '
  '"$request" $body_bytes_sent';
  access_log /var/log/nginx/access.log main;
  server {
    listen 443 ssl;
    server_name first.example.com;
    root /usr/share/nginx/html;
    index index.html;
    ssl_certificate /etc/certs/tls.crt;
    ssl_certificate_key /etc/certs/tls.key;
  }
  server {
    listen 443 ssl;
    server_name *.other.example.com;
    ssl_certificate /etc/other/tls.crt;
    ssl_certificate_key /etc/other/tls.key;
    location / { return 200 "other"; }
  }
}
"""
PLAIN = """
http {
  include mime.types;
  include /etc/nginx/conf.d/*.conf;
  server {
    listen [::]:8080 default_server;
    add_header x-from "$host";
    location = /old { return 301 /new; }
    location /api { return 200 "api $request_uri"; }
    location /api/deep/ { return 503; }
    location /app { root /srv; try_files $uri /app/index.html; }
  }
}
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def end(root: Path, **env: str) -> int:
    """Start it with files that it cannot serve; its status when it has ended."""
    app = start("nginx", FILES_ROOT=str(root), **env)
    return app.process.wait(timeout=60)


def test_without_a_configuration_it_welcomes_and_looks_at_no_file_of_this_machine(start_app: StartApp) -> None:
    app = start_app("nginx")
    assert "Welcome to nginx!" in app.get("/").text
    assert app.get("/etc/passwd").status_code == app.get("/../../etc/passwd").status_code == 404
    assert app.post("/").status_code == 405


def test_it_answers_by_host_and_by_the_longest_path(tmp_path: Path) -> None:
    port = free_port()
    more = f"server {{ listen {port}; server_name more.example.com; return 418; }}"
    write(
        tmp_path,
        {
            MAIN: PLAIN.replace("8080", str(port)),
            "etc/nginx/conf.d/more.conf": more,
            "srv/app/index.html": "the app",
            "srv/app/x.txt": "x",
        },
    )
    app = start("nginx", FILES_ROOT=str(tmp_path), PORT=str(port))
    app.port = port
    try:
        app.wait_for("/healthz", lambda reply: reply.status_code == 200)
        assert app.get("/api/x?y=1").text == "api /api/x?y=1" and app.get("/api/deep/x").status_code == 503
        moved = app.get("/old")
        assert (moved.status_code, moved.headers["location"]) == (301, "/new")
        assert app.get("/app/x.txt").text == "x" and app.get("/app/none").text == "the app"
        assert app.get("/x").status_code == 404 and app.get("/api").headers["x-from"] == "127.0.0.1"
        assert app.get("/", headers={"host": "more.example.com"}).status_code == 418
        assert app.get("/app/%2e%2e/%2e%2e/%2e%2e/etc/passwd").text == "the app"
    finally:
        stop([app])


def test_it_shows_the_certificate_of_the_name_that_is_asked_for(tmp_path: Path) -> None:
    port, authority = free_port(), Authority("Shop")
    first, other = authority.server("first.example.com"), authority.server("a.other.example.com")
    files = {MAIN: TLS.replace("443", str(port))}
    for folder, pair in (("certs", first), ("other", other)):
        files |= {f"etc/{folder}/tls.crt": pair.certificate, f"etc/{folder}/tls.key": pair.key}
    write(tmp_path, files)
    app = start("nginx", FILES_ROOT=str(tmp_path), PORT="")
    try:
        context = ssl.create_default_context(cadata=authority.certificate)
        assert "Welcome to nginx!" in asked(app, port, context, "first.example.com")
        assert asked(app, port, context, "a.other.example.com").endswith("other")
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(app, port, context, "unknown.example.com")
    finally:
        stop([app])


def asked(app: App, port: int, context: ssl.SSLContext, host: str) -> str:
    """What a server name is answered."""
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            break
        except ConnectionRefusedError:
            assert app.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    with connection, context.wrap_socket(connection, server_hostname=host) as secured:
        secured.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: secured.recv(65536), b"")).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http { server { listen 80; location / { proxy_pass http://web; } } }", "nginx.conf:1: .* proxy_pass"),
        ("http {\n server {\n  location ~ x { return 200; } } }", "nginx.conf:3: .*locations by path"),
        ("http { server { listen 443; } }", "listens on 443, and not on"),
        ("http { server { listen 80 ssl; } }", "ssl_certificate"),
        ("http { server { listen 80", "ends within listen"),
        ("http { server { } ", "ends within a block"),
        ("http { } }", "unexpected }"),
        ('http { server { return 200 "x; } }', "quotation mark"),
        ("http { include none.conf; }", "no file /etc/nginx/none.conf"),
        ("http { include nginx.conf; server { } }", "include each other"),
        ("http { server { return 200 $cookie_a; } }", r"variable \$cookie_a"),
        ("events { }", "no server"),
        ("a {" * 50_000, "too deep"),
    ],
)
def test_what_it_cannot_do_ends_it_with_its_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    write(tmp_path, {MAIN: text})
    assert end(tmp_path, PORT="80") == 1
    assert re.search(words, capfd.readouterr().err)


def test_a_large_configuration_is_read_in_one_go(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {MAIN: "http { server { listen 81; server_name " + "a" * 500_000 + " b" * 200_000 + "; } }"})
    assert end(tmp_path, PORT="80") == 1
    assert "listens on 81" in capfd.readouterr().err
