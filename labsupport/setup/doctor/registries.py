"""How many images Docker Hub still lets this address pull: a classroom behind one address reaches the limit soon."""

from __future__ import annotations

from collections.abc import Iterator

from labsupport.setup.finding import Finding

__all__ = ["docker_hub"]

_TOKEN = "https://auth.docker.io/token"
# Docker's own repository for this question; asking with HEAD does not count as a pull.
_QUESTION = "https://registry-1.docker.io/v2/ratelimitpreview/test/manifests/latest"
_SCOPE = {"service": "registry.docker.io", "scope": "repository:ratelimitpreview/test:pull"}
_TIMEOUT_S = (2.0, 2.0)
# The node of kind, the base of the course's images, Istio's two, and the add-ons.
_NEEDED = 10
_REMEDY = (
    "'docker login' raises the limit. A class: './workshop cluster images --archive DIR' on one machine, then "
    "'./workshop cluster up --image-archives DIR' on the others; or a registry mirror in the room."
)


def docker_hub() -> Iterator[Finding]:
    """Ask Docker Hub for the limit of anonymous pulls from this address, and for what is left of it."""
    import requests

    try:
        token = requests.get(_TOKEN, params=_SCOPE, timeout=_TIMEOUT_S).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.head(_QUESTION, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
    except (requests.RequestException, ValueError, KeyError, TypeError):
        yield Finding(
            "note",
            "Docker Hub",
            "cannot be reached from here",
            "Without it, bring images as archives: ./workshop cluster up --image-archives DIR --node-image NAME",
        )
        return
    left = answer.headers.get("ratelimit-remaining", "").partition(";")[0]
    limit = answer.headers.get("ratelimit-limit", "").partition(";")[0]
    if answer.status_code == 429 or (left.isdigit() and int(left) == 0):
        yield Finding("warning", "Docker Hub", "the limit of pulls from this address is reached", _REMEDY)
    elif left.isdigit() and int(left) < _NEEDED:
        yield Finding("warning", "Docker Hub", f"{left} of {limit} pulls are left for this address", _REMEDY)
    else:
        shown = f"{left} of {limit} anonymous pulls are left" if left.isdigit() else "no limit of pulls"
        yield Finding("ok", "Docker Hub", f"{shown} for this address")
