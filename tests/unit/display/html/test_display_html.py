"""HTML of records: well formed, escaped, readable without colours."""

import dataclasses
import importlib
from pathlib import Path

import pytest
from display_samples import T0, Page, parsed, response
from small_engine import SmallEngine

from labsupport import display
from labsupport.check.result import COMPARED, FAILED, NOT_ATTEMPTED, PASSED, TOO_LITTLE_DATA, CheckOutcome
from labsupport.course.summary import ExerciseProgress, Summary
from labsupport.display import compare, show
from labsupport.display.formatters import HTML, install
from labsupport.display.html import mesh_html
from labsupport.display.pictures.observed import observations_html
from labsupport.errors import ManifestError, Problem
from labsupport.lab.lab import Lab
from labsupport.observe.tables import AccessLog, LabelledPods, LabStatus, Pods
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    Leftovers,
    ObjectChange,
    Pod,
    ProxyChange,
    Ref,
    RuleStatus,
)
from labsupport.statistics import Interval
from labsupport.traffic.observations import Observations
from labsupport.traffic.window import Window

EVIL = '"><script>alert(1)</script>'
VS = Ref("VirtualService", "reviews" + EVIL)
RESULT = ApplyResult(
    (ObjectChange(VS, "changed", (f"spec.x: 1 -> {EVIL}",), f"{EVIL}:3"), ObjectChange(VS, "unchanged")),
    (ProxyChange("web-1" + EVIL, 0.004, ("RDS",)), ProxyChange("web-2", 0.002, ("RDS", "CDS"))),
    0.004,
    T0,
    ("careful " + EVIL,),
    ("note " + EVIL,),
)
POD = Pod("a-1", "default", "a", {"version": "v1", "app": "a"})
PODS = Pods(
    [
        Pod("a" + EVIL, "default", "a", {"version": "v1" + EVIL}, True, True, 0, "", "web", 1),
        Pod("b", "default", "b", {}, False, False, 3, "KeyError" + EVIL, "web", 0),
    ]
)
STATUS = LabStatus(
    "embedded",
    "default" + EVIL,
    T0,
    PODS,
    (RuleStatus(VS, T0, 0.004, ("a" + EVIL,)), RuleStatus(VS)),
    {"gateway" + EVIL: "http://127.0.0.1:1/" + EVIL, "odd": "javascript:alert(1)"},
    ("to x" + EVIL,),
    ("warn" + EVIL,),
    "oops" + EVIL,
)
SEEN = Observations(
    [response(i / 10, "v2" if i % 10 == 0 else "v1" + EVIL, index=i) for i in range(50)]
    + [response(6, "", status=503, body="no healthy upstream", index=50)]
)
OUTCOME = CheckOutcome(
    PASSED,
    "title" + EVIL,
    ("n = 50" + EVIL, "  inner"),
    n=50,
    seen={"v1" + EVIL: 45, "v2": 5},
    interval={"v2": Interval(0.01, 0.3)},
    expected={"v2": 0.1},
)
SUMMARY = Summary((ExerciseProgress("02.1", "x" + EVIL, PASSED, 2, 1), ExerciseProgress("02.2", "y", FAILED)), None)
REFUSED = ManifestError([Problem("unknown" + EVIL, "f.yaml", 2, 7, "Kind/x", "spec.y" + EVIL, "Did you mean z?")])
LOG = AccessLog(
    [AccessRecord("id", T0, "a" + EVIL, "outbound", "GET", "x", "/" + EVIL, 503, "UH", "d" + EVIL, "r", "c")]
)
RESPONSE = dataclasses.replace(
    response(3, "v1" + EVIL, status=503, body="no healthy upstream" + EVIL, index=7), headers={"x": EVIL}, user=EVIL
)
RECORDS = [
    RESPONSE,
    RESULT,
    Leftovers((VS,)),
    Leftovers((VS,), ("pid 3" + EVIL,)),
    PODS,
    LabelledPods(PODS),
    SUMMARY,
    STATUS,
    SEEN,
    SEEN.share(),
    OUTCOME,
    REFUSED,
    LOG,
]


def html_of(record):
    known = (HTML.get((base.__module__, base.__name__)) for base in type(record).__mro__)
    module, function = next(place for place in known if place)
    return getattr(importlib.import_module(f"labsupport.display.{module}"), function)(record)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_html_is_well_formed_and_nothing_from_outside_becomes_markup(record):
    page = Page(html_of(record))
    assert not page.all("script")
    assert "alert(1)" in page.text or isinstance(record, Leftovers)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_tables_have_headings_and_pictures_have_words(record):
    page = Page(html_of(record))
    for heading in page.all("th"):
        assert heading["scope"] in {"col", "row"}
    for image in page.all("svg"):
        assert image.get("aria-hidden") == "true" or (image.get("role") == "img" and image["aria-label"])


def test_no_address_of_an_unknown_scheme_becomes_a_link():
    hrefs = [link["href"] for link in Page(html_of(STATUS)).all("a")]
    assert len(hrefs) == 1
    assert hrefs[0].startswith("http://127.0.0.1")


@pytest.mark.parametrize("proxied", [True, False])
def test_behind_a_hub_an_address_of_this_machine_is_reached_through_the_learners_server(
    proxied: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    monkeypatch.setattr(mesh_html, "find_spec", lambda name: proxied and name == "jupyter_server_proxy")
    urls = {"gateway": "http://127.0.0.1:8081", "secure": "https://127.0.0.1:8443/", "elsewhere": "http://10.0.0.7:80/"}
    pods = Pods([dataclasses.replace(PODS[1], labels={"app": "productpage"})])
    links = Page(html_of(dataclasses.replace(STATUS, urls=urls, pods=pods))).all("a")
    behind = ["/user/ann/proxy/8081/", "/user/ann/proxy/8081/productpage"]
    local = ["http://127.0.0.1:8081", "http://127.0.0.1:8081/productpage"]
    gateway, page = behind if proxied else local
    assert [link["href"] for link in links] == [gateway, urls["secure"], urls["elsewhere"], page]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (PASSED, "✓ PASSED"),
        (FAILED, "✗ FAILED"),
        (NOT_ATTEMPTED, "○ NOT ATTEMPTED"),
        (TOO_LITTLE_DATA, "◔ TOO LITTLE DATA"),
        (COMPARED, "≠ COMPARED"),
    ],
)
def test_an_outcome_is_said_in_words(state, word):
    assert word in Page(html_of(dataclasses.replace(OUTCOME, state=state))).text


def test_an_outcome_has_its_numbers_folded_away():
    html = html_of(dataclasses.replace(OUTCOME, lines=("That fits.", "✗ v2: much"), details=("n = 50", "v2: 5 seen")))
    said, _, folded = html.partition("<details")
    assert "That fits." in said and "much" in said and "n = 50" not in said
    assert "n = 50" in folded and "v2: 5 seen" not in folded, "the table says it already"


def test_a_lab_says_whether_it_is_open():
    lab = Lab(SmallEngine())
    assert "✓ The lab is open" in Page(html_of(lab)).text
    lab.close()
    assert "The lab is closed" in Page(html_of(lab)).text


def test_labels_are_a_column_on_demand():
    assert "app=a,version=v1" not in Page(html_of(Pods([POD]))).text
    assert "app=a,version=v1" in Page(html_of(LabelledPods([POD]))).text
    assert "LABELS" in repr(LabelledPods([POD])) and "app=a,version=v1" in repr(LabelledPods([POD]).of("a"))


def test_progress_says_what_is_done():
    page = Page(html_of(SUMMARY))
    for words in ("1 of 2 exercises passed", "✓ passed", "✗ failed"):
        assert words in page.text


def test_an_apply_shows_plan_and_time():
    page = Page(html_of(RESULT))
    for words in (
        "In force after 4.0 ms",
        "acknowledged by 2 proxies",
        "~ changed",
        "= unchanged",
        "⚠ warning",
        "RDS, CDS",
    ):
        assert words in page.text
    assert "Nothing to do" in Page(html_of(ApplyResult(()))).text
    assert "Unchanged" in Page(html_of(ApplyResult((ObjectChange(VS, "unchanged"),)))).text


def test_observations_show_shares_that_add_up_and_causes_in_words():
    page = Page(html_of(SEEN))
    assert "no version" in page.text
    assert "503 no healthy upstream: 1" in page.text
    assert "no responses" in Page(html_of(Observations())).text


def test_a_response_says_how_it_ended_and_who_took_part():
    page = Page(html_of(response(1, "v2")))
    for words in ("✓ 200 ok", "v2", "x-request-id"):
        assert words in page.text
    refused = dataclasses.replace(response(1, ""), outcome="connection", status=0, path=(), error="refused")
    assert "✗ connection failed" in Page(html_of(refused)).text
    assert "nobody" in Page(html_of(refused)).text
    long = dataclasses.replace(response(1, "v1"), body="x" * 5_000)
    assert "3,000 more characters" in Page(html_of(long)).text


def test_a_pod_that_did_not_answer_is_none_that_answered():
    asked = AccessRecord("id", T0, "client-1", "outbound", "GET", "web", "/", 504, "UT", upstream_pod="web-1")
    assert "→ web-1" not in Page(html_of(AccessLog([asked]))).text
    answered = dataclasses.replace(asked, status=503, flags="")
    assert "→ web-1" in Page(html_of(AccessLog([answered]))).text


def test_a_response_in_tls_shows_the_certificate_and_one_without_http_no_status():
    told = {"version": "TLSv1.3", "alpn": "http/1.1", "subject": f"CN={EVIL}", "issuer": "CN=Workshop CA"}
    page = Page(html_of(dataclasses.replace(response(1, "v1"), tls=told)))
    assert "TLSv1.3, http/1.1" in page.text and "signed by CN=Workshop CA" in page.text
    assert "✓ ok" in Page(html_of(dataclasses.replace(response(1, "v1"), status=0))).text


def test_a_share_figure_has_three_forms_that_say_the_same():
    figure = show(SEEN, expected={"v1" + EVIL: 90, "v2": 10})
    bundle = figure._repr_mimebundle_()
    assert "expected 10.0 %" in bundle["text/plain"] == repr(figure)
    assert "expected 10" in Page(bundle["text/html"]).text
    parsed(bundle["image/svg+xml"])
    assert "prefers-color-scheme" in bundle["image/svg+xml"]


def test_a_figure_can_be_saved(tmp_path):
    path = show(SEEN).save(tmp_path / "shares.svg")
    assert path.read_text(encoding="utf-8").startswith("<svg")


def test_a_comparison_shows_both_sides_even_where_a_version_is_on_one_only():
    after = Observations([response(i / 10, "v3", index=i) for i in range(20)])
    figure = compare(SEEN, after, labels=("old", "new"), expected={"v3": 1})
    for words in ("old", "new", "v3 100 %", "v3 0 %"):
        assert words in figure.summary
    assert len(Page(figure._repr_html_()).all("table")) == 2
    nothing = compare(Observations(), Observations())
    assert nothing.summary.endswith("before: no responses. after: no responses.")
    assert Page(nothing._repr_html_()).text.count("errors") == 0


@pytest.mark.parametrize("key", HTML, ids=lambda key: ".".join(key))
def test_every_registered_record_and_renderer_exists(key):
    owner, name = key
    assert isinstance(getattr(importlib.import_module(owner), name), type)
    module, function = HTML[key]
    assert callable(getattr(importlib.import_module(f"labsupport.display.{module}"), function))


def test_ipython_shows_records_as_html_after_one_or_several_installs():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    install(shell)
    install(shell)
    data, _ = shell.display_formatter.format(RESULT)
    assert "In force after" in data["text/html"]
    assert data["text/plain"] == repr(RESULT)


def test_no_module_takes_the_place_of_a_function_of_the_same_name():
    root = Path(display.__file__).parent
    for file in root.rglob("*.py"):
        if file.stem != "__init__":
            importlib.import_module(".".join(["labsupport.display", *file.relative_to(root).with_suffix("").parts]))
    assert all(callable(getattr(display, name)) for name in display.__all__)


def test_observations_of_a_window_say_so_and_tell_errors_before_it() -> None:
    seen = Observations([response(0), response(1)], window=Window(2, 570, {"503": 550}))
    page = observations_html(seen)
    assert "from the last 2 of 570" in page
    assert "550 requests before these failed" in page and "✓ all ok" not in page
