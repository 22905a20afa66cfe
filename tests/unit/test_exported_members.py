from __future__ import annotations

import ast
from pathlib import Path

import pytest

import labsupport


def test_everything_that_is_exported_exists() -> None:
    for name in labsupport.__all__:
        assert getattr(labsupport, name) is not None


def test_the_list_is_sorted_and_complete() -> None:
    names = labsupport.__all__
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert set(labsupport._HOME_OF) | {"check"} == set(names)
    assert set(names) <= set(dir(labsupport))


def test_the_names_for_type_checkers_are_the_same() -> None:
    tree = ast.parse(Path(labsupport.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name != "check"
    }
    assert homes == labsupport._HOME_OF


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        labsupport.nothing_of_this_name  # noqa: B018
