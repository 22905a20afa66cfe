"""``workshop extra``: install the packages that only some lessons need."""

from __future__ import annotations

import click

from labsupport.setup.extras import ensure_extra

__all__ = ["extra"]


@click.command()
@click.argument("name")
def extra(name: str) -> None:
    """Install the packages of the extra NAME: predict is what the lessons on prediction APIs need."""
    ensure_extra(name)
    click.echo(f"The extra {name} is installed.")
