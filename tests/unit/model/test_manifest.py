"""Reading YAML: kubectl's rules, lines, and input that is no manifest."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from labsupport.errors import LabError, ManifestError, NotFoundError
from labsupport.model.reading.documents import read

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(text, file="cell")
    return str(caught.value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("~", None),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("010", 8),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1e999", "1e999"),
        ("5s", "5s"),
        ("1.2.3.4", "1.2.3.4"),
        ('"yes"', "yes"),
        ("!!str 5", "5"),
        ("-5", -5),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
    ],
)
def test_scalars_are_what_kubectl_makes_of_them(scalar: str, value: object) -> None:
    seen = read(f"a: {scalar}")[0].raw["a"]
    assert seen == value
    assert type(seen) is type(value)


def test_every_field_knows_its_line() -> None:
    text = "# comment\n---\nmetadata:\n  name: a\nspec:\n  http:\n  - route:\n    - weight: 1\n"
    origin = read(text, file="f.yaml")[0].origin
    assert (origin.file, origin.document, origin.line) == ("f.yaml", 1, 3)
    assert origin.line_of("spec.http[0].route[0].weight") == 8
    assert origin.line_of("spec.http[0].route[0].missing.deeper") == 8
    assert origin.line_of("nowhere") == 3


def test_documents_are_counted_and_empty_ones_skipped() -> None:
    documents = read(f"{OBJECT}---\n---\n# nothing\n---\n{OBJECT}")
    assert [entry.origin.document for entry in documents] == [1, 4]


def test_items_of_a_list_become_objects_with_their_own_lines() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n"
    documents = read(text)
    assert [entry.raw["kind"] for entry in documents] == ["A", "B"]
    assert documents[0].origin.line_of("spec") == 5
    assert documents[1].origin.line == 6


def test_anchors_aliases_and_merge_keys_work() -> None:
    raw = read("base: &b {a: 1, b: 2}\nuse:\n  <<: *b\n  b: 3\nagain: *b\n")[0].raw
    assert raw["use"] == {"a": 1, "b": 3}
    assert raw["again"] == {"a": 1, "b": 2}


def test_keys_that_are_not_text_become_text() -> None:
    assert read("1: a\ntrue: b\n1.5: c\n")[0].raw == {"1": "a", "true": "b", "1.5": "c"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no object"]),
        ("# only a comment\n", ["no object"]),
        ("- a\n- b\n", ["cell:1", "a list"]),
        ("just words", ["cell:1", "single value"]),
        ("a: [1,\n", ["cell:2", "not YAML"]),
        ("a: 1\n b: 2\n", ["cell:2", "not YAML", "indentation"]),
        ("a:\n\tb: 1\n", ["cell:2", "tabs"]),
        ("a: 1\nb: 2\na: 3\n", ["cell:3", "'a' is given twice", "line 1"]),
        ("x: 1\ny: {{ name }}\n", ["cell:2", "key"]),
        ("? [1]\n: 2\n", ["a key must be text"]),
        ("a: *nope\n", ["&nope"]),
        ("a: &x [*x]\n", ["contains itself"]),
        ("a: !!python/object:os.system ls\n", ["tag"]),
        ("a: .inf\n", ["infinity"]),
        ("a: \x01\n", ["not allow"]),
        ("a: \ud800\n", ["surrogate"]),
        ("apiVersion: v1\nkind: List\nitems: [5]\n", ["items[0]"]),
    ],
)
def test_what_is_no_manifest_is_refused_with_place_and_reason(text: str, words: list[str]) -> None:
    message = refusal(text)
    for word in words:
        assert word in message


def test_all_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [\n")
    (tmp_path / "b.yml").write_text("- x\n")
    (tmp_path / "c.yaml").write_bytes(b"ok: \xff\n")
    with pytest.raises(ManifestError) as caught:
        read(tmp_path)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yml", "c.yaml"]


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.txt"):
        (tmp_path / name).write_text(f"name: {name}\n")
    assert [entry.raw["name"] for entry in read(tmp_path)] == ["a.yaml", "b.yml"]


def test_an_empty_folder_and_a_missing_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no \*\.yaml"):
        read(tmp_path)
    with pytest.raises(NotFoundError, match="there is no file"):
        read(tmp_path / "nope.yaml")


def bomb(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, depth):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(30),
        "[" * 50_000,
        "{a: " * 50_000,
        "\n".join(f"{' ' * level}a:" for level in range(3000)),
        "a0: &a0 {x: 1}\n" + "\n".join(f"a{n}: &a{n} {{b: *a{n - 1}}}" for n in range(1, 3000)),
    ],
    ids=["aliases", "brackets", "braces", "indentation", "chain of aliases"],
)
def test_bombs_are_refused_quickly(text: str) -> None:
    started = time.process_time()
    with pytest.raises(LabError):
        read(text)
    assert time.process_time() - started < 10
