"""The rules of notebooks find what they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import notebook_rules as rules
import pytest
from nbformat import v4

from labsupport.course.spec import ExerciseSpec

NAME = "02-canary-by-weight.ipynb"
AT_WORK = "A step.\n\n<details><summary><b>At work</b></summary>\n\n```sh\nkubectl get pods\n```\n\n</details>"
TERMINAL = AT_WORK.replace("At work", "In a terminal").replace("get pods", "get pods\nkubectl get vs")
FOLD = "<details><summary>x</summary>\n\n1. a\n2. b\n3. c\n\n</details>"
EXPERIMENTS = f"## Strange experiments\n\n1. a\n2. b\n3. c\n\n{FOLD}"
YAML = "%%manifest 02.2\nkind: VirtualService\nspec:\n  http: ____\n"


def markdown(text: str) -> Any:
    return v4.new_markdown_cell(text)


def code(text: str, **fields: Any) -> Any:
    return v4.new_code_cell(text, **fields)


def notebook(*extra: Any) -> rules.Notebook:
    made = v4.new_notebook(
        cells=[
            markdown(
                "# Canary by weight\n\n**You will be able to**\n\n- split traffic;\n- watch it\n  move.\n\n"
                "**Time** 10 minutes."
            ),
            code("from labsupport import Lab\nlab = Lab()"),
            code("live = lab.traffic('gateway:/')"),
            code("lab.config('vs/web')"),
            code("exercise('02.1')"),
            code(YAML),
            *extra,
            *(markdown(AT_WORK) for _ in range(4)),
            markdown(f"{AT_WORK}\n\n{TERMINAL}"),
            markdown(EXPERIMENTS),
            markdown("## Recap\n\nDone.\n\n## Clean up"),
            code("progress('02')"),
            code("lab.close()"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    return dict(made)


def breaches(rule: rules.Rule, *extra: Any, name: str = NAME) -> list[str]:
    return list(rule(notebook(*extra), name))


def test_a_good_notebook_breaks_no_rule():
    assert [text for rule in rules.RULES for text in rule(notebook(), NAME)] == []


@pytest.mark.parametrize("name", ["2-canary.ipynb", "02 canary.ipynb", "02-Canary.ipynb", "canary.ipynb"])
def test_names(name: str):
    assert breaches(rules.is_a_notebook, name=name)


def test_extras_are_asked_for_in_the_first_cell():
    assert breaches(rules.asks_for([])) == []
    assert breaches(rules.asks_for(["predict"])) == ['cell 2: programs of this lesson need ensure_extra("predict")']
    asking = notebook()
    asking["cells"][1]["source"] = 'from labsupport import Lab, ensure_extra\nensure_extra("predict")\nlab = Lab()'
    assert list(rules.asks_for(["predict"])(asking, NAME)) == []


def test_invalid_and_foreign_notebooks():
    broken = notebook()
    broken["cells"][0]["cell_type"] = "prose"
    assert "not a valid notebook" in next(rules.is_a_notebook(broken, NAME))
    broken = notebook()
    broken["metadata"]["kernelspec"]["name"] = "my-env"
    assert "kernel" in next(rules.is_a_notebook(broken, NAME))


@pytest.mark.parametrize(
    "cell",
    [
        code("1", outputs=[v4.new_output("stream", text="1")]),
        code("1", execution_count=3),
        code("1", metadata={"execution": {"iopub.status.idle": "2026-01-01"}}),
        v4.new_markdown_cell("x", metadata={"collapsed": True}),
    ],
)
def test_saved_results(cell: Any):
    assert breaches(rules.is_stripped, cell)


def test_saved_widgets():
    saved = notebook()
    saved["metadata"]["widgets"] = {}
    assert list(rules.is_stripped(saved, NAME))


@pytest.mark.parametrize("cell", [code("  \n"), markdown("")])
def test_empty_cells(cell: Any):
    assert breaches(rules.has_no_empty_cell, cell) == ["cell 7: is empty"]


@pytest.mark.parametrize(
    "text", ["!ls", "x = 1\n  !kubectl get pods", "%%bash\nls", "%%promql 18.1\nup", "%matplotlib inline", "x = ="]
)
def test_what_is_not_python(text: str):
    assert breaches(rules.is_python, code(text))


def test_the_magics_of_the_course_are_no_python():
    assert breaches(rules.is_python, code("%%manifest\na: 1"), code("%%promql\nup == 1")) == []


def test_long_cells():
    assert breaches(rules.is_short, code("x = 1\n" * 12)) == []
    assert breaches(rules.is_short, code("x = 1\n" * 13)) == ["cell 7: 13 lines of Python, at most 12"]
    assert breaches(rules.is_short, code("x = 1\n" * 13, metadata={"jupyter": {"source_hidden": True}})) == []
    assert breaches(rules.is_short, code("%%manifest\n" + "a: 1\n" * 30)) == []
    assert breaches(rules.is_short, code("%%manifest\n" + "a: 1\n" * 31)) == ["cell 7: 31 lines of YAML, at most 30"]
    assert breaches(rules.is_short, code(f"x = {'1' * 84}"), code(f"%%manifest\na: {'1' * 85}")) == []
    told = "a line of 89 characters, at most 88: "
    assert breaches(rules.is_short, code(f"x = {'1' * 85}")) == [f"cell 7: {told}x = {'1' * 26}"]
    assert breaches(rules.is_short, code(f"%%manifest\na: {'1' * 86}")) == [f"cell 7: {told}a: {'1' * 27}"]
    assert "median" in breaches(rules.is_short, *[code("x = 1\n" * 5) for _ in range(9)])[0]


def test_times():
    rule = rules.says_how_long_it_takes
    assert breaches(rule) == []
    assert breaches(rule, markdown("word " * 650)) == [
        "the first cell says **Time** 10 minutes; counted, it is **Time** 15 minutes"
    ]
    folded = markdown("<details>" + "word " * 1_300 + "</details>\n```sh\n" + "word " * 1_300 + "```")
    assert breaches(rule, folded) == []
    assert rules.minutes(notebook(*(code("exercise('02.1').check()") for _ in range(10)))) == 55
    assert rules.minutes(notebook(*(code("exercise('02.1').ask()") for _ in range(10)))) == 25
    untold = notebook()
    untold["cells"][0] = markdown("# Canary")
    assert "says no time" in next(rule(untold, NAME))


def test_extras_have_a_time_of_their_own():
    rule = rules.says_how_long_it_takes
    made = notebook(markdown("## Extras\n\n### Exercise 02.1 · One in ten"), code("exercise('02.1').check()"))
    main, more = rules.extras(made)
    assert len(main["cells"]) + len(more["cells"]) == len(made["cells"])
    assert (rules.minutes(main), rules.minutes(more)) == (5, 15)
    assert list(rule(made, NAME)) == [
        "the first cell says **Time** 10 minutes; counted, it is **Time** 5 minutes, and 15 more with the extras"
    ]
    made["cells"][0]["source"] = made["cells"][0]["source"].replace(
        "10 minutes", "5 minutes, and\n15 more with the extras"
    )
    assert list(rule(made, NAME)) == []


def test_what_is_extra_stands_below_the_extras():
    specs = {number: ExerciseSpec(number, "x", "x", "write", ()) for number in ("02.1", "02.2")}
    made = notebook(markdown("## Do\n\n### Exercise 02.1 · x"), markdown("## Extras\n\n### Exercise 02.2 · x"))
    (breach,) = rules.sets_exercises(specs)(made, NAME)
    assert breach.startswith("['02.2'] stand below ## Extras")
    specs["02.2"] = replace(specs["02.2"], extra=True)
    assert list(rules.sets_exercises(specs)(made, NAME)) == []
    assert list(rules.has_exercises(made, NAME)) == []
    (breach,) = rules.sets_exercises(specs | {"02.1": replace(specs["02.1"], kind="find")})(made, NAME)
    assert "is no extra" in breach


def test_long_prose():
    assert breaches(rules.is_prose_in_small_pieces, markdown("word " * 120)) == []
    assert breaches(rules.is_prose_in_small_pieces, markdown("word " * 121))
    with_code = "word " * 110 + "\n```\n" + "code " * 50 + "\n```\n[a](very/long/path/of/a/link) <b>"
    assert breaches(rules.is_prose_in_small_pieces, markdown(with_code)) == []


@pytest.mark.parametrize(
    "text",
    [
        "for x in range(9):\n    lab.send('gateway:/')",
        "while True:\n    pass",
        "def helper():\n    pass",
        "class Helper:\n    pass",
        "import matplotlib.pyplot as plt",
        "from plotly import graph_objects",
    ],
)
def test_programming(text: str):
    assert breaches(rules.keeps_programming_out, code(text))


def test_sections():
    untitled = notebook()
    del untitled["cells"][0]
    assert len(list(rules.has_its_sections(untitled, NAME))) == 3
    aimless = notebook()
    aimless["cells"][0] = markdown("# Canary by weight\n\n**You will be able to**\n\n- split traffic.")
    assert "objectives" in next(rules.has_its_sections(aimless, NAME))
    assert any("skips" in text for text in breaches(rules.has_its_sections, markdown("#### Deep")))
    assert any("exactly one" in text for text in breaches(rules.has_its_sections, markdown("# Second title")))
    assert breaches(rules.has_its_sections, markdown("```\n# a comment\n```")) == []


@pytest.mark.parametrize(("dropped", "words"), [(2, "live picture"), (3, "inside the proxy"), (-1, "clean up")])
def test_what_every_notebook_must_do(dropped: int, words: str):
    poor = notebook()
    del poor["cells"][dropped]
    (breach,) = rules.looks_inside_and_cleans_up(poor, NAME)
    assert words in breach


def test_exercises():
    assert rules.exercises_of(notebook()) == {"02.1", "02.2"}
    poor = notebook()
    del poor["cells"][5]
    assert list(rules.has_exercises(poor, NAME)) == ["1 exercises, at least 2"]
    assert breaches(rules.has_exercises, code("exercise('03.1')")) == ["exercise 03.1 belongs to another notebook"]


def test_a_check_before_the_comparison_tells_the_answer():
    sent, judged = (
        code('seen = lab.send("web")\ncheck.exactly(seen, {"v1": 3})'),
        code("exercise('02.1').compare(seen)"),
    )
    (told,) = breaches(rules.keeps_answers_until_they_are_compared, sent, judged)
    assert told.endswith("a check of seen tells the answer first")
    assert not breaches(rules.keeps_answers_until_they_are_compared, sent, code('seen = lab.send("web")'), judged)
    assert not breaches(rules.keeps_answers_until_they_are_compared, judged, sent)


def test_headings_of_exercises():
    made = notebook(markdown("## Do\n\n### Exercise 02.1 · One in ten"), markdown("### Exercise 02.2"))
    assert rules.exercise_headings(made) == {"02.1": "Exercise 02.1 · One in ten", "02.2": "Exercise 02.2"}


def test_progress():
    poor = notebook()
    del poor["cells"][-2]
    assert list(rules.shows_progress(poor, NAME)) == ['after the recap, progress("02") shows what is done']
    poor["cells"].insert(1, code("progress('02')"))
    assert list(rules.shows_progress(poor, NAME)), "before the recap there is nothing to show"


def test_folds_at_work():
    poor = notebook()
    poor["cells"].remove(markdown(AT_WORK) | {"id": poor["cells"][6]["id"]})
    assert list(rules.says_how_it_is_done_at_work(poor, NAME)) == ["4 folds <b>At work</b>, at least 5"]
    for broken, told in (("\n\n</details>", "empty line"), ("kubectl get", "no command")):
        (breach,) = breaches(rules.says_how_it_is_done_at_work, markdown(AT_WORK.replace(broken, broken[1:])))
        assert told in breach
    blind = AT_WORK.replace("get pods", "get pods -o custom-columns=CONTAINERS:.spec.containers[*].name")
    (breach,) = breaches(rules.says_how_it_is_done_at_work, markdown(blind))
    assert "not among .spec.containers" in breach


def test_the_fold_for_a_terminal():
    (breach,) = rules.works_in_a_terminal({"cells": [markdown(AT_WORK)]}, NAME)
    assert breach == "0 folds <b>In a terminal</b>, one is right"
    (breach,) = breaches(rules.works_in_a_terminal, markdown(TERMINAL))
    assert breach.startswith("2 folds")
    short = markdown(TERMINAL.replace("\nkubectl get vs", ""))
    (breach,) = rules.works_in_a_terminal({"cells": [short]}, NAME)
    assert "has 1 commands of kubectl" in breach


def test_strange_experiments():
    poor = notebook()
    poor["cells"] = [cell for cell in poor["cells"] if "Strange" not in cell["source"]]
    (breach,) = rules.has_strange_experiments(poor, NAME)
    assert breach.startswith("0 numbered experiments")
    poor["cells"].insert(1, markdown(EXPERIMENTS.replace("3. c\n\n</details>", "</details>")))
    (breach,) = rules.has_strange_experiments(poor, NAME)
    assert breach == "strange experiments [1, 2, 3], and a fold that tells what happens in [1, 2]"


def test_the_link_to_the_next_lesson():
    rule = rules.leads_to("03-next.ipynb")
    assert "03-next.ipynb" in breaches(rule)[0]
    linked = notebook()
    linked["cells"].insert(-1, markdown("**Next:** [03 · Next](03-next.ipynb)."))
    assert list(rule(linked, NAME)) == []


def test_length():
    assert breaches(rules.has_not_too_many_cells, *[code(str(n), id=f"n{n}") for n in range(60)]) == []
    assert breaches(rules.has_not_too_many_cells, *[code(str(n), id=f"n{n}") for n in range(61)]) == [
        "76 cells, at most 75"
    ]


def test_files_and_links(tmp_path: Any):
    (tmp_path / "manifests" / "apps" / "web").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00-start-here.ipynb").touch()
    rule = rules.names_only_files_that_exist(tmp_path)
    good = [
        code("lab.apply('apps/web')\nlab.apply('''kind: Service\nx: 1''')\nlab.apply(text)"),
        markdown("[first](00-start-here.ipynb), [a part](#recap), [docs](https://istio.io/x)"),
    ]
    assert breaches(rule, *good) == []
    assert breaches(rule, code("lab.apply('apps/wbe')")) == ["cell 7: there is no manifests/apps/wbe"]
    assert breaches(rule, markdown("[next](99-end.ipynb)")) == ["cell 7: the link 99-end.ipynb leads nowhere"]
