"""Learners' slips that are told in words, and what is worth knowing about a change that was accepted."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from small_engine import SmallEngine

from labsupport.errors import EngineLostError, ManifestError, Problem, UsageError
from labsupport.lab.advice import advised
from labsupport.lab.lab import Lab
from labsupport.records import ApplyResult, Ref

DELEGATE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  http: [{route: [{destination: {host: reviews}}]}]
"""
WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, %s}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: workshop/web}]}
"""
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: slow}\n"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as lab:
        yield lab


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("send", {"sorce": "client"}, r"lab.send\(\) has no option 'sorce'. Did you mean source\?"),
        ("traffic", {"rat": 5}, "Did you mean rate"),
        ("explain", {"header": {}}, "Did you mean headers"),
        ("graph", {"zzz": 1}, "Its options: of, span_s"),
    ],
)
def test_a_mistyped_option_is_told_with_the_nearest_one(lab: Lab, verb: str, options: dict[str, object], said: str):
    with pytest.raises(UsageError, match=said):
        getattr(lab, verb)("http://web/", **options)


def test_help_still_shows_what_a_verb_takes():
    assert "source" in inspect.signature(Lab.send).parameters
    assert Lab.send.__doc__ and Lab.send.__doc__.startswith("Send requests")


@pytest.mark.parametrize(("engine", "options"), [("typo", {}), ("embedded", {"namespce": "x"})])
def test_an_engine_that_is_refused_costs_no_running_lab(lab: Lab, engine: str, options: dict[str, str]):
    with pytest.raises(UsageError, match=r"installation has|Did you mean namespace\?"):
        Lab(engine, **options)
    assert repr(lab.pods()) == "no pods"


def test_a_virtual_service_without_hosts_is_noted(lab: Lab):
    note, missing = lab.apply(DELEGATE).notes
    assert "has no hosts" in note and "delegate" in note and "there is no host reviews" in missing


def test_the_label_of_a_sidecar_on_the_deployment_itself_is_noted(lab: Lab):
    said = "Deployment/web: sidecar.istio.io/inject counts on its pods, and has no effect where it stands"
    assert lab.apply(WORKLOAD % "labels: {app: web}").notes == ()
    for place in ("labels", "annotations"):
        (note,) = lab.apply(WORKLOAD % f"{place}: {{sidecar.istio.io/inject: 'true'}}").notes
        assert note.startswith(said)
    (note,) = lab.patch("deploy/web", {"spec": {"replicas": 2}}).notes
    assert note.startswith(said)


@pytest.mark.parametrize(
    "reader",
    [
        "containers: [{name: web, image: web, envFrom: [{configMapRef: {name: settings}}]}]",
        "containers: [{name: web, image: web}], volumes: [{name: v, configMap: {name: settings}}]",
    ],
)
def test_a_changed_config_map_that_pods_read_is_noted_and_a_new_one_is_not(lab: Lab, reader: str):
    lab.apply(WORKLOAD.replace("containers: [{name: web, image: workshop/web}]", reader) % "labels: {}")
    assert lab.apply(SETTINGS).notes == ()
    (note,) = lab.apply(SETTINGS.replace("slow", "fast")).notes
    assert "running pods keep the variables they started with" in note and "other files follow" in note


def test_a_changed_config_map_that_nobody_reads_is_not_noted(lab: Lab):
    lab.apply(WORKLOAD % "labels: {}", SETTINGS)
    assert lab.apply(SETTINGS.replace("slow", "fast")).notes == ()


def test_pods_are_looked_at_with_their_own_verb(lab: Lab):
    with pytest.raises(UsageError, match=r"lab\.pods\(\)"):
        lab.get("pods")


def test_a_refused_patch_names_no_line_of_the_manifest_before_it(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    def refuse(ref: Ref, patch: object, *, timeout_s: float) -> None:
        raise ManifestError([Problem("a weight is missing", "web.yaml", 1, 12, "VirtualService/web", "spec.http[0]")])

    monkeypatch.setattr(lab._engine, "patch", refuse)
    with pytest.raises(ManifestError) as caught:
        lab.patch("VirtualService/web", {"spec": {}})
    assert str(caught.value.problems[0]) == "after the patch, VirtualService/web, spec.http[0]: a weight is missing"


WEB = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: 80}]}\n"
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: old}}]}]
"""
SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: old, labels: {version: old}}]}
"""


def test_what_does_not_fit_together_is_told_once_where_it_begins_and_by_status_as_long_as_it_lasts(lab: Lab):
    lab.apply(WEB)
    (note,) = lab.apply(RULE, name="rule.yaml").notes
    assert note.startswith("VirtualService/web (rule.yaml:7): web has no subset old") and note.endswith("(IST0101)")
    assert note in repr(lab.status()) and lab.status().notes == (note,)
    assert lab.apply(RULE).notes == (), "it is known"
    (later,) = lab.apply(SUBSET).notes
    assert "no pod has the labels version=old" in later
    assert lab.status().notes == (later,)
    (again,) = lab.delete("dr/web").notes
    assert "web has no subset old" in again
    lab.reset()
    assert lab.status().notes == ()


def test_a_mirror_to_a_subset_that_there_is_not_costs_copies_and_no_request(lab: Lab):
    lab.apply(WEB)
    rule = RULE.replace("{host: web, subset: old}}]", "{host: web}}], mirror: {host: web, subset: old}")
    (note,) = lab.apply(rule).notes
    assert "web has no subset old" in note and "no copies are made" in note and "503" not in note


def test_what_a_warning_said_of_an_object_no_note_says_again():
    said = "is never reached: rule 'rest' has no match, so it takes every request"
    warned = ApplyResult((), warnings=(f"VirtualService/web: spec.http[1].match[0]: {said}", "of a cluster"))
    again = (
        f"VirtualService/web (rules.yaml:17): spec.http[1].match[0]: {said}. Put the rule without match last. (IST0130)"
    )
    other = again.replace("web", "shop")
    assert advised(warned, (), [again, other]).notes == (other,)


def test_a_rule_that_is_never_reached_is_named_and_not_its_object(lab: Lab):
    lab.apply(WEB, RULE.replace("http: [", "http: [{route: [{destination: {host: web}}]}, "))
    assert any(": spec.http[1]: is never used: spec.http[0] has no match" in note for note in lab.status().notes)


def test_what_a_form_says_is_not_said_again(lab: Lab):
    with pytest.raises(UsageError, match=r"container='x': give 'app' or 'proxy'\.$"):
        lab.logs("web", container="x")


def test_equal_notes_about_many_objects_are_one_line(lab: Lab):
    rules = [
        RULE.replace("name: web", f"name: web-{number}").replace("[web]", f"[web-{number}]") for number in range(5)
    ]
    rules = [rule.replace("istio.io/v1", "istio.io/v1alpha3").replace(", subset: old", "") for rule in rules]
    notes = lab.apply(WEB, "---".join(rules)).notes
    (old,) = [note for note in notes if "old version" in note]
    assert old.startswith("VirtualService/web-0 (manifest:2), VirtualService/web-1") and "and 2 more: " in old
    assert lab.status().notes == (), "an old spelling works"


def test_http_rules_of_a_host_that_speaks_none_are_noted(lab: Lab):
    rule = RULE.replace(", subset: old", "")
    (note,) = lab.apply(WEB.replace("name: http", "name: tcp"), rule).notes
    assert "no port of web speaks HTTP, so the http rules have no effect" in note
    assert lab.apply(WEB.replace("name: http,", ""), rule).notes[0].startswith("Service/web"), "a guessed one may"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "abort: {percentage: {value: 100}}",
            "an abort without a status never fires; give it httpStatus or grpcStatus",
        ),
        ("delay: {percentage: {value: 100}}", "a delay without fixedDelay never fires; give it one"),
        ("abort: {httpStatus: 503, percentage: {value: 100}}", ""),
        ("abort: {grpcStatus: NOT_FOUND, percentage: {value: 100}}", ""),
    ],
)
def test_a_fault_that_does_not_say_what_it_does_is_noted(lab: Lab, fault: str, told: str):
    rule = RULE.replace(", subset: old", "").replace("[{route", f"[{{fault: {{{fault}}}, route")
    assert fault in rule
    notes = lab.apply(WEB, rule).notes
    assert [note.partition(": ")[2] for note in notes if "fires" in note] == ([told] if told else [])


def test_a_change_that_was_made_has_its_result_even_if_nobody_can_look_at_the_mesh_after_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    def lost(*_: object, **__: object) -> None:
        raise EngineLostError("the mesh is gone")

    monkeypatch.setattr(lab._engine, "get", lost)
    result = lab.apply(WEB)
    assert [change.action for change in result.changes] == ["created"]
    assert "what does not fit together was not looked for: the mesh is gone" in result.notes
