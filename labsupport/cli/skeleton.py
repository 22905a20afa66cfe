"""What ``workshop lesson new`` makes: a lesson that keeps every rule and runs; what is to be filled in says WRITE."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["files", "linked"]

_TOML = """\
kind = "{kind}"
needs = ["apps/client", "apps/web"]
absent = ["VirtualService/web"]

[en]
title = "WRITE a title"
task = "WRITE what is to be done, one sentence per line."
hints = ["WRITE a mild hint", "WRITE another one", "WRITE a concrete one"]
"""
_RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
spec:
  hosts:
    - web
  http:
    - timeout: {timeout}
      route:
        - destination:
            host: web
"""
_MISTAKES = (
    ("without-unit", "2", "timeout: expected a duration, got a number (2)"),
    ("negative", "-2s", "timeout: must be a duration of at least 1ms"),
)
_JUDGES = '''"""Judges of notebook {number}."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.course.judging import judge

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations


@judge("{number}.1")
def answered(lab: Lab) -> Observations:
    """The rule is there, and every request is answered."""
    lab.get("VirtualService", "web")
    return lab.send("http://web:8080/", source="client", count=50)


judge("{number}.2")(answered)
'''
_LESSON = """\
# What the text of notebook {number} says, for the tests that hold it to that. WRITE what a reader relies on.

[[outputs]]
cell = 'lab.explain('
says = ["as explained"]

[[experiments]]
begin = ["apps/web", "apps/client"]
do = ['lab.scale("web-safe", 0)']
expect = ['lab.send("http://web:8080/", source="client", count=30).count(version="risk") == 30']

[[experiments]]
begin = ["apps/web", "apps/client"]
do = ['lab.scale("web-risk", 0)']
expect = ['lab.send("http://web:8080/", source="client", count=30).count(version="safe") == 30']

[[experiments]]
begin = ["apps/web", "apps/client"]
do = ['lab.scale("web-safe", 0)', 'lab.scale("web-risk", 0)']
expect = ['lab.send("http://web:8080/", source="client", count=30).count(status=503) == 30']
"""
_EXPERIMENTS = """\
## Strange experiments

WRITE others. A line or two each, in a cell of your own. Say first what you expect.

1. `lab.scale("web-safe", 0)`: who answers?
2. `lab.scale("web-risk", 0)`, after 1 the other way round: who answers now?
3. Both. What does `client` see?

<details><summary><b>What happens</b></summary>

1. `risk`, and nothing fails.
2. `safe`.
3. A 503, which its own proxy made.

</details>"""
_AT_WORK = """

<details><summary><b>At work</b></summary>

```sh
{command}
```

</details>"""

_IN_A_TERMINAL = """

<details><summary><b>In a terminal</b></summary>

In the folder `manifests`:

```sh
kubectl apply -f apps/client -f apps/web
kubectl get pods -L version
```

</details>"""


def files(number: str, topic: str) -> dict[str, str]:
    """The files of a new lesson.

    Args:
        number: such as ``03``.
        topic: such as ``header-routing``.

    Returns:
        Texts by path below the folder of the course.
    """
    exercises = f"manifests/{number}-{topic}/exercises"
    made = {
        f"notebooks/{number}-{topic}.ipynb": _notebook(number, topic),
        f"labsupport/course/lessons/{topic.replace('-', '_')}.py": _JUDGES.format(number=number),
        f"manifests/{number}-{topic}/lesson.toml": _LESSON.format(number=number),
    }
    for place, kind in (("1", "write"), ("2", "diagnose")):
        folder = f"{exercises}/{number}.{place}"
        made[f"{folder}/exercise.toml"] = _TOML.format(kind=kind)
        made[f"{folder}/start.yaml"] = _start(place)
        made[f"{folder}/solution.yaml"] = _RULE.format(timeout="2s")
        for name, timeout, told in _MISTAKES:
            made[f"{folder}/wrong/{name}.yaml"] = f"# {told}\n{_RULE.format(timeout=timeout)}"
    return made


def _start(place: str) -> str:
    return _RULE.format(timeout="____" if place == "1" else "two seconds")


def linked(notebook: str, number: str, topic: str) -> str:
    """The text of the notebook before, with a link to the new lesson where it says what comes next."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and text.startswith("**Next"):
            _, gap, rest = text.partition("\n\n")
            link = f"**Next:** [{number} · {_title(topic)}]({number}-{topic}.ipynb)."
            cell["source"] = f"{link}{gap}{rest}".splitlines(keepends=True)
    return _as_file(content)


def _title(topic: str) -> str:
    return topic.replace("-", " ").capitalize()


def _as_file(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _notebook(number: str, topic: str) -> str:
    cells: list[dict[str, Any]] = []

    def code(text: str) -> None:
        add({"cell_type": "code", "execution_count": None, "outputs": []}, text)

    def markdown(text: str, *, at_work: str = "") -> None:
        add({"cell_type": "markdown"}, text + (_AT_WORK.format(command=at_work) if at_work else ""))

    def add(cell: dict[str, Any], text: str) -> None:
        place = {"id": f"cell-{len(cells) + 1:02}", "metadata": {}}
        cells.append(cell | place | {"source": text.splitlines(keepends=True)})

    objectives = "**You will be able to**\n\n- WRITE one thing;\n- WRITE another.\n\n**Time** 20 minutes."
    markdown(f"# {number} · {_title(topic)}\n\nWRITE why.\n\n{objectives}")
    markdown("## What is there\n\nWRITE what the lesson begins with.", at_work="kubectl get pods")
    code('from labsupport import Lab, exercise, progress\n\nlab = Lab()\nlab.apply("apps/client", "apps/web")')
    markdown("## Watch\n\nWRITE what is seen." + _IN_A_TERMINAL, at_work="kubectl logs deploy/client -c istio-proxy")
    code('live = lab.traffic("http://web:8080/", source="client", rate=20)\nlive')
    for place in ("1", "2"):
        above = "## Do\n\n" if place == "1" else ""
        text = f"{above}### Exercise {number}.{place} · WRITE a title\n\nWRITE what is to be done."
        markdown(text, at_work="kubectl apply -f virtual-service.yaml")
        code(f"%%manifest {number}.{place}\n{_start(place).rstrip()}")
        code(f'exercise("{number}.{place}").check()')
    markdown(
        "## Look inside the proxy\n\nWRITE what to look for.",
        at_work="istioctl proxy-config routes deploy/client --name 8080 -o yaml",
    )
    code('lab.explain("http://web:8080/", source="client")')
    markdown(_EXPERIMENTS)
    markdown("## Recap\n\n- WRITE what was learned.")
    code(f'progress("{number}")')
    markdown("**Next**, in a later version: WRITE what.\n\n## Clean up")
    code("lab.close()")
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return _as_file({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
