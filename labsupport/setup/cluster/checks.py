"""What is looked at before a cluster is made: memory, control groups, inotify limits, ports."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from labsupport.setup.cluster.containers import Containers, missing_controllers
from labsupport.setup.cluster.versions import NODE_IMAGE, NODE_IMAGE_CGROUP_V1
from labsupport.setup.finding import Finding

__all__ = ["PORTS", "before_creation", "inotify", "memory", "ports"]

PORTS = {31080: "http of the ingress gateway", 31443: "https of the ingress gateway", 31532: "the service web"}
"""Node ports that are mapped to this machine, and what answers there."""

_GIB = 1024**3
# One node with Istio takes about 1.2 GiB; the Bookinfo mesh 0.7 more, and the add-ons another 1.
_MEMORY_NEEDED = 2 * _GIB
_MEMORY_COMFORT = 4 * _GIB
# What kind's documentation of known issues asks for; the defaults of many systems are enough for few pods only.
_INOTIFY = {"max_user_instances": 512, "max_user_watches": 524_288}
_INOTIFY_HOPELESS = 64


def before_creation(
    engine: Containers, *, node_image: str | None, listen: str | None, own_ports: Iterable[int]
) -> Iterator[Finding]:
    """Look at everything that a new cluster needs.

    Args:
        engine: Docker or Podman.
        node_image: the image of the nodes; None for the default.
        listen: address that the ports are opened on; None if none are.
        own_ports: those that are asked for.
    """
    yield from memory(engine)
    yield from control_groups(engine, node_image)
    if not engine.desktop:
        yield from inotify()
    if listen is not None and engine.local:
        yield from ports(listen, list(own_ports))


def memory(engine: Containers) -> Iterator[Finding]:
    """Whether the containers have memory for a cluster."""
    if not engine.memory:
        return
    detail = f"{engine.memory / _GIB:.1f} GiB for containers"
    place = "in the settings of its virtual machine" if engine.desktop else "on a machine with more"
    remedy = f"Give {engine.title} 4 GiB {place}."
    if engine.memory < _MEMORY_NEEDED:
        yield Finding("error", "memory", f"{detail}; a cluster with Istio needs 2 GiB", remedy)
    elif engine.memory < _MEMORY_COMFORT * 0.9:  # a machine of 4 GiB shows less
        yield Finding(
            "warning",
            "memory",
            f"{detail}: enough for the small lessons without add-ons",
            remedy,
        )
    else:
        yield Finding("ok", "memory", detail)


def control_groups(engine: Containers, node_image: str | None) -> Iterator[Finding]:
    """Whether the control groups of this system suit the node image and a rootless engine."""
    if engine.cgroup == "1":
        if engine.rootless:
            yield Finding(
                "error",
                "control groups",
                f"rootless {engine.title} on control groups of version 1, which kind does not support",
                "Boot with systemd.unified_cgroup_hierarchy=1, or use an engine with root.",
            )
        elif node_image in (None, NODE_IMAGE):
            yield Finding(
                "error",
                "control groups",
                "version 1, which Kubernetes has given up with 1.35",
                f"Take an older Kubernetes: --node-image {NODE_IMAGE_CGROUP_V1}",
            )
    elif missing := missing_controllers(engine):
        yield Finding(
            "error",
            "control groups",
            f"rootless {engine.title} has not been given {', '.join(missing)}",
            "As administrator put 'Delegate=yes' below '[Service]' into "
            "/etc/systemd/system/user@.service.d/delegate.conf, then systemctl daemon-reload, and log in anew.",
        )


def inotify(proc: Path = Path("/proc/sys/fs/inotify")) -> Iterator[Finding]:
    """Whether the limits of file watches suffice for the programs in a node, which count against them.

    Args:
        proc: where the kernel shows the limits.
    """
    if not sys.platform.startswith("linux"):
        return
    low: dict[str, int] = {}
    for name, wanted in _INOTIFY.items():
        try:
            value = int((proc / name).read_text())
        except (OSError, ValueError):
            continue
        if value < wanted:
            low[name] = value
    if not low:
        yield Finding("ok", "inotify", "the limits suffice")
        return
    shown = ", ".join(f"fs.inotify.{name} is {value:,}" for name, value in low.items())
    remedy = "As administrator: sysctl " + " ".join(f"fs.inotify.{name}={_INOTIFY[name]}" for name in low)
    hopeless = low.get("max_user_instances", _INOTIFY_HOPELESS) < _INOTIFY_HOPELESS
    yield Finding(
        "error" if hopeless else "warning",
        "inotify",
        f"{shown}: with many pods some fail with 'too many open files'",
        f"{remedy} (and in /etc/sysctl.d to keep it).",
    )


def ports(address: str, numbers: Sequence[int]) -> Iterator[Finding]:
    """Whether the ports are free that the cluster will be reached on."""
    taken: list[int] = []
    for number in numbers:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, number))
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    return  # an address that only the container engine has
                taken.append(number)
    if taken:
        shown = ", ".join(f"{number} ({PORTS.get(number, 'API server')})" for number in taken)
        yield Finding(
            "error",
            "ports",
            f"in use on {address}: {shown}",
            f"See who listens (ss -ltnp, or lsof -i :{taken[0]}) and stop it; or make the cluster without ports "
            "(--no-ports): traffic from outside then comes from a pod without a sidecar.",
        )
    else:
        yield Finding("ok", "ports", f"{', '.join(map(str, numbers))} are free on {address}")
