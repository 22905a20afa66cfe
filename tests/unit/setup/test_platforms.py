"""Which machines can run which engine."""

from __future__ import annotations

import pytest

from labsupport.setup.platforms import Machine, embedded_obstacle, obstacle

GLIBC = ("glibc", "2.36")


@pytest.mark.parametrize(
    "machine",
    [
        Machine("linux", "x86_64", 64, GLIBC),
        Machine("linux", "aarch64", 64, ("glibc", "2.31")),
        Machine("linux", "x86_64", 64, ("glibc", "2.100")),
        Machine("darwin", "arm64", 64, macos="15.0"),
        Machine("darwin", "arm64", 64, macos="26.1"),
    ],
)
def test_machines_with_an_envoy(machine: Machine) -> None:
    assert (obstacle(machine), embedded_obstacle(machine)) == ("", "")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine("linux", "x86_64", 64, ("", "")), "musl"),
        (Machine("linux", "x86_64", 64, ("glibc", "2.28")), "2.31 or newer"),
        (Machine("linux", "riscv64", 64, GLIBC), "riscv64"),
        (Machine("linux", "ppc64le", 64, GLIBC), "ppc64le"),
        (Machine("darwin", "x86_64", 64, macos="15.2"), "Intel"),
        (Machine("darwin", "arm64", 64, macos="14.7.1"), "macOS 15"),
        (Machine("freebsd14", "amd64", 64), "freebsd14"),
    ],
)
def test_machines_that_need_a_cluster(machine: Machine, words: str) -> None:
    assert obstacle(machine) == ""
    assert words in embedded_obstacle(machine)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (Machine("linux", "armv7l", 32, GLIBC), "32-bit"),
        (Machine("linux", "x86_64", 32, GLIBC), "32-bit"),
        (Machine("win32", "AMD64", 64), "WSL 2"),
    ],
)
def test_machines_that_nothing_runs_on(machine: Machine, words: str) -> None:
    assert words in obstacle(machine)
