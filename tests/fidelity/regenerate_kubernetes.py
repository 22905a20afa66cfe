"""Asks a real API server for its verdicts on odd objects of Kubernetes' own kinds and writes them down.

    python tests/fidelity/regenerate_kubernetes.py

It asks the server of the current kubeconfig context by dry runs, which change nothing. The result,
``validation/kubernetes.json``, holds the version of the server and for each object the fields that it objects to;
none if it takes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kubernetes_objects import OBJECTS

from labsupport.engine.cluster.api.connect import Connection

GOLDEN = Path(__file__).parent / "validation" / "kubernetes.json"
_PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/default/deployments",
    "Service": "/api/v1/namespaces/default/services",
    "ConfigMap": "/api/v1/namespaces/default/configmaps",
    "Secret": "/api/v1/namespaces/default/secrets",
    "Namespace": "/api/v1/namespaces",
}


def verdict(connection: Connection, made: dict[str, Any]) -> list[str]:
    """The fields that the server objects to."""
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    response = connection.open("POST", _PATHS[made["kind"]], query=query, body=json.dumps(made), preload=True)
    # What it takes may be there already.
    if response.status in (201, 409):
        return []
    causes = (json.loads(response.data).get("details") or {}).get("causes") or []
    return sorted({cause.get("field") or "" for cause in causes}) or [""]


def main() -> None:
    """Write the golden verdicts."""
    connection = Connection()
    version = connection.get("/version")["gitVersion"]
    verdicts = {name: verdict(connection, made) for name, made in OBJECTS.items()}
    GOLDEN.write_text(json.dumps({"version": version, "verdicts": verdicts}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(verdicts)} objects, {sum(map(bool, verdicts.values()))} refused; Kubernetes {version}")


if __name__ == "__main__":
    main()
