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
    context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
    cluster = next(one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    user = next(one["user"] for one in config["users"] if one["name"] == context["user"])
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
