"""Progress of ``workshop cluster`` on the terminal: one line for each step, and what is under way below it."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

import click

from labsupport.setup.finding import Finding
from labsupport.words import visible

__all__ = ["COLOURS", "Terminal", "show"]

COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "error": "red"}
_MIB = 1024 * 1024


def show(finding: Finding, *, err: bool = False) -> None:
    """Print a finding: its level, what was looked at and found, and what to do."""
    level = click.style(f"{finding.level:<8}", fg=COLOURS[finding.level])
    click.echo(level + visible(f"{finding.title}: {finding.detail}"), err=err)
    if finding.remedy:
        click.echo(visible(f"{'':8}-> {finding.remedy}"), err=err)


class Terminal:
    """Shows steps as they go, on standard error; a line of what is under way only where it can be wiped away."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._title = ""
        self._begun = 0.0
        self._shown = False

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wipe()

    def begin(self, title: str) -> None:
        """A step begins."""
        self._title, self._begun = title, time.monotonic()
        self._put(f"{title} ...")

    def line(self, text: str) -> None:
        """A program wrote a line."""
        self._put(f"{self._title}: {text.strip()}" if self._title else text.strip())

    def progress(self, name: str, done: int, total: int) -> None:
        """A part of a download is there."""
        share = f" of {total / _MIB:.0f}" if total else ""
        self._put(f"downloading {name}: {done / _MIB:.0f}{share} MiB")

    def tell(self, text: str) -> None:
        """Something that a user should know."""
        self._wipe()
        click.echo(visible(f"  {text}"), err=True)

    def finding(self, finding: Finding) -> None:
        """Something that was looked at."""
        self._wipe()
        show(finding, err=True)

    def end(self, text: str) -> None:
        """The step is done."""
        self._wipe()
        took = time.monotonic() - self._begun
        shown = f" ({took:.0f} s)" if took >= 1 else ""
        click.echo(click.style("ok", fg="green") + visible(f"  {self._title}: {text}{shown}"), err=True)

    def _put(self, text: str) -> None:
        if not self._live:
            return
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r\033[K{visible(text)[:width]}", nl=False, err=True)
        self._shown = True

    def _wipe(self) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)
            self._shown = False
