"""``workshop translate``: the xDS that the control plane makes of some files for one proxy; nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labsupport.manifest import Document, read
from labsupport.mesh.fixture import make_up
from labsupport.mesh.records import Json, ProxyResources
from labsupport.mesh.registry import EPOCH
from labsupport.mesh.translate import translate, unsupported
from labsupport.mesh.translate.context import Context
from labsupport.mesh.translate.listeners.tables import table_names
from labsupport.mesh.translate.targets import service_targets
from labsupport.model import CLUSTER_SCOPED, Resource, parse
from labsupport.model.validation import validate

__all__ = ["run"]

_WORKLOADS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"})
_NOT_MODELLED = frozenset({"Node", "Endpoints", "EndpointSlice"})


def run(files: Sequence[Path | str], proxy: str) -> Json:
    """Translate files for one proxy.

    Args:
        files: paths of files and folders, or YAML texts.
        proxy: ``sidecar:<pod or Deployment>.<namespace>`` or ``gateway:<pod or Deployment>.<namespace>``.

    Returns:
        ``clusters``, ``listeners``, ``routes`` and ``endpoints``, each sorted by name, and ``info``: the proxy, the
        objects that admission refuses (``rejected``) and what is not translated (``untranslated``).

    Raises:
        ManifestError: the input is no set of objects.
        UsageError: the proxy is not named in one of these forms.
    """
    documents = [document for source in files for document in read(source)]
    extra = [document for document in documents if document.raw.get("kind") in _NOT_MODELLED]
    modelled = [document for document in documents if document.raw.get("kind") not in _NOT_MODELLED]
    objects, rejected = _admitted(modelled)
    ages = {id(document.raw): EPOCH + position for position, document in enumerate(documents)}
    objects = [_completed(resource, ages[id(resource.raw)]) for resource in objects]
    made_up = make_up(objects, extra, proxy)
    resources = translate(made_up.registry, made_up.proxy)
    pod = made_up.proxy.pod
    targets = service_targets(Context(made_up.registry, made_up.proxy))
    return {
        "clusters": _sorted(resources.clusters),
        "listeners": _sorted(resources.listeners),
        "routes": _tables(resources),
        "endpoints": _sorted(resources.endpoints),
        "info": {
            "versions": {"istio": "1.31"},
            "rejected": rejected,
            "untranslated": [item for resource in objects for item in _untranslated(resource)],
            "proxy": {
                "type": "router" if made_up.proxy.role == "gateway" else "sidecar",
                "id": f"{pod.name}.{pod.namespace}",
                "ip": [pod.ip],
                "labels": dict(pod.labels),
                "services": [target.service.hostname for target in targets],
            },
        },
    }


def _tables(resources: ProxyResources) -> list[Json]:
    """Route tables, once for every listener that asks for them.

    The table of a detected protocol (``host:port``) holds its virtual host only the first time: that is what istiod
    answers to a request that names a table several times, as for the pods of a headless Service.
    """
    tables = []
    for name in sorted(resources.routes):
        table = resources.routes[name]
        asking = sum(table_names([listener]).count(name) for listener in resources.listeners.values())
        again = {key: value for key, value in table.items() if key != "virtual_hosts"} if ":" in name else table
        tables += [table, *[again] * (asking - 1)]
    return tables


def _sorted(resources: Any) -> list[Json]:
    return [resources[name] for name in sorted(resources)]


def _admitted(documents: Sequence[Document]) -> tuple[list[Resource], list[Json]]:
    """Objects that admission lets in, and the verdicts about the others, as istiod never sees those."""
    verdicts = {
        (verdict.kind, verdict.namespace, verdict.name): verdict for verdict in validate(documents) if verdict.errors
    }
    admitted = [document for document in documents if _reference(document) not in verdicts]
    rejected = [
        {
            "kind": verdict.kind,
            "namespace": verdict.namespace,
            "name": verdict.name,
            "errors": list(verdict.errors),
            "warnings": list(verdict.warnings),
        }
        for verdict in verdicts.values()
    ]
    return parse([_with_selector(document) for document in admitted]), rejected


def _reference(document: Document) -> tuple[object, object, object]:
    meta = document.raw.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return document.raw.get("kind"), meta.get("namespace") or "default", meta.get("name")


def _with_selector(document: Document) -> Document:
    """Give a workload without a selector an empty one: which pods it owns plays no part in translating."""
    spec = document.raw.get("spec")
    if document.raw.get("kind") not in _WORKLOADS or not isinstance(spec, dict) or "selector" in spec:
        return document
    spec["selector"] = {}
    return document


def _untranslated(resource: Resource) -> list[Json]:
    return [
        {
            "kind": resource.kind,
            "namespace": resource.namespace,
            "name": resource.name,
            "path": path,
            "reason": reason,
        }
        for path, reason in unsupported(resource)
    ]


def _completed(resource: Resource, age: float) -> Resource:
    """Fill in what the API server would: the namespace, and a creation time by the place among all documents."""
    update: dict[str, object] = {}
    if not resource.namespace and resource.kind not in CLUSTER_SCOPED:
        update["namespace"] = "default"
    if resource.metadata.creation_timestamp is None:
        update["creation_timestamp"] = datetime.fromtimestamp(age, UTC)
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update=update)})
