"""Programs from releases: downloaded once into the cache, and used only when their SHA-256 is the expected one."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from labsupport import words
from labsupport.errors import EngineError, StorageError
from labsupport.setup.cluster import cache
from labsupport.setup.cluster.versions import Download, mirrored

__all__ = ["Progress", "fetch_text", "program", "sha256"]

Progress = Callable[[str, int, int], None]
"""Is told what is downloaded, the bytes so far, and the bytes in all (0 if unknown)."""

_CONNECT_S = 10.0
_READ_S = 30.0
_TRIES = 3
_CHUNK = 1 << 18
# The largest file of these releases is 40 MB; nobody's disk shall be filled by a wrong server.
_LARGEST = 300_000_000
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def program(wanted: Download, *, progress: Progress | None = None, tell: Callable[[str], None] | None = None) -> Path:
    """A program of a release, from the cache or downloaded into it.

    The file must have the SHA-256 that this version of the workshop knows. Where it knows none, the checksum that the
    release publishes is taken at the first download and kept beside the program: from then on only that file is used.

    Args:
        wanted: what to download.
        progress: is told how far it is.
        tell: is told what a user should know.

    Raises:
        EngineError: it cannot be downloaded, or is not the file that it should be.
        StorageError: the cache cannot be written.
    """
    place = cache.folder("bin") / f"{wanted.name}-{wanted.version}"
    kept = place.with_name(f"{place.name}.sha256")
    if place.is_file() and kept.is_file() and kept.read_text().split()[:1] == [sha256(place)]:
        return place
    expected = wanted.sha256 or _published(wanted, tell)
    with _temporary(place) as (stream, temporary):
        actual = _download(mirrored(wanted.url), stream, wanted.name, progress)
        if actual != expected:
            raise EngineError(
                f"{mirrored(wanted.url)} has the SHA-256 {actual}, and {expected} was expected: it is not the file of "
                f"the release, so it is not used. A proxy or a mirror may have replaced it. Install {wanted.name} by "
                "other means and put it on PATH, or set WORKSHOP_DOWNLOAD_MIRROR."
            )
        if wanted.member:
            _extract(stream, wanted, temporary)
        stream.close()
        temporary.chmod(0o700)
        digest = sha256(temporary)
        temporary.replace(place)
    kept.write_text(f"{digest}  {place.name}\n", encoding="utf-8")
    return place


def fetch_text(url: str, *, sort: str) -> str:
    """Download a text file.

    Args:
        url: where it is; ``WORKSHOP_DOWNLOAD_MIRROR`` applies.
        sort: what it is, for messages.

    Raises:
        EngineError: it cannot be downloaded.
    """
    buffer = io.BytesIO()
    _download(mirrored(url), buffer, sort, None)
    return buffer.getvalue().decode("utf-8", "replace")


def _published(wanted: Download, tell: Callable[[str], None] | None) -> str:
    """The checksum that the release itself publishes: the one kept from the first time, else asked for now."""
    kept = cache.folder("bin") / f"{wanted.url.rpartition('/')[2]}.published-sha256"
    if kept.is_file() and (match := _DIGEST.search(kept.read_text())):
        return match[0]
    text = fetch_text(wanted.sha256_url, sort=f"the checksum of {wanted.name}")
    match = _DIGEST.search(text)
    if match is None:
        raise EngineError(
            f"{mirrored(wanted.sha256_url)} holds no SHA-256. Install {wanted.name} {wanted.version} by other means "
            "and put it on PATH."
        )
    if tell is not None:
        tell(
            f"this version of the workshop has no checksum of its own for {wanted.name} on this platform: taking the "
            f"one that the release publishes, and keeping it in {kept}"
        )
    kept.write_text(text, encoding="utf-8")
    return match[0]


@contextmanager
def _temporary(place: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file beside ``place``; removed unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
    except OSError as error:
        raise StorageError(f"{place.parent} cannot be written: {error.strerror}. Set WORKSHOP_CACHE.") from error
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream, Path(name)
    except OSError as error:
        if isinstance(error, EngineError):
            raise
        raise StorageError(f"{place} cannot be written: {error.strerror or error}. Set WORKSHOP_CACHE.") from error
    finally:
        Path(name).unlink(missing_ok=True)


def _download(url: str, stream: IO[bytes], name: str, progress: Progress | None) -> str:
    """Write what is at an address into a file; try again what a bad connection breaks.

    Returns:
        Its SHA-256.
    """
    import requests

    for attempt in range(1, _TRIES + 1):
        stream.seek(0)
        stream.truncate()
        try:
            return _attempt(requests, url, stream, name, progress)
        except requests.HTTPError as error:
            status = error.response.status_code
            if status < 500 or attempt == _TRIES:
                raise EngineError(f"{url} is answered with status {status}. {_remedy(name)}") from None
        except requests.exceptions.SSLError as error:
            raise EngineError(
                f"the connection to {url} is not trusted ({_reason(error)}). Behind a proxy with a certificate of its "
                "own: REQUESTS_CA_BUNDLE=/path/to/ca-bundle.pem"
            ) from None
        except requests.RequestException as error:
            if attempt == _TRIES:
                raise EngineError(f"{url} cannot be downloaded: {_reason(error)}. {_remedy(name)}") from None
        time.sleep(attempt)  # not to be told the same again at once
    raise AssertionError("the last attempt returns or raises")


def _attempt(requests: Any, url: str, stream: IO[bytes], name: str, progress: Progress | None) -> str:
    digest, size = hashlib.sha256(), 0
    with requests.get(url, stream=True, timeout=(_CONNECT_S, _READ_S)) as response:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length") or 0)
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > _LARGEST:
                raise EngineError(f"{url} is larger than anything expected there; the download was stopped")
            digest.update(chunk)
            stream.write(chunk)
            if progress is not None:
                progress(name, size, total)
    if total and size != total and not response.headers.get("Content-Encoding"):
        raise requests.ConnectionError(f"the connection ended after {size:,} of {total:,} bytes")
    stream.flush()
    return digest.hexdigest()


def _extract(archive: IO[bytes], wanted: Download, target: Path) -> None:
    """Put the program in place of the archive that it is in; only that one member is read, whatever else there is."""
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as files:
            entry = next((file for file in files if file.isfile() and Path(file.name).name == wanted.member), None)
            data = files.extractfile(entry) if entry is not None else None
            if data is None:
                raise EngineError(f"there is no {wanted.member} in {wanted.url}")
            content = data.read()
    except (tarfile.TarError, EOFError) as error:
        raise EngineError(f"{wanted.url} cannot be unpacked: {error}") from None
    target.write_bytes(content)


def _remedy(name: str) -> str:
    return (
        f"Check the network (behind a proxy set HTTPS_PROXY), install {name} by other means and put it on PATH, "
        "or set WORKSHOP_DOWNLOAD_MIRROR to a server that has the files."
    )


def _reason(error: BaseException) -> str:
    """The innermost reason of a failed request."""
    inner: Any = error
    while True:
        arguments = getattr(inner, "args", ())
        deeper = getattr(inner, "reason", None) or (arguments[0] if arguments else None)
        if not isinstance(deeper, BaseException) or deeper is inner:
            break
        inner = deeper
    return words.reason(inner)
