"""Where spans go in a mesh of the workshop: the same name on both engines, so that one Telemetry does for both."""

from __future__ import annotations

from labsupport.records import JsonObject

__all__ = ["COLLECTOR", "COLLECTOR_PORT", "JAEGER"]

COLLECTOR = "jaeger-collector"
COLLECTOR_PORT = 4317
JAEGER: JsonObject = {
    "name": "jaeger",
    "opentelemetry": {"service": f"{COLLECTOR}.istio-system.svc.cluster.local", "port": COLLECTOR_PORT},
}
"""An entry of ``extensionProviders`` of the mesh configuration, for spans over OTLP."""
