"""The ways into the mesh from outside: the gateway's ports and node ports, and at which address this machine has them.

Where a cluster's ports can be reached depends on where it runs: a load balancer's address, the nodes' own, or (kind in
Docker Desktop) ports of this machine. What answers is used; nothing is guessed.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from labsupport.engine.gatewayservices import MANAGED, MANAGER
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME

__all__ = ["PROBE", "EntrancePort", "Reach", "entrances", "hosts", "port_name"]

PROBE = "workshop-probe-"
"""Begins the authority of the requests by which a gateway is recognised; no Envoy routes them to anybody."""

# Istio's gateways answer here whether they are ready.
_STATUS = 15021
_CONNECT_S = 1.0
_GOOD_S, _BAD_S = 60.0, 10.0


@dataclass(frozen=True, slots=True)
class EntrancePort:
    """A port through which requests come in.

    Args:
        name: ``gateway`` (its port 80), ``gateway:<port>``, the same beginning with ``gateway/<name>`` for a Gateway of
            the Gateway API, or ``nodeport:<service>``.
        port: the Service's port.
        node_port: the same on every node; 0 if it has none.
        cluster_ip: the Service's address inside the cluster.
        balancers: addresses of its load balancer.
        status_port: node port of the gateway's status port, on which somebody always listens; 0 if there is none.
    """

    name: str
    port: int
    node_port: int
    cluster_ip: str
    balancers: tuple[str, ...] = ()
    status_port: int = 0

    @property
    def authority(self) -> str:
        """Host and port that requests show where the URL names none; the same on every engine."""
        shown = self.node_port if self.name.startswith("nodeport:") else self.port
        return "localhost" if shown == 80 else f"localhost:{shown}"


def port_name(way: str, port: int) -> str:
    """The name of a port of a gateway: the gateway's own for 80."""
    return way if port == 80 else f"{way}:{port}"


def _way(service: Mapping[str, Any], gateway: str) -> str:
    """What a gateway is called whose Service this is; empty for other Services."""
    labels = service["metadata"].get("labels") or {}
    if labels.get(MANAGED) == MANAGER:
        return f"gateway/{labels.get(GATEWAY_NAME)}"
    return "gateway" if service["metadata"]["name"] == gateway else ""


def entrances(services: Iterable[Mapping[str, Any]], gateway: str) -> dict[str, EntrancePort]:
    """The entrances of a namespace by name, the gateway's first.

    Args:
        services: its Services as the API server has them.
        gateway: name of the ingress gateway's Service.
    """
    entrance_ports: dict[str, EntrancePort] = {}
    status_port = 0
    for service in sorted(services, key=lambda item: item["metadata"]["name"] != gateway):
        spec, name, way = service["spec"], service["metadata"]["name"], _way(service, gateway)
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        balancers = tuple(str(address.get("ip") or address.get("hostname")) for address in ingress)
        if not way and spec.get("type") not in ("NodePort", "LoadBalancer"):
            continue
        for port in spec.get("ports") or ():
            if not way and not port.get("nodePort"):
                continue
            if port.get("protocol", "TCP") != "TCP":
                continue
            number = port["port"]
            if way and number == _STATUS:
                # Of one gateway is enough: it tells where the nodes can be reached.
                status_port = status_port or port.get("nodePort") or 0
                continue
            key = port_name(way, number) if way else f"nodeport:{name}"
            entrance = EntrancePort(key, number, port.get("nodePort") or 0, spec.get("clusterIP") or "", balancers)
            entrance_ports.setdefault(key, entrance)
    return {key: replace(address, status_port=status_port) for key, address in entrance_ports.items()}


def hosts(pods: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]] = ()) -> list[str]:
    """Addresses of nodes: those that pods run on, and those that the cluster lists, if it may be asked."""
    addresses: dict[str, None] = {}
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or ():
            if address.get("type") in ("ExternalIP", "InternalIP"):
                addresses.setdefault(str(address["address"]))
    for pod in pods:
        if (pod.get("status") or {}).get("hostIP"):
            addresses.setdefault(str(pod["status"]["hostIP"]))
    return list(addresses)


class Reach:
    """Finds out at which address this machine reaches an entrance, and remembers it for a while.

    Args:
        server: URL of the API server. Ports of this machine are tried only if that is on this machine too.
        seen: whether the gateway's access log has a request for an authority; proves that a gateway that answers on a
            port of this machine is the one of this cluster.
    """

    def __init__(self, server: str, seen: Callable[[str], bool]) -> None:
        host = urlsplit(server).hostname or ""
        self._local = host in ("localhost", "0.0.0.0") or host.startswith("127.") or host == "::1"
        self._seen = seen
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[bool, float]] = {}
        self._own_gateway: set[tuple[str, int]] = set()

    def address(self, entrance: EntrancePort, nodes: Sequence[str]) -> tuple[str, int] | None:
        """Host and port by which an entrance can be reached from this machine; None if by none.

        Args:
            entrance: which one.
            nodes: addresses of the nodes.
        """
        # A refused connection proves nothing: firewalls refuse too. On a host whose status port answers it does.
        ways = [((host, entrance.port), (host, _STATUS)) for host in entrance.balancers]
        if entrance.node_port:
            ways += [((host, entrance.node_port), (host, entrance.status_port)) for host in nodes]
        answers = self._try([place for way in ways for place in way if place[1]])
        reached = next((way[0] for way in ways if any(answers.get(place) for place in way)), None)
        if reached is not None or not self._local or not entrance.node_port:
            return reached
        here = ("127.0.0.1", entrance.node_port)
        if not self._try([here])[here]:
            return None
        # Something listens there. A node port is taken to be ours as soon as the gateway is.
        if entrance.name == "gateway" and here not in self._own_gateway:
            if not self._is_our_gateway(here):
                return None
            self._own_gateway.add(here)
        return here if entrance.name == "gateway" or self._own_gateway else None

    def _try(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        now = time.monotonic()
        with self._lock:
            unknown = [place for place in dict.fromkeys(places) if self._known.get(place, (False, 0.0))[1] < now]
        if unknown:
            with ThreadPoolExecutor(len(unknown), thread_name_prefix="reach") as pool:
                answers = list(pool.map(_answers, unknown))
            with self._lock:
                for place, good in zip(unknown, answers, strict=True):
                    self._known[place] = (good, now + (_GOOD_S if good else _BAD_S))
        with self._lock:
            return {place: self._known[place][0] for place in places}

    def _is_our_gateway(self, place: tuple[str, int]) -> bool:
        """Ask with a method that every Envoy answers itself, and look for it in our own gateway's log."""
        authority = f"{PROBE}{uuid.uuid4().hex[:12]}:80"
        connection = http.client.HTTPConnection(*place, timeout=_CONNECT_S)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.putrequest("CONNECT", authority, skip_host=True)
            connection.putheader("Host", authority)
            connection.endheaders()
            by_envoy = connection.getresponse().headers.get("server") == "istio-envoy"
            connection.close()
            return by_envoy and self._seen(authority)
        connection.close()
        return False


def _answers(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True
