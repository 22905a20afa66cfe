"""The kind cluster: its configuration, making it, what it holds, removing it.

Every command names the cluster, so nothing of another cluster is ever touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport.errors import EngineError, NotFoundError, UsageError
from labsupport.setup.cluster import cache, programs, remedies
from labsupport.setup.cluster.containers import Containers
from labsupport.setup.cluster.tools import Tool
from labsupport.setup.cluster.versions import NODE_IMAGE

__all__ = ["Kind", "check_name", "configuration", "read_configuration"]

_CREATE_S = 900.0
_LOAD_S = 600.0
_SHORT_S = 60.0


def check_name(name: str) -> str:
    """The name of a cluster, if it is one.

    Raises:
        UsageError: kind would not accept it.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,48}[a-z0-9])?", name):
        raise UsageError(f"{name!r} cannot be the name of a cluster: take lower-case letters, digits, '-' and '.'.")
    return name


def read_configuration(file: Path) -> dict[str, Any]:
    """A kind configuration of the user's.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is no kind configuration.
    """
    import yaml

    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is no YAML: {error}") from None
    if not isinstance(read, dict) or read.get("kind", "Cluster") != "Cluster":
        raise UsageError(f"{file} is no configuration of kind (kind: Cluster, apiVersion: kind.x-k8s.io/v1alpha4).")
    return read


def configuration(
    *, node_image: str | None, listen: str, ports: Sequence[int], over: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The configuration of the cluster, as of kind's ``kind.x-k8s.io/v1alpha4``.

    Args:
        node_image: image of the node; None for kind's own default.
        listen: address of this machine for the API server and the ports.
        ports: node ports that are opened there with the same number.
        over: fields that take the place of these; nodes are put over each other by position.
    """
    node: dict[str, Any] = {"role": "control-plane"}
    if node_image:
        node["image"] = node_image
    if ports:
        node["extraPortMappings"] = [
            {"containerPort": port, "hostPort": port, "listenAddress": listen, "protocol": "TCP"} for port in ports
        ]
    ours: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": listen},
        "nodes": [node],
    }
    merged: dict[str, Any] = _put_over(ours, over or {})
    return merged


def _put_over(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, Mapping):
        return {**base, **{key: _put_over(base.get(key), value) for key, value in over.items()}}
    both_lists_of_objects = isinstance(base, list) and isinstance(over, list) and base and isinstance(base[0], dict)
    if both_lists_of_objects and "role" in base[0]:
        merged = [_put_over(below, other) for below, other in zip(base, over, strict=False)]
        return [*merged, *base[len(over) :], *over[len(base) :]]
    return over


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind cluster.

    Args:
        tool: the program kind.
        engine: Docker or Podman.
        name: of the cluster.
    """

    tool: Tool
    engine: Containers
    name: str

    @property
    def context(self) -> str:
        """Its context in the kubeconfig, as kind names it."""
        return f"kind-{self.name}"

    @property
    def log(self) -> Path:
        """The file with everything that the programs wrote."""
        return cache.log_file(self.name)

    def default_image(self) -> str | None:
        """The node image: the pinned one for the pinned kind, None (the one it was released with) for another."""
        return NODE_IMAGE if self.tool.pinned else None

    # --- what is there -----------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a cluster of this name."""
        done = self._ask("get", "clusters")
        if done.status:
            raise programs.ProgramError(f"kind cannot list its clusters:\n{done.last_lines()}", done)
        return self.name in done.output.split()

    def nodes(self) -> list[str]:
        """The node containers."""
        done = self._ask("get", "nodes", "--name", self.name)
        # "No kind nodes found" is told on the other output.
        return [line.strip() for line in done.output.splitlines() if line.strip()] if done.status == 0 else []

    def stopped(self) -> list[str]:
        """Node containers that do not run, as after a restart of the machine."""
        return [node for node in self.nodes() if self._inspect(node, "{{.State.Running}}") != "true"]

    def identity(self) -> str:
        """Ids of the node containers: they change when the cluster is made anew."""
        return ",".join(sorted(self._inspect(node, "{{.Id}}")[:12] for node in self.nodes()))

    def images(self) -> dict[str, set[str]]:
        """Names of the images that each node holds."""
        held: dict[str, set[str]] = {}
        for node in self.nodes():
            done = programs.ask(
                [self.engine.program, "exec", node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet"],
                timeout_s=_SHORT_S,
            )
            if done.status:
                raise programs.ProgramError(f"the images of node {node} cannot be listed:\n{done.last_lines()}", done)
            held[node] = {line.strip() for line in done.output.splitlines() if line.strip()}
        return held

    # --- changing it -------------------------------------------------------------------------------------------

    def create(self, config: Mapping[str, Any], *, on_line: Callable[[str], None] | None = None) -> None:
        """Make the cluster and its context in the kubeconfig; kind itself removes what it could not complete.

        A node that is not ready in time is no failure to kind.

        Raises:
            EngineError: it could not be made; says why and what to do.
        """
        file = cache.folder("clusters") / f"{self.name}.kind.json"
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
        done = self._run(
            "create", "cluster", "--name", self.name, "--config", str(file), "--wait", "180s", on_line=on_line
        )
        if done.status:
            raise self._failure("the cluster could not be made", done, remedies.of_kind(done.said))

    def start(self) -> None:
        """Start the node containers that were stopped.

        Raises:
            EngineError: one does not start.
        """
        for node in self.stopped():
            done = programs.run([self.engine.program, "start", node], timeout_s=_SHORT_S, log=self.log)
            if done.status:
                raise self._failure(f"node {node} could not be started", done, _anew(self.name))

    def export_kubeconfig(self) -> None:
        """Put the cluster's context into the kubeconfig (``KUBECONFIG``, else ``~/.kube/config``), as current one.

        Raises:
            EngineError: it cannot be written.
        """
        done = self._run("export", "kubeconfig", "--name", self.name, timeout_s=_SHORT_S)
        if done.status:
            place = os.environ.get("KUBECONFIG") or "~/.kube/config"
            raise self._failure(f"the cluster's context could not be written to {place}", done, _anew(self.name))

    def load(self, archive: Path, *, on_line: Callable[[str], None] | None = None) -> None:
        """Load the images of an archive (``docker save``) into every node.

        Raises:
            EngineError: that failed.
        """
        done = self._run("load", "image-archive", str(archive), "--name", self.name, timeout_s=_LOAD_S, on_line=on_line)
        if done.status:
            remedy = "Is it an archive made by 'docker save' or 'podman save', and is there room on the disk?"
            raise self._failure(f"{archive.name} could not be loaded into the cluster", done, remedy)

    def delete(self, *, on_line: Callable[[str], None] | None = None) -> None:
        """Remove the cluster of this name, and its context.

        Raises:
            EngineError: it could not be removed.
        """
        done = self._run("delete", "cluster", "--name", self.name, timeout_s=_LOAD_S, on_line=on_line)
        if done.status:
            raise self._failure("the cluster could not be removed", done, f"Restart {self.engine.title} and try again.")

    # --- programs ----------------------------------------------------------------------------------------------

    def _ask(self, *arguments: str) -> programs.EndedProgram:
        return programs.ask([self.tool.path, *arguments], environment=self.engine.environment)

    def _run(
        self, *arguments: str, timeout_s: float = _CREATE_S, on_line: Callable[[str], None] | None = None
    ) -> programs.EndedProgram:
        command = [self.tool.path, *arguments]
        return programs.run(
            command, timeout_s=timeout_s, environment=self.engine.environment, on_line=on_line, log=self.log
        )

    def _inspect(self, node: str, template: str) -> str:
        done = programs.ask([self.engine.program, "container", "inspect", "--format", template, node])
        return done.output.strip()

    def _failure(self, what: str, done: programs.EndedProgram, remedy: str) -> EngineError:
        return programs.ProgramError(
            f"{what} (kind ended with status {done.status}):\n{done.last_lines()}\n  {remedy}\n"
            f"  Everything that was written is in {self.log}",
            done,
        )


def _anew(name: str) -> str:
    shown = "" if name == "istio-traffic-workshop" else f" --name {name}"
    return f"To begin anew: ./workshop cluster down{shown}, then ./workshop cluster up{shown}"
