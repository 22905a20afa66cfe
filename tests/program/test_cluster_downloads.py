"""Programs from releases: downloaded once, and used only with the expected SHA-256; from a real HTTP server."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labsupport.errors import EngineError, StorageError
from labsupport.setup.cluster import cache, downloads, tools, versions
from labsupport.setup.cluster.versions import Download

SCRIPT = b"#!/bin/sh\necho 0.33.0\n"


class Files:
    """What the server has: by path a body, and statuses that are answered first."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.statuses: list[int] = []
        self.asked: list[str] = []
        self.cut = 0
        self.url = ""

    def release(self, name: str, body: bytes, *, sha256: str = "", member: str = "") -> Download:
        """Publish a file with its checksum beside it; ``sha256`` is what the workshop knows of it."""
        path = f"/release/{name}"
        self.bodies[path] = body
        self.bodies[f"{path}.sha256sum"] = f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()
        url = self.url + path
        return Download("kind", "0.33.0", url, sha256, f"{url}.sha256sum", member)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    made = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            status = made.statuses.pop(0) if made.statuses else 200 if self.path in made.bodies else 404
            body = made.bodies.get(self.path, b"") if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - made.cut])
            made.cut = 0

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WORKSHOP_DOWNLOAD_MIRROR", raising=False)
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)  # between two tries
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            made.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def test_a_program_is_downloaded_once_and_can_be_run(files: Files):
    wanted = files.release("kind-linux-amd64", SCRIPT, sha256=digest(SCRIPT))
    seen: list[tuple[str, int, int]] = []
    program = downloads.program(wanted, progress=lambda *told: seen.append(told))
    assert program.read_bytes() == SCRIPT and os.access(program, os.X_OK)
    assert seen[-1] == ("kind", len(SCRIPT), len(SCRIPT))
    assert downloads.program(wanted) == program
    assert files.asked == ["/release/kind-linux-amd64"]


def test_nobody_else_may_write_where_programs_are_run_from(files: Files):
    program = downloads.program(files.release("kind", SCRIPT, sha256=digest(SCRIPT)))
    assert cache.folder().stat().st_mode & 0o077 == 0 and program.stat().st_mode & 0o077 == 0


def test_a_file_with_another_checksum_is_not_used(files: Files):
    wanted = files.release("kind", SCRIPT, sha256=digest(b"the real one"))
    with pytest.raises(EngineError, match="it is not the file of the release") as raised:
        downloads.program(wanted)
    assert digest(SCRIPT) in str(raised.value) and digest(b"the real one") in str(raised.value)
    assert list(cache.folder("bin").iterdir()) == [], "nothing is kept of it"


def test_a_program_that_was_changed_in_the_cache_is_downloaded_again(files: Files):
    wanted = files.release("kind", SCRIPT, sha256=digest(SCRIPT))
    program = downloads.program(wanted)
    program.write_bytes(b"#!/bin/sh\necho something else\n")
    assert downloads.program(wanted).read_bytes() == SCRIPT
    assert len(files.asked) == 2


def test_without_a_checksum_of_ours_that_of_the_release_is_taken_and_kept(files: Files):
    wanted = files.release("kind", SCRIPT)
    told: list[str] = []
    program = downloads.program(wanted, tell=told.append)
    assert program.read_bytes() == SCRIPT
    assert len(told) == 1 and "no checksum of its own" in told[0]
    # Whoever replaces the file later, with its checksum, is noticed.
    program.unlink()
    files.release("kind", b"another")
    with pytest.raises(EngineError, match=digest(SCRIPT)):
        downloads.program(wanted)


def test_a_release_without_a_checksum(files: Files):
    wanted = files.release("kind", SCRIPT)
    files.bodies["/release/kind.sha256sum"] = b"<html>not found</html>"
    with pytest.raises(EngineError, match="holds no SHA-256"):
        downloads.program(wanted)


def test_only_the_program_is_taken_out_of_an_archive(files: Files, tmp_path: Path):
    body = archive(**{"../outside": b"x", "bin/istioctl": SCRIPT})
    program = downloads.program(files.release("istioctl.tar.gz", body, sha256=digest(body), member="istioctl"))
    assert program.read_bytes() == SCRIPT
    assert sorted(file.name for file in cache.folder("bin").iterdir()) == [program.name, f"{program.name}.sha256"]
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("body", [archive(other=SCRIPT), b"no archive"])
def test_an_archive_without_the_program(files: Files, body: bytes):
    with pytest.raises(EngineError, match=r"there is no istioctl|cannot be unpacked"):
        downloads.program(files.release("istioctl.tar.gz", body, sha256=digest(body), member="istioctl"))


def test_a_bad_moment_of_the_server_is_tried_again(files: Files):
    files.statuses = [503, 502]
    wanted = files.release("kind", SCRIPT, sha256=digest(SCRIPT))
    assert downloads.program(wanted).read_bytes() == SCRIPT
    assert len(files.asked) == 3


def test_a_download_that_breaks_off_is_tried_again(files: Files):
    files.cut = 5
    wanted = files.release("kind", SCRIPT, sha256=digest(SCRIPT))
    assert downloads.program(wanted).read_bytes() == SCRIPT
    assert len(files.asked) == 2


def test_what_is_not_there_is_not_asked_for_again(files: Files):
    wanted = files.release("kind", SCRIPT, sha256=digest(SCRIPT))
    files.bodies.clear()
    with pytest.raises(EngineError, match=r"status 404.*put it on PATH.*WORKSHOP_DOWNLOAD_MIRROR"):
        downloads.program(wanted)
    assert len(files.asked) == 1


def test_a_server_that_is_not_there(files: Files):
    wanted = Download("kind", "0.33.0", "http://127.0.0.1:9/kind", "0" * 64, "")
    with pytest.raises(EngineError, match=r"cannot be downloaded: .*(refused|denied).*HTTPS_PROXY"):
        downloads.program(wanted)


def test_a_mirror_takes_the_place_of_the_releases_server(files: Files, monkeypatch: pytest.MonkeyPatch):
    path = "/github.com/kubernetes-sigs/kind/releases/download/v1/kind"
    files.bodies[path] = SCRIPT
    monkeypatch.setenv("WORKSHOP_DOWNLOAD_MIRROR", f"{files.url}/")
    wanted = Download("kind", "1", f"https:/{path}", digest(SCRIPT), "")
    assert downloads.program(wanted).read_bytes() == SCRIPT
    assert files.asked == [path]


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="WORKSHOP_CACHE"):
        cache.folder("bin")


def test_a_damaged_record_is_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path))
    record = cache.Record("c")
    record.update(a=1, b=2)
    record.update(b=None)
    assert record.read() == {"a": 1}
    record.file.write_text("{")
    assert record.read() == {}


# --- which kind, which istioctl ---------------------------------------------------------------------------------------


def program(folder: Path, name: str, output: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def offered(files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Files:
    """PATH without kind; a server with a pinned one."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(versions, "kind", lambda platform: files.release("kind", SCRIPT, sha256=digest(SCRIPT)))
    return files


@pytest.mark.parametrize(("version", "taken"), [("0.29.0", True), ("0.40.1", True), ("0.28.0", False), ("what", False)])
def test_a_kind_on_path_is_taken_if_it_fits(offered: Files, tmp_path: Path, version: str, taken: bool):
    program(tmp_path / "bin", "kind", version)
    told: list[str] = []
    kind = tools.kind(tell=told.append)
    assert kind is not None
    assert (kind.origin, kind.version) == (("PATH", version) if taken else ("cache", "0.33.0"))
    assert bool(told) != taken and kind.pinned != taken


@pytest.mark.parametrize(
    ("version", "taken"), [("1.31.4", True), ("1.31-eed52ebb66ad", True), ("1.30.2", False), ("unknown", False)]
)
def test_an_istioctl_on_path_is_taken_if_it_is_of_the_courses_istio(
    files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, taken: bool
):
    program(tmp_path / "bin", "istioctl", f'{{"clientVersion": {{"version": "{version}"}}}}')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    istioctl = tools.istioctl(download=False)
    assert (istioctl is not None) == taken


def test_status_downloads_nothing(offered: Files):
    assert tools.kind(download=False) is None
    assert tools.kind() is not None
    assert tools.kind(download=False) is not None
    assert len(offered.asked) == 1


def test_a_downloaded_program_that_does_not_run(offered: Files, monkeypatch: pytest.MonkeyPatch):
    broken = b"not a program"
    monkeypatch.setattr(versions, "kind", lambda platform: offered.release("kind", broken, sha256=digest(broken)))
    with pytest.raises(EngineError, match="noexec"):
        tools.kind()


@pytest.mark.parametrize("platform", ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"])
def test_what_is_pinned_is_complete(platform: str):
    kind, istioctl = versions.kind(platform), versions.istioctl(platform)
    assert re.fullmatch(r"[0-9a-f]{64}", kind.sha256)
    assert re.fullmatch(r"[0-9a-f]{64}|", istioctl.sha256)
    assert istioctl.url.endswith(f"-{platform.replace('darwin', 'osx')}.tar.gz")
    for image in (versions.NODE_IMAGE, versions.NODE_IMAGE_CGROUP_V1):
        assert re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [("linux", "x86_64", "linux-amd64"), ("linux", "aarch64", "linux-arm64"), ("darwin", "arm64", "darwin-arm64")],
)
def test_platforms_have_the_names_of_the_releases(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, name: str
):
    monkeypatch.setattr(versions.sys, "platform", system)
    monkeypatch.setattr(versions.platform, "machine", lambda: machine)
    assert versions.this_platform() == name
    monkeypatch.setattr(versions.platform, "machine", lambda: "riscv64")
    with pytest.raises(EngineError, match="KUBECONFIG"):
        versions.this_platform()
