"""What lessons show in the folds "The same as an HTTPRoute" runs, and does what the lesson's own rule does."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from labsupport import check, model, scene
from labsupport.check.result import CheckOutcome
from labsupport.course.delivery import rule_for
from labsupport.lab.lab import Lab
from labsupport.model.kinds.canary import Canary
from labsupport.model.reading import documents
from labsupport.paths import resolve, root
from labsupport.traffic.observations import Observations

Json = dict[str, Any]
Claim = Callable[[Lab, bool], Iterator[CheckOutcome]]

FOLD = re.compile(r"<summary><b>The same as an HTTPRoute</b></summary>(.*?)</details>", re.DOTALL)
WEB = "http://web:8080/"
VERSIONS = {"web-safe": {"version": "safe"}, "web-risk": {"version": "risk"}}
REVIEWS = {f"reviews-{version}": {"version": version} for version in ("v1", "v3")}
SPLIT = ("apps/client", "02-canary-by-weight/web", "02-canary-by-weight/destination-rule-web-versions.yaml")


def sources(notebook: str) -> list[str]:
    cells = json.loads(notebook)["cells"]
    return ["".join(cell["source"]) for cell in cells]


def folds() -> dict[str, list[Json]]:
    """What each fold shows, a route and what belongs to it, by lesson and, where it has several, its number."""
    found: dict[str, list[Json]] = {}
    for notebook in sorted((root() / "notebooks").glob("[0-9]*.ipynb")):
        texts = sources(notebook.read_text(encoding="utf-8"))
        for fold in [fold for text in texts for fold in FOLD.findall(text)]:
            for shown in re.findall(r"```yaml\n(.*?)```", fold, re.DOTALL):
                *beside, route = yaml.safe_load_all(shown)
                if "kind" not in route:
                    parents = [{"group": "", "kind": "Service", "name": "web", "port": 8080}]
                    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
                    route = {**head, "metadata": {"name": "web"}, "spec": {"parentRefs": parents, **route}}
                lesson = notebook.name[:2]
                name = lesson if lesson not in found else f"{lesson}.{sum(key[:2] == lesson for key in found) + 1}"
                found[name] = [*beside, route]
    return found


FOLDS = folds()


def cell(lesson: str, text: str) -> str:
    """A rule that stands in a cell of a lesson, and nowhere else."""
    (notebook,) = (root() / "notebooks").glob(f"{lesson}-*.ipynb")
    (found,) = [
        source
        for source in sources(notebook.read_text(encoding="utf-8"))
        if source.startswith("%%manifest\n") and text in source
    ]
    return found.partition("\n")[2]


def send(lab: Lab, url: str = WEB, count: int = 10, **options: Any) -> Observations:
    return lab.send(url, source="client", count=count, **options)


def to_first(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    yield check.only(send(lab, "http://reviews:9080/reviews/0", 60), version="v1")


def a_tenth(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    yield check.share(send(lab, count=1000), {"safe": 90, "risk": 10}, reject={"80 : 20": {"safe": 80, "risk": 20}})


def wishes(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    for headers, version in (
        ({"end-user": "staff-1"}, "risk"),
        ({"x-beta": "yes"}, "risk"),
        ({"x-beta": ""}, "risk"),
        ({"end-user": "not-staff-1"}, "safe"),
        ({}, "safe"),
        # The fold says that opting out takes a rule more.
        ({"end-user": "staff-1", "x-opt-out": "1"}, "risk" if route else "safe"),
    ):
        yield check.only(send(lab, headers=headers), version=version)


def prefix(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = [send(lab, f"{WEB}{path}") for path in ("headers", "headers/a", "headersx", "Headers")]
    risky = 20 if route else 30
    yield check.exactly(seen[0] + seen[1] + seen[2] + seen[3], {"safe": 40 - risky, "risk": risky})


def moved(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = send(lab, f"{WEB}moved/a?b=1", keep_headers=("location",))
    assert {response.headers["location"] for response in seen} == {f"{WEB}headers?b=1"}
    yield check.status(seen, 301)


def rewritten(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = send(lab, f"{WEB}old/a?b=1", keep_body=True)
    assert {json.loads(response.body)["path"] for response in seen} == {"/headers/a"}
    yield check.only(seen, version="risk")


def bounded(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    yield check.status(send(lab, f"{WEB}slow?seconds=4", 3), 504)
    yield check.ok(send(lab, f"{WEB}slow?seconds=0.2", 3))


def tried(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    yield check.received(lab.access_log(send(lab, f"{WEB}status/503", 2)), {"web-v1": 8})
    cut = send(lab, count=2, headers={"x-fault": "DELAY_S=1.5"})
    yield check.status(cut, 504)
    # A try that was cut off is not repeated by the route, as the fold says.
    yield check.received(lab.access_log(cut), {"web-v1": 2 if route else 8})


def copied(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = send(lab, "http://reviews:9080/reviews/0", 200)
    yield check.exactly(seen, {"v3": 200})
    yield check.copied(lab.access_log(seen), {"reviews-v1": 10, "reviews-v2": 0})


def one_arm_each(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    for user, version in (("user-8", "b"), ("user-10", "b"), ("user-7", "a")):
        seen = send(lab, "http://predict-server:5000/", headers={"user": user})
        yield check.only(seen, version=f"predict-pod-version-{version}")


def by_target(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    body = json.dumps({"image": scene(1, (48, 36)).base64})
    for target, pods in (("condition1", (10, 0)), ("condition2", (0, 10))):
        headers = {"content-type": "application/json", "target": target}
        seen = send(lab, "http://proxy-server:5000/predict", method="POST", body=body, headers=headers)
        yield check.received(lab.access_log(seen), dict(zip(("predict-pod1", "predict-pod2"), pods, strict=True)))


def carts_bounded(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = send(lab, "http://carts/carts/1/items", 3)
    yield check.status(seen, 504)


def by_the_door(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    seen = lab.send("gateway/shop:/" if route else "gateway:/", count=10, keep_body=True)
    assert {json.loads(response.body)["service"] for response in seen} == {"front-end"}
    yield check.ok(seen)


def canary(lab: Lab, route: bool) -> Iterator[CheckOutcome]:
    yield check.share(send(lab, count=1500), {"v1": 95, "v2": 5}, reject={"90 : 10": {"v1": 90, "v2": 10}})


def of_flagger() -> str:
    """What Flagger writes for 5 %."""
    (asked,) = model.parse(documents.read(resolve("19-progressive-delivery/canary-web.yaml")))
    assert isinstance(asked, Canary)
    return yaml.safe_dump(rule_for(asked, 5, {}))


@dataclass(frozen=True)
class Proof:
    """How a fold is proven.

    Args:
        apps: what the lesson has before its rule.
        claims: rules of the lesson, each with what it does and its route has to do.
        services: the labels of the pods of each Service that the fold says there has to be.
    """

    apps: tuple[str, ...]
    claims: Mapping[str, Claim]
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_PREDICT = "14-prediction-ab-test/"
_MODELS = "15-specialised-models/"
_PROXIES = {f"proxy-server{number}": {"version": f"proxy-pod-version{number}"} for number in (1, 2)}
_ARMS = {f"predict-server-{arm}": {"version": f"predict-pod-version-{arm}"} for arm in "ab"}
PROOFS = {
    "00": Proof(("apps/client", "apps/bookinfo"), {cell("00", "name: reviews"): to_first}, REVIEWS),
    "02": Proof(SPLIT, {"02-canary-by-weight/exercises/02.1/solution.yaml": a_tenth}, VERSIONS),
    "03": Proof(SPLIT, {"03-routing-by-header/exercises/03.3/solution.yaml": wishes}, VERSIONS),
    "04": Proof(SPLIT, {"04-routing-by-query-and-path/virtual-service-web-prefix-headers.yaml": prefix}, VERSIONS),
    "04.2": Proof(
        SPLIT,
        {
            "04-routing-by-query-and-path/virtual-service-web-old-to-headers.yaml": rewritten,
            cell("04", "closed until Monday"): moved,
        },
        VERSIONS,
    ),
    "07": Proof(("apps/client", "07-timeouts/web"), {"07-timeouts/exercises/07.1/solution.yaml": bounded}),
    "08": Proof(("apps/client", "07-timeouts/web"), {cell("08", "retryOn: 5xx"): tried}),
    "09": Proof(
        ("apps/client", "09-mirroring/shop"), {"09-mirroring/virtual-service-reviews-mirror-10.yaml": copied}, REVIEWS
    ),
    "14": Proof(
        ("apps/client", f"{_PREDICT}predict"), {f"{_PREDICT}exercises/14.3/solution.yaml": one_arm_each}, _ARMS
    ),
    "15": Proof(
        ("apps/client", f"{_MODELS}models", f"{_MODELS}destination-rule-proxy-server-versions.yaml"),
        {f"{_MODELS}virtual-service-proxy-server-by-target.yaml": by_target},
        _PROXIES,
    ),
    "16": Proof(
        ("apps/shop", "16-onboard/gateway-shop.yaml"), {"16-onboard/virtual-service-shop-open.yaml": by_the_door}
    ),
    "17": Proof(
        ("apps/client", "apps/shop", "17-resilience-and-release/deployment-carts-hangs.yaml"),
        {cell("17", "timeout: 0.5s"): carts_bounded},
    ),
    "19": Proof(
        ("apps/client", "19-progressive-delivery/web", "19-progressive-delivery/deployment-web-good.yaml"),
        {of_flagger(): canary},
    ),
}


def service(lab: Lab, name: str, labels: Mapping[str, str], parent: str) -> Json:
    """A Service for a part of the pods of another."""
    spec = yaml.safe_load(lab.get("Service", parent).yaml)["spec"]
    ports = [{key: port[key] for key in ("name", "port", "targetPort")} for port in spec["ports"]]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {**spec["selector"], **labels}, "ports": ports},
    }


def test_every_fold_with_a_route_is_proven() -> None:
    assert FOLDS.keys() == PROOFS.keys()


@pytest.mark.parametrize("name", PROOFS)
def test_a_fold_does_what_the_rule_of_its_lesson_does(lab: Lab, name: str) -> None:
    proof, shown = PROOFS[name], FOLDS[name]
    for app in proof.apps:
        lab.apply(app)
    for rule, claim in proof.claims.items():
        lab.apply(rule)
        for outcome in claim(lab, False):
            outcome.require()
    lab.delete(*lab.get("VirtualService"))
    (parent,) = shown[-1]["spec"]["parentRefs"]
    made = [service(lab, name, labels, parent["name"]) for name, labels in proof.services.items()]
    result = lab.apply(yaml.safe_dump_all([*made, *shown]), name="fold")
    assert not [text for text in result.notes if "HTTPRoute" in text], result.notes
    for claim in proof.claims.values():
        for outcome in claim(lab, True):
            outcome.require()


def test_the_query_that_a_fold_shows_is_compared(lab: Lab) -> None:
    (notebook,) = (root() / "notebooks").glob("04-*.ipynb")
    (shown,) = re.findall(r"`(queryParams: \[.*?\])`", "".join(sources(notebook.read_text(encoding="utf-8"))))
    route = copy.deepcopy(FOLDS["04"][-1])
    route["spec"]["rules"][0]["matches"] = [yaml.safe_load(shown)]
    for app in SPLIT:
        lab.apply(app)
    made = [service(lab, name, labels, "web") for name, labels in VERSIONS.items()]
    lab.apply(yaml.safe_dump_all([*made, route]), name="fold")
    check.only(send(lab, f"{WEB}?test-v2=true"), version="risk").require()
    check.only(send(lab, f"{WEB}?test-v2=false") + send(lab), version="safe").require()


def test_a_destination_rule_acts_under_a_route_as_folds_say(lab: Lab) -> None:
    for app in ("apps/client", "11-sticky-sessions/web", "11-sticky-sessions/exercises/11.1/solution.yaml"):
        lab.apply(app)
    lab.apply(yaml.safe_dump_all(FOLDS["07"]))
    seen = send(lab, count=40, headers={"x-user": "anna"})
    assert len({response.path[0].pod for response in seen}) == 1
    assert len({response.path[0].pod for response in send(lab, count=60)}) > 1
