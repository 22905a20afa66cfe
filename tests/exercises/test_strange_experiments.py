"""What a lesson says of its strange experiments is so: each of them is tried."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from labsupport import paths
from labsupport.errors import ManifestError
from labsupport.lab.lab import Lab
from labsupport.traffic.observations import Observations

NOTEBOOKS = sorted((paths.root() / "notebooks").glob("[0-9][0-9]-*.ipynb"))
REVIEWS = "http://reviews:9080/reviews/0"
WEB = "http://web:8080/"
ONE_IN_TEN = "02-canary-by-weight/exercises/02.1/solution.yaml"

TRIED: dict[tuple[str, int], Callable[[Lab], None]] = {}
"""What shows that an experiment goes as told, by lesson and number."""


def tries(lesson: str, number: int) -> Callable[[Callable[[Lab], None]], None]:
    def register(experiment: Callable[[Lab], None]) -> None:
        TRIED[lesson, number] = experiment

    return register


def cells(notebook: Path, kind: str) -> list[str]:
    every = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in every if cell["cell_type"] == kind]


def on_one_connection(lab: Lab, url: str) -> Observations:
    seen = lab.send(url, source="client", count=60, concurrency=1, reuse_connections=True)
    assert len(seen.independent_choices(per="connection")) == 1
    return seen


@tries("00", 1)
def a_rule_falls_back_on_no_other_version(lab: Lab) -> None:
    lab.apply("apps/bookinfo", "apps/client")
    (rule,) = (text for text in cells(NOTEBOOKS[0], "code") if text.startswith("%%manifest\n"))
    lab.apply(rule.removeprefix("%%manifest\n"))
    lab.scale("reviews-v1", 0)
    assert lab.send(REVIEWS, source="client", count=30).count(status=503) == 30


@tries("00", 2)
def one_connection_of_a_sidecar_meets_several_versions(lab: Lab) -> None:
    lab.apply("apps/bookinfo", "apps/client")
    assert len(on_one_connection(lab, REVIEWS).share("version")) > 1


@tries("00", 3)
def the_gateway_itself_says_404(lab: Lab) -> None:
    lab.apply("apps/bookinfo", "00-start-here")
    lab.delete("vs/productpage")
    seen = lab.send("gateway:/productpage")
    assert seen[0].status == 404
    assert [record.status for record in lab.access_log(seen)] == [404]


@tries("01", 1)
def a_kept_connection_is_one_choice(lab: Lab) -> None:
    lab.apply("apps/web")
    seen = lab.send("nodeport:web/", count=60, concurrency=4, reuse_connections=True)
    assert len(seen) == 60
    assert len(seen.independent_choices(per="connection")) == 4


@tries("01", 2)
def a_sidecar_chooses_for_each_request(lab: Lab) -> None:
    lab.apply("apps/web", "apps/client")
    assert len(on_one_connection(lab, WEB).share("pod")) > 1


@tries("01", 3)
def without_pods_only_a_proxy_answers(lab: Lab) -> None:
    lab.apply("apps/web", "apps/client")
    lab.scale("web-safe", 0)
    lab.scale("web-risk", 0)
    assert lab.send("nodeport:web/", count=10).count(outcome="connection") == 10
    assert lab.send(WEB, source="client", count=10).count(status=503) == 10


def begun(lab: Lab) -> None:
    lab.apply("02-canary-by-weight/web", "apps/client")
    lab.apply("02-canary-by-weight/destination-rule-web-versions.yaml", ONE_IN_TEN)


def with_weights(safe: str, risk: str) -> str:
    text = (paths.manifests() / ONE_IN_TEN).read_text(encoding="utf-8")
    return text.replace("          weight: 90\n", safe).replace("          weight: 10\n", risk)


@tries("02", 1)
def pods_do_not_count(lab: Lab) -> None:
    begun(lab)
    lab.scale("web-risk", 3)
    assert 0 < lab.send(WEB, source="client", count=600).count(version="risk") < 120


@tries("02", 2)
def weights_do_not_move_to_those_who_are_left(lab: Lab) -> None:
    begun(lab)
    lab.scale("web-risk", 0)
    seen = lab.send(WEB, source="client", count=600)
    assert 0 < seen.count(status=503) < 120
    assert {record.flags for record in lab.access_log(seen.errors)} == {"UH"}


@tries("02", 3)
def weights_of_nothing_are_refused(lab: Lab) -> None:
    begun(lab)
    with pytest.raises(ManifestError, match="add up to 0"):
        lab.apply(with_weights("          weight: 0\n", "          weight: 0\n"))


@tries("02", 4)
def no_weight_is_weight_0(lab: Lab) -> None:
    begun(lab)
    lab.apply(with_weights("          weight: 90\n", ""))
    assert lab.send(WEB, source="client", count=100).count(version="safe") == 100


@pytest.mark.parametrize(("lesson", "number"), [*TRIED])
def test_a_strange_experiment_goes_as_told(lab: Lab, lesson: str, number: int) -> None:
    TRIED[lesson, number](lab)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_strange_experiment_is_tried(notebook: Path) -> None:
    (told,) = (text for text in cells(notebook, "markdown") if text.startswith("## Strange experiments"))
    asked, _, answered = told.partition("<details>")
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", asked, re.MULTILINE)]
    assert 3 <= len(numbers) <= 5
    assert numbers == [int(number) for number in re.findall(r"^(\d+)\. ", answered, re.MULTILINE)]
    assert [(notebook.name[:2], number) for number in numbers] == [key for key in TRIED if key[0] == notebook.name[:2]]
