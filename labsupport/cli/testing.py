"""``workshop test``: the test suites in the order in which a failure tells most."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from labsupport import paths
from labsupport.errors import NotFoundError
from labsupport.setup.extras import install
from labsupport.setup.jupyter import make_folders, own_folders
from labsupport.setup.requirements import unsatisfied

__all__ = ["pytest_arguments", "test"]

SUITES = (
    "unit",
    "properties",
    "servers",
    "program",
    "fidelity",
    "images",
    "behaviour",
    "contract",
    "exercises",
    "notebooks",
    "bench",
    "browser",
)
"""Folders of ``tests`` in the order in which they run; those not named here come before ``bench``."""

_SLOW_SUITES = ("bench", "browser")
_CLUSTER_SUITES = ("contract", "cluster", "notebooks")
"""What is run on a cluster: what a mesh does, what only a cluster can do, and the notebooks."""


def suites(root: Path) -> list[str]:
    """The suites that exist, so that a new folder is never forgotten."""
    there = {file.relative_to(root / "tests").parts[0] for file in (root / "tests").glob("*/**/test_*.py")}
    last = [name for name in SUITES if name in _SLOW_SUITES]
    first = [name for name in SUITES if name not in last]
    return [name for name in [*first, *sorted(there - {*SUITES}), *last] if name in there]


def _chosen(extra: Sequence[str]) -> list[str]:
    """Files and folders among the extra arguments, which then replace the suites."""
    return [word for word in extra if not word.startswith("-") and Path(word.partition("::")[0]).exists()]


def pytest_arguments(root: Path, extra: Sequence[str], *, fast: bool, engine: str = "embedded") -> list[str]:
    """The arguments of pytest.

    Args:
        root: the repository.
        extra: what the user gave for pytest, relative to the working folder.
        fast: leave out the browser, the notebooks and everything marked slow.
        engine: what suites and notebooks with a mesh run on; ``cluster`` leaves the suites out that have none.
    """
    chosen = _chosen(extra)
    others = [word for word in extra if word not in chosen]
    arguments = [f"--rootdir={root}", "-c", str(root / "pyproject.toml")]
    places: list[Path] = []
    for suite in suites(root):
        if (fast and suite in _SLOW_SUITES) or (engine == "cluster" and suite not in _CLUSTER_SUITES):
            continue
        places.append(root / "tests" / suite)
        if suite == "notebooks" and not fast:
            places.append(root / "notebooks")
    targets = [os.path.abspath(word) for word in chosen] or [str(place) for place in places]
    if fast:
        arguments += ["-m", "not slow and not browser"]
    elif not chosen or any(".ipynb" in word or Path(word).name == "notebooks" for word in chosen):
        arguments.append("--nbval-lax")
    return [*arguments, *others, *targets]


def install_extras(root: Path, group: str = "test") -> None:
    """Install an optional group of dependencies when something of it is missing.

    Raises:
        EngineError: pip could not install it.
    """
    missing = unsatisfied(root, extras=(group,))
    if not missing:
        return
    click.echo(f"workshop: installing what the tests need ({', '.join(str(name) for name in missing)})", err=True)
    install(root, group, missing)


def _for_cluster(*, look: bool) -> dict[str, str]:
    """Settings of tests on a cluster: a namespace of their own, so that they do not end the lab of who runs them.

    Args:
        look: ask the cluster first, so that what is wrong with it is said once, and not in every test.

    Raises:
        LabError: it is not there, does not answer, or has no Istio that will do.
    """
    from labsupport.engine.cluster.api.connect import Connection
    from labsupport.engine.cluster.api.istio import istio_of
    from labsupport.engine.cluster.objects.namespace import chosen_name

    name = os.environ.get("WORKSHOP_NAMESPACE") or f"{chosen_name(None)[:58]}-test"
    if look:
        connection = Connection()
        try:
            version = istio_of(connection).version_text
        finally:
            connection.close()
        about = f"context {connection.context} with Istio {version}, namespace {name}"
        click.echo(f"workshop: testing on {about}", err=True)
    return {"WORKSHOP_NAMESPACE": name}


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fast", is_flag=True, help="Leave out the notebooks, the browser and slow tests.")
@click.option(
    "--engine",
    type=click.Choice(["embedded", "cluster"]),
    default=lambda: os.environ.get("WORKSHOP_ENGINE") or "embedded",
    help="Engine for the suites and notebooks with a mesh.  [default: WORKSHOP_ENGINE, else embedded]",
)
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
def test(fast: bool, engine: str, pytest_args: tuple[str, ...]) -> None:
    """Run the tests of the workshop, or those in the files and folders that are given.

    What follows a '--' goes to pytest, for instance: workshop test -- -x -k weight

    With --engine cluster the contract tests, those of the cluster and the notebooks run on the current context of the
    kubeconfig (or WORKSHOP_CONTEXT), in a namespace of their own.
    """
    root = paths.root()
    if not (root / "tests").is_dir():
        raise NotFoundError(f"there is no folder tests in {root}. Is this a clone of the repository?")
    make_folders(root)
    # What is tested is the course, not somebody's copy of it, and in kernels that start as those of workshop lab do.
    os.environ.pop("WORKSHOP_WORK", None)
    settings = {"WORKSHOP_ENGINE": engine, **own_folders(root, os.environ)}
    if engine == "cluster":
        settings |= _for_cluster(look=not _chosen(pytest_args))
    install_extras(root)
    command = [sys.executable, "-m", "pytest", *pytest_arguments(root, pytest_args, fast=fast, engine=engine)]
    # pytest takes this process's place: signals, the terminal and the exit status are its own.
    os.chdir(root)
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, **settings})
