"""The examples of the README and of docstrings run as they stand, on one lab."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labsupport
from labsupport.course import judging
from labsupport.lab.lab import Lab

pytestmark = [pytest.mark.envoy, pytest.mark.embedded]

ROOT = Path(__file__).resolve().parents[2]
HOMES = ("labsupport", "labsupport.certificates", "labsupport.display", "labsupport.lab.lab:Lab")
RULES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
    - {name: safe, labels: {version: safe}}
    - {name: risk, labels: {version: risk}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
    - route:
        - {destination: {host: web, subset: safe}, weight: 90}
        - {destination: {host: web, subset: risk}, weight: 10}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: shop-cert}
      hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  gateways: [shop]
  http:
    - route: [{destination: {host: web, port: {number: 8080}}}]
"""


def examples() -> dict[str, str]:
    """Python of the README, and what follows two colons in a docstring and speaks of a lab or a picture."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    seen = {f"README.md {number}": block for number, block in enumerate(blocks, 1)}
    for home in HOMES:
        module, _, name = home.partition(":")
        owner = importlib.import_module(module)
        text = inspect.getdoc(getattr(owner, name) if name else owner) or ""
        (block,) = re.findall(r"::\n\n((?:[ ]+\S.*\n|\n)+)", f"{text}\n")
        seen[home] = textwrap.dedent(block)
    return seen


EXAMPLES = examples()


@pytest.fixture(scope="module")
def only_lab() -> Iterator[Lab]:
    with Lab(engine="embedded") as lab:
        yield lab


@pytest.fixture
def lab(only_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The one lab, whoever opens or closes it, with the files that the examples take from the learner."""
    (tmp_path / "my-rules").mkdir()
    (tmp_path / "my-rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "gateway.yaml").write_text(GATEWAY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(labsupport, "Lab", lambda: only_lab)
    monkeypatch.setattr(Lab, "close", Lab.reset)
    yield only_lab
    monkeypatch.undo()
    only_lab.reset()


def names_of(lab: Lab) -> dict[str, Any]:
    """What the examples of pictures and certificates expect to be there."""
    lab.apply("apps/client", "02-canary-by-weight/web")
    traffic = lab.traffic("http://web:8080/name", source="client", rate=20)
    observations = lab.send("http://web:8080/name", source="client", count=20)
    names = {"lab": lab, "traffic": traffic, "observations": observations, "response": observations[0]}
    names |= {"before": observations[:10], "after": observations[10:]}
    return names | {name: getattr(labsupport, name) for name in ("compare", "show", "watch")}


@pytest.mark.parametrize("where", EXAMPLES)
def test_an_example_runs_as_it_stands(where: str, lab: Lab) -> None:
    code = EXAMPLES[where]
    names: dict[str, Any] = {} if "Lab()" in code else names_of(lab)
    exec(compile(code, where, "exec"), names)
    if "seen" in names:
        assert names["seen"] and all(response.status for response in names["seen"])


def test_the_example_of_a_judge_is_one(only_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "JUDGES", {})
    text = inspect.getdoc(judging) or ""
    (block,) = re.findall(r"::\n\n((?:[ ]+\S.*\n|\n)+)", f"{text}\n")
    names = {"judge": judging.judge, "check": labsupport.check, "WEB": "http://web:8080/", "TESTER": {"end-user": "me"}}
    exec(compile(textwrap.dedent(block), "judging", "exec"), names)
    only_lab.apply("apps/client", "apps/web")
    seen, outcome = names["testers_only"](only_lab)
    assert len(seen) == 200 and not outcome


def test_no_example_of_a_docstring_is_forgotten() -> None:
    heading = re.compile(r"^\s*Examples?:$", re.MULTILINE)
    files = {file for file in (ROOT / "labsupport").rglob("*.py") if heading.search(file.read_text(encoding="utf-8"))}
    run = {Path(importlib.import_module(home.partition(":")[0]).__file__ or "") for home in HOMES}
    assert files <= run, f"add to HOMES: {sorted(files - run)}"
