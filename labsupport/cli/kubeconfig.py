"""``workshop kubeconfig``: where kubectl finds the embedded mesh."""

from __future__ import annotations

import click

from labsupport.errors import NotFoundError

__all__ = ["kubeconfig"]


@click.command()
def kubeconfig() -> None:
    """Tell the kubeconfig file of the lab that is open; of several, of the one opened last.

    For a terminal of your own: export KUBECONFIG=$(workshop kubeconfig). In terminals of JupyterLab it is set already.
    """
    from labsupport.engine.embedded.api.front import ask
    from labsupport.engine.embedded.processes import rundir

    for folder in reversed(rundir.running()):
        try:
            click.echo(ask(folder))
        except OSError:
            # It is closing, or not open yet.
            continue
        return
    raise NotFoundError("no lab is open on the embedded mesh. Open one in a notebook: lab = Lab()")
