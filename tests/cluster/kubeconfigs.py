"""Kubeconfigs of other people, and of other ways to the same cluster."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import yaml


def raw_kubeconfig() -> dict[str, Any]:
    place = (os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)[0]
    config = yaml.safe_load(Path(place).expanduser().read_text())
    context = next(context["context"] for context in config["contexts"] if context["name"] == config["current-context"])
    cluster = next(cluster["cluster"] for cluster in config["clusters"] if cluster["name"] == context["cluster"])
    user = next(user["user"] for user in config["users"] if user["name"] == context["user"])
    return {"cluster": copy.deepcopy(cluster), "user": copy.deepcopy(user)}


def write_kubeconfig(place: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    place.write_text(yaml.safe_dump(made))
    return place
