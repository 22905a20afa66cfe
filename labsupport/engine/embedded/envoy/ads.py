"""The ADS server: state of the world, one stream per proxy, an update is in force when it is acknowledged.

Four details of the protocol decide whether this is right:

* Clusters and endpoints are separate types. After a cluster is added or changed, Envoy waits for its endpoints, and
  asks for them only if it did not ask before; so endpoints of such clusters are always sent again after the clusters,
  and likewise the route tables of listeners and scopes that are new or changed.
* An answer may be overtaken by a request. A request that names an older nonce is not an acknowledgement of the
  newest answer, but its list of names counts.
* Envoy drops resources that it has not subscribed to. What an acknowledgement does not name was dropped, and is sent
  again once it is asked for.
* Envoy asks for a secret again when a new listener or cluster is the first to use it, which may be right after the
  last one that used it has gone. Between these two requests nothing need be sent, so the second one looks like
  another acknowledgement; for secrets, whatever is no acknowledgement is a question.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from labsupport.controlplane.encode import ORDER, TYPE_URLS, Encoded, XdsType
from labsupport.controlplane.snapshot import EMPTY, Snapshot, referred
from labsupport.errors import ConfigRejectedError, WaitTimeoutError

__all__ = ["AdsServer", "Delivery", "Rejection"]

_KINDS: Mapping[str, XdsType] = {url: kind for kind, url in TYPE_URLS.items()}
_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
# Who ends once may have been killed; who ends again when it gets the same again does not survive it.
_ENDS = 2
# Types that Envoy asks for as a whole; an answer lists all, and what it leaves out is removed.
_WHOLE: frozenset[XdsType] = frozenset(("CDS", "LDS", "SRDS"))


@dataclass(frozen=True, slots=True)
class Rejection:
    """A NACK: which type, at which version, and Envoy's reason."""

    kind: XdsType
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One proxy has acknowledged everything: the types that were sent, and when (``time.monotonic``) it was done."""

    types: tuple[XdsType, ...]
    done: float


@dataclass
class _TypeState:
    subscribed: bool = False
    names: frozenset[str] = frozenset()
    sent: dict[str, Encoded] = field(default_factory=dict)
    version: str = ""
    nonce: str = ""
    acknowledged: bool = True
    held: set[str] = field(default_factory=set)


def _reason(message: str) -> str:
    """Envoy's reason without the dump of the whole resource that it puts before it."""
    if not message.startswith("goo.gle/debug"):
        return message
    _, separator, reason = message.rpartition("\n: ")
    # Envoy cuts a long message off at its end, which is where the reason would be.
    return reason if separator else "its answer is cut off before the reason; the log of this proxy has it all"


class _AdsStream:
    """The protocol state of one connected proxy."""

    def __init__(self) -> None:
        self.types: dict[XdsType, _TypeState] = {kind: _TypeState() for kind in ORDER}
        self.wake = asyncio.Event()
        self._count = 0

    def take(self, request: Any) -> Rejection | None:
        """Note a request; returns the rejection if it is one."""
        kind = _KINDS.get(request.type_url)
        if kind is None:
            return None
        state = self.types[kind]
        state.subscribed = True
        names = frozenset(request.resource_names)
        rejection = None
        if request.response_nonce and request.response_nonce == state.nonce:
            if kind == "SDS" and state.acknowledged and not names < state.names:
                state.sent = {}
            state.acknowledged = True
            if request.HasField("error_detail"):
                rejection = Rejection(kind, state.version, _reason(request.error_detail.message))
            if kind not in _WHOLE:
                state.sent = {name: resource for name, resource in state.sent.items() if name in names}
            if rejection is None:
                state.held |= state.sent.keys()
        state.names = names
        state.held &= names
        return rejection

    def due(self, snapshot: Snapshot) -> list[Any]:
        """Answers that are due now, in the order of sending; they count as sent."""
        answers = []
        announced: dict[XdsType, set[str]] = {"EDS": set(), "RDS": set()}
        for kind in ORDER:
            state = self.types[kind]
            if not state.subscribed:
                continue
            target = snapshot.resources[kind]
            if kind in _WHOLE:
                if state.nonce and state.sent == target:
                    continue
                chosen = dict(target)
                news = [resource for name, resource in chosen.items() if state.sent.get(name) != resource]
                announced["EDS" if kind == "CDS" else "RDS"] |= referred(news)
                state.sent = chosen
            else:
                # What was announced just now is sent along, although Envoy's request for it is still on its way.
                fresh = announced.get(kind, set())
                wanted = (state.names | fresh) & target.keys()
                chosen = {
                    name: target[name] for name in wanted if name in fresh or state.sent.get(name) != target[name]
                }
                if not chosen:
                    continue
                state.sent.update(chosen)
            answers.append(self._answer(kind, state, chosen.values(), snapshot.versions[kind]))
        return answers

    def _answer(self, kind: XdsType, state: _TypeState, chosen: Iterable[Encoded], version: str) -> Any:
        self._count += 1
        state.nonce, state.version, state.acknowledged = str(self._count), version, False
        return discovery_pb2.DiscoveryResponse(
            version_info=version,
            type_url=TYPE_URLS[kind],
            nonce=state.nonce,
            resources=[encoded.any for encoded in chosen],
        )

    def waiting_for(self, snapshot: Snapshot) -> list[str]:
        """What is still missing until the proxy holds a snapshot; empty if it does."""
        missing = []
        for kind in ORDER:
            state, target = self.types[kind], snapshot.resources[kind]
            expected = snapshot.expected[kind]
            if not state.subscribed:
                if expected or kind in ("CDS", "LDS"):
                    missing.append(f"its first request for {kind}")
            elif not state.acknowledged:
                missing.append(f"its acknowledgement of {kind} version {state.version}")
            elif kind in _WHOLE:
                if not state.nonce or state.sent != target:
                    missing.append(f"{kind}")
            elif any(state.sent.get(name) != target[name] for name in expected):
                missing.append(f"its request for {kind}")
        return missing


class _ProxyNode:
    """A proxy that is to be configured, connected or not."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.stream: _AdsStream | None = None
        self.changed = asyncio.Condition()
        self.rejection: Rejection | None = None
        self.removed = False
        self.ends = 0
        self.last_words = ""

    def missing(self) -> list[str]:
        """What it lacks until it holds its snapshot; empty if it holds all, or is not there any more."""
        if self.removed:
            return []
        return ["its connection"] if self.stream is None else self.stream.waiting_for(self.snapshot or EMPTY)


async def _notify(node: _ProxyNode) -> None:
    async with node.changed:
        node.changed.notify_all()


class AdsServer:
    """Serves snapshots to the proxies of one lab."""

    def __init__(self) -> None:
        self._nodes: dict[str, _ProxyNode] = {}
        self._server: Any = None
        self._wake: asyncio.Future[None] | None = None

    async def start(self, address: str, *others: grpc.GenericRpcHandler) -> None:
        """Listen on a gRPC address such as ``unix:ads.sock``, for other services as well."""
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=discovery_pb2.DiscoveryRequest.FromString,
            response_serializer=discovery_pb2.DiscoveryResponse.SerializeToString,
        )
        service, _, method = _METHOD[1:].partition("/")
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler}), *others)
        )
        self._server.add_insecure_port(address)
        await self._server.start()

    async def stop(self) -> None:
        """Close all streams and stop listening."""
        if self._server is not None:
            await self._server.stop(None)

    def add(self, node: str, snapshot: Snapshot) -> None:
        """Prepare the configuration of a proxy that is about to start."""
        self._nodes.setdefault(node, _ProxyNode()).snapshot = snapshot

    def remove(self, node: str) -> None:
        """Forget a proxy that has been stopped; whoever waits for it need not any more."""
        known = self._nodes.pop(node, None)
        if known is not None:
            known.removed = True
            self._wake = asyncio.ensure_future(_notify(known))

    def ended(self, node: str, last_words: str) -> None:
        """Note that the process of a proxy has ended unasked; whoever waits for the proxy learns of it."""
        known = self._nodes.get(node)
        if known is not None:
            known.ends += 1
            known.last_words = last_words
            self._wake = asyncio.ensure_future(_notify(known))

    def connected(self, node: str) -> bool:
        """Whether a proxy has an open stream."""
        known = self._nodes.get(node)
        return known is not None and known.stream is not None

    def holds_all(self, node: str) -> bool:
        """Whether a proxy is connected and has acknowledged all it is to hold."""
        known = self._nodes.get(node)
        return known is not None and known.stream is not None and not known.missing()

    def snapshot(self, node: str) -> Snapshot:
        """What a proxy is to hold; ``EMPTY`` if nothing was set."""
        known = self._nodes.get(node)
        return known.snapshot if known is not None and known.snapshot is not None else EMPTY

    def held(self, node: str, kind: XdsType, name: str) -> bool:
        """Whether a proxy took a resource and still asks for it, also if it is none of those it is to hold now."""
        known = self._nodes.get(node)
        return known is not None and known.stream is not None and name in known.stream.types[kind].held

    async def publish(self, node: str, snapshot: Snapshot, *, timeout_s: float) -> Delivery:
        """Bring one proxy to a snapshot; returns when all of it is acknowledged.

        Clusters that disappear are removed in a second step, after the routes that named them.

        Raises:
            ConfigRejectedError: Envoy refused it, or ended again and again; the previous snapshot has been sent again.
            WaitTimeoutError: it was not acknowledged in time; says what is missing.
        """
        state = self._nodes[node]
        before = state.snapshot or EMPTY
        types = snapshot.changed(before)
        deadline, most_ends = time.monotonic() + timeout_s, state.ends + _ENDS
        first = snapshot.keeping(before)
        for step in (first,) if first is snapshot else (first, snapshot):
            state.snapshot, state.rejection = step, None
            if state.stream is not None:
                state.stream.wake.set()
            try:
                await self._settled(state, timeout_s=deadline - time.monotonic(), most_ends=most_ends)
            except ConfigRejectedError:
                state.snapshot = before
                if state.stream is not None:
                    state.stream.wake.set()
                raise
        return Delivery(types, time.monotonic())

    async def settled(self, node: str, *, timeout_s: float) -> None:
        """Wait until a proxy holds its snapshot.

        Raises:
            ConfigRejectedError: Envoy refused a part of it.
            WaitTimeoutError: it does not in time; says what is missing.
        """
        await self._settled(self._nodes[node], timeout_s=timeout_s, most_ends=None)

    async def _settled(self, state: _ProxyNode, *, timeout_s: float, most_ends: int | None) -> None:
        def hopeless() -> bool:
            return most_ends is not None and state.ends >= most_ends

        def decided() -> bool:
            return state.rejection is not None or hopeless() or not state.missing()

        # What is decided once stays decided for this call, whatever is sent next while it gets its turn.
        try:
            async with state.changed:
                await asyncio.wait_for(state.changed.wait_for(decided), max(timeout_s, 0.001))
        except TimeoutError:
            seen = (state.missing() or ["its answer"])[0]
            raise WaitTimeoutError(f"not acknowledged within {timeout_s:.1f} s; still waiting for {seen}") from None
        refused = state.rejection
        if refused is not None:
            raise ConfigRejectedError(f"Envoy refused {refused.kind} version {refused.version}: {refused.reason}")
        if hopeless() and state.missing():
            raise ConfigRejectedError(
                f"Envoy ended {_ENDS} times while it took this; its last words: {state.last_words}"
            )

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        node = self._nodes.get(first.node.id)
        if node is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no such proxy: {first.node.id}")
            return
        stream = node.stream = _AdsStream()
        node.rejection = None
        reader = asyncio.create_task(self._read(first, requests, node, stream))
        try:
            while not reader.done():
                await stream.wake.wait()
                stream.wake.clear()
                if node.snapshot is not None:
                    for answer in stream.due(node.snapshot):
                        await context.write(answer)
                await _notify(node)
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reader
            if node.stream is stream:
                node.stream = None
            await _notify(node)

    async def _read(self, first: Any, requests: AsyncIterator[Any], node: _ProxyNode, stream: _AdsStream) -> None:
        try:
            request = first
            while request is not None:
                rejection = stream.take(request)
                if rejection is not None:
                    node.rejection = rejection
                stream.wake.set()
                request = await anext(aiter(requests), None)
        finally:
            stream.wake.set()
