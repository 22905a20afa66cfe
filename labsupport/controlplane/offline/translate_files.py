"""``workshop translate``: the xDS that the control plane makes of some files for one proxy; nothing is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labsupport.controlplane.offline.admission import documents_of, read_input
from labsupport.controlplane.offline.made_up_cluster import Inject, make_up
from labsupport.controlplane.proxies import ProxyResources
from labsupport.controlplane.translate import translate, unsupported
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.listeners.tables import table_names
from labsupport.controlplane.translate.targets import service_targets
from labsupport.model import Resource
from labsupport.records import JsonObject

__all__ = ["run"]


def run(
    files: Sequence[Path | str],
    proxy: str,
    *,
    labels: Mapping[str, str] | None = None,
    inject: Inject = "all",
    mesh_config: str = "",
) -> JsonObject:
    """Translate files for one proxy.

    Args:
        files: paths of files and folders, or YAML texts.
        proxy: ``sidecar:<pod or Deployment>.<namespace>`` or ``gateway:<pod or Deployment>.<namespace>``.
        labels: of the proxy's pod, if that is not in the input.
        inject: which pods have a sidecar: ``all``, those that labels ask for (``auto``), or ``none``.
        mesh_config: YAML text of fields of MeshConfig to change.

    Returns:
        ``clusters``, ``listeners``, ``routes`` and ``endpoints``, each sorted by name, and ``info``: the proxy, the
        objects that admission refuses (``rejected``), what is passed over (``ignored``) and what is not translated
        (``untranslated``).

    Raises:
        ManifestError: the input is no set of objects, or istiod refuses its mesh configuration.
        UsageError: the proxy is not named in one of these forms.
    """
    given = read_input([document for source in files for document in documents_of(source)])
    made_up = make_up(given.objects, given.extra, proxy, labels=labels, inject=inject, mesh_config=mesh_config)
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
            "rejected": given.rejected,
            "ignored": given.ignored,
            "untranslated": [item for resource in given.objects for item in _untranslated(resource)],
            "proxy": {
                "type": "router" if made_up.proxy.role == "gateway" else "sidecar",
                "id": f"{pod.name}.{pod.namespace}",
                "ip": [pod.ip],
                "labels": dict(pod.labels),
                "made_up": made_up.proxy_made_up,
                "services": [target.service.hostname for target in targets],
            },
        },
    }


def _tables(resources: ProxyResources) -> list[JsonObject]:
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


def _sorted(resources: Any) -> list[JsonObject]:
    return [resources[name] for name in sorted(resources)]


def _untranslated(resource: Resource) -> list[JsonObject]:
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
