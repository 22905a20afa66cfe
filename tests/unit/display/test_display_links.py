"""What leads from a card to something else: names of files, and the same subset on both sides of a configuration."""

import os
from pathlib import Path

import pytest
from display_samples import Page

from labsupport import paths
from labsupport.display.html.config_html import config_html
from labsupport.display.html.file_links import file_link
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
