"""What to do when a program of the cluster's setup fails, found by the words that it wrote."""

from __future__ import annotations

import re

from labsupport.setup.cluster.versions import OLDEST_KIND

__all__ = ["NOT_READY", "of_images", "of_istioctl", "of_kind"]

_Table = tuple[tuple[tuple[str, ...], str], ...]

_KIND: _Table = (
    (
        ("port is already allocated", "address already in use", "failed to bind host port"),
        "A port is in use: stop what listens there, or give --no-ports.",
    ),
    (
        ("toomanyrequests", "pull rate limit"),
        "The registry's limit of pulls is reached: 'docker login' raises it, or wait for some hours; or bring the node "
        "image as an archive (docker load) and name it: --node-image",
    ),
    (
        ("failed to pull image", "no such host", "tls handshake timeout", "i/o timeout", "manifest unknown"),
        "The node image could not be pulled: check the network and the proxy settings of the container engine, or "
        "bring the image as an archive (docker load -i FILE) and name it: --node-image",
    ),
    (
        ("too many open files", "inotify"),
        "As administrator: sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
    ),
    (
        ("no space left",),
        "The disk of the container engine is full: see 'docker system df' and 'docker system prune'.",
    ),
    (("cgroup",), "See the line 'control groups' of: ./workshop cluster up --check"),
)
NOT_READY = (
    "Too little memory, or no network plugin (with disableDefaultCNI you have to install one). See 'docker stats'; "
    "'./workshop cluster up' goes on when the node is ready."
)
"""For a cluster whose node stays unready."""

_IMAGES: _Table = (
    (
        ("toomanyrequests", "pull rate limit"),
        "Docker Hub's limit of pulls is reached. 'docker login' raises it; or wait for some hours.",
    ),
    (
        ("temporary failure in name resolution", "name or service not known", "no such host", "network is unreachable"),
        "The build has no network: it needs Docker Hub (python:3.12-slim) and PyPI. Behind a proxy set HTTPS_PROXY; "
        "without a network bring the images as archives: 'workshop cluster images --archive DIR' elsewhere, then "
        "'workshop cluster up --image-archives DIR' here.",
    ),
    (
        ("certificate verify failed", "x509"),
        "A proxy replaces certificates: give the container engine and pip its certificate, or bring the images as "
        "archives: --image-archives DIR",
    ),
    (("exec format error",), "Emulation is missing: docker run --privileged --rm tonistiigi/binfmt --install all"),
    (
        ("denied", "unauthorized", "authentication required", "no basic auth"),
        "The registry refuses you: docker login REGISTRY (podman login REGISTRY), with the right to push there.",
    ),
    (
        ("server gave http response to https client",),
        "The registry speaks http only: name it among the insecure registries of the container engine.",
    ),
    (("no space left",), "The disk of the container engine is full: see 'docker system df' and 'docker system prune'."),
)
_IMAGES_ELSE = (
    "If it is a passing fault, run it again. To build elsewhere and bring the images as archives: 'workshop cluster "
    "images --archive DIR', then 'workshop cluster up --image-archives DIR'."
)
_ISTIOCTL: _Table = (
    (
        ("imagepullbackoff", "errimagepull", "toomanyrequests", "pull"),
        "Istio's images cannot be pulled: check the network; or name another registry (--istio-hub, --istio-tag), or "
        "bring them as archives (--image-archives). Then run it again.",
    ),
    (
        ("timed out", "timeout", "deadline", "not ready"),
        "istiod did not become ready in five minutes: a slow network or too little memory. Run it again to go on; see "
        "'istioctl analyze' and the pods of istio-system.",
    ),
    (("connection refused", "no such host"), "The cluster does not answer: ./workshop cluster status"),
)


def of_kind(said: str) -> str:
    """What to do when kind fails."""
    oldest = ".".join(map(str, OLDEST_KIND))
    return _first(_KIND, said) or f"Run it again: what is done is not done anew. kind {oldest} or newer is needed."


def of_istioctl(said: str) -> str:
    """What to do when istioctl fails."""
    return _first(_ISTIOCTL, said) or "Run it again: what is done is not done anew."


def of_images(said: str) -> str:
    """What to do when an image cannot be built, saved or pushed."""
    if remedy := _first(_IMAGES, said):
        return remedy
    # pip's and Docker's other ways to say that there is no network.
    if re.search(r"dial tcp|could not fetch url|connection (refused|reset)|timed out", said.lower()):
        return _first(_IMAGES, "no such host")
    return _IMAGES_ELSE


def _first(table: _Table, said: str) -> str:
    lower = said.lower()
    return next((remedy for words, remedy in table if any(word in lower for word in words)), "")
