"""From the desired state to the xDS of one proxy, as istiod of Istio 1.31 makes it.

One module per xDS type, and below them one per concern:

========================  ==========================================================================
``clusters``              CDS; ``connection_pool``, ``outlier``, ``load_balancing``, ``locality``, ``tls``
``endpoints``             EDS
``listeners``             LDS of sidecars: outbound, inbound, TCP and TLS chains
``http``                  RDS: matches, actions, retries, faults, header changes, tables per port
``gateway``               LDS and RDS of gateways
``tracing``               spans: who makes them, where they go, and their names
``policy``, ``names``     what of a DestinationRule counts; names of everything
========================  ==========================================================================

Results are proto JSON with proto field names. Equal results of different proxies are the same object, so they must
not be changed. Left out is what upstream Envoy cannot do or a mesh without certificates does not need: the ``istio.*``
filters, mutual TLS between sidecars, and tracing and route decorators where spans go nowhere.

Where the proxies do not run in pods of their own, the runtime must still put in real places (``localize``):

* listeners: ``virtualOutbound`` (15001), ``virtualInbound`` (15006) and the addresses of services are reached through
  iptables in a pod; ``bind_to_port: false`` listeners have no socket at all. A gateway's listeners bind 0.0.0.0.
* endpoint addresses in load assignments and DNS clusters are pod addresses.
* ``inbound|...`` clusters are of type ORIGINAL_DST, as are ``PassthroughCluster``, ``InboundPassthroughCluster`` and
  clusters of headless services: they go to wherever the connection was meant to go.
* certificates: secrets named ``kubernetes://<credential>`` come over the same stream, those named ``file-cert:`` and
  ``file-root:`` from a cluster ``sds-grpc`` of the bootstrap; neither is made here.
"""

from __future__ import annotations

from labsupport.controlplane.proxies import Proxy, ProxyResources
from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.translate.clusters import build_clusters
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.endpoints import build_endpoints
from labsupport.controlplane.translate.gateway import build_gateway
from labsupport.controlplane.translate.http.tables import sidecar_tables
from labsupport.controlplane.translate.listeners.inbound import inbound_listeners
from labsupport.controlplane.translate.listeners.meshwide import apply_mesh_config
from labsupport.controlplane.translate.listeners.outbound import outbound_listeners
from labsupport.controlplane.translate.listeners.tables import table_names
from labsupport.controlplane.translate.tracing import traced
from labsupport.controlplane.translate.unsupported import gateway_api_refusal, unsupported

__all__ = ["gateway_api_refusal", "translate", "unsupported"]


def translate(registry: Registry, proxy: Proxy) -> ProxyResources:
    """Make the configuration of one proxy.

    Args:
        registry: the desired state.
        proxy: the sidecar of a pod, or a gateway.

    Returns:
        Its clusters, endpoints, listeners and route tables.
    """
    context = Context(registry, proxy)
    clusters = build_clusters(context)
    endpoints = build_endpoints(context, clusters)
    if context.is_gateway:
        listeners, routes = build_gateway(context)
    else:
        listeners = outbound_listeners(context)
        listeners |= inbound_listeners(context)
        routes = sidecar_tables(context, table_names(listeners.values()))
    listeners, routes = traced(context, apply_mesh_config(listeners, registry.mesh, gateway=context.is_gateway), routes)
    return ProxyResources(
        clusters=clusters,
        endpoints=endpoints,
        listeners={name: MEMO.intern(("listener", name), listener) for name, listener in listeners.items()},
        routes={name: MEMO.intern(("table", name), table) for name, table in routes.items()},
    )
