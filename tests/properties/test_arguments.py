"""Wrong arguments of every verb that the page on the API documents: taken, or refused in words before anything is done.

A new verb without a row in ``ROWS`` fails a test here.
"""

from __future__ import annotations

import inspect
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_engine import SmallEngine

from labsupport import (
    Gain,
    Replays,
    buy,
    check,
    compare,
    ensure_extra,
    exercise,
    false_alarms,
    iou,
    mask_of,
    predictions,
    progress,
    release,
    replays,
    sample_ratio,
    scene,
    show,
    visit,
    watch,
)  # fmt: skip
from labsupport.course.predictions import Predictions
from labsupport.errors import LabError, ManifestError, UsageError
from labsupport.lab import current
from labsupport.lab.lab import Lab
from labsupport.records import EnvoyConfig, Pod
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.held import HeldRequests
from labsupport.traffic.observations import Observations

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
# The lab calls an engine's methods, and has checked; the others are made by the package alone.
NOT_FOR_LEARNERS = re.compile(r"Engine(\..*)?|BackgroundTraffic|HeldRequests|Metrics|ServiceGraph|\w+Error")
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: safe}, weight: 90}, {destination: {host: web}, weight: 10}]}]
"""
OBJECT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "web"},
    "spec": {"hosts": ("web",), "http": [{"route": [{"destination": {"host": "web"}}]}]},
}
URL = "http://web:8080/"
WEB = Pod("web-1", "default", "web", {"app": "web", "version": "safe"}, True, True, concurrency=1)


class Briefly(SmallEngine):
    """Ends what has no number of requests, and waits for nothing."""

    def send(self, spec):
        self.specs.append(spec)
        sending = super().send(replace(spec, count=3) if spec.duration_s else spec)
        self.specs.pop()
        return sending


class World:
    """A lab with a rule and a pod, what was seen of some requests, and traffic."""

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.engine = Briefly(pods=[WEB])
        self.lab = Lab(self.engine)
        self.engine.configs["web-1"] = EnvoyConfig("web-1", {}, {}, {}, {})
        self.lab.apply(RULE)
        self.seen = self.lab.send(URL, source="client", count=9)
        self._live: BackgroundTraffic | None = None

    @property
    def live(self) -> BackgroundTraffic:
        if self._live is None or not self._live.running:
            self._live = self.lab.traffic(URL, source="client", rate=2000.0)
            self._live.collect(5)
        return self._live

    @property
    def held(self) -> HeldRequests:
        return self.lab.hold(URL, source="client")

    def state(self) -> tuple[Any, ...]:
        engine = self.engine
        threads = {thread.ident for thread in threading.enumerate() if thread is not threading.main_thread()}
        return engine.closed, len(engine.specs), list(engine.patches), dict(engine.objects), threads


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    # No engine is to be started by a lab that is opened without a word.
    monkeypatch.setenv("WORKSHOP_ENGINE", "none")
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path / "progress.json"))
    made = World()
    yield made
    current.replace(None)


EXPECTED = {"safe": 2, "risk": 1}
CHECKS: dict[str, dict[str, Any]] = {
    "share": {"expected": EXPECTED},
    "same_share": {"other": ..., "key": "safe"},
    "exactly": {"expected": {"safe": 1}},
    "only": {},
    "none": {"version": "v9"},
    "status": {"statuses": (200,)},
    "ok": {},
    "even": {"among": 3},
    "between": {"low": 1, "high": 9, "version": "safe"},
    "sticky": {},
    "duration": {"at_most_s": 1.0},
    "slower": {"other": ...},
    "ejections": {"errors": 1, "base_s": 2.0},
}
# Verb -> the function in a world, and arguments that it takes; Ellipsis stands for observations.
ROWS: dict[str, tuple[Callable[[World], Callable[..., Any]], dict[str, Any]]] = {
    "Lab": (lambda world: Lab, {"engine": Briefly()}),
    "Lab.apply": (lambda world: world.lab.apply, {"sources": (RULE,)}),
    "Lab.delete": (lambda world: world.lab.delete, {"targets": ("vs/web",), "missing_ok": True}),
    "Lab.patch": (lambda world: world.lab.patch, {"target": "vs/web", "patch": {"spec": {}}}),
    "Lab.scale": (lambda world: world.lab.scale, {"target": "web", "replicas": 2}),
    "Lab.send": (lambda world: world.lab.send, {"url": URL, "source": "client"}),
    "Lab.hold": (lambda world: world.lab.hold, {"url": URL, "source": "client"}),
    "HeldRequests.rest": (lambda world: world.held.rest, {"timeout_s": 5.0}),
    "HeldRequests.join": (lambda world: world.held.join, {"timeout_s": 5.0}),
    "Lab.traffic": (lambda world: world.lab.traffic, {"url": URL, "source": "client"}),
    "Lab.explain": (lambda world: world.lab.explain, {"url": "http://web:8080/", "source": "web"}),
    "Lab.get": (lambda world: world.lab.get, {"kind": "vs"}),
    "Lab.logs": (lambda world: world.lab.logs, {"pod": "web"}),
    "Lab.stats": (lambda world: world.lab.stats, {"pod": "web"}),
    "Lab.pools": (lambda world: world.lab.pools, {"pod": "web"}),
    "Lab.access_log": (lambda world: world.lab.access_log, {"of": ...}),
    "Lab.config": (lambda world: world.lab.config, {"target": "vs/web"}),
    "Lab.journey": (lambda world: world.lab.journey, {"of": "id-1"}),
    "Lab.traces": (lambda world: world.lab.traces, {"of": ...}),
    "Metrics.ask": (lambda world: world.lab.metrics().ask, {"query": "up"}),
    "Metrics.query": (lambda world: world.lab.metrics().query, {"query": "up"}),
    "Answer.by": (lambda world: world.lab.metrics().query("up").by, {"label": "code"}),
    "Lab.graph": (lambda world: world.lab.graph, {"of": ...}),
    "Lab.rules": (lambda world: world.lab.rules, {"target": "vs/web", "of": ...}),
    "Lab.when_closed": (lambda world: world.lab.when_closed, {"act": lambda: None}),
    "Lab.when_reset": (lambda world: world.lab.when_reset, {"act": lambda: None}),
    "BackgroundTraffic.collect": (lambda world: world.live.collect, {"count": 2}),
    "BackgroundTraffic.during": (lambda world: world.live.during, {"when": 0.0}),
    "BackgroundTraffic.last": (lambda world: world.live.last, {"seconds": 5.0}),
    "BackgroundTraffic.mark": (lambda world: world.live.mark, {"label": "here"}),
    "BackgroundTraffic.set_rate": (lambda world: world.live.set_rate, {"rate": 2000.0}),
    "BackgroundTraffic.since": (lambda world: world.live.since, {"when": 0.0}),
    "BackgroundTraffic.snapshot": (lambda world: world.live.snapshot, {}),
    "BackgroundTraffic.stop": (lambda world: world.live.stop, {}),
    "Observations": (lambda world: Observations, {"responses": ...}),
    "Observations.filter": (lambda world: world.seen.filter, {}),
    "Observations.count": (lambda world: world.seen.count, {}),
    "Observations.independent_choices": (lambda world: world.seen.independent_choices, {}),
    "Observations.quantile": (lambda world: world.seen.quantile, {"q": 0.5}),
    "Observations.share": (lambda world: world.seen.share, {}),
    "Share.count": (lambda world: world.seen.share().count, {"key": "safe"}),
    "Share.interval": (lambda world: world.seen.share().interval, {"key": "safe"}),
    "AccessLog.of": (lambda world: world.lab.access_log().of, {"request_id": "id-1"}),
    "AccessLog.received": (lambda world: world.lab.access_log().received, {"pod": "web"}),
    "check.flags": (lambda world: check.flags, {"log": None, "expected": {"UH": 1}}),
    "check.moved": (lambda world: check.moved, {"before": ..., "after": ..., "at_most": 9}),
    "Exercise.note_unready": (lambda world: exercise("02.1").note_unready, {"text": "", "error": UsageError("no")}),
    "check.copied": (lambda world: check.copied, {"log": None, "expected": {"web": 50.0}, "alpha": 1e-5}),
    "check.received": (lambda world: check.received, {"log": None, "expected": {"web": 1}}),
    "Pods.of": (lambda world: world.lab.pods().of, {"workload": "web"}),
    "ServiceGraph.text": (lambda world: world.lab.graph().text, {"graph": None}),
    "Exercise": (lambda world: lambda spec, lab: exercise("02.1"), {"spec": None, "lab": None}),
    "Exercise.ask": (lambda world: exercise("02.1").ask, {}),
    "Exercise.compare": (lambda world: exercise("02.1").compare, {"observations": ...}),
    "Exercise.predict": (lambda world: exercise("02.1").predict, {"value": 1}),
    "Exercise.skip": (lambda world: exercise("02.1").skip, {}),
    "Exercise.note_applied": (lambda world: exercise("02.1").note_applied, {"text": RULE}),
    "Exercise.note_gap": (lambda world: exercise("02.1").note_gap, {"text": RULE}),
    "Exercise.note_refusal": (lambda world: exercise("02.1").note_refusal, {"text": "", "error": UsageError("no")}),
    "progress": (lambda world: progress, {"lesson": "02"}),
    "Incident": (lambda world: lambda lab, drawn: world.lab.incident(1), {"lab": None, "drawn": None}),
    "Lab.incident": (lambda world: world.lab.incident, {"seed": 1}),
    "Lab.pods": (lambda world: world.lab.pods, {}),
    "exercise": (lambda world: exercise, {"number": "02.1"}),
    "show": (lambda world: show, {"record": ...}),
    "watch": (lambda world: watch, {"of": None}),
    "compare": (lambda world: compare, {"before": ..., "after": ...}),
    "Gain": (lambda world: Gain, {}),
    "Gain.mirror": (lambda world: Gain().mirror, {"a": 0.5, "b": 0.6}),
    "Gain.split": (lambda world: Gain().split, {"arm": "a", "value": 0.5}),
    "false_alarms": (lambda world: false_alarms, {"values": [0.1, 0.9], "requests": 40, "repetitions": 2}),
    "sample_ratio": (lambda world: sample_ratio, {"counts": {"a": 5, "b": 6}, "weights": {"a": 1, "b": 1}}),
    "scene": (lambda world: scene, {"number": 1}),
    "iou": (lambda world: iou, {"found": scene(1).mask, "known": scene(1).mask}),
    "mask_of": (lambda world: mask_of, {"text": scene(1).base64}),
    "buy": (lambda world: buy, {"lab": None, "entrance": "gateway:", "customers": 2}),
    "visit": (lambda world: visit, {"lab": None}),
    "predictions": (lambda world: predictions, {"lab": None, "users": 2}),
    "Predictions.gain": (lambda world: Predictions().gain, {}),
    "Predictions.iou": (lambda world: Predictions().iou, {"arm": "a"}),
    "Predictions.numbers": (lambda world: Predictions().numbers, {"arm": "a"}),
    "Predictions.of": (lambda world: Predictions().of, {"arm": "a"}),
    "release": (lambda world: release, {"lab": None}),
    "replays": (lambda world: replays, {"recorded": {}, "judges": {}}),
    "Replays.of": (lambda world: Replays(1, ()).of, {"version": "good", "judge": "one"}),
    "ensure_extra": (lambda world: ensure_extra, {"name": "predict"}),
    "check.all_of": (lambda world: check.all_of, {"title": "all", "outcomes": (check.ok(None),)}),
} | {
    f"check.{name}": (lambda world, name=name: getattr(check, name), {"observations": ..., **options})
    for name, options in CHECKS.items()
}


def documented() -> list[str]:
    """What the page shows a signature of that takes an argument."""
    blocks = re.findall(r"^##+ (\S+)\n\n```python\n(.*)\n```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for name, form in blocks if f"{name}()" not in form and not NOT_FOR_LEARNERS.fullmatch(name)]


def test_every_documented_verb_has_a_row() -> None:
    assert sorted(documented()) == sorted(ROWS)


def wrongs(world: World) -> list[Any]:
    itself: list[Any] = []
    itself.append(itself)
    response = world.seen[0]
    return [
        *(None, True, False, 0, -1, 1.5, -1.5, math.nan, math.inf, -math.inf, 10**400, np.int64(2), np.float32(0.5)),
        *("", "5", "x", "\0", "~nobody/x", "a" * 5000, "vs/web.shop", b"x", bytearray(b"x"), Path("x"), Path("\0")),
        *([], (), {}, set(), ["x"], [None], (1, 2), itself, iter([]), (item for item in (3, 4)), [[]]),
        *({"a": "b"}, {"a": -1}, {"a": math.nan}, {"a": None}, {None: 1}, {"a": {"b": {1}}}, {(1, 2): 3}),
        *(object(), lambda *_: None, Decimal(1), 1j, ..., NotImplemented, range(3)),
        *(
            response,
            [response],
            world.seen,
            world.seen.share(),
            world.lab,
            world.lab.get("vs", namespace="*")[0],
            WEB,
            world.lab.status(),
        ),
        *(check.ok(world.seen), UsageError("x"), threading.Lock()),
    ]


def tried(world: World, verb: str, name: str, value: Any) -> str:
    """What is wrong with how a verb takes a value; empty if nothing is."""
    make, good = ROWS[verb]
    function = make(world)
    taken = {key: world.seen if known is ... else known for key, known in good.items()}
    before = world.state()
    try:
        result = _call(function, {**taken, name: value})
    except UsageError as error:
        after = world.state()
        return "" if after == before and len(str(error)) > 10 else f"refused, but changed {before} to {after}: {error}"
    except LabError:
        return ""
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(result, BackgroundTraffic):
        result.stop()
    return ""


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    several = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.VAR_POSITIONAL
    ]
    if not several:
        return function(**arguments)
    named = inspect.signature(function).parameters
    first = [arguments[name] for name in named if named[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    more = arguments.get(several[0], ())
    more = more if isinstance(more, tuple) else (more,)
    rest = {name: value for name, value in arguments.items() if named[name].kind is inspect.Parameter.KEYWORD_ONLY}
    return function(*first, *more, **rest)


def parameters(world: World, verb: str) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in inspect.signature(ROWS[verb][0](world)).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]


def faults(world: World, verb: str, name: str, values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if world.engine.closed:
            world.open()
        if not world.engine.objects:
            world.lab.apply(RULE)
        if fault := tried(world, verb, name, value):
            yield f"{name}={str(value)[:60]!r}: {fault}"


@pytest.mark.parametrize("verb", ROWS)
def test_a_wrong_argument_is_refused_in_words_and_nothing_is_done(world: World, verb: str) -> None:
    names = [parameter.name for parameter in parameters(world, verb)]
    seen = [fault for name in names for fault in faults(world, verb, name, wrongs(world))]
    assert not seen, "\n".join(seen)


@pytest.mark.parametrize("verb", sorted({*ROWS} - {"Lab", "Exercise", "Incident"}))
def test_a_call_of_another_form_is_refused_in_words(world: World, verb: str) -> None:
    with pytest.raises(UsageError, match="has no option 'no_such_option'"):
        ROWS[verb][0](world)(no_such_option=1)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
# What may be given is drawn, too, and would be done: sent for a day, or scaled to what a machine cannot hold.
_DRAWN = sorted({*ROWS} - {"Lab", "Lab.send", "Lab.traffic", "BackgroundTraffic.collect", "BackgroundTraffic.set_rate"})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_given_no_verb_fails_inside(world: World, data: st.DataObject) -> None:
    verb = data.draw(st.sampled_from(_DRAWN))
    name = data.draw(st.sampled_from([parameter.name for parameter in parameters(world, verb)]))
    assert list(faults(world, verb, name, [data.draw(_VALUES)])) == []


# --- what works -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", ["check.share", "check.exactly", "check.ok", "check.sticky", "check.same_share", "compare"]
)
def test_any_responses_do_where_observations_are_wanted(world: World, verb: str) -> None:
    function, good = ROWS[verb][0](world), ROWS[verb][1]
    asked = list(world.seen)
    expected = repr(_call(function, {name: world.seen if value is ... else value for name, value in good.items()}))
    for make in (list, tuple, iter, lambda seen: (response for response in seen), lambda seen: [world.seen]):
        given = {name: make(asked) if value is ... else value for name, value in good.items()}
        assert repr(_call(function, given)) == expected


def test_one_response_traffic_and_several_batches_do_for_observations(world: World) -> None:
    one_batch = world.seen
    assert check.ok(one_batch[0]).n == 1
    assert check.ok([one_batch, one_batch]).n == 2 * len(one_batch)
    world.live.stop()
    assert check.ok(world.live.observations if world.live.running else world.live).passed
    assert world.lab.access_log(iter(one_batch)) == world.lab.access_log(one_batch)
    assert len(world.lab.access_log([one_batch[0]])) == len(world.lab.access_log("id-0")) == 1
    assert repr(world.lab.graph(list(one_batch))) == repr(world.lab.graph(one_batch))
    assert repr(world.lab.journey(one_batch[1])) == repr(world.lab.journey([one_batch[1]]))
    assert show(list(one_batch)).svg() == show(one_batch).svg()


def test_mappings_do_for_manifests(world: World) -> None:
    lab = world.lab
    assert lab.apply(OBJECT).changes[0].action == "changed"
    listed = {"apiVersion": "v1", "kind": "List", "items": [OBJECT]}
    for same in ([OBJECT], (item for item in [OBJECT]), listed):
        assert lab.apply(same).changes[0].action == "unchanged"
    assert lab.delete(OBJECT).changes[0].action == "deleted"
    with pytest.raises(ManifestError, match=r"^mine, VirtualService/web, spec.weigth: unknown field"):
        lab.apply({**OBJECT, "spec": {**OBJECT["spec"], "weigth": 1}}, name="mine")
    with pytest.raises(UsageError, match="it holds a set"):
        lab.apply({**OBJECT, "spec": {"hosts": {"web"}}})


def test_a_path_does_for_a_manifest_and_a_pod_for_its_name(world: World) -> None:
    assert {change.ref.kind for change in world.lab.apply(Path("apps/web")).changes} == {"Deployment", "Service"}
    assert world.lab.logs(WEB) == world.lab.logs("web")
    assert world.lab.config("vs/web", proxy=WEB).ref.name == "web"


def test_numbers_of_numpy_are_numbers(world: World) -> None:
    assert len(world.lab.send(URL, source="client", count=np.int64(3), timeout_s=np.float32(2))) == 3
    assert type(world.engine.specs[-1].count) is int


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("Lab.send", {"url": URL, "count": "10"}, r"^count='10': give a whole number or None \(how many requests"),
        ("Lab.send", {"url": URL, "cuont": 1}, r"lab.send\(\) has no option 'cuont'. Did you mean count\?"),
        ("Lab.send", {}, r"lab.send\(\): missing a required argument: 'url'. Write lab.send\(url, \*, count=None"),
        ("Lab.send", {"url": URL, "tls": "-----BEGIN" * 9}, r"^tls \(a str\): give a Tls or None"),
        ("Lab.apply", {"sources": 3}, r"^sources=3: give text, a Path, a Resource, a mapping or a list \(files and"),
        ("Lab.apply", {"sources": RULE, "timeout_s": math.inf}, r"^timeout_s=inf: give a number or None \(how long"),
        ("Lab.scale", {"target": "web", "replicas": 10**9}, r"^replicas=1000000000: a whole number from 0 to 10,000"),
        ("check.share", {"observations": None, "expected": {"v1": "90"}}, r"^expected\['v1'\]='90': give a number"),
        ("check.ok", {"observations": {"v1": 1}}, r"^observations \(a dict\): give responses, such as what lab.send"),
        (
            "Observations.share",
            {"by": "verson"},
            r"^by='verson': give 'version', 'pod', .* or a function \(version, pod or",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_was_given_and_what_may_be(
    world: World, verb: str, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        _call(ROWS[verb][0](world), arguments) if arguments else ROWS[verb][0](world)()


@pytest.mark.parametrize(
    "options",
    [
        {"engine": 5},
        {"engine": SmallEngine},
        {"engine": "kubernetes"},
        {"timeout_s": math.nan},
        {"timeout_s": math.inf},
        {"timeout_s": "60"},
        {"engine": "embedded", "namespace": 5},
        {"engine": "embedded", "namespace": "Not A Name"},
        {"engine": "embedded", "images": 5},
        {"engine": "embedded", "images": {"gcr.io/x/y": "no-such-program"}},
        {"engine": "embedded", "namespce": "shop"},
        {"engine": "cluster", "namespace": b"shop"},
        {"engine": "cluster", "namespace": "Not A Name"},
        {"engine": "cluster", "images": {"a": "b"}},
    ],
)
def test_a_lab_that_cannot_be_opened_does_not_cost_the_one_that_runs(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Lab(**options)
    assert world.engine.closed == 0
    assert current.current() is world.lab
    assert world.live.running
