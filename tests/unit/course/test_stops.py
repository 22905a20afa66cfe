"""What is said of a name that is not defined."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from labsupport.course import stops


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    stops.install(shell, {"lab", "check"})
    yield shell
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lba", "name 'lba' is not defined. Did you mean lab?"),
        ("exercis", "name 'exercis' is not defined. Did you mean exercise?"),
        ("check", "name 'check' is not defined. Run the first code cell of this notebook"),
    ],
)
def test_a_name_that_is_nearly_one_is_suggested(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    shell.push({"lab": object(), "exercise": object()})
    shell.run_cell(f"{name}.scale('web-safe', 9)")
    assert said in capsys.readouterr().out


def test_a_name_that_is_like_none_is_left_to_ipython(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.push({"lab": object()})
    shell.run_cell("quite_another")
    shown = capsys.readouterr().out
    assert "quite_another" in shown and "Did you mean" not in shown
