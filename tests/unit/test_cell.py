"""A cell knows its number as the notebook shows it."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from labsupport import cell


def test_the_number_of_a_cell_is_that_of_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell()
    monkeypatch.setattr("labsupport.cell._shell", lambda: shell)
    shell.push({"number": cell.number})
    for expected in (1, 2):
        result = shell.run_cell("told = number()", store_history=True)
        assert (result.execution_count, shell.user_ns["told"]) == (expected, expected)


def test_outside_a_notebook_there_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labsupport.cell._shell", lambda: None)
    assert cell.number() == 0
