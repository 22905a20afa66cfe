"""What a user may choose for a cluster, and who is told what happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labsupport.setup.finding import Finding

__all__ = ["DEFAULT_NAME", "Options", "Reporter"]

DEFAULT_NAME = "istio-traffic-workshop"


class Reporter(Protocol):
    """Who shows what happens."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def line(self, text: str) -> None:
        """A program wrote a line, or something is waited for."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many bytes of a download are there; ``total`` is 0 if unknown."""

    def tell(self, text: str) -> None:
        """Something that a user should know."""

    def finding(self, finding: Finding) -> None:
        """Something that was looked at."""

    def end(self, text: str) -> None:
        """The step is done; what there is now."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose.

    Args:
        name: of the kind cluster.
        provider: ``docker`` or ``podman``; by default the one that answers.
        node_image: image of the node; by default that of kind's release.
        kind_config: a configuration of kind whose fields take the place of ours.
        listen: address of this machine for the API server and the ports.
        ports: whether the gateway's and the lessons' node ports are opened on this machine.
        istio_hub: registry of Istio's images.
        istio_tag: of Istio's images.
        istio_config: files with an ``IstioOperator`` each, whose fields take the place of ours.
        archives: archives of images, or folders with such, that are loaded instead of being pulled or built.
        addons: names of add-ons.
        addon_manifests: folder with their manifests.
    """

    name: str = DEFAULT_NAME
    provider: str | None = None
    node_image: str | None = None
    kind_config: Path | None = None
    listen: str = "127.0.0.1"
    ports: bool = True
    istio_hub: str = ""
    istio_tag: str = ""
    istio_config: tuple[Path, ...] = ()
    archives: tuple[Path, ...] = ()
    addons: tuple[str, ...] = ()
    addon_manifests: Path | None = None
