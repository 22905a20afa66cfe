"""The command-line program: ``workshop lab``, ``test``, ``doctor`` and the rest.

Exit status: 0 all is well, 1 something that was asked about is not (tests fail, the doctor found an error),
2 the command could not be carried out, 3 ``validate`` rejects something.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from labsupport.errors import LabError

__all__ = ["main", "workshop"]

_COMMANDS = {
    "cluster": ("labsupport.cli.cluster", "Make a Kubernetes with Istio on this machine, for the cluster engine."),
    "convert": ("labsupport.cli.manifests", "Write VirtualServices as HTTPRoutes, and tell what is lost."),
    "course": ("labsupport.cli.state", "Show the lessons: what each needs, what is done, and how long the rest takes."),
    "doctor": (
        "labsupport.cli.doctor",
        "Look for what could go wrong on this machine, with a remedy for each finding.",
    ),
    "dump": ("labsupport.cli.terminal", "Write what the Envoys of the open lab hold, for istioctl."),
    "explain-additions": ("labsupport.cli.additions", "Tell what the engines add to a workload that is applied."),
    "export": (
        "labsupport.cli.export",
        "Make a web site of the executed course, which needs no server and no network.",
    ),
    "extra": ("labsupport.cli.extra", "Install packages that only some lessons need."),
    "kubeconfig": ("labsupport.cli.kubeconfig", "Tell the kubeconfig file of the lab that is open, for kubectl."),
    "lab": ("labsupport.cli.lab", "Open JupyterLab on the first notebook."),
    "lesson": ("labsupport.cli.lesson", "Begin a lesson of the course, or check one."),
    "progress": ("labsupport.cli.state", "Show which exercises are done."),
    "reset": ("labsupport.cli.state", "Forget progress and settings, and remove what killed labs left behind."),
    "test": ("labsupport.cli.testing", "Run the tests of the workshop."),
    "translate": ("labsupport.cli.manifests", "Print the Envoy configuration that manifests become for one proxy."),
    "validate": ("labsupport.cli.manifests", "Check manifests as istiod would, without a mesh."),
    "wait": ("labsupport.cli.terminal", "Wait until a rule of the open lab is in force."),
}


class Failure(click.ClickException):
    """An error that we foresee: its message alone, and exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the message to standard error."""
        click.echo(f"workshop: {self.format_message()}", err=True)


class _Workshop(click.Group):
    """Imports a command's module when that command runs, so that ``--help`` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise Failure(str(error)) from error


@click.group(cls=_Workshop, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="istio-traffic-workshop", prog_name="workshop")
def workshop() -> None:
    """Hands-on Istio traffic management in JupyterLab, on real Envoy proxies."""


def main() -> None:
    """Run the command line of this process and exit."""
    # IPython would add the packages of that other environment to every kernel.
    if os.path.realpath(os.environ.get("VIRTUAL_ENV") or sys.prefix) != os.path.realpath(sys.prefix):
        del os.environ["VIRTUAL_ENV"]
    workshop(prog_name="workshop")
