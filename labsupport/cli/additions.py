"""``workshop explain-additions``: what the engines add to a workload where its manifest does not say otherwise."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import click

from labsupport.words import visible

__all__ = ["explain_additions"]

_TEXT = """\
Both engines add this to the pods of a Deployment, field by field, where its manifest does not say otherwise; lab.get
shows what was written. On a cluster StatefulSets and DaemonSets get it, too. workshop explain-additions -f FILE shows
them as they are applied.

annotation proxy.istio.io/config, but not of pods with sidecar.istio.io/inject: "false"
  concurrency: 1        one worker in each Envoy, so that round robin and limits of pools count exactly
  proxyStatsMatcher     all counters of clusters and routes; Istio keeps few of them by default

variables of the program
  POD_NAME              name of the pod: who answered
  POD_NAMESPACE         its namespace
  SERVICE_NAME          its label app, or the name of the workload
  SERVICE_VERSION       its label version

A container with envFrom gets the first two variables only, as the others may come from there.
"""


@click.command("explain-additions")
@click.option("-f", "files", multiple=True, metavar="FILE", help="File or folder; - is standard input.")
def explain_additions(files: tuple[str, ...]) -> None:
    """Tell what both engines add to a workload; with files, print their workloads as they are applied."""
    if not files:
        click.echo(_TEXT, nl=False)
        return
    from labsupport.engine import additions
    from labsupport.lab.sources import read
    from labsupport.model.writing.lines import block

    resources = read([sys.stdin.read() if name == "-" else Path(name) for name in files], name="standard input")
    completed: list[str] = []
    for resource in resources:
        if resource.kind in additions.WORKLOADS:
            raw = copy.deepcopy(resource.raw)
            additions.add(raw)
            completed.append("\n".join(line.text for line in block(raw)))
    text = "\n---\n".join(completed)
    # Who takes it further gets it as it is.
    click.echo(visible(text) if sys.stdout.isatty() else text)
