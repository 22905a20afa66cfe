"""What the mesh configuration says of traces, and the Service that spans are sent to: the lab itself takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

from labsupport.controlplane.registry.meshconfig import MeshConfig, read_mesh_config, written_fields
from labsupport.engine.tracers import COLLECTOR, COLLECTOR_PORT, JAEGER
from labsupport.model import Resource, Telemetry, parse
from labsupport.model.kinds.telemetry import Selector
from labsupport.model.reading.documents import read
from labsupport.records import JsonObject

__all__ = ["READ", "mesh_of", "notes", "with_collector"]

READ = ("defaultConfig", "defaultProviders", "enableTracing", "extensionProviders")
"""Fields of the mesh configuration that count here, of ``defaultConfig`` only ``tracing``."""
_GATEWAY = {"istio": "ingressgateway"}
_SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: {COLLECTOR}, namespace: istio-system}}
spec: {{ports: [{{name: grpc-otel, port: {COLLECTOR_PORT}}}]}}
"""


def mesh_of(objects: Iterable[Resource]) -> MeshConfig:
    """The mesh configuration as far as it is about traces; it has the provider ``jaeger`` unless it lists others.

    Args:
        objects: all objects.

    Raises:
        ManifestError: istiod refuses it.
    """
    written: JsonObject = {}
    for resource in objects:
        written = written_fields(resource) or written
    given = {key: written[key] for key in READ if key in written}
    if isinstance(given.get("defaultConfig"), dict):
        given["defaultConfig"] = {"tracing": given["defaultConfig"].get("tracing")}
    return _mesh(json.dumps({"extensionProviders": [JAEGER], **given}, default=str))


@lru_cache(maxsize=8)
def _mesh(text: str) -> MeshConfig:
    # Equal configurations are one object: what is made of it is kept by identity.
    return read_mesh_config((), text)


@cache
def _collector() -> Resource:
    (service,) = parse(read(_SERVICE))
    return service


def with_collector(objects: Sequence[Resource], mesh: MeshConfig, *, namespace: str) -> Sequence[Resource]:
    """The objects, and what belongs to traces besides: the collector's Service, and what its lab tells the gateway.

    On a cluster the gateway of a lab runs in the namespace of the lab, so that a Telemetry there counts for it, too.

    Args:
        objects: all objects.
        mesh: the mesh configuration.
        namespace: of the lab.
    """
    told = [item for item in objects if isinstance(item, Telemetry) and item.namespace == namespace]
    objects = (*objects, *(_for_gateway(item) for item in told if not item.match_labels)) if told else objects
    service = _collector()
    asked = mesh.default_tracer or any(item.spec.tracing for item in objects if isinstance(item, Telemetry))
    there = any((item.kind, item.namespace, item.name) == ("Service", "istio-system", COLLECTOR) for item in objects)
    return (*objects, service) if asked and not there else objects


def _for_gateway(telemetry: Telemetry) -> Telemetry:
    metadata = telemetry.metadata.model_copy(update={"namespace": "istio-system"})
    spec = telemetry.spec.model_copy(update={"selector": Selector.model_validate({"matchLabels": _GATEWAY})})
    return telemetry.model_copy(update={"metadata": metadata, "spec": spec})


def notes(news: Iterable[Resource], objects: Sequence[Resource]) -> Iterator[str]:
    """What is to be said of a Telemetry that traces nothing: istiod says nothing of it.

    Args:
        news: what is applied.
        objects: all there will be.
    """
    mesh = mesh_of(objects)
    known = [name for name, _ in mesh.tracers]
    for telemetry in news:
        for rule in telemetry.spec.tracing if isinstance(telemetry, Telemetry) else ():
            for provider in rule.providers[:1]:
                if provider.name not in known:
                    yield (
                        f"Telemetry/{telemetry.name}: the mesh configuration has no provider {provider.name} for "
                        f"traces, so that nothing is traced. There is: {', '.join(known) or 'none'}"
                    )
