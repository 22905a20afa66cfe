"""TLS and TCP: which server of a gateway a connection meets, and which rules of connections count."""

from __future__ import annotations

import pytest
from explain_world import CLIENT, GATEWAY, SUBSETS, ask, pod, to, virtual_service

from labsupport.certificates import Authority
from labsupport.explain import Explanation

AUTHORITY = Authority()
SECRET = AUTHORITY.server("shop.example").secret("shop-cert", ca=AUTHORITY)
BOUND = ", gateways: [front]"
EVERYTHING = virtual_service(f"[{to('v1')}]", hosts='["*"]', extra=BOUND)
BYTES = """
    apiVersion: v1
    kind: Service
    metadata: {name: db}
    spec: {selector: {app: ratings}, ports: [{name: tcp, port: 3306}, {name: tls, port: 3307}]}
"""


def gateway(*servers: str) -> str:
    """A Gateway of servers in flow YAML."""
    return f"""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: front}}
        spec: {{selector: {{istio: ingressgateway}}, servers: [{", ".join(servers)}]}}
    """


def https(mode: str = "SIMPLE", hosts: str = "[shop.example]", name: str = "https", secret: str = "shop-cert") -> str:
    """An HTTPS server in flow YAML."""
    tls = f"{{mode: {mode}, credentialName: {secret}}}"
    return f"{{port: {{number: 443, name: {name}, protocol: HTTPS}}, hosts: {hosts}, tls: {tls}}}"


def connections(rules: str, hosts: str = '["*"]', extra: str = BOUND) -> str:
    """A VirtualService with tcp or tls rules."""
    return f"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: bytes}}
        spec: {{hosts: {hosts}, {rules}{extra}}}
    """


def outside(url: str, *texts: str, **options: object) -> Explanation:
    return ask(*texts, SUBSETS, url=url, source="outside", **options)


def ending(seen: Explanation) -> tuple[str, str]:
    (outcome,) = seen.outcomes
    return outcome.kind, outcome.text


def test_a_server_that_ends_tls_routes_requests() -> None:
    seen = outside("https://shop.example/reviews", SECRET, gateway(https()), EVERYTHING)
    assert (seen.proxy_kind, seen.port, seen.authority) == ("gateway", 443, "shop.example")
    assert seen.outcomes[0].pods == ("reviews-v1-a",)


def test_a_redirect_keeps_the_scheme_of_the_request() -> None:
    moved = virtual_service("[{redirect: {uri: /new}}]", hosts='["*"]', extra=BOUND)
    assert outside("https://shop.example/a", SECRET, gateway(https()), moved).outcomes[0].location == (
        "https://shop.example/new"
    )


def test_the_server_name_chooses_and_none_closes_the_connection() -> None:
    opened = gateway(https())
    kind, text = ending(outside("https://shop.test/", SECRET, opened, EVERYTHING))
    assert kind == "connection"
    assert "no server of port 443 is for the server name shop.test; there are shop.example" in text
    wide = gateway(https(hosts='["*.example"]', name="wide"), https(name="own"))
    assert outside("https://shop.example/", SECRET, wide, EVERYTHING).outcomes[0].kind == "forwarded"


def test_the_host_may_be_another_than_the_server_name() -> None:
    own = virtual_service(f"[{to('v1')}]", hosts='["shop.example"]', extra=BOUND)
    seen = outside("https://shop.example/", SECRET, gateway(https()), own, headers={"Host": "other.example"})
    assert seen.outcomes[0].status == 404


def test_a_client_without_certificate_does_not_get_past_mutual_tls() -> None:
    opened = gateway(https("MUTUAL"))
    kind, text = ending(outside("https://shop.example/", SECRET, opened, EVERYTHING))
    assert (kind, "MUTUAL" in text) == ("connection", True)
    shown = outside("https://shop.example/", SECRET, opened, EVERYTHING, certificate=True)
    assert shown.outcomes[0].kind == "forwarded"


def test_a_certificate_that_does_not_exist_is_told() -> None:
    _, text = ending(outside("https://shop.example/", SECRET, gateway(https(secret="shop-crt")), EVERYTHING))
    assert "no Secret shop-crt; did you mean shop-cert?" in text


def test_a_secret_without_what_the_server_wants_of_it_is_told() -> None:
    url, bare = "https://shop.example/", AUTHORITY.server("shop.example").secret("shop-cert")
    for mode in ("MUTUAL", "OPTIONAL_MUTUAL"):
        mutual = (gateway(https(mode)), EVERYTHING)
        kind, text = ending(outside(url, bare, *mutual, certificate=True))
        assert (kind, "knows nobody to trust: Secret shop-cert: found secret" in text) == ("connection", True)
        trusted = AUTHORITY.secret("shop-cert-cacert")
        assert ending(outside(url, bare, trusted, *mutual, certificate=True))[0] == "forwarded"
    empty = AUTHORITY.secret("shop-cert")
    kind, text = ending(outside(url, empty, gateway(https()), EVERYTHING))
    assert (kind, "Secret shop-cert: found secret, but didn't have" in text) == ("connection", True)


def test_speaking_the_wrong_protocol_is_told() -> None:
    both = (SECRET, gateway(https()), EVERYTHING)
    assert "speaks TLS, for shop.example" in ending(outside("gateway:443/", *both))[1]
    assert "speaks no TLS" in ending(outside("https://shop.example:80/", GATEWAY, EVERYTHING))[1]
    bad = outside("tls://shop.example", *both).outcomes[0]
    assert (bad.kind, bad.status) == ("direct_response", 400)


def test_of_two_servers_for_a_host_on_a_port_the_older_counts() -> None:
    opened = gateway(https(), https("MUTUAL", name="again"))
    seen = outside("https://shop.example/", SECRET, opened, EVERYTHING)
    assert seen.outcomes[0].kind == "forwarded"
    assert "taken by an older server" in seen.ignored[0].reason


def test_passed_on_tls_follows_tls_rules() -> None:
    opened = gateway("{port: {number: 443, name: tls, protocol: TLS}, hosts: ['*.example'], tls: {mode: PASSTHROUGH}}")
    rules = connections(
        "tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: ratings, port: {number: 9080}}}]},"
        " {match: [{sniHosts: [b.example]}], route: [{destination: {host: details, port: {number: 9080}}}]}]",
        hosts="[a.example, b.example]",
    )
    seen = outside("https://a.example/", opened, rules)
    assert [(rule.kind, rule.verdict) for rule in seen.rules] == [("tls", "chosen"), ("tls", "no match")]
    assert seen.outcomes[0].pods == ("ratings-v1-a",)
    other = outside("https://b.example/", opened, rules)
    assert str(other.rules[0].failed[0]) == 'sniHosts: wanted a.example, got "b.example"'
    assert other.outcomes[0].pods == ("details-v1-a",)
    assert outside("https://c.example/", opened, rules).outcomes[0].kind == "connection"


def test_bytes_follow_tcp_rules() -> None:
    opened = gateway("{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ['*']}")
    rules = connections(
        "tcp: [{match: [{port: 9001}], route: [{destination: {host: details}}]},"
        " {route: [{destination: {host: ratings}, weight: 1}, {destination: {host: nobody}, weight: 3}]}]"
    )
    seen = outside("tcp://gateway:9000", opened, rules)
    assert [(rule.kind, rule.verdict) for rule in seen.rules] == [("tcp", "not for this proxy"), ("tcp", "chosen")]
    assert [(item.host.partition(".")[0], item.port, item.share) for item in seen.destinations] == [
        ("ratings", 9080, 0.25),
        ("nobody", 9000, 0.75),
    ]
    assert [(item.kind, item.status) for item in seen.outcomes] == [("forwarded", 0), ("no_cluster", 0)]
    assert "VirtualService/bytes tcp[1]" in repr(seen)
    assert "has no tcp rule" in ending(outside("tcp://gateway:9000", opened))[1]


@pytest.mark.parametrize(("tier", "host"), [("gold", "details"), ("lead", "db")])
def test_sidecars_that_get_every_connection_follow_tcp_rules(tier: str, host: str) -> None:
    rules = connections(
        "tcp: [{match: [{sourceLabels: {tier: gold}}], route: [{destination: {host: details, port: {number: 9080}}}]}]",
        hosts="[db]",
        extra="",
    )
    source = pod("client", labels={"app": "client", "tier": tier})
    seen = ask(BYTES, rules, url="http://db:3306/", source=source, captured=True)
    assert [item.host.partition(".")[0] for item in seen.destinations] == [host]


def test_where_nothing_unknown_is_passed_on_other_ports_are_the_same() -> None:
    for url in ("http://db:3306/", "tcp://db:3306"):
        assert ask(BYTES, url=url) == ask(BYTES, url=url, captured=True)
    unknown = ask(BYTES, url="tcp://nobody:3306")
    assert unknown.outcomes[0].kind == "unknown_destination"
    assert "passes it on" not in unknown.decision
    assert "passes it on" in ask(BYTES, url="tcp://nobody:3306", captured=True).decision


def test_tls_of_a_program_is_told_by_its_server_name() -> None:
    rules = connections(
        "tls: [{match: [{sniHosts: [db.default.svc.cluster.local]}],"
        " route: [{destination: {host: details, port: {number: 9080}}}]}]",
        hosts="[db.default.svc.cluster.local]",
        extra="",
    )
    full = "https://db.default.svc.cluster.local:3307/"
    assert ask(BYTES, rules, url=full, captured=True).destinations[0].host.startswith("details.")
    short = ask(BYTES, rules, url="https://db:3307/", captured=True)
    assert short.outcomes[0].kind == "unknown_destination"
    assert short.rules[0].failed[0].field == "sniHosts"
    assert ask(BYTES, url=full, captured=True).destinations[0].host.startswith("db.")
    assert CLIENT.name in short.hops


def test_where_every_connection_is_captured_an_unknown_host_passes() -> None:
    seen = ask(url="http://wep:8080/", captured=True)
    assert (seen.outcomes[0].kind, seen.outcomes[0].status) == ("unknown_destination", 0)
    assert "; did you mean web? The sidecar passes it on" in seen.decision
    assert seen.outcomes[0].text.endswith("that the caller looked up; did you mean web?")
