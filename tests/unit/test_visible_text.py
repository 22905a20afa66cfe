"""What strangers write is shown as it is, but for what steers a terminal, turns letters round or breaks XML."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from labsupport import words
from labsupport.cli import workshop
from labsupport.display.drawing.text import clip, el, width
from labsupport.display.html.changes import manifest_error_html
from labsupport.errors import ManifestError, NotFoundError, Problem, UsageError
from labsupport.lab.objects import Objects
from labsupport.model import parse
from labsupport.model.reading.documents import of_data
from labsupport.observe.tables import LogText, Pods
from labsupport.records import ApplyResult, ObjectChange, Pod, Ref
from labsupport.traffic.share import Share

# Red letters, a new title of the window, a line that runs backwards, a bell, half of a pair.
HOSTILE = "a\x1b[31mb\x1b]0;owned\x07c\u202ed\u2066e\x9bf\x7fg\u2028h\ud800i"
SEEN = "a\\x1b[31mb\\x1b]0;owned\\x07c\\u202ed\\u2066e\\u009bf\\u007fg\\u2028h\\ud800i"


def steers(text: str) -> list[str]:
    """Characters that are not there to be seen."""
    return [
        char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t"
    ]


def test_what_cannot_be_seen_is_shown_as_its_escape_and_all_else_stays() -> None:
    assert words.visible(HOSTILE) == SEEN and words.visible(SEEN) == SEEN
    plain = "web: 100 % ✓ → größer 日本語 👍\n\tindented"
    assert words.visible(plain) == plain


def test_json_stays_the_same_json() -> None:
    record = {"name": HOSTILE.replace("\ud800", ""), "tag": "\U000e0041", "ä": "ö"}
    text = json.dumps(record, ensure_ascii=False)
    assert steers(text) and not steers(words.visible(text))
    assert json.loads(words.visible(text)) == record


def config_map() -> Objects:
    raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    return Objects(parse(of_data({**raw, "data": {"k": HOSTILE.replace("\ud800", "")}})))


TEXTS: dict[str, Callable[[], str]] = {
    "an error": lambda: str(UsageError(f"no {HOSTILE}")),
    "an error as a notebook shows it": lambda: "\n".join(NotFoundError(HOSTILE)._render_traceback_()),
    "a refused manifest": lambda: str(ManifestError([Problem(HOSTILE, HOSTILE, 1, 2, HOSTILE, HOSTILE, HOSTILE)] * 2)),
    "pods": lambda: repr(Pods([Pod(HOSTILE, "default", HOSTILE, {"app": "a"}, True, True, last_words=HOSTILE)])),
    "a log": lambda: repr(LogText(HOSTILE)),
    "a change": lambda: repr(ApplyResult((ObjectChange(Ref("Service", HOSTILE), "created"),), notes=(HOSTILE,))),
    "shares": lambda: repr(Share("version", {HOSTILE: 3})),
    "an object": lambda: repr(config_map()),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_people_are_shown_steers_nothing(text: Callable[[], str]) -> None:
    assert "owned" in text() and not steers(text())


def test_pictures_stay_xml_whatever_is_in_them() -> None:
    picture = el("svg", el("text", words.visible("x")), el("title", clip(HOSTILE, 900)), label=HOSTILE)
    (text, title) = ElementTree.fromstring(picture)
    assert (text.text, title.text) == ("x", SEEN)
    assert width(HOSTILE) == width(SEEN)
    page = manifest_error_html(ManifestError([Problem(HOSTILE, HOSTILE, 1, 2, HOSTILE, HOSTILE, HOSTILE)]))
    assert not steers(page)


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_command_line_shows_escapes(output: str) -> None:
    manifest = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": HOSTILE[:-2]}}
    text = json.dumps({**manifest, "spec": {HOSTILE[:-2]: 1}})
    told = CliRunner().invoke(workshop, ["validate", "-f", "-", "--output", output], input=text)
    assert "owned" in told.output and not steers(told.output)
