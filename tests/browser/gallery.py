"""Every kind of picture and card that notebooks show, made of records with names as lessons have them."""

from __future__ import annotations

import random

from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome, CheckState
from labsupport.course.exercise import Hint
from labsupport.course.questions import NumberQuestion
from labsupport.course.summary import CourseMap, ExerciseProgress, LessonProgress
from labsupport.display import compare
from labsupport.display.drawing.figure import Figure
from labsupport.display.html.changes import apply_html, leftovers_html, manifest_error_html
from labsupport.display.html.config_html import config_html
from labsupport.display.html.course_map import course_map_html
from labsupport.display.html.explain_html import explanation_html
from labsupport.display.html.mesh_html import access_log_html, pods_html, status_html
from labsupport.display.html.outcomes import check_html, hint_html, prediction_html
from labsupport.display.pictures.graph_picture import graph_figure
from labsupport.display.pictures.journey_picture import journey_figure
from labsupport.display.pictures.observed import observations_html, response_html, share_figure
from labsupport.display.pictures.pods_part import pods_part
from labsupport.display.pictures.push_picture import push_figure
from labsupport.display.pictures.rules_picture import rules_figure
from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import Change, TrafficPicture, traffic_figure
from labsupport.errors import ManifestError, Problem
from labsupport.explain.explanation import Explanation
from labsupport.explain.records import Condition, MatchEntry, Place, RoutedTo, RuleTrace
from labsupport.model.writing.lines import ConfigLine, Mark
from labsupport.observe.calls import MeshGraph, mesh_graph
from labsupport.observe.config.view import ConfigView, EnvoyPart
from labsupport.observe.journey import Journey, journey_of
from labsupport.observe.limits import Limit
from labsupport.observe.pushed import pushed_by
from labsupport.observe.tables import AccessLog, LabStatus, Pods
from labsupport.observe.taken import RuleRow, RulesTaken
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    Hop,
    Leftovers,
    ObjectChange,
    Pod,
    ProxyChange,
    Ref,
    Response,
    RuleStatus,
)
from labsupport.statistics import proportion_interval
from labsupport.traffic.observations import Observations

__all__ = ["T0", "gallery", "responses"]

T0 = 1_790_000_000.0
_SERVICES = ("productpage-v1", "details-v1", "reviews-v1", "reviews-v2", "reviews-v3", "ratings-v1")
_PODS = [
    Pod("istio-ingressgateway-7d9c-x2x2", "istio-system", "istio-ingressgateway", {}, concurrency=1, ready=True),
    *(
        Pod(
            f"{name}-6f9c7-x7k2p",
            "default",
            name,
            {"app": name.rpartition("-")[0], "version": name.rpartition("-")[2]},
            injected=True,
            ready=True,
        )
        for name in _SERVICES
    ),
]
_POD = {pod.workload: pod.name for pod in _PODS}


def responses(
    count: int = 1_000,
    versions: tuple[str, ...] = ("v1", "v2", "v3"),
    *,
    connections: int = 0,
    spacing_s: float = 0.029,
) -> list[Response]:
    """Responses of reviews, a tenth of them failed; with connections, all requests of one go the same way."""
    dice, made = random.Random(7), []
    chosen = [dice.choice(versions) for _ in range(connections)]
    for index in range(count):
        connection = index % connections if connections else index
        version = chosen[connection] if connections else dice.choice(versions)
        failed = not connections and index % 10 == 0
        made.append(
            Response(
                index,
                T0 + index * spacing_s,
                dice.uniform(0.002, 0.009),
                "http_error" if failed else "ok",
                503 if failed else 200,
                f"id-{index}",
                () if failed else (Hop("reviews", version, f"reviews-{version}-6f9c7-x7k2p"),),
                body="upstream connect error or disconnect/reset before headers. reset reason: connection timeout"
                if failed
                else "",
                connection=connection,
            )
        )
    return made


def _kept(count: int, connections: int) -> Observations:
    return Observations(responses(count, ("safe", "risk"), connections=connections), per="connection")


def _traffic(count: int, changes: int, *, bin_s: float, shift_s: float = 0.0) -> Figure:
    sent = responses(count, spacing_s=28.0 * bin_s / 0.5 / count)
    line = Timeline(origin_s=T0, bin_s=bin_s)
    line.add(sent)
    now = sent[-1].started_s
    between = (now - T0) / (changes + 1)
    marks = [
        Change(T0 + between * (place + 1) + shift_s, f"apply {100 - place}/{place}", 0.004 * (place + 1))
        for place in range(changes)
    ]
    return traffic_figure(
        TrafficPicture(line),
        now_s=now,
        changes=marks,
        expected={"v1": 90, "v2": 10, "v3": 0},
        subtitle="client → http://reviews:9080/reviews/0, versions of reviews",
    )


def _scaled() -> Figure:
    """Lesson 01: pods are scaled under traffic, twice within a second."""
    line = Timeline(origin_s=T0, bin_s=0.5)
    line.add(responses(400, ("safe", "risk"), spacing_s=0.02))
    changes = [Change(T0 + 4.0, "scale web-risk to 1"), Change(T0 + 4.5, "scale web-safe to 9", 2.31, _TOLD)]
    return traffic_figure(TrafficPicture(line), now_s=T0 + 8.0, changes=changes, expected={"safe": 9, "risk": 1})


def _mirrored(*versions: str) -> Figure:
    """Lesson 09: some versions answer, and others receive copies."""
    line = Timeline(origin_s=T0, bin_s=0.5)
    sent = responses(400, versions, spacing_s=0.02)
    line.add(sent)
    line.add_copies((response.request_id, f"v{1 + place % 2}") for place, response in enumerate(sent))
    return traffic_figure(TrafficPicture(line), now_s=T0 + 8.0, expected=dict.fromkeys(versions, 1))


def _balanced(pods: int) -> Figure:
    """Lesson 10: one pod is slow; first it gets as many requests as the others, then fewer."""
    line, dice, sent = Timeline(origin_s=T0, bin_s=0.5), random.Random(10), []
    for index in range(640):
        slow = dice.random() < (1 / pods if index < 320 else 1 / pods**2)
        name = f"web-v2-6f9c7d-{pods:05}" if slow else f"web-v1-5d8b6c-{dice.randrange(pods - 1):05}"
        hop = Hop("web", "v2" if slow else "v1", name)
        took_s = 0.2 + dice.uniform(0.002, 0.03) if slow else dice.uniform(0.002, 0.02)
        sent.append(Response(index, T0 + 0.025 * index, took_s, "ok", 200, f"id-{index}", (hop,)))
    line.add(sent)
    picture, changes = TrafficPicture(line), [Change(T0 + 8.0, "apply DestinationRule/web", 0.08)]
    below = pods_part(picture, changes, now_s=T0 + 16.0)
    assert below is not None
    return traffic_figure(picture, now_s=T0 + 16.0, changes=changes, below=[below])


_TOLD = "in force after 2.3 s, when all nine pods were ready"


def _unruled() -> Explanation:
    """Lesson 01: a way without a proxy."""
    why = "no proxy is on the way from outside to a node port"
    decision = (
        f"No rule applies: {why}. Each connection goes to one of the ready pods of web.default.svc.cluster.local."
    )
    pods = tuple(f"web-safe-6f9c7-x7k{place}" for place in range(9))
    return Explanation(
        "nodeport:web/name",
        "GET",
        {},
        "outside",
        "",
        "none",
        "web",
        8080,
        rules=(),
        destinations=(RoutedTo("web.default.svc.cluster.local", "", 8080, 1.0, pods),),
        decision=decision,
    )


def _condition(field: str, wanted: str, got: str, hint: str = "") -> MatchEntry:
    here = Place("VirtualService/reviews", file="cell", line=12)
    return MatchEntry("", (Condition(field, wanted, got, False, here, hint),), here)


def _explanation() -> Explanation:
    here = Place("VirtualService/reviews", file="02-canary-by-weight/virtual-service-web-90-10.yaml", line=12)
    rules = (
        RuleTrace(
            "VirtualService/reviews",
            0,
            "jason-sees-ratings",
            "no match",
            (_condition("headers[end-user]", 'exact "jason"', "nothing", "a name of a header is without capitals"),),
            here,
        ),
        RuleTrace("VirtualService/reviews", 1, "", "chosen", (), here),
        *(RuleTrace("VirtualService/reviews", 2 + place, "", "not reached", (), here) for place in range(4)),
    )
    ends = (
        RoutedTo("reviews.default.svc.cluster.local", "v1", 9080, 0.9, (_POD["reviews-v1"],)),
        RoutedTo("reviews.default.svc.cluster.local", "v2", 9080, 0.08, (_POD["reviews-v2"],)),
        RoutedTo("reviews.default.svc.cluster.local", "canary", 9080, 0.02, problem="NC", reason="no such subset"),
    )
    return Explanation(
        "http://reviews:9080/reviews/0?language=english",
        "GET",
        {"end-user": "somebody else"},
        "productpage-v1-6f9c7-x7k2p",
        _POD["productpage-v1"],
        "sidecar",
        "reviews",
        9080,
        rules=rules,
        destinations=ends,
        mirrors=(RoutedTo("reviews.default.svc.cluster.local", "v3", 9080, 1.0),),
        decision="rule 2 of VirtualService/reviews",
    )


def _call(
    at_s: float, caller: str, service: str, to: str, duration_s: float, status: int = 200, **more: str
) -> AccessRecord:
    direction = "gateway" if caller == "istio-ingressgateway" else "outbound"
    return AccessRecord(
        "id-1",
        T0 + at_s,
        _POD[caller],
        direction,  # type: ignore[arg-type]
        "GET",
        f"{service}:9080",
        f"/{service}/0",
        status,
        cluster=f"outbound|9080||{service}.default.svc.cluster.local",
        upstream_pod=_POD.get(to, ""),
        duration_s=duration_s,
        **more,
    )


_CHAIN = [
    _call(0.0, "istio-ingressgateway", "productpage", "productpage-v1", 0.5),
    _call(0.01, "productpage-v1", "details", "details-v1", 0.02),
    _call(0.04, "productpage-v1", "reviews", "reviews-v2", 0.4),
    _call(0.05, "reviews-v2", "ratings", "", 0.3, 503, flags="UF,URX"),
]


def _graph() -> MeshGraph:
    badges = ("weights 90/10", "delay 2s of 50 % for jason", "2 retries", "mirror to v3", "sticky (consistent hash)")
    return mesh_graph(_CHAIN, pods=_PODS, span_s=10.0, badges={"reviews": badges, "ratings": ("abort 500",)})


def _status() -> LabStatus:
    rule = RuleStatus(Ref("VirtualService", "reviews"), T0, 0.004, tuple(_POD.values()))
    urls = {"gateway": "http://127.0.0.1:34567/"}
    return LabStatus("embedded", "default", T0, Pods(_PODS), (rule,), urls)


def _config() -> ConfigView:
    marks: dict[str, Mark] = {"*": "written", "+": "default"}

    def lines(*texts: str) -> tuple[ConfigLine, ...]:
        return tuple(ConfigLine(text.lstrip("*+"), marks.get(text[0], "")) for text in texts)

    rule = ("  - route:", "    - destination:", "        subset: v1", "*      weight: 90")
    written = ("spec:", "  http:", *rule)
    cluster = "          - name: outbound|9080|v1|reviews.default.svc.cluster.local"
    got = ("weighted_clusters:", "  clusters:", cluster, "*            weight: 90", "+  timeout: 0s")
    host = "  - reviews.a-namespace-with-a-long-name.svc.cluster.local:9080/and-a-path-that-does-not-end"
    part = EnvoyPart("route in 9080", lines("domains:", host, *got))
    ref, file = Ref("VirtualService", "reviews"), "02-canary-by-weight/virtual-service-web-90-10.yaml"
    return ConfigView(ref, file, lines(*written), (part,), _POD["reviews-v1"], "sidecar", "v12")


def _course() -> CourseMap:
    """Nine lessons: two done, one begun, the rest to do."""
    states = [[PASSED] * 3, [PASSED] * 7, [PASSED, FAILED, NOT_ATTEMPTED], *[[NOT_ATTEMPTED] * 6] * 6]
    lessons = [
        LessonProgress(f"{n:02}", "Canary", tuple(ExerciseProgress(f"{n:02}.1", "x", state) for state in of_lesson))
        for n, of_lesson in enumerate(states)
    ]
    return CourseMap(tuple(lessons), here="01")


def _checks() -> dict[str, str]:
    seen = {"v1": 280, "v2": 20}
    interval = {key: proportion_interval(count, 300, level=0.999) for key, count in seen.items()}
    lines = ("Not one request may fail.", "20 of 300 requests went to v2 (6.7 %).", "  expected 10 %")
    made = {
        f"check-{state}": CheckOutcome(
            state, "reviews by version: 90 v1 to 10 v2", lines, n=300, seen=seen, interval=interval, level=0.999
        )
        for state in CheckState
    }
    return {name: check_html(outcome) for name, outcome in made.items()}


def _limited() -> Journey:
    """A page that gave up waiting for reviews, twice, and a service behind it that went on."""
    page, reviews = _POD["productpage-v1"], _POD["reviews-v2"]
    limits = {
        (page, "reviews"): (Limit("productpage waits", 0.3, "DC"), Limit("vs/reviews timeout", 0.5, "UT")),
        (reviews, "ratings"): (Limit("reviews waits", 10.0, "DC"),),
    }
    asked = {"method": "GET", "authority": "localhost", "path": "/productpage", "status": 200}
    gateway = AccessRecord(
        *("id-1", T0 - 0.004, "istio-ingressgateway-7d9c-x2x2", "gateway"),
        **asked,
        cluster="outbound|9080||productpage.default.svc.cluster.local",
        upstream_pod=page,
        duration_s=0.628,
    )
    lines = [gateway, AccessRecord("id-1", T0, page, "inbound", **asked, duration_s=0.62)]
    for begin_s in (0.01, 0.315):
        called = {"method": "GET", "path": "/reviews/0"}
        lines += [
            AccessRecord(
                *("id-1", T0 + begin_s, page, "outbound"),
                **called,
                flags="DC",
                cluster="outbound|9080|v2|reviews.default.svc.cluster.local",
                duration_s=0.295,
            ),
            AccessRecord("id-1", T0 + begin_s + 0.004, reviews, "inbound", **called, flags="DC", duration_s=0.29),
            AccessRecord(
                *("id-1", T0 + begin_s + 0.008, reviews, "outbound"),
                flags="DI,DC",
                cluster="outbound|9080||ratings.default.svc.cluster.local",
                duration_s=0.7,
            ),
        ]

    def limits_of(call: AccessRecord) -> tuple[Limit, ...]:
        return limits.get((call.pod, call.cluster.rpartition("|")[2].partition(".")[0]), ())

    return journey_of(lines, pods=_PODS, limits=limits_of)


def _rules() -> RulesTaken:
    rows = (
        RuleRow("1 · testers", ('headers[end-user] exact "tester"',), "reviews, subset v2", {"v2": 20}),
        RuleRow("2 · closed", ('uri prefix "/closed"', 'uri prefix "/gone"'), "answered here, with 410", {}, {410: 5}),
        RuleRow(
            "3 · nobody", ('headers[end-user] exact "a name that is much longer than most"',), "reviews, subset v3"
        ),
        RuleRow("4", (), "reviews, subset v1 (90) or reviews, subset v3 (10)", {"v1": 160, "v3": 15}),
    )
    return RulesTaken("VirtualService/reviews", rows, unmatched=3, unclear=2)


def gallery() -> dict[str, str]:
    """HTML of each picture or card, by name."""
    seen = Observations(responses(300))
    applied = ApplyResult(
        (
            ObjectChange(Ref("DestinationRule", "reviews"), "created", source="cell:2"),
            ObjectChange(
                Ref("VirtualService", "reviews"),
                "changed",
                (
                    "spec.http[0].route[0].weight: 100 -> 90",
                    "spec.http[0].route[1]: added {destination: {host: reviews}}",
                ),
                "02-canary-by-weight/virtual-service-web-90-10.yaml:1",
            ),
        ),
        tuple(ProxyChange(_POD[name], 0.002 + 0.001 * place, ("CDS", "RDS")) for place, name in enumerate(_SERVICES)),
        0.007,
        T0,
        ("spec.http[0].route: the weights add up to 90, and 100 is usual",),
        ("no effect here: imagePullPolicy",),
    )
    path = "spec.http[0].route[0].destination.hots"
    problem = Problem("unknown field", "cell", 7, 7, "VirtualService/reviews", path, "Did you mean host?")
    asked = "How many of 300 requests meet v2?"
    question = NumberQuestion("risk", asked, 10, 50, "10 % of them.", 300, {"version": "v2"})
    return {
        "traffic": _traffic(1_000, 3, bin_s=0.5)._repr_html_(),
        "traffic-long": _traffic(20_000, 24, bin_s=10.0)._repr_html_(),
        "traffic-recent": _traffic(400, 1, bin_s=0.5, shift_s=8.0)._repr_html_(),
        "traffic-scaled": _scaled()._repr_html_(),
        "traffic-mirrored": _mirrored("v3")._repr_html_(),
        "traffic-mirrored-many": _mirrored("v3", "v4", "v5", "v6")._repr_html_(),
        "traffic-pods": _balanced(4)._repr_html_(),
        "traffic-pods-many": _balanced(9)._repr_html_(),
        "explain-unruled": explanation_html(_unruled()),
        "share": share_figure(seen, expected={"v1": 90, "v2": 10, "v3": 0})._repr_html_(),
        "status": share_figure(seen, by="status")._repr_html_(),
        "connections": observations_html(
            Observations(responses(300, ("safe", "risk"), connections=5), per="connection")
        ),
        "connection": observations_html(Observations(responses(60, ("safe",), connections=1), per="connection")),
        "many": share_figure(
            Observations(responses(900, ("safe", "risk"), connections=90), per="connection"),
            expected={"safe": 1, "risk": 1},
        )._repr_html_(),
        "compare": compare(seen, Observations(responses(900, ("v1",))), expected={"v1": 100})._repr_html_(),
        "observations": observations_html(seen),
        "response": response_html(seen[0]),
        "explain": explanation_html(_explanation()),
        "journey": journey_figure(journey_of(_CHAIN, pods=_PODS))._repr_html_(),
        "journey-limits": journey_figure(_limited())._repr_html_(),
        "graph": graph_figure(_graph(), what="the last 10 s")._repr_html_(),
        "applied": apply_html(applied),
        "config": config_html(_config()),
        "rules": rules_figure(_rules())._repr_html_(),
        "pushed": push_figure(pushed_by(applied, _PODS))._repr_html_(),
        "left": leftovers_html(Leftovers((Ref("Pod", "reviews"),), ("process 4711",))),
        "refused": manifest_error_html(ManifestError([problem])),
        **_checks(),
        "prediction": prediction_html(question.compare(30, seen)),  # type: ignore[arg-type]
        "map": course_map_html(_course()),
        "hint": hint_html(Hint("Look at the weights of the route.", 1, 3)),
        "pods": pods_html(Pods(_PODS)),
        "mesh": status_html(_status()),
        "log": access_log_html(AccessLog(_CHAIN)),
    }
