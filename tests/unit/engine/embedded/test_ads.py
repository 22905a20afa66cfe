"""The ADS server against a client that speaks the protocol by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import symbol_database
from google.rpc import status_pb2

from labsupport.controlplane.encode import TYPE_URLS, Encoder, XdsType
from labsupport.controlplane.snapshot import EMPTY, Snapshot, build
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.errors import ConfigRejectedError, WaitTimeoutError

NODE = "sidecar~10.244.0.1~a.default~default.svc.cluster.local"
ENCODER = Encoder()


def snapshot(clusters: dict[str, str], *, version: str = "1", previous: Snapshot = EMPTY, port: int = 80) -> Snapshot:
    """Clusters by name with their load balancing policy, their endpoints, and one route table that names them."""
    cds = [{"name": name, "type": "EDS", "lb_policy": policy} for name, policy in clusters.items()]
    for cd in cds:
        cd["eds_cluster_config"] = {"eds_config": {"ads": {}}}  # type: ignore[assignment]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    eds: list[dict[str, Any]] = [{"cluster_name": name, "endpoints": [endpoint]} for name in clusters]
    scope = {"name": "80", "route_configuration_name": "80", "key": {"fragments": [{"string_key": "80"}]}}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": name}} for name in clusters]
    table = {"name": "80", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}
    return build(
        {
            "CDS": [ENCODER.encode("CDS", cd) for cd in cds],
            "EDS": [ENCODER.encode("EDS", ed) for ed in eds],
            "SRDS": [ENCODER.encode("SRDS", scope)],
            "RDS": [ENCODER.encode("RDS", table)],
        },
        previous=previous,
        version=version,
    )


class Proxy:
    """A proxy that answers by hand."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.nonces: dict[XdsType, str] = {}

    async def ask(self, kind: XdsType, *names: str, nonce: str | None = None, error: str = "") -> None:
        request = discovery_pb2.DiscoveryRequest(
            type_url=TYPE_URLS[kind],
            resource_names=names,
            response_nonce=self.nonces.get(kind, "") if nonce is None else nonce,
        )
        request.node.id = NODE
        if error:
            request.error_detail.CopyFrom(status_pb2.Status(message=error))
        await self.call.write(request)

    async def answer(self) -> tuple[XdsType, set[str]]:
        got = await asyncio.wait_for(self.call.read(), 60.0)
        kind = next(kind for kind, url in TYPE_URLS.items() if url == got.type_url)
        self.nonces[kind] = got.nonce
        names = set()
        for packed in got.resources:
            made = {"EDS": "cluster_name"}.get(kind, "name")
            message = symbol_database.Default().GetSymbol(packed.type_url.rpartition("/")[2])()
            packed.Unpack(message)
            names.add(getattr(message, made))
        return kind, names

    async def silent(self) -> bool:
        """Whether nothing is sent by itself: dropping a name and asking for it again brings just that."""
        await self.ask("RDS")
        await self.ask("RDS", "80")
        answered = await self.answer() == ("RDS", {"80"})
        await self.ask("RDS", "80")
        return answered

    async def take_all(self, clusters: set[str]) -> None:
        """Do what Envoy does when it starts."""
        await self.ask("CDS")
        assert await self.answer() == ("CDS", clusters)
        await self.ask("CDS")
        await self.ask("EDS", *clusters)
        assert await self.answer() == ("EDS", clusters)
        await self.ask("EDS", *clusters)
        await self.ask("LDS")
        assert await self.answer() == ("LDS", set())
        await self.ask("LDS")
        await self.ask("SRDS")
        assert await self.answer() == ("SRDS", {"80"})
        await self.ask("SRDS")
        await self.ask("RDS", "80")
        assert await self.answer() == ("RDS", {"80"})
        await self.ask("RDS", "80")


def serving(scenario: Callable[[AdsServer, Proxy], Awaitable[None]], tmp_path: Path) -> None:
    """Run a scenario against a server with one proxy connected."""

    async def run() -> None:
        server = AdsServer()
        address = f"unix:{tmp_path / 'ads'}"
        await server.start(address)
        server.add(NODE, snapshot({"a": "RANDOM", "b": "RANDOM"}))
        async with grpc.aio.insecure_channel(address) as channel, contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(server.stop)
            method = channel.stream_stream(
                "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
                request_serializer=discovery_pb2.DiscoveryRequest.SerializeToString,
                response_deserializer=discovery_pb2.DiscoveryResponse.FromString,
            )
            await scenario(server, Proxy(method()))

    asyncio.run(asyncio.wait_for(run(), 120.0))


def test_a_proxy_has_settled_when_it_acknowledged_all_it_asked_for(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        with pytest.raises(WaitTimeoutError, match="connection"):
            await server.settled(NODE, timeout_s=0.01)
        await proxy.take_all({"a", "b"})
        await server.settled(NODE, timeout_s=60.0)

    serving(scenario, tmp_path)


def test_only_what_changed_is_sent_and_in_force_is_the_acknowledgement(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        before = server.snapshot(NODE)
        after = snapshot({"a": "RANDOM", "b": "RANDOM"}, version="2", previous=before, port=81)
        assert after.changed(before) == ("EDS",)
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        assert await proxy.answer() == ("EDS", {"a", "b"})
        assert not publishing.done()
        await proxy.ask("EDS", "a", "b")
        assert (await publishing).types == ("EDS",)
        assert await proxy.silent()

    serving(scenario, tmp_path)


def test_endpoints_of_a_changed_cluster_are_sent_again_after_it(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        after = snapshot({"a": "ROUND_ROBIN", "b": "RANDOM"}, version="2", previous=server.snapshot(NODE))
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        assert await proxy.answer() == ("CDS", {"a", "b"})
        assert await proxy.answer() == ("EDS", {"a"})
        await proxy.ask("CDS")
        await proxy.ask("EDS", "a", "b")
        await publishing

    serving(scenario, tmp_path)


def test_what_was_sent_before_it_was_asked_for_is_sent_again(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        clusters = {"a": "RANDOM", "b": "RANDOM", "c": "RANDOM"}
        after = snapshot(clusters, version="2", previous=server.snapshot(NODE))
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        assert [await proxy.answer() for _ in range(3)] == [("CDS", set(clusters)), ("EDS", {"c"}), ("RDS", {"80"})]
        await proxy.ask("CDS")
        await proxy.ask("EDS", "a", "b")
        await proxy.ask("RDS", "80")
        assert not publishing.done()
        await proxy.ask("EDS", "a", "b", "c")
        assert await proxy.answer() == ("EDS", {"c"})
        await proxy.ask("EDS", "a", "b", "c")
        await publishing

    serving(scenario, tmp_path)


def test_a_stale_nonce_is_no_acknowledgement(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        stale = proxy.nonces["EDS"]
        after = snapshot({"a": "RANDOM", "b": "RANDOM"}, version="2", previous=server.snapshot(NODE), port=81)
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        await proxy.answer()
        await proxy.ask("EDS", "a", "b", nonce=stale)
        assert await proxy.silent()
        assert not publishing.done()
        await proxy.ask("EDS", "a", "b")
        await publishing

    serving(scenario, tmp_path)


def test_a_removed_cluster_goes_after_the_routes_that_named_it(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        after = snapshot({"a": "RANDOM"}, version="2", previous=server.snapshot(NODE))
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        assert await proxy.answer() == ("RDS", {"80"})
        await proxy.ask("RDS", "80")
        assert await proxy.answer() == ("CDS", {"a"})
        assert not publishing.done()
        await proxy.ask("CDS")
        await publishing

    serving(scenario, tmp_path)


def test_a_rejection_carries_its_reason_and_the_former_state_is_sent_again(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        before = server.snapshot(NODE)
        after = snapshot({"a": "MAGLEV", "b": "RANDOM"}, version="2", previous=before)
        publishing = asyncio.ensure_future(server.publish(NODE, after, timeout_s=60.0))
        assert await proxy.answer() == ("CDS", {"a", "b"})
        assert await proxy.answer() == ("EDS", {"a"})
        await proxy.ask("CDS", error="no such policy today")
        with pytest.raises(ConfigRejectedError, match="no such policy today"):
            await publishing
        assert server.snapshot(NODE) is before
        assert await proxy.answer() == ("CDS", {"a", "b"})

    serving(scenario, tmp_path)


@pytest.mark.parametrize("ends", [1, 2])
def test_a_proxy_that_ends_again_when_it_gets_an_update_refuses_it(tmp_path: Path, ends: int) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        before = server.snapshot(NODE)
        server.ended(NODE, "an end before the update")
        publishing = asyncio.ensure_future(
            server.publish(NODE, snapshot({"a": "MAGLEV", "b": "RANDOM"}, version="2", previous=before), timeout_s=60.0)
        )
        assert await proxy.answer() == ("CDS", {"a", "b"})
        for _ in range(ends):
            server.ended(NODE, "division by zero")
        if ends == 2:
            with pytest.raises(ConfigRejectedError, match="division by zero"):
                await publishing
            assert server.snapshot(NODE) is before and not server.holds_all(NODE)
            return
        assert await proxy.answer() == ("EDS", {"a"})
        await proxy.ask("CDS")
        await proxy.ask("EDS", "a", "b")
        await publishing
        assert server.holds_all(NODE)

    serving(scenario, tmp_path)


def test_who_waits_for_a_proxy_that_is_removed_waits_no_more(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        waiting = asyncio.ensure_future(server.settled(NODE, timeout_s=120.0))
        await asyncio.sleep(0)
        server.remove(NODE)
        await asyncio.wait_for(waiting, 60.0)

    serving(scenario, tmp_path)


def secret(name: str, content: str) -> dict[str, Any]:
    text = base64.b64encode(content.encode()).decode()
    return {"name": name, "validation_context": {"trusted_ca": {"inline_bytes": text}}}


def with_secrets(previous: Snapshot, version: str, **contents: str) -> Snapshot:
    resources: dict[XdsType, list[Any]] = {kind: list(named.values()) for kind, named in previous.resources.items()}
    resources["SDS"] = [ENCODER.encode("SDS", secret(name, content)) for name, content in contents.items()]
    return build(resources, previous=previous, version=version)


def test_a_secret_is_sent_when_it_is_asked_for_and_again_when_it_changes(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        first = with_secrets(server.snapshot(NODE), "2", shop="one", other="one")
        publishing = asyncio.ensure_future(server.publish(NODE, first, timeout_s=60.0))
        await proxy.ask("SDS", "shop", "other", "missing")
        assert await proxy.answer() == ("SDS", {"shop", "other"})
        assert not publishing.done()
        await proxy.ask("SDS", "shop", "other", "missing")
        assert (await publishing).types == ("SDS",)
        second = with_secrets(first, "3", shop="two", other="one")
        publishing = asyncio.ensure_future(server.publish(NODE, second, timeout_s=60.0))
        assert await proxy.answer() == ("SDS", {"shop"})
        await proxy.ask("SDS", "shop", "other", "missing")
        await publishing

    serving(scenario, tmp_path)


def test_a_secret_that_is_gone_is_not_taken_away(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        first = with_secrets(server.snapshot(NODE), "2", shop="one")
        publishing = asyncio.ensure_future(server.publish(NODE, first, timeout_s=60.0))
        await proxy.ask("SDS", "shop")
        await proxy.answer()
        await proxy.ask("SDS", "shop")
        await publishing
        await server.publish(NODE, with_secrets(first, "3"), timeout_s=60.0)
        assert server.held(NODE, "SDS", "shop") and not server.held(NODE, "SDS", "other")
        assert await proxy.silent()
        # It stays with who has it while other names come and go, and goes with its own.
        await proxy.ask("SDS", "shop", "other")
        await proxy.ask("SDS", "shop")
        assert await proxy.silent() and server.held(NODE, "SDS", "shop")
        await proxy.ask("SDS", "other")
        assert await proxy.silent() and not server.held(NODE, "SDS", "shop")

    serving(scenario, tmp_path)


def test_a_secret_is_sent_again_to_who_asks_again_without_having_dropped_it(tmp_path: Path) -> None:
    async def scenario(server: AdsServer, proxy: Proxy) -> None:
        await proxy.take_all({"a", "b"})
        publishing = asyncio.ensure_future(
            server.publish(NODE, with_secrets(server.snapshot(NODE), "2", shop="one"), timeout_s=60.0)
        )
        await proxy.ask("SDS", "shop")
        assert await proxy.answer() == ("SDS", {"shop"})
        await proxy.ask("SDS", "shop")
        await publishing
        # The listener that used it has gone and another one has come, in one request of the same names.
        await proxy.ask("SDS", "shop")
        assert await proxy.answer() == ("SDS", {"shop"})
        await proxy.ask("SDS", "shop")
        await server.settled(NODE, timeout_s=60.0)
        assert await proxy.silent()

    serving(scenario, tmp_path)


def test_a_snapshot_shows_nothing_of_a_secret() -> None:
    shown = repr(with_secrets(EMPTY, "1", shop="sesame"))
    assert "shop" in shown and "sesame" not in shown and "c2VzYW1l" not in shown
