"""The verbs of the lab in the real mesh, as the notebooks use them together."""

from __future__ import annotations

import threading

import pytest

from labsupport import check, watch
from labsupport.errors import ManifestError
from labsupport.lab.lab import Lab

LESSON = "02-canary-by-weight"
URL = "http://web:8080/"


@pytest.fixture
def web(lab: Lab) -> Lab:
    lab.apply(f"{LESSON}/web", "apps/client", f"{LESSON}/destination-rule-web-versions.yaml")
    lab.apply(f"{LESSON}/virtual-service-web-100-0.yaml")
    return lab


def test_rules_change_from_several_threads_while_traffic_runs_and_no_request_fails(web: Lab) -> None:
    errors: list[BaseException] = []

    def flip() -> None:
        try:
            for weights in ("50-50", "100-0") * 5:
                web.apply(f"{LESSON}/virtual-service-web-{weights}.yaml")
        except BaseException as error:
            errors.append(error)

    with web.traffic(URL, source="client", rate=100) as live:
        live.collect(20)
        threads = [threading.Thread(target=flip) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        live.collect(20)
    assert errors == []
    assert {mark.label for mark in live.marks} == {"apply 50/50", "apply 100/0"}
    assert check.ok(live.observations)


def test_the_moment_of_a_change_divides_the_traffic(web: Lab) -> None:
    with web.traffic(URL, source="client", rate=200) as live:
        live.collect(50)
        to_risk = {"destination": {"host": "web", "subset": "risk"}}
        changed = web.patch("vs/web", {"spec": {"http": [{"route": [to_risk]}]}})
        live.collect(50)
    (mark,) = live.marks
    assert check.only(live.since(changed), version="risk")
    assert check.only(live.during(0.0, mark), version="safe")
    assert web.get("vs", "web").yaml.count("subset: risk") == 1


def test_the_picture_of_traffic_tells_what_became_of_each_user_when_a_pod_leaves(lab: Lab) -> None:
    lab.apply("apps/client", "11-sticky-sessions/web", "11-sticky-sessions/exercises/11.1/solution.yaml")
    with lab.traffic(URL, source="client", rate=80, users=40, headers={"x-user": "{user}"}) as live:
        before = live.collect(80)
        lab.scale("web-v1", 3)
        after = live.collect(80)
    counts = check.moved(before, after, at_most=40).seen
    texts = {"stayed": "one pod", "left": "had to move: the pod is gone", "moved": "moved, though the pod is there"}
    told = "; ".join(f"{text}: {counts[fate]}" for fate, text in texts.items() if counts[fate])
    assert sum(counts.values()) == 40
    assert counts["left"]
    assert watch(live).snapshot().summary.endswith(f"Of 40 users: {told}.")


def test_a_refused_rule_leaves_everything_as_it_was(web: Lab) -> None:
    before = web.get("vs", "web").yaml
    with pytest.raises(ManifestError):
        web.apply(f"{LESSON}/virtual-service-web-50-50.yaml", f"{LESSON}/exercises/02.1/wrong/negative-weight.yaml")
    assert web.get("vs", "web").yaml == before
    assert "weight" in web.status().last_error
    assert check.only(web.send(URL, source="client", count=50), version="safe")


def test_a_rule_is_shown_as_the_proxies_hold_it(web: Lab) -> None:
    seen = web.config("vs/web")
    assert seen.proxy == web.pods().of("client")[0].name
    assert "name: outbound|8080|safe|web.default.svc.cluster.local" in repr(seen)
    other = web.config("dr/web", proxy="web-safe")
    assert other.proxy == web.pods().of("web-safe")[0].name
    assert "- web-risk (healthy)" in repr(other)


@pytest.mark.parametrize(
    ("url", "source"),
    [(URL, "client"), ("http://nobody:8080/", "client"), ("http://web:81/", "client"), ("gateway:/", "outside")],
)
def test_explanations_are_confirmed_by_what_happens(web: Lab, url: str, source: str) -> None:
    explained = web.explain(url, source=source)
    assert explained.agrees is True, explained


def test_an_explanation_without_a_request_sends_none(web: Lab) -> None:
    explained = web.explain(URL, source="client", confirm=False)
    assert explained.response is None
    assert explained.explanation.chosen is not None
    assert "runs no load client" in repr(web.explain("http://client:8080/", source="web-safe"))


def test_status_says_since_when_a_rule_is_in_force(web: Lab) -> None:
    status = web.status()
    rules = {str(rule.ref): rule for rule in status.rules}
    assert all(rule.in_force_since_s > 0 and rule.proxies for rule in rules.values())
    assert set(rules) == {"DestinationRule/web", "VirtualService/web"}
    assert "gateway" in status.urls


def test_what_does_nothing_here_is_told_once_in_a_lab_and_not_for_what_was_refused(lab: Lab) -> None:
    paths = ("apps/client", f"{LESSON}/web")
    texts = [lab.apply(*paths).notes, lab.apply(*paths).notes, lab.scale("web-safe", 2).notes]
    assert not any("no effect" in note for notes in texts[1:] for note in notes)
    balanced = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {type: LoadBalancer, ports: [{port: 80%s}]}\n"
    )
    with pytest.raises(ManifestError, match="31532 is the node port of Service/web already"):
        lab.apply("apps/web/service-web-both-versions.yaml", balanced % ", nodePort: 31532")
    told = [len([note for note in lab.apply(balanced % "").notes if "load balancer" in note]) for _ in range(2)]
    assert told == [1, 0]
