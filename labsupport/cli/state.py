"""``workshop course``, ``progress`` and ``reset``: what the workshop keeps about a learner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from labsupport import paths
from labsupport.errors import StorageError, UsageError
from labsupport.setup.workingcopy import WorkingCopy

__all__ = ["course", "progress", "reset"]


@click.command()
def course() -> None:
    """Show a map of the course: what each lesson needs, what of it is done, and how long the rest takes."""
    from labsupport.course.summary import course_map

    click.echo(f"{course_map()!r}\nWhat rules do, on one page: notebooks/cheat-sheet.md")


@click.command()
@click.option("--json", "for_programs", is_flag=True, help="For programs: everything that is known of each exercise.")
def progress(for_programs: bool) -> None:
    """Show a map of the course, and which exercises are done."""
    from labsupport.course.summary import as_json, course_map, summary

    known = summary()
    if for_programs:
        click.echo(json.dumps(as_json(known), indent=2))
        return
    click.echo(f"{course_map()!r}\n\n{known!r}")


def _kept() -> list[Path]:
    """What reset removes: the progress file, wherever it is, and the folder of settings."""
    return [place for place in (paths.state_file(), paths.state(paths.root())) if place.exists()]


def _remove(place: Path) -> None:
    try:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{place} cannot be removed: {error.strerror}. Remove it by hand.") from error


def _remove_namespace(namespace: str | None, context: str | None, *, yes: bool) -> None:
    from labsupport.engine.cluster.objects.namespace import chosen_name
    from labsupport.engine.cluster.objects.removal import remove_namespace

    if not yes:
        name = chosen_name(namespace)
        try:
            click.confirm(f"Delete namespace {name} on the cluster, with everything in it?", abort=True, err=True)
        except click.Abort:
            raise UsageError("nothing was removed. With --yes there is no question.") from None
    name, there = remove_namespace(namespace=namespace, context=context)
    click.echo(f"removed namespace {name}" if there else f"Nothing to remove: there is no namespace {name}.")


def _start_afresh(lesson: str) -> None:
    copy = WorkingCopy(paths.root(), paths.work())
    done = copy.start_afresh(lesson)
    for name in (*done.added, *done.updated):
        click.echo(f"afresh: {name}")
    if done.kept:
        click.echo(f"What you had is kept in {done.kept}")
    if done.updated:
        click.echo("Where a notebook is open: File > Reload Notebook from Disk, then Kernel > Restart Kernel.")
    elif not done.added:
        click.echo("Nothing to do: your copy is as the course.")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--notebooks",
    metavar="[NN]",
    is_flag=False,
    flag_value="all",
    help="Begin your copy of the notebooks and manifests afresh, or that of lesson NN; what you had is kept.",
)
@click.option("--engine", type=click.Choice(["embedded", "cluster"]), default="embedded", show_default=True)
@click.option("--namespace", help="Namespace on the cluster.  [default: WORKSHOP_NAMESPACE, else workshop-<user>]")
@click.option("--context", help="Context of the kubeconfig.  [default: WORKSHOP_CONTEXT, else the current one]")
def reset(yes: bool, notebooks: str | None, engine: str, namespace: str | None, context: str | None) -> None:
    """Forget progress and JupyterLab settings, and remove what killed labs left behind.

    Notebooks, manifests and running labs are not touched, but by --notebooks, which does nothing else. With --engine
    cluster, delete your namespace on the cluster instead, with everything in it.
    """
    from labsupport.engine.embedded.processes import rundir

    if notebooks is not None:
        _start_afresh("" if notebooks == "all" else notebooks)
        return
    if engine == "cluster":
        _remove_namespace(namespace, context, yes=yes)
        return
    if namespace or context:
        raise UsageError("--namespace and --context belong to --engine cluster")
    kept = _kept()
    if kept and not yes:
        click.echo("This removes your progress and the workshop's JupyterLab settings:", err=True)
        for place in kept:
            click.echo(f"  {place}", err=True)
        try:
            click.confirm("Remove them?", abort=True, err=True)
        except click.Abort:
            raise UsageError("nothing was removed. With --yes there is no question.") from None
    # A progress file outside the folder first: the folder may hold it too, and then it goes with it.
    for place in kept:
        _remove(place)
        click.echo(f"removed {place}")
    swept = rundir.sweep()
    for folder in swept:
        click.echo(f"removed {folder} of a lab that was killed")
    if not kept and not swept:
        click.echo("Nothing to remove.")
