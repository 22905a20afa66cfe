"""``workshop doctor``: the findings of ``labsupport.setup.doctor``, one line each."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from labsupport.cli.cluster_report import show
from labsupport.words import plural

__all__ = ["doctor"]


@click.command()
@click.option(
    "--engine",
    type=click.Choice(["embedded", "cluster"]),
    help="Engine that the notebooks will use.  [default: WORKSHOP_ENGINE, else embedded]",
)
@click.option("--quiet", is_flag=True, help="Only what needs attention.")
def doctor(engine: str | None, quiet: bool) -> None:
    """Look for what could go wrong on this machine or its cluster, with a remedy for each finding.

    Exit status 1 if anything keeps the workshop from running.
    """
    from labsupport.setup.doctor import examine

    chosen = engine or os.environ.get("WORKSHOP_ENGINE") or "embedded"
    counts = {"warning": 0, "error": 0}
    said = ""
    for finding in examine(engine=chosen):
        if finding.level in counts:
            counts[finding.level] += 1
        elif quiet:
            continue
        # What helps against several findings in a row is told once.
        show(replace(finding, remedy="as above") if finding.remedy == said != "" else finding)
        said = finding.remedy
    verdict = "ready" if not counts["error"] else "not ready"
    click.echo(f"{verdict}: {plural(counts['error'], 'error')}, {plural(counts['warning'], 'warning')}")
    if counts["error"]:
        sys.exit(1)
