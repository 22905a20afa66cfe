"""Manifests larger than people write: what is done and said grows no faster than they do, and ends with a word."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from labsupport.display.html.changes import manifest_error_html
from labsupport.errors import MOST_SHOWN, ManifestError
from labsupport.model import parse
from labsupport.model.analysis.spellings import old_spellings
from labsupport.model.reading.documents import MAX_BYTES, read
from labsupport.model.reading.goyaml import MAX_NODES, MAX_PATH
from labsupport.model.validation import reachability

RULE = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec:\n"


def refused(text: str) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        parse(read(text, file="big.yaml"))
    return caught.value


def test_each_host_that_is_given_again_is_told_once_and_not_all_are_shown() -> None:
    text = f"{RULE}  hosts: [{', '.join(['web'] * 500)}]\n  http: [{{route: [{{destination: {{host: web}}}}]}}]\n"
    error = refused(text)
    assert [problem.path for problem in error.problems] == [f"spec.hosts[{index}]" for index in range(1, 500)]
    assert len(str(error).splitlines()) == MOST_SHOWN + 2
    assert str(error).startswith("499 problems") and str(error).endswith("... and 449 more")
    assert manifest_error_html(error).count("<li>") == MOST_SHOWN + 1


def test_as_many_problems_as_can_be_shown_are_shown() -> None:
    hosts = ", ".join(["web"] * (MOST_SHOWN + 1))
    error = refused(f"{RULE}  hosts: [{hosts}]\n  http: [{{route: [{{destination: {{host: web}}}}]}}]\n")
    assert len(error.problems) == MOST_SHOWN and "more" not in str(error)


def test_many_prefixes_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    covers = reachability._covers
    monkeypatch.setattr(reachability, "_covers", lambda *pair: compared.append(pair) or covers(*pair))
    matches = "".join(f"    - uri: {{prefix: /{index:04d}}}\n" for index in range(1000))
    text = f"{RULE}  hosts: [web]\n  http:\n  - route: [{{destination: {{host: web}}}}]\n    match:\n{matches}"
    (rule,) = parse(read(text))
    assert compared == [] and rule.warnings == ()
    (rule,) = parse(read(text.replace("{prefix: /0000}", "{prefix: /0}")))
    assert len(compared) == len(rule.warnings) == 999


def test_old_spellings_are_looked_for_once_and_not_once_for_each_match() -> None:
    def seconds(count: int) -> float:
        matches = "".join(f"    - uri: {{exact: /{index}}}\n" for index in range(count))
        text = f"{RULE}  hosts: [web]\n  http:\n  - route: [{{destination: {{host: web}}}}]\n    match:\n{matches}"
        (rule,) = parse(read(text))
        took = []
        for _ in range(5):
            began = time.process_time()
            assert list(old_spellings(rule)) == []
            took.append(time.process_time() - began)
        return min(took)

    # In turn with the matches it is 8 times as long, with their square 64 times.
    assert seconds(4000) < 24 * seconds(500)


def test_a_key_that_every_field_below_would_repeat_is_refused() -> None:
    deep = "".join(f"{'  ' * level}{'k' * 100}:\n" for level in range(12)) + f"{'  ' * 12}a: b\n"
    error = refused(deep)
    assert error.problems[0].line == 10
    assert f"a field path of more than {MAX_PATH:,} characters" in str(error) and error.problems[0].remedy
    refused_whole = refused("k" * (MAX_PATH + 1) + ": b\n")
    assert len(str(refused_whole)) < 300


@pytest.mark.parametrize(
    "form", ["[" + "1," * (MAX_NODES + 1) + "]", "a: &a [1,1,1,1,1,1,1,1,1,1]\n"], ids=["plain", "aliases"]
)
def test_too_many_values_are_refused(form: str) -> None:
    if "&a" in form:
        for before, name in zip("abcdef", "bcdefg", strict=True):
            form += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    assert "more than 250,000 values" in str(refused(form))


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ManifestError, match=r"larger than 4 MiB.*Part it"):
        read(file)
    with pytest.raises(ManifestError, match=r"larger than 4 MiB.*Part it"):
        read("#" * (MAX_BYTES + 1))
