"""What leads from a card to something else: names of files, and the same subset on both sides of a configuration."""

import os
from pathlib import Path

import pytest
from display_samples import Page
from IPython.core.interactiveshell import InteractiveShell

from labsupport import paths
from labsupport.course.exercise import Solution
from labsupport.display import install
from labsupport.display.html.changes import manifest_error_html
from labsupport.display.html.config_html import config_html
from labsupport.display.html.explain_html import explanation_html
from labsupport.display.html.file_links import file_href, file_link
from labsupport.display.html.outcomes import solution_markdown
from labsupport.errors import ManifestError, Problem
from labsupport.explain import Explanation, Place, RuleTrace
from labsupport.model.writing.lines import ConfigLine
from labsupport.observe.config.view import ConfigView, EnvoyPart
from labsupport.records import Ref

NAME = "02-canary-by-weight/virtual-service-web-50-50.yaml"


@pytest.mark.parametrize("place", [NAME, f"{NAME}:12"])
def test_a_manifest_is_a_link_from_where_the_notebook_is(place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(paths.root() / "notebooks")
    page = Page(file_link(place))
    (link,) = page.all("a")
    assert Path(os.path.normpath(Path.cwd() / link["href"])) == paths.manifests() / NAME
    assert page.text == place


@pytest.mark.parametrize("place", ["", "cell:3", "gone/away.yaml:2", '"><script>.yaml:1', "apps"])
def test_what_is_no_file_stays_a_text(place: str):
    page = Page(file_link(place))
    assert page.text == place
    assert not page.all("a") and not page.all("script")


def test_a_subset_has_one_colour_as_a_value_and_in_the_name_of_its_cluster():
    def lines(*texts: str) -> tuple[ConfigLine, ...]:
        return tuple(map(ConfigLine, texts))

    written = lines("  name: reviews", "      subset: v1", "      subset: v2", "      subset: other")
    got = lines("cluster: outbound|9080|v1|reviews.default", "- name: outbound|9080|v2|reviews.default", "name: v3")
    view = ConfigView(Ref("VirtualService", "reviews"), "", written, (EnvoyPart("routes", got),))
    linked = [span["class"] for span in Page(config_html(view)).all("span") if "ws-of" in span.get("class", "")]
    assert linked == ["ws-c0 ws-of", "ws-c1 ws-of"] * 2


def test_refusals_name_their_files_as_links():
    problems = [
        Problem("no such field", file=NAME, line=7, object="VirtualService/web"),
        Problem("no such kind", file="this cell", line=3, document=2),
        Problem("<nothing>"),
    ]
    page = Page(manifest_error_html(ManifestError(problems)))
    assert [link["href"].rpartition("/")[2] for link in page.all("a")] == [Path(NAME).name]
    assert f"{NAME}:7, VirtualService/web" in page.text and "line 3 of this cell, document 2" in page.text


def test_explanations_name_their_files_as_links():
    place = Place("VirtualService/web", "spec.http[0]", NAME, 12)
    trace = RuleTrace("VirtualService/web", 0, "", "chosen", (), place)
    told = Explanation("http://web/", "GET", {}, "client", "client-1", "sidecar", "web", 80, rules=(trace,))
    assert [link["href"].rpartition("/")[2] for link in Page(explanation_html(told)).all("a")] == [Path(NAME).name]


def test_a_solution_names_its_file_as_a_link_and_words_have_none():
    shown = solution_markdown(Solution("kind: Service\n", NAME))
    assert f"[`{NAME}`]({file_href(NAME)})):" in shown and "```yaml\nkind: Service\n```" in shown
    assert solution_markdown(Solution("kind: Service", "gone.yaml")).startswith("One way to do it (`gone.yaml`):")
    assert solution_markdown(Solution("Two of them.")) == "Two of them."


def test_a_notebook_shows_a_solution_as_markdown():
    shell = InteractiveShell()
    install(shell)
    data, _ = shell.display_formatter.format(Solution("kind: Service", NAME))
    assert data["text/markdown"] == solution_markdown(Solution("kind: Service", NAME))
