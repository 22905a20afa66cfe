"""``workshop kubeconfig``: where kubectl finds the embedded mesh."""

from __future__ import annotations

import click

__all__ = ["kubeconfig"]


@click.command()
def kubeconfig() -> None:
    """Tell the kubeconfig file of the lab that is open; of several, of the one opened last.

    For a terminal of your own: export KUBECONFIG=$(workshop kubeconfig). In terminals of JupyterLab it is set already.
    """
    from labsupport.engine.embedded.outside import open_kubeconfig

    click.echo(open_kubeconfig())
