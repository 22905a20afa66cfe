"""``workshop cluster``: a Kubernetes of one's own, made with kind, and the images for a shared one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labsupport.cli.cluster_report import Terminal, show

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cluster"]

_NAME = "istio-traffic-workshop"
_FILE = click.Path(path_type=Path)

_name = click.option("--name", default=_NAME, show_default=True, help="Name of the kind cluster.")
_provider = click.option(
    "--provider", type=click.Choice(["docker", "podman"]), help="Container engine.  [default: the first that answers]"
)


@click.group()
def cluster() -> None:
    """Make a Kubernetes with Istio on this machine, for the cluster engine.

    For a cluster that you have already, nothing of this is needed but 'images': a lab takes the current context of the
    kubeconfig, or that of WORKSHOP_CONTEXT.
    """


def _air_gap(function: Callable[..., None]) -> Callable[..., None]:
    """The options for other versions and for machines without a network."""
    options = [
        click.option("--node-image", help="Image of the node, such as kindest/node:v1.34.11@sha256:..."),
        click.option("--kind-config", type=_FILE, help="Configuration of kind whose fields take the place of ours."),
        click.option(
            "--listen", default="127.0.0.1", show_default=True, help="Address for the API server and the ports."
        ),
        click.option("--no-ports", is_flag=True, help="Open no ports of the gateway and the lessons on this machine."),
        click.option("--istio-hub", default="", help="Registry of Istio's images."),
        click.option("--istio-tag", default="", help="Tag of Istio's images."),
        click.option(
            "--istio-config", type=_FILE, multiple=True, help="IstioOperator whose fields take the place of ours."
        ),
        click.option(
            "--image-archives",
            type=_FILE,
            multiple=True,
            help="Archive of images (docker save), or a folder of such, to load instead of pulling and building.",
        ),
        click.option("--addon-manifests", type=_FILE, help="Folder such as samples/addons of an Istio release."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@cluster.command()
@_name
@_provider
@click.option("--addons", default="", help="kiali, prometheus, grafana, jaeger (with commas), or all.")
@click.option("--check", is_flag=True, help="Only look whether a cluster can be made here; change nothing.")
@_air_gap
def up(
    name: str,
    provider: str | None,
    addons: str,
    check: bool,
    node_image: str | None,
    kind_config: Path | None,
    listen: str,
    no_ports: bool,
    istio_hub: str,
    istio_tag: str,
    istio_config: tuple[Path, ...],
    image_archives: tuple[Path, ...],
    addon_manifests: Path | None,
) -> None:
    """Make a kind cluster with Istio and the course's images, or complete one.

    What is done is not done again: after an error, remove its cause and run it again. kind and istioctl are taken from
    PATH if they fit, else downloaded into the cache (WORKSHOP_CACHE) and compared with their SHA-256;
    WORKSHOP_DOWNLOAD_MIRROR names another server for them.
    """
    from labsupport.setup.cluster import addons as known_addons
    from labsupport.setup.cluster.options import Options
    from labsupport.setup.cluster.up import Up

    report = Terminal()
    options = Options(
        name=name,
        provider=provider,
        node_image=node_image,
        kind_config=kind_config,
        listen=listen,
        ports=not no_ports,
        istio_hub=istio_hub,
        istio_tag=istio_tag,
        istio_config=istio_config,
        archives=image_archives,
        addons=known_addons.chosen(addons),
        addon_manifests=addon_manifests,
    )
    with report:
        run = Up(options, report)
        if check:
            if not run.check():
                sys.exit(1)
            return
        made = run.run()
    click.echo(f"The cluster is ready: context {made.context}.")
    click.echo("  ./workshop doctor --engine cluster    looks at it")
    click.echo("  ./workshop lab --engine cluster       opens the notebooks on it")
    for addon in options.addons:
        click.echo(f"  istioctl dashboard {addon}")


@cluster.command()
@_name
@_provider
def status(name: str, provider: str | None) -> None:
    """Show what is there of the cluster, and what comes next.

    Exit status 1 if something has to be done.
    """
    from labsupport.setup.cluster.status import status as look

    findings = []
    for finding in look(name, provider=provider):
        show(finding)
        findings.append(finding)
    if any(finding.level == "error" for finding in findings):
        sys.exit(1)


@cluster.command()
@_name
@_provider
def down(name: str, provider: str | None) -> None:
    """Remove the kind cluster of this name with everything in it; no other cluster is touched."""
    from labsupport.setup.cluster.status import down as remove

    with Terminal() as report:
        there = remove(name, provider=provider, on_line=report.line)
    click.echo(f"The kind cluster {name} was removed." if there else f"There is no kind cluster {name}.")


@cluster.command()
@_provider
@click.option("--platform", "platforms", default="", help="Such as linux/amd64,linux/arm64; needs --push.")
@click.option("--push", "registry", help="Registry to push to, such as registry.example.com/team.")
@click.option("--tag", help="Tag of the images.  [default: WORKSHOP_IMAGE_TAG, else the workshop's version]")
@click.option("--archive", type=_FILE, help="Folder to save the images in, for: workshop cluster up --image-archives")
def images(provider: str | None, platforms: str, registry: str | None, tag: str | None, archive: Path | None) -> None:
    """Build the course's images, for a shared cluster with --push, or for machines without a network with --archive."""
    from labsupport.setup.cluster.delivery import deliver

    with Terminal() as report:
        made = deliver(
            report,
            provider=provider,
            platforms=tuple(word.strip() for word in platforms.split(",") if word.strip()),
            registry=registry,
            tag=tag,
            archive=archive,
        )
    for line in made:
        click.echo(line)
