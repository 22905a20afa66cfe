"""No input whatsoever ends in a traceback: every text is parsed or refused with an error of ours."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labsupport.errors import LabError, ManifestError
from labsupport.model import KINDS, Origin, Resource, api_versions, parse
from labsupport.model.analysis import analyse
from labsupport.model.reading.documents import Document, read
from labsupport.model.schema.duration import parse_duration
from labsupport.model.validation import validate
from labsupport.model.validation.virtualservice import _overlaps, hosts_overlap

VALID = Path(__file__).parents[1] / "fidelity" / "validation" / "valid.yaml"
TEXT = VALID.read_text(encoding="utf-8")
QUICK = settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)


def outcome(documents: list[Document]) -> list[Resource] | ManifestError:
    validate(documents)
    try:
        seen = parse(documents)
    except ManifestError as error:
        assert str(error)
        return error
    analyse(seen)
    return seen


@QUICK
@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        documents = read(text)
    except LabError as error:
        assert str(error)
        return
    outcome(documents)


@QUICK
@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(tmp_path_factory: Any, data: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "a.yaml"
    file.write_bytes(data)
    try:
        read(file)
    except LabError as error:
        assert str(error)


@QUICK
@given(st.sampled_from(TEXT.split("---\n")), st.data(), st.integers(0, 40), st.text(max_size=8))
def test_a_damaged_manifest_is_read_or_refused(text: str, data: st.DataObject, length: int, instead: str) -> None:
    start = data.draw(st.integers(0, len(text) - 1), "start")
    try:
        documents = read(text[:start] + instead + text[start + length :])
    except LabError as error:
        assert str(error)
        return
    outcome(documents)


@QUICK
@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(["spec", "metadata", "data", "status", "x"]), values),
)
def test_any_object_of_a_known_kind_is_parsed_or_refused(kind: str, fields: dict[str, Any]) -> None:
    raw = {"apiVersion": api_versions(KINDS[kind])[0], "kind": kind, "metadata": {"name": "a"}, **fields}
    outcome([Document(raw, Origin())])


def mutated(value: Any, data: st.DataObject) -> Any:
    """Replace something somewhere inside a value."""
    if isinstance(value, dict) and value and data.draw(st.booleans(), "go deeper"):
        key = data.draw(st.sampled_from(sorted(value)), "key")
        return {**value, key: mutated(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.booleans(), "go deeper"):
        index = data.draw(st.integers(0, len(value) - 1), "index")
        return [*value[:index], mutated(value[index], data), *value[index + 1 :]]
    return data.draw(values, "instead")


@QUICK
@given(st.sampled_from(read(TEXT)), st.data())
def test_any_mutation_is_accepted_or_refused_whole(document: Document, data: st.DataObject) -> None:
    raw = mutated(document.raw, data)
    if isinstance(raw, dict):
        seen = outcome([Document(raw, Origin())])
        accepted = not isinstance(seen, ManifestError)
        verdicts = validate([Document(raw, Origin())])
        if accepted and verdicts:
            assert not verdicts[0].errors


@QUICK
@given(st.integers(-(2**63), 2**63 - 1))
def test_durations_keep_their_nanoseconds(nanoseconds: int) -> None:
    duration = parse_duration(f"{nanoseconds}ns")
    assert duration.nanoseconds == nanoseconds
    assert abs(duration - timedelta(microseconds=nanoseconds / 1000)) <= timedelta(milliseconds=1)
    assert pickle.loads(pickle.dumps(duration)).nanoseconds == nanoseconds


def test_what_was_read_can_be_written_and_read_again() -> None:
    documents = read(TEXT)
    again = read("\n---\n".join(json.dumps(entry.raw) for entry in documents))
    assert [entry.raw for entry in again] == [entry.raw for entry in documents]
    assert [entry.spec for entry in parse(again)] == [entry.spec for entry in parse(documents)]  # type: ignore[attr-defined]


hosts = st.builds("{}{}".format, st.sampled_from(["", "*"]), st.text("ab.", max_size=4)).filter(bool)


@QUICK
@given(st.lists(hosts, max_size=8))
def test_hosts_with_names_in_common_are_those_that_are_when_every_two_are_compared(given_hosts: list[str]) -> None:
    overlaps = _overlaps(given_hosts)
    compared = {
        index
        for index, host in enumerate(given_hosts)
        if any(hosts_overlap(other, host) for other in given_hosts[:index])
    }
    assert set(overlaps) == compared
    assert all(other < index for index, other in overlaps.items())
    assert all(hosts_overlap(given_hosts[index], given_hosts[other]) for index, other in overlaps.items())
