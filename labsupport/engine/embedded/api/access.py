"""Who may use the front: TLS with a certificate of this lab's own, a token, and the kubeconfig that holds both."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from labsupport.certificates import Authority

__all__ = ["CONTEXT", "KUBECONFIG", "Access", "write_private"]

CONTEXT = "workshop-embedded"
KUBECONFIG = "kubeconfig"


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, at no moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@dataclass(frozen=True, slots=True)
class Access:
    """What opens the front.

    Args:
        token: what a client shows.
        certificate: file of the server's certificate.
        key: file of its key.
        kubeconfig: file for clients.
    """

    token: str
    certificate: Path
    key: Path
    kubeconfig: Path

    @classmethod
    def made(cls, folder: Path, port: int, namespace: str) -> Access:
        """Make it for a lab.

        Args:
            folder: the lab's run folder, which only its user can look into.
            port: where the front listens.
            namespace: the lab's namespace.
        """
        authority = Authority("Workshop lab")
        issued = authority.server("localhost", "127.0.0.1", days=30)
        access = cls(secrets.token_urlsafe(32), folder / "front.crt", folder / "front.key", folder / KUBECONFIG)
        write_private(access.certificate, issued.certificate)
        write_private(access.key, issued.key)
        trusted = base64.b64encode(authority.certificate.encode()).decode()
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": trusted}
        context = {"cluster": CONTEXT, "user": CONTEXT, "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "contexts": [{"name": CONTEXT, "context": context}],
            "users": [{"name": CONTEXT, "user": {"token": access.token}}],
        }
        # JSON is YAML, too, and every client reads it.
        write_private(access.kubeconfig, json.dumps(content, indent=2) + "\n")
        return access

    def admits(self, header: str) -> bool:
        """Whether an ``Authorization`` header carries the token."""
        return secrets.compare_digest(header.encode(), f"Bearer {self.token}".encode())
