"""Cell magics: ``%%manifest`` applies the YAML of a cell, ``%%promql`` asks the query of a cell."""

from __future__ import annotations

import re
from dataclasses import replace

from labsupport import cell
from labsupport.check.result import NOT_ATTEMPTED, CheckOutcome
from labsupport.course import catalogue
from labsupport.errors import ConfigRejectedError, LabError, ManifestError, UsageError, WaitTimeoutError
from labsupport.lab import current
from labsupport.lab.sources import has_gap
from labsupport.metrics.answers import Answer
from labsupport.records import ApplyResult
from labsupport.words import THIS_CELL

__all__ = ["KEPT_BACK", "manifest", "promql"]

CELL = "%%manifest"
"""What messages in other cells call the YAML of a cell; a line number counts from the cell's first line."""

KEPT_BACK = "what is noted about it is yours to find out here; lab.status() tells it"
"""Stands for the notes of a broken manifest: symptoms are shown in a diagnosis, causes are found."""

_EXERCISE = re.compile(r"[\w.-]+")


def manifest(line: str, body: str) -> ApplyResult | CheckOutcome:
    """Apply the YAML of a cell: ``%%manifest``, or ``%%manifest 02.1`` for an exercise.

    A cell that still has ``____`` in it is left alone. What is wrong with the answer to an exercise is shown as its
    outcome, so that the notebook goes on; without an exercise it is an error like that of ``lab.apply``. Notes on a
    manifest that is to be diagnosed are kept back.

    Args:
        line: number of an exercise, or nothing.
        body: the YAML.

    Returns:
        What was applied and when it was in force; or for an exercise that was not, why.

    Raises:
        ManifestError: the YAML is refused, and the cell is not an exercise.
        UsageError: no lab is open, or the line is not the number of one exercise.
    """
    number = line.strip()
    if number and not _EXERCISE.fullmatch(number):
        raise UsageError(f"%%manifest {number}: give nothing, or the number of one exercise such as %%manifest 02.1")
    lab = current.current()
    exercise = catalogue.exercise(number) if number else None
    if has_gap(body):
        if exercise is not None:
            return exercise.note_gap(body)
        lines = ("Replace every ____ and run the cell again.", "Nothing was applied.")
        return CheckOutcome(NOT_ATTEMPTED, "This manifest has gaps", lines)
    # The magic's own line is the first of the cell, so that numbers agree with those that JupyterLab shows.
    text = f"\n{body}"
    name = _name(number)
    try:
        result = lab.apply(text, name=name)
    except (ManifestError, ConfigRejectedError) as error:
        if exercise is None:
            raise _here(error, name) from None
        outcome = exercise.note_refusal(body, error)
        return replace(outcome, lines=tuple(line.replace(name, THIS_CELL) for line in outcome.lines))
    except WaitTimeoutError as error:
        if exercise is None:
            raise
        return exercise.note_unready(body, error)
    if exercise is not None:
        exercise.note_applied(body, [change.ref for change in result.changes])
    notes = result.notes
    if notes and exercise is not None and exercise.spec.kind == "diagnose":
        notes = (KEPT_BACK,)
    return replace(
        result,
        notes=notes,
        changes=tuple(replace(change, source=change.source.replace(name, THIS_CELL)) for change in result.changes),
    )


def promql(line: str, body: str) -> Answer | CheckOutcome:
    """Answer the query of a cell, ``%%promql``: by a Prometheus where there is one, else by the lab.

    Args:
        line: nothing.
        body: the query, in PromQL.

    Raises:
        UsageError: no lab is open, or it is no query.
    """
    if line.strip():
        raise UsageError("%%promql stands alone in its line; the query follows below.")
    if has_gap(body):
        return CheckOutcome(NOT_ATTEMPTED, "This query has gaps", ("Replace every ____ and run the cell again.",))
    return current.current().metrics().ask(body)


def _name(exercise: str) -> str:
    """What tells this cell from others: the number of its exercise, else its own."""
    run = cell.number()
    return f"{CELL} {exercise}" if exercise else f"{CELL} In [{run}]" if run else CELL


def _here(error: LabError, name: str) -> LabError:
    """The same error as it is told in the cell itself."""
    if not isinstance(error, ManifestError):
        return error
    problems = [
        replace(problem, file=THIS_CELL if problem.file == name else problem.file) for problem in error.problems
    ]
    return ManifestError(problems, outcome=error.outcome)
