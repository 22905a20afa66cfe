"""What a proxy knows: Sidecar objects, exportTo, services of every kind."""

from __future__ import annotations

import pytest
from explain_world import CLIENT, GATEWAY, PODS, SUBSETS, ask, pod, to, virtual_service

from labsupport.explain import Explanation


def sidecar(egress: str, extra: str = "") -> str:
    return f"""
        apiVersion: networking.istio.io/v1
        kind: Sidecar
        metadata: {{name: limits}}
        spec: {{egress: [{egress}]{extra}}}
    """


def service(name: str, spec: str, note: str = "") -> str:
    return f"""
        apiVersion: v1
        kind: Service
        metadata: {{name: {name}, annotations: {{{note}}}}}
        spec: {{{spec}}}
    """


def kind(seen: Explanation) -> str:
    (outcome,) = seen.outcomes
    return outcome.kind


@pytest.mark.parametrize(
    ("hosts", "known"),
    [
        ("['./*']", True),
        ("['*/reviews.default.svc.cluster.local']", True),
        ("['./details.default.svc.cluster.local']", False),
        ("['other/*']", False),
        ("['*/*', '~*/reviews.default.svc.cluster.local']", False),
        ("['*/*.default.svc.cluster.local']", True),
    ],
)
def test_a_sidecar_object_says_which_hosts_are_known(hosts: str, known: bool) -> None:
    seen = ask(sidecar(f"{{hosts: {hosts}}}"))
    assert kind(seen) == ("forwarded" if known else "unknown_destination")
    assert ("a Sidecar object leaves reviews" in seen.decision) is not known


def test_a_sidecar_object_for_other_pods_does_not_count() -> None:
    hidden = sidecar("{hosts: ['other/*']}", ", workloadSelector: {labels: {tier: lead}}")
    assert kind(ask(hidden)) == "forwarded"
    lead = pod("client", labels={"app": "client", "tier": "lead"})
    assert kind(ask(hidden, source=lead)) == "unknown_destination"


def test_a_rule_whose_hosts_are_left_out_says_so() -> None:
    seen = ask(sidecar("{hosts: ['./details.default.svc.cluster.local']}"), virtual_service(f"[{to('v1')}]"), SUBSETS)
    assert seen.ignored[0].reason == "a Sidecar object leaves its hosts out"


def test_what_a_visible_rule_sends_to_is_known_but_what_a_mirror_lacks_is_not_copied() -> None:
    limits = sidecar("{hosts: ['./reviews.default.svc.cluster.local']}")
    away = virtual_service("[{route: [{destination: {host: ratings}}], mirror: {host: wep}}]")
    seen = ask(limits, away)
    assert seen.destinations[0].pods == ("ratings-v1-a",)
    (copy,) = seen.mirrors
    assert (copy.problem, copy.share) == ("NC", 1.0)


def test_an_egress_entry_for_a_port_is_for_that_port_alone() -> None:
    limits = sidecar("{port: {number: 9080, protocol: HTTP, name: http}, hosts: ['./*']}, {hosts: ['other/*']}")
    assert kind(ask(limits)) == "forwarded"
    assert kind(ask(limits, url="http://web:8080/")) == "unknown_destination"


def test_a_service_that_is_not_shown_to_a_namespace_is_not_known_there() -> None:
    note = "networking.istio.io/exportTo: '.'"
    hidden = service("hidden", "selector: {app: reviews}, ports: [{name: http, port: 9080}]", note)
    seen = ask(hidden, url="http://hidden.default:9080/", source=pod("stranger", namespace="other"))
    assert kind(seen) == "unknown_destination"
    assert "is not shown to namespace other" in seen.decision
    assert kind(ask(hidden, url="http://hidden:9080/")) == "forwarded"


def test_each_pod_of_a_headless_service_has_a_name() -> None:
    headless = service("group", "clusterIP: None, selector: {app: reviews}, ports: [{name: http, port: 9080}]")
    for name in ("group", "reviews-v1-a.group.default.svc.cluster.local"):
        seen = ask(headless, url=f"http://{name}:9080/")
        assert seen.destinations[0].host == "group.default.svc.cluster.local"
        assert len(seen.destinations[0].pods) == 3


def test_an_external_name_is_its_target() -> None:
    alias = service("alias", "type: ExternalName, externalName: reviews.default.svc.cluster.local")
    seen = ask(alias, url="http://alias:9080/")
    assert seen.destinations[0].host == "reviews.default.svc.cluster.local"


def test_a_port_name_that_no_container_has_leaves_nobody() -> None:
    texts = (service("named", "selector: {app: web}, ports: [{name: http, port: 8080, targetPort: nothing}]"),)
    seen = ask(*texts, url="http://named:8080/")
    assert seen.outcomes[0].flags == "UH"
    assert "targetPort" in seen.outcomes[0].text


def test_entries_by_selector_lead_to_pods_and_without_any_to_nobody() -> None:
    entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: entry}
        spec:
          hosts: [entry.example]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: STATIC
          workloadSelector: {labels: {app: reviews}}
    """
    assert len(ask(entry, url="http://entry.example/").destinations[0].pods) == 3
    none = entry.replace("app: reviews", "app: nobody")
    assert ask(none, url="http://entry.example/").outcomes[0].flags == "UH"
    by_name = none.replace("STATIC", "DNS")
    assert ask(by_name, url="http://entry.example/").outcomes[0].flags == "NC"


def test_names_that_were_nearly_right_are_told() -> None:
    assert ask(url="http://revews:9080/").decision.endswith("; did you mean reviews?")
    assert ask(url="http://reviews:9081/").decision.endswith("reviews.default.svc.cluster.local has port 9080.")
    several = service(
        "dns", "ports: [{port: 53, name: d, protocol: UDP}, {port: 80, name: http}, {port: 81, name: tcp}]"
    )
    assert ask(several, url="http://dns:9081/").decision.endswith("dns.default.svc.cluster.local has ports 80 and 81.")
    named = virtual_service("[{route: [{destination: {host: dns, port: {number: 53}}}]}]")
    assert "has no port 53, only 80 and 81" in ask(several, named).outcomes[0].text
    subset = ask(virtual_service(f"[{to('V1')}]"), SUBSETS).outcomes[0].text
    assert "did you mean v1?" in subset
    host = ask(virtual_service("[{route: [{destination: {host: reviws}}]}]")).outcomes[0].text
    assert "did you mean reviews.default.svc.cluster.local?" in host
    dotted = ask(virtual_service("[{route: [{destination: {host: reviews.default}}]}]")).outcomes[0].text
    assert "write reviews.default.svc.cluster.local" in dotted or "did you mean reviews.default.svc" in dotted


def test_a_gateway_that_was_nearly_named_right_is_told() -> None:
    near = virtual_service(f"[{to('v1')}]", hosts='["*"]', extra=", gateways: [frunt]")
    seen = ask(GATEWAY, near, SUBSETS, url="gateway:/", source="outside")
    assert "there is no Gateway default/frunt; did you mean default/front?" in seen.ignored[0].reason


def test_pods_of_other_namespaces_serve_nothing_here() -> None:
    foreign = [*PODS, pod("reviews", "v4", namespace="other")]
    assert len(ask(pods=foreign).destinations[0].pods) == 3
    assert CLIENT in foreign


def test_where_rules_are_private_by_default_that_decides_which_come_first() -> None:
    older = virtual_service(f"[{to('v1')}]", name="older")
    private = virtual_service(f"[{to('v2')}]", name="private", extra=", exportTo: ['.']")
    # Istio asks a namespace's own private rules before those that everybody sees.
    assert ask(older, private, SUBSETS).destinations[0].subset == "v2"
    same = ask(older, private, SUBSETS, default_export_to=["."])
    assert same.destinations[0].subset == "v1"
    assert same.rules[0].place.line > 0
