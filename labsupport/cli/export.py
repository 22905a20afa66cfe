"""``workshop export``: the executed course as a web site for those who have no machine to run it on."""

from __future__ import annotations

import os
from pathlib import Path

import click

from labsupport import paths
from labsupport.errors import NotFoundError, UsageError
from labsupport.setup.requirements import unsatisfied

__all__ = ["export"]

_OURS = "searchindex.js"


def _chosen(root: Path, names: tuple[str, ...]) -> list[Path]:
    """Notebooks of the course by number or file, in the order of the course."""
    every = sorted((root / "notebooks").glob("[0-9][0-9]-*.ipynb"))
    known = {word: file for file in every for word in (file.name[:2], file.stem, file.name)}
    chosen = set()
    for name in names:
        if (word := Path(name).name) not in known:
            raise NotFoundError(f"there is no lesson {name!r}. Name it by its number, such as 02, or by its file.")
        chosen.add(known[word])
    return sorted(chosen) or every


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default="site", show_default=True, help="Folder of the site."
)
@click.argument("notebooks", nargs=-1)
def export(output: Path, notebooks: tuple[str, ...]) -> None:
    """Run the lessons on the embedded mesh, and make a web site of them: all, or those named by number or file.

    The site needs no server and no network: open its index.html. The notebooks themselves stay as they are. What a
    lesson showed is kept until something of the course changes, so that a second time is quick.
    """
    root = paths.root()
    if missing := unsatisfied(root, extras=("export",)):
        raise UsageError(
            f"a site takes packages that are not installed: {', '.join(map(str, missing))}. Run: workshop extra export"
        )
    if output.exists() and not (output.is_dir() and ((output / _OURS).exists() or not any(output.iterdir()))):
        raise UsageError(f"{output} is there, and no site. Name another folder: workshop export --output FOLDER")
    from labsupport.cli.site import build

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    build(root, _chosen(root, notebooks), output, lambda step: click.echo(f"workshop: {step}", err=True))
    click.echo(f"The site is made. Open {output / 'index.html'}")
