"""An empty namespace of a real cluster, and a kubeconfig whose context is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubectl_program import Kubectl

from labsupport.engine.cluster.objects.namespace import chosen_name


@contextmanager
def on_cluster(program: str, folder: Path) -> Iterator[tuple[Kubectl, str]]:
    """A namespace with injection on the cluster of the current context; it goes with the block.

    Args:
        program: kubectl.
        folder: where the kubeconfig is written.
    """
    namespace = f"{chosen_name(None)}-kubectl"[:63]
    given = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    everywhere = Kubectl(program, given, folder)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(everywhere("config", "view", "--raw", "--minify", "--flatten"))
    kubectl = Kubectl(program, kubeconfig, folder)
    kubectl("config", "set-context", "--current", f"--namespace={namespace}")
    kubectl("delete", "ns", namespace, "--ignore-not-found", "--timeout=60s")
    kubectl("create", "ns", namespace)
    kubectl("label", "ns", namespace, "istio-injection=enabled")
    # Its controllers make what every namespace has.
    kubectl("wait", "--for=create", "sa/default", "--timeout=60s")
    try:
        yield kubectl, namespace
    finally:
        kubectl("delete", "ns", namespace, "--wait=false")
