"""Traces in the lab: who samples what, which spans a request leaves, what tears a trace, and complete logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from behaviour_mesh import WEB, Mesh, destination_rule, gateway, to, virtual_service

from labsupport.lab.lab import Lab
from labsupport.observe.traces import Trace
from labsupport.traffic.observations import Observations

INJECT = {"spec": {"template": {"metadata": {"labels": {"sidecar.istio.io/inject": "true"}}}}}


# What a Telemetry says of connections that are open already is in force when Envoy has closed them, after 5 s. So those
# of one test stay for the next, which changes what it needs.


@pytest.fixture(scope="module", autouse=True)
def left_as_it_was(lab: Lab) -> Iterator[None]:
    yield
    lab.delete(*(f"telemetry/{item.name}" for item in lab.get("Telemetry")))


@pytest.fixture
def traced(mesh: Mesh) -> Mesh:
    return mesh


def sample(lab: Lab, percentage: float | None, *, provider: str = "jaeger", name: str = "traces", **spec: Any) -> Any:
    rule: dict[str, Any] = {"providers": [{"name": provider}]}
    if percentage is not None:
        rule["randomSamplingPercentage"] = percentage
    telemetry = {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": name},
        "spec": {"tracing": [rule], **spec},
    }
    return lab.apply(yaml.safe_dump(telemetry), name="telemetry")


def drawn(seen: Observations, percentage: float) -> set[str]:
    """The requests that Envoy samples: it draws by the first eight digits of their ids (`UUIDRequestIDExtension`)."""
    return {name for name in seen.request_ids if int(name[:8], 16) % 10_000 < percentage * 100}


def shape(trace: Trace) -> list[tuple[int, str, str]]:
    return [(row.depth, row.who.split()[0], row.span.kind) for row in trace.rows]


CALL = [(0, "client", "client"), (1, "web", "server")]


def test_every_request_leaves_a_span_at_both_ends_of_each_hop(traced: Mesh) -> None:
    # Some connections are open already, between a proxy and another and between a program and its own.
    assert len(traced.lab.traces(traced.send(WEB, 10)).untraced) == 10
    sample(traced.lab, 100)
    seen = traced.send(WEB, 20)
    traces = traced.lab.traces(seen)
    assert len(traces) == 20 and not traces.untraced and not traces.torn
    assert [shape(trace) for trace in traces] == [CALL] * 20
    assert sorted(trace.request_ids for trace in traces) == sorted((name,) for name in seen.request_ids)
    pods = {response.request_id: response.path[0].pod for response in seen}
    for trace in traces:
        client, server = trace.spans
        assert (client.parent_id, server.parent_id) == ("", client.span_id)
        assert client.name == server.name == "web.default.svc.cluster.local:8080/*"
        assert (client.service, server.service) == ("client.default", "web.default")
        assert server.pod == pods[server.request_id]
        assert server.tags["http.status_code"] == "200" and server.tags["istio.canonical_service"] == "web"
        assert client.start_s <= server.start_s
        assert server.start_s + server.duration_s <= client.start_s + client.duration_s


def test_a_trace_tells_of_the_gateway_of_tries_and_of_failures(traced: Mesh) -> None:
    sample(traced.lab, 100)
    rule = virtual_service(
        {"retries": {"attempts": 2, "retryOn": "5xx"}, "route": [to("faulty")]},
        hosts=["*"],
        gateways=["entrance"],
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "faulty", "labels": {"test": "behaviour"}},
        "spec": {"selector": {"app": "faulty"}, "ports": [{"name": "http", "port": 8080, "targetPort": 5000}]},
    }
    traced.apply(service, gateway(), rule)
    (trace,) = traced.lab.traces(traced.send("gateway:/", 1))
    told = Counter((row.span.service.split(".")[0], row.span.kind, row.status) for row in trace.rows)
    # A gateway tells of each try (spawn_upstream_span), a sidecar of the request.
    assert told == {
        ("istio-ingressgateway", "server", "500"): 1,
        ("istio-ingressgateway", "client", "500"): 3,
        ("faulty", "server", "500"): 3,
    }
    assert all(row.failed for row in trace.rows)


def test_the_spans_of_what_a_gateway_asks_are_waited_for(traced: Mesh) -> None:
    sample(traced.lab, 100)
    traced.apply(gateway(), virtual_service({"route": [to("web")]}, hosts=["*"], gateways=["entrance"]))
    for _ in range(10):
        seen = traced.send("gateway:/", 2)
        lines = traced.lab.access_log(seen)
        gateways = sum(line.direction == "gateway" for line in lines)
        assert gateways == 2 and len(traced.lab.traces(seen).spans) == len(lines) + gateways


def test_a_copy_of_a_mirror_rule_is_a_part_of_the_trace(traced: Mesh) -> None:
    sample(traced.lab, 100)
    rule = {"route": [to("web", "v1")], "mirror": {"host": "web", "subset": "v2"}}
    traced.apply(virtual_service(rule), destination_rule(name="versions", subsets=[
        {"name": version, "labels": {"version": version}} for version in ("v1", "v2")
    ]))  # fmt: skip
    seen = traced.send(WEB, 5)
    assert sum(record.mirrored for record in traced.lab.access_log(seen)) == 5
    traces = traced.lab.traces(seen)
    assert Counter(row.version for trace in traces for row in trace.rows if row.span.kind == "server")["v1"] == 5


def test_an_order_of_the_shop_is_one_trace_and_an_application_that_drops_its_headers_tears_it(traced: Mesh) -> None:
    lab = traced.lab
    lab.apply("apps/shop")
    try:
        for name in ("front-end", "catalogue", "carts"):
            lab.patch(f"deploy/{name}", INJECT)
        sample(lab, 100)
        page = [(0, "client", "client"), (1, "front-end", "server")]
        parts = [
            (2, "front-end", "client"),
            (3, "catalogue", "server"),
            (2, "front-end", "client"),
            (3, "carts", "server"),
        ]
        seen = traced.send("http://front-end", 1)
        (trace,) = whole = lab.traces(seen)
        assert not whole.torn and shape(trace)[:2] == page
        assert sorted(shape(trace)[2:]) == sorted(parts), (whole, lab.access_log(seen))
        environment = [{"name": "FORWARD_TRACE", "value": "false"}]
        lab.patch("deploy/front-end", _with_environment(lab, environment))
        seen = traced.send("http://front-end", 1)
        torn = lab.traces(seen)
        assert torn.torn == seen.request_ids and len(torn) == 3
        assert shape(torn[0]) == page
        assert "1 request is in pieces" in repr(torn)
        # The access log goes by the request's id, and still has all of it.
        assert len(lab.access_log(seen)) == 6
    finally:
        lab.delete("apps/shop", missing_ok=True)


@pytest.mark.parametrize("percentage", [100, 1, None])
def test_every_hop_of_a_thousand_requests_is_in_the_log_whatever_is_traced(
    traced: Mesh, percentage: float | None
) -> None:
    sample(traced.lab, percentage)
    sent = traced.send(WEB, 1000, concurrency=8)
    records = traced.lab._open().access_records(request_ids=sent.request_ids, timeout_s=60)
    for direction in ("outbound", "inbound"):
        lines = [record for record in records if record.direction == direction]
        assert {record.request_id for record in lines} == set(sent.request_ids)
        assert {record.request_id for record in lines if record.sampled} == drawn(sent, percentage or 1)


def test_what_istio_samples_by_default_is_one_of_a_hundred(traced: Mesh) -> None:
    sample(traced.lab, None)
    seen = traced.send(WEB, 1000, concurrency=8)
    traces = traced.lab.traces(seen)
    expected = drawn(seen, 1)
    # 1,000 ids without one that is sampled come once in 20,000 runs, and nothing is wrong then.
    assert {name for trace in traces for name in trace.request_ids} == expected
    assert set(traces.untraced) == set(seen.request_ids) - expected
    assert all(shape(trace) == CALL for trace in traces)


def test_at_0_percent_and_without_a_provider_nothing_is_traced(traced: Mesh) -> None:
    sample(traced.lab, 0)
    traces = traced.lab.traces(traced.send(WEB, 20))
    assert not traces and len(traces.untraced) == 20
    assert repr(traces).endswith("20 requests have no trace: no proxy sampled them.")
    result = sample(traced.lab, 100, provider="zipkin")
    assert "no provider zipkin for traces, so that nothing is traced. There is: jaeger" in "".join(result.notes)
    assert not traced.lab.traces(traced.send(WEB, 20))


def test_who_asks_for_a_trace_gets_one(traced: Mesh) -> None:
    sample(traced.lab, 0)
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert not traced.lab.traces(traced.send(WEB, 1, headers=headers))
    (trace,) = traced.lab.traces(traced.send(WEB, 1, headers={**headers, "x-client-trace-id": "mine"}))
    assert trace.trace_id == "0af7651916cd43dd8448eb211c80319c" and shape(trace) == CALL
    # The span that it is a part of is the client's own, and was not sent here.
    assert trace.spans[0].parent_id == "b7ad6b7169203331"


@pytest.mark.parametrize(("selected", "shown"), [("web", []), ("client", [CALL] * 5)])
def test_the_first_proxy_decides_for_all(traced: Mesh, selected: str, shown: list[Any]) -> None:
    sample(traced.lab, 0)
    # What is said of some pods counts before what is said of their namespace.
    sample(traced.lab, 100, name="some", selector={"matchLabels": {"app": selected}})
    assert [shape(trace) for trace in traced.lab.traces(traced.send(WEB, 5))] == shown


def _with_environment(lab: Lab, more: list[dict[str, str]]) -> dict[str, Any]:
    (deployment,) = lab.get("deploy", "front-end")
    containers = [dict(item) for item in deployment.raw["spec"]["template"]["spec"]["containers"]]
    containers[0]["env"] = [*containers[0].get("env", []), *more]
    return {"spec": {"template": {"spec": {"containers": containers}}}}
