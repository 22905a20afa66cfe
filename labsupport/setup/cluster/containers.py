"""Docker or Podman: which of them is there, whether it runs and may be used, and what it offers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Any

from labsupport.errors import EngineError, UsageError
from labsupport.setup.cluster.programs import EndedProgram, ask

__all__ = ["PROVIDERS", "Containers", "find"]

PROVIDERS = ("docker", "podman")
_KIND_PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
_NEEDED_BY_KIND = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Containers:
    """A container engine that answers.

    Args:
        program: ``docker`` or ``podman``.
        version: of the engine, not of the client.
        memory: bytes that its containers share; 0 if unknown.
        rootless: it runs without root.
        cgroup: version of the control groups, ``1`` or ``2``; empty if unknown.
        controllers: control group controllers that a rootless engine may use; None if unknown.
        desktop: it runs in a virtual machine of its own (Docker Desktop, Podman machine), so that limits of this
            machine do not apply to it.
        local: it runs on this machine, so that its ports can be looked at from here.
    """

    program: str
    version: str
    memory: int = 0
    rootless: bool = False
    cgroup: str = ""
    controllers: tuple[str, ...] | None = None
    desktop: bool = False
    local: bool = True

    @property
    def title(self) -> str:
        """Its name, as it is written."""
        return self.program.capitalize()

    @property
    def environment(self) -> dict[str, str]:
        """Variables for kind, which takes Docker unless told."""
        return {_KIND_PROVIDER: self.program}


def find(provider: str | None = None) -> Containers:
    """Find the container engine to use.

    Args:
        provider: ``docker`` or ``podman``; by default ``KIND_EXPERIMENTAL_PROVIDER``, else the first that answers.

    Raises:
        UsageError: there is no such provider.
        EngineError: none is installed, running and open to this user; says how to change that.
    """
    wanted = provider or os.environ.get(_KIND_PROVIDER) or None
    if wanted is not None and wanted not in PROVIDERS:
        raise UsageError(f"{wanted!r} is no container engine that is known here: take docker or podman.")
    candidates = [wanted] if wanted else list(PROVIDERS)
    installed = [name for name in candidates if shutil.which(name)]
    if not installed:
        names = [name.capitalize() for name in candidates]
        lacking = f"{names[0]} is not installed" if len(names) == 1 else f"Neither {' nor '.join(names)} is installed"
        raise EngineError(f"{lacking}. {_install()}")
    problems: list[str] = []
    for name in installed:
        done = ask([name, "info", "--format", "{{json .}}" if name == "docker" else "json"])
        read = _read(name, done)
        if read is not None:
            return read
        problems.append(_problem(name, done))
    raise EngineError("\n".join(problems))


def _read(name: str, done: EndedProgram) -> Containers | None:
    try:
        told = json.loads(done.output) if done.status == 0 else None
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    if "host" in told:  # Podman, perhaps by the name of docker
        return _podman(told)
    # Docker's client prints what it knows of itself also without an engine.
    return _docker(told) if told.get("ServerVersion") else None


def _docker(told: dict[str, Any]) -> Containers:
    options = [str(option) for option in told.get("SecurityOptions") or []]
    host = os.environ.get("DOCKER_HOST", "")
    return Containers(
        "docker",
        str(told["ServerVersion"]),
        memory=int(told.get("MemTotal") or 0),
        rootless=any("rootless" in option for option in options),
        cgroup=str(told.get("CgroupVersion") or ""),
        desktop=sys.platform == "darwin" or "Desktop" in str(told.get("OperatingSystem")),
        local=not host.startswith(("tcp:", "ssh:", "http:", "https:")),
    )


def _podman(told: dict[str, Any]) -> Containers:
    host = told["host"]
    version = (told.get("version") or {}).get("Version") or ""
    return Containers(
        "podman",
        str(version),
        memory=int(host.get("memTotal") or 0),
        rootless=bool((host.get("security") or {}).get("rootless")),
        cgroup=str(host.get("cgroupVersion") or "").removeprefix("v"),
        controllers=tuple(host.get("cgroupControllers") or ()),
        desktop=sys.platform == "darwin",
        local=not host.get("serviceIsRemote") or sys.platform == "darwin",
    )


def missing_controllers(engine: Containers) -> list[str]:
    """Control group controllers that kind needs and a rootless engine has not been given."""
    if engine.controllers is None or not engine.rootless:
        return []
    return [name for name in _NEEDED_BY_KIND if name not in engine.controllers]


def _problem(name: str, done: EndedProgram) -> str:
    """Why an engine that is installed cannot be used, and what to do."""
    said = done.said.lower()
    with contextlib.suppress(ValueError, AttributeError):
        # Docker's client puts what is wrong into its JSON, or beside it; the rest of it says nothing without an engine.
        wrong = json.loads(done.output).get("ServerErrors") or ()
        done = EndedProgram(done.command, done.status, "\n".join(map(str, wrong)), done.errors)
    title = name.capitalize()
    user = os.environ.get("USER") or "$USER"
    if "permission denied" in said and name == "docker":
        return (
            f"you may not use {title} (permission denied on its socket). On Linux: sudo usermod -aG docker {user}, "
            "then log out and in again. (That group can become root; rootless Docker and Podman need no right.)"
        )
    if done.status == -1:
        return f"{title} does not answer: {done.errors}. Restart it, and see that '{name} info' answers."
    if name == "podman":
        start = (
            "podman machine init; podman machine start" if sys.platform == "darwin" else "systemctl --user start podman"
        )
        return f"Podman is installed but does not work:\n{done.last_lines(3)}\n  Try: {start}"
    start = (
        "start Docker Desktop (or Colima, Rancher Desktop ...)"
        if sys.platform == "darwin"
        else "sudo systemctl start docker (in WSL: start Docker Desktop on Windows, with its WSL integration on)"
    )
    where = f" DOCKER_HOST is {os.environ['DOCKER_HOST']}." if os.environ.get("DOCKER_HOST") else ""
    return f"Docker is installed but its engine does not answer:\n{done.last_lines(3)}\n  Try: {start}.{where}"


def _install() -> str:
    if sys.platform == "darwin":
        return (
            "Install Docker Desktop, Colima, or Podman: brew install podman; podman machine init; podman machine start"
        )
    for tool, command in (("apt-get", "sudo apt install docker.io"), ("dnf", "sudo dnf install podman")):
        if shutil.which(tool):
            return f"For instance: {command}. The embedded engine needs neither."
    return "Install one of them with this system's package manager. The embedded engine needs neither."
