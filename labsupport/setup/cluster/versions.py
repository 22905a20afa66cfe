"""The versions that ``workshop cluster up`` uses, where they come from, and the SHA-256 of what is downloaded.

Checksums are those that the projects publish beside their files. Where this list has none for a platform, that of the
release is taken when the file is first downloaded, and kept (see ``downloads``).
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass

from labsupport.errors import EngineError

__all__ = [
    "ADDONS_URL",
    "ISTIO_VERSION",
    "KIND_VERSION",
    "NODE_IMAGE",
    "NODE_IMAGE_CGROUP_V1",
    "OLDEST_KIND",
    "Download",
    "istioctl",
    "kind",
    "mirrored",
    "this_platform",
]

KIND_VERSION = "0.33.0"
OLDEST_KIND = (0, 29)
"""The oldest kind that is taken from PATH: its own default node image has a Kubernetes that Istio 1.31 supports."""
NODE_IMAGE = "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"
NODE_IMAGE_CGROUP_V1 = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
"""For control groups of version 1, which Kubernetes gave up with 1.35. Both are of kind 0.33.0's release notes."""
ISTIO_VERSION = "1.31.1"
ADDONS_URL = "https://raw.githubusercontent.com/istio/istio/{version}/samples/addons/{name}.yaml"

_MIRROR = "WORKSHOP_DOWNLOAD_MIRROR"
_KIND = {
    "linux-amd64": "aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d",
    "linux-arm64": "20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2",
    "darwin-amd64": "5a99f26f57246dc9319dd294803313197a0f34d33c525b3ea8b655db5916ece0",
    "darwin-arm64": "0c8c7dbe5e23594a198b786c4bc13dacc101fa6196b0cb0b23a1ca44e61f4b4f",
}
_ISTIOCTL = {
    "linux-amd64": "a44563904f22f2a8bf6ac4fff1b0bad9f718587c2be6aa807b83fe9049910639",
    "darwin-arm64": "3f37edda91e51a5948d688681c9db64971ee3abb38cda65d797dec51f46fecd1",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file of a release.

    Args:
        name: of the program, such as ``kind``.
        version: such as ``0.33.0``.
        url: where the file is.
        sha256: its checksum, as 64 hexadecimal digits; empty if this version of the workshop does not know it.
        sha256_url: where the release publishes it.
        member: file inside the archive ``url``; empty if the file is the program itself.
    """

    name: str
    version: str
    url: str
    sha256: str
    sha256_url: str
    member: str = ""


def mirrored(url: str) -> str:
    """An address, or the same path on ``WORKSHOP_DOWNLOAD_MIRROR`` where that is set.

    ``https://github.com/a/b`` becomes ``<mirror>/github.com/a/b``. Checksums stay those of the original.
    """
    mirror = os.environ.get(_MIRROR, "").rstrip("/")
    return f"{mirror}/{url.removeprefix('https://')}" if mirror else url


def this_platform() -> str:
    """The machine in the words of Go's releases, such as ``linux-amd64``.

    Raises:
        EngineError: there is no kind for it.
    """
    system = "darwin" if sys.platform == "darwin" else "linux" if sys.platform.startswith("linux") else ""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if not system or not machine:
        raise EngineError(
            f"kind has no nodes for {sys.platform} on {platform.machine()}. Use a cluster elsewhere: set KUBECONFIG "
            "(or WORKSHOP_CONTEXT) to one that has Istio, then ./workshop lab --engine cluster"
        )
    return f"{system}-{machine}"


def kind(platform_: str) -> Download:
    """The pinned kind for a platform."""
    url = f"https://github.com/kubernetes-sigs/kind/releases/download/v{KIND_VERSION}/kind-{platform_}"
    return Download("kind", KIND_VERSION, url, _KIND.get(platform_, ""), f"{url}.sha256sum")


def istioctl(platform_: str) -> Download:
    """The pinned istioctl for a platform."""
    asset = f"istioctl-{ISTIO_VERSION}-{platform_.replace('darwin', 'osx')}.tar.gz"
    url = f"https://github.com/istio/istio/releases/download/{ISTIO_VERSION}/{asset}"
    return Download("istioctl", ISTIO_VERSION, url, _ISTIOCTL.get(platform_, ""), f"{url}.sha256", "istioctl")
