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


def test_a_name_of_a_cell_that_did_not_run_since_a_restart_shows_no_stack(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.push({"lab": object(), "ten": object()})
    shell.run_cell("patient.stop()")
    shown = capsys.readouterr().out
    assert "'patient' is not defined. If a cell above makes it, run that first." in shown
    assert "Did you mean" not in shown and "Traceback" not in shown
