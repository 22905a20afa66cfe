"""What a Secret holds is compared, applied and handed on, but never shown."""

from __future__ import annotations

import base64
import json

import pytest

from labsupport.controlplane.desired import changed_fields, merge
from labsupport.display.html.mesh_html import objects_markdown
from labsupport.errors import ManifestError
from labsupport.lab.objects import Objects
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.model.writing.redaction import Hidden, redacted
from labsupport.model.writing.written import written

SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: shop
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data": {"password": "c2VzYW1l"}}'}
data: {password: c2VzYW1l}
stringData: {other: open}
"""


def test_neither_a_repr_nor_yaml_nor_a_list_shows_values() -> None:
    (resource,) = parse(read(SECRET))
    plain = parse(read(SECRET.replace("last-applied-configuration", "other").replace("c2VzYW1l\"}}'", "\"}}'")))[0]
    for text in (
        repr(plain),
        str(plain),
        Objects([resource]).yaml,
        repr(Objects([resource])),
        objects_markdown(Objects([resource])),
    ):
        assert "c2VzYW1l" not in text and "sesame" not in text and "open" not in text
    assert "<redacted, 6 bytes>" in Objects([resource]).yaml and "<redacted, 4 bytes>" in Objects([resource]).yaml
    assert resource.raw["data"] == {"password": "c2VzYW1l"}, "what is applied is what was written"


def test_a_change_tells_which_values_differ_and_how_long_they_are() -> None:
    (before,) = parse(read(SECRET))
    changed = base64.b64encode(b"longer words").decode()
    (after,) = parse(read(SECRET.replace("data: {password: c2VzYW1l}", f"data: {{password: {changed}}}")))
    assert changed_fields(before, after) == ("data.password: <redacted, 6 bytes> -> <redacted, 12 bytes>",)
    _, (change,) = merge([before], [after])
    assert changed not in repr(change) and "c2VzYW1l" not in repr(change)
    assert changed_fields(before, parse(read(SECRET))[0]) == ()
    assert repr(Hidden("x", encoded=False)) == "<redacted, 1 byte>"


def test_of_long_texts_a_change_shows_where_they_differ() -> None:
    head, line = "groups:\n  - name: a group that has a long name\n    rules: []\n", "expr: " + "a" * 80
    texts = [head + line + "> 1\n", head + line + "> 2\n", head]
    given = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: %s}\n"
    one, two, none = (parse(read(given % json.dumps(text)))[0] for text in texts)
    (told,) = changed_fields(one, two)
    old, new = told.split(" -> ")
    assert "aaa> 1" in old and "aaa> 2" in new
    (told,) = changed_fields(one, none)
    assert "expr: aaa" in told and "groups" not in told


def test_a_new_key_and_a_new_block_are_hidden_too() -> None:
    (before,) = parse(read(SECRET.replace("stringData: {other: open}", "")))
    (after,) = parse(read(SECRET))
    text = "\n".join(changed_fields(before, after))
    assert "stringData" in text and "open" not in text


def test_other_kinds_are_left_as_they_are() -> None:
    (config_map,) = parse(read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {colour: blue}\n"))
    assert written(config_map)["data"] == {"colour": "blue"}
    assert redacted({"kind": "ConfigMap", "data": {"a": "b"}}) == {"kind": "ConfigMap", "data": {"a": "b"}}


def test_a_value_that_is_no_base64_is_named_and_not_shown() -> None:
    with pytest.raises(ManifestError) as error:
        parse(read(SECRET.replace("c2VzYW1l}\nstring", "not*base64}\nstring")))
    assert "data.password" in str(error.value) and "not*base64" not in str(error.value)
