"""Localisation changes addresses and the shape of listeners, and nothing else: over the whole fidelity corpus."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labsupport.controlplane.credentials import references
from labsupport.controlplane.encode import ORDER, Encoder
from labsupport.controlplane.offline.made_up_cluster import make_up
from labsupport.controlplane.proxies import ProxyResources
from labsupport.controlplane.snapshot import build
from labsupport.controlplane.translate import translate
from labsupport.engine.embedded.envoy import httpconn
from labsupport.engine.embedded.envoy.binary import CONTROL_SOCKET
from labsupport.engine.embedded.envoy.localize import LocalizedResources, Site, collectors, localize, needs
from labsupport.errors import LabError
from labsupport.model import Resource, parse
from labsupport.model.reading.documents import read

CORPUS = Path(__file__).parent

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 5000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec: {host: web, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
"""


def site_of(resources: ProxyResources, role: str) -> Site:
    """Made-up local ports for everything needed."""
    wanted = needs(resources, role)  # type: ignore[arg-type]
    numbers = iter(range(20_000, 60_000))
    return Site(
        role,  # type: ignore[arg-type]
        endpoints={address: next(numbers) for address in sorted(wanted.endpoints)},
        outbound=next(numbers),
        inbound={port: next(numbers) for port in sorted(wanted.inbound)},
        app={port: next(numbers) for port in sorted(wanted.inbound)},
        gateway={port: next(numbers) for port in sorted(wanted.gateway)},
        captured={address: next(numbers) for address in sorted(wanted.captured)},
        names={name: (next(numbers), next(numbers)) for name in sorted(wanted.names)},
    )


def addresses(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "socket_address" in value:
            yield value["socket_address"]
        for item in value.values():
            yield from addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from addresses(item)


def blanked(value: Any) -> Any:
    """The same without what a socket address says."""
    if isinstance(value, dict):
        return {key: "address" if key == "socket_address" else blanked(item) for key, item in value.items()}
    return [blanked(item) for item in value] if isinstance(value, list) else value


def managers(listeners: Any) -> Iterator[dict[str, Any]]:
    for listener in listeners.values():
        for chain in listener.get("filter_chains", ()):
            http_connection_manager = httpconn.http_connection_manager(chain["filters"])
            if http_connection_manager is not None:
                yield http_connection_manager


# Of istiod's inbound cluster: how it finds the program by the captured address.
CAPTURED = {"type", "lb_policy", "upstream_bind_config", "cleanup_interval", "load_assignment"}
# Of a cluster of names: how they are looked up, and what is behind them.
PLAYED = {
    "type", "load_assignment", "dns_lookup_family", "typed_dns_resolver_config", "dns_jitter", "dns_refresh_rate",
    "respect_dns_ttl",
}  # fmt: skip
# Of a connection manager: where it logs, how a table is chosen by the request's own port, and that a caller is believed
# about its client without mutual TLS.
CHOSEN = {
    "access_log", "early_header_mutation_extensions", "http_filters", "local_reply_config", "rds", "scoped_routes",
    "stat_prefix", "preserve_external_request_id", "forward_client_cert_details", "set_current_client_cert_details",
}  # fmt: skip


def check(resources: ProxyResources, role: str) -> None:
    before = copy.deepcopy(resources)
    site = site_of(resources, role)
    local = localize(resources, site)
    assert resources == before
    assert localize(resources, site, LocalizedResources()) == local

    # Spans go to the lab itself, whatever pods their collector has; all else is where it was.
    taken = collectors(resources.listeners) & resources.endpoints.keys()
    pipe = {"endpoint": {"address": {"pipe": {"path": CONTROL_SOCKET}}}}
    for name in taken:
        assert local.endpoints[name] == {"cluster_name": name, "endpoints": [{"lb_endpoints": [pipe]}]}
    ours, istiods = (
        {name: of[name] for name in of if name not in taken} for of in (local.endpoints, resources.endpoints)
    )
    assert blanked(ours) == blanked(istiods)
    left_out = set(resources.clusters) - set(local.clusters) - {"PassthroughCluster", "InboundPassthroughCluster"}
    assert all(name.startswith("inbound|") and int(name.split("|")[1]) not in site.inbound for name in left_out)
    for name, cluster in local.clusters.items():
        if name.startswith("connection|"):
            (address,) = addresses(cluster["load_assignment"])
            assert address["port_value"] in site.captured.values()
            continue
        theirs = resources.clusters[name]
        if name.startswith("inbound|"):
            kept = {key: value for key, value in cluster.items() if key not in CAPTURED}
            assert kept == {key: value for key, value in theirs.items() if key not in CAPTURED}
            (address,) = addresses(cluster["load_assignment"])
            assert address == {"address": "127.0.0.1", "port_value": site.app[int(name.split("|")[1])]}
        elif "dns_lookup_family" in theirs:
            kept = ({key: value for key, value in of.items() if key not in PLAYED} for of in (cluster, theirs))
            ours, istiods = map(with_sources_blanked, kept)
            assert ours == istiods
            assert all(address["address"] == "127.0.0.1" for address in addresses(cluster["load_assignment"]))
            groups = [group.get("lb_endpoints", []) for group in theirs["load_assignment"]["endpoints"]]
            played = [group["lb_endpoints"] for group in cluster["load_assignment"]["endpoints"]]
            assert [len(group) for group in played] == [2 * len(group) for group in groups]
        elif references([theirs]):
            assert with_sources_blanked(cluster) == with_sources_blanked(theirs)
        else:
            assert cluster is theirs

    assert all(local.routes[name] is resources.routes[name] for name in local.routes)
    if role == "gateway":
        assert local.routes.keys() == resources.routes.keys()
        assert blanked(list(local.listeners)) == blanked(list(resources.listeners))
        for name, listener in local.listeners.items():
            ours, theirs = sockets(listener), sockets(resources.listeners[name])
            assert with_sources_blanked(ours) == with_sources_blanked(theirs)
            assert matches(listener) == matches(resources.listeners[name])
            assert set(listener) - {"access_log"} == set(resources.listeners[name]) - {"access_log"}
    else:
        assert not any(name.isdigit() for name in set(resources.routes) - set(local.routes))
        assert set(local.scopes) == {name for name in local.routes if name.isdigit()}
        passed = local.listeners.keys() & {f"{address}_{port}" for address, port in site.captured}
        assert len(passed) == len(site.captured)
        assert sum(name.startswith("outbound") for name in local.listeners) == 1

    for listener in local.listeners.values():
        assert listener["address"]["socket_address"]["address"] == "127.0.0.1"
    theirs_by_settings = {json.dumps(settings(resource), sort_keys=True) for resource in managers(resources.listeners)}
    theirs_by_settings.add(json.dumps(settings(httpconn.OUTBOUND), sort_keys=True))
    for manager in managers(local.listeners):
        assert json.dumps(settings(manager), sort_keys=True) in theirs_by_settings

    encoder = Encoder()
    parts: tuple[Any, ...] = (local.clusters, local.endpoints, local.listeners, local.scopes, local.routes, {})
    snapshot = build(
        {
            kind: [encoder.encode(kind, resource) for resource in part.values()]
            for kind, part in zip(ORDER, parts, strict=True)
        },
        version="1",
    )
    assert snapshot.expected["EDS"] <= snapshot.resources["EDS"].keys()


def with_sources_blanked(value: Any) -> Any:
    """The same without where secrets are asked for: at the control plane, for want of Istio's agent."""
    if isinstance(value, dict):
        return {key: "source" if key == "sds_config" else with_sources_blanked(item) for key, item in value.items()}
    return [with_sources_blanked(item) for item in value] if isinstance(value, list) else value


def sockets(listener: dict[str, Any]) -> list[Any]:
    return [chain.get("transport_socket") for chain in listener.get("filter_chains", ())]


def matches(listener: dict[str, Any]) -> list[Any]:
    return [chain.get("filter_chain_match") for chain in listener.get("filter_chains", ())]


def settings(manager: dict[str, Any]) -> dict[str, Any]:
    """A connection manager without what localisation may change; of its filters, those that istiod chose."""
    kept = {key: value for key, value in manager.items() if key not in CHOSEN}
    own = "envoy.filters.http.header_mutation"
    kept["http_filters"] = [http_filter for http_filter in manager["http_filters"] if http_filter["name"] != own]
    return kept


def placed(resource: Resource) -> Resource:
    namespace = resource.namespace or ("" if resource.kind == "Namespace" else "default")
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update={"namespace": namespace})})


def corpus() -> list[str]:
    from cases import themes

    return themes()


@pytest.mark.parametrize("theme", corpus())
def test_only_addresses_and_the_shape_of_listeners_change(theme: str) -> None:
    from cases import cases

    checked = 0
    for case in list(cases(theme))[::12]:
        for proxy in case.proxies:
            try:
                documents = read(case.text)
                extra = [
                    document
                    for document in documents
                    if document.raw.get("kind") in ("Node", "Endpoints", "EndpointSlice")
                ]
                objects = [
                    placed(document)
                    for document in parse([document for document in documents if document not in extra])
                ]
                made_up = make_up(objects, extra, proxy)
            except LabError:
                continue  # Some cases are about what admission refuses.
            check(translate(made_up.registry, made_up.proxy), made_up.proxy.role)
            checked += 1
    assert checked


def test_the_settings_used_without_any_service_are_those_of_istiod() -> None:
    made_up = make_up(parse(read(SHOP)), [], "sidecar:web.default")
    resources = translate(made_up.registry, made_up.proxy)
    outbound = {name: listener for name, listener in resources.listeners.items() if name.startswith("0.0.0.0_")}
    (theirs,) = managers(outbound)
    assert settings(theirs) == settings(httpconn.OUTBOUND)


def test_the_limits_of_a_rule_hold_at_the_server_too() -> None:
    made_up = make_up(parse(read(SHOP)), [], "sidecar:web.default")
    resources = translate(made_up.registry, made_up.proxy)
    local = localize(resources, site_of(resources, "sidecar"))
    assert local.clusters["inbound|5000||"]["circuit_breakers"]["thresholds"][0]["max_connections"] == 3
    assert local.clusters["inbound|5000||"]["type"] == "STATIC"
