from __future__ import annotations

import ast
import subprocess
import sys
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


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["IPython", "ipywidgets", "pandas", "scipy", "matplotlib", "kubernetes", "grpc", "numpy"]
    code = "import sys, labsupport; print([name for name in {heavy} if name in sys.modules])"
    for line in ("", "labsupport.Lab; "):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("print", line + "print").format(heavy=heavy)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == "[]"


def test_importing_the_package_is_cheap() -> None:
    code = "import time; begun = time.perf_counter(); import labsupport; print(time.perf_counter() - begun)"
    taken = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout)
        for _ in range(3)
    ]
    assert min(taken) < 0.3
