"""The script ``workshop``, run by a real shell with a Python that only pretends to install packages."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("cat", "cksum", "cp", "date", "dirname", "grep", "ls", "mkdir", "mv", "readlink", "rm", "sed", "sh")
TOOLS += ("sleep", "tail", "uname")

# Stands in for a Python: answers what the script asks and notes what it is told to do.
FAKE_PYTHON = r"""#!/bin/sh
case "$*" in
"-c import sys; print("*) echo "${FAKE_VERSION:-3.12}" ;;
"-c import sys; sys.exit("*) exit 0 ;;
"-c import venv, ensurepip") exit "${FAKE_NO_VENV:-0}" ;;
"-c "*) exit 0 ;;
-I*platforms.py) [ -z "$FAKE_REASON" ] || echo "$FAKE_REASON"; exit "${FAKE_PLATFORM:-0}" ;;
"-m venv "*) echo "venv $3" >>"$FAKE_LOG"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip --version") exit "${FAKE_NO_PIP:-0}" ;;
"-m pip install"*)
    echo "$*" >>"$FAKE_LOG"
    [ -z "$FAKE_HOLD" ] || { echo waiting >"$FAKE_HOLD"; while [ -f "$FAKE_HOLD" ]; do sleep 0.05; done; }
    [ -z "$FAKE_PIP_SAYS" ] || printf '%s\n' "$FAKE_PIP_SAYS"
    if [ -n "$FAKE_PIP_ERROR" ]; then echo "$FAKE_PIP_ERROR"; exit 1; fi ;;
"- "*) echo "everything-but-envoy" ;;
"-P -m labsupport.cli"*)
    echo "in $VIRTUAL_ENV, $(command -v python)" >>"$FAKE_LOG"
    echo "compiled modules are ${PYTHONDONTWRITEBYTECODE:+not }kept" >>"$FAKE_LOG"
    shift 3
    for word; do echo "<$word>"; done
    exit "${FAKE_STATUS:-0}" ;;
*) echo "the fake Python does not know: $*" >&2; exit 99 ;;
esac
"""


class Clone:
    """A clone of the repository, as far as the script looks at it, and the machine around it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone with spaces"
        (self.root / "labsupport" / "setup").mkdir(parents=True)
        for name in ("workshop", "pyproject.toml", "constraints.txt", "labsupport/setup/platforms.py"):
            shutil.copy(ROOT / name, self.root / name)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            which = shutil.which(tool)
            assert which, f"this test needs {tool}"
            (self.bin / tool).symlink_to(which)
        self.log = folder / "log"
        self.log.touch()
        self.folder = folder

    def python(self, name: str = "python3") -> Path:
        program = self.bin / name
        program.write_text(FAKE_PYTHON)
        program.chmod(0o755)
        return program

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.folder), "FAKE_LOG": str(self.log), **variables}

    def start(self, *arguments: str, program: Path | None = None, cwd: Path | None = None, **variables: str):
        return subprocess.Popen(
            [str(program or self.root / "workshop"), *arguments],
            env=self.environment(**variables),
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def installs(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith("-m pip install")]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_first_start_installs_and_the_second_does_not(clone: Clone) -> None:
    clone.python()
    first = clone.run("lab", "--port", "0")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == ["<lab>", "<--port>", "<0>"]
    assert "first start" in first.stderr
    (command,) = clone.installs()
    assert command.endswith(f"-c {clone.root}/constraints.txt -e {clone.root}")
    second = clone.run("lab")
    assert (second.stdout, second.stderr) == ("<lab>\n", "")
    assert len(clone.installs()) == 1


PIP_SAYS = """\
Collecting jupyterlab<5,>=4.4 (from istio-traffic-workshop==0.1.0)
  Downloading jupyterlab-4.6.6-py3-none-any.whl.metadata (16 kB)
Collecting pandas<4,>=2.2 (from istio-traffic-workshop==0.1.0)
Collecting scipy (from x)
Collecting numpy (from x)
Downloading jupyterlab-4.6.6-py3-none-any.whl (12.4 MB)
Downloading pandas-3.1.1-cp312-cp312-linux.whl (12.1 MB)
Installing collected packages: jupyterlab, pandas
"""


def test_without_a_terminal_the_installation_tells_what_begins_and_how_far_it_is(clone: Clone) -> None:
    clone.python()
    (clone.bin / "date").unlink()
    # Four seconds pass between two looks at the clock.
    clock = clone.folder / "clock"
    clock.write_text("100")
    (clone.bin / "date").write_text(f'#!/bin/sh\nread now <"{clock}"; echo $((now + 4)) >"{clock}"; echo $now\n')
    (clone.bin / "date").chmod(0o755)
    told = [line for line in clone.run("lab", FAKE_PIP_SAYS=PIP_SAYS).stderr.splitlines() if line.startswith("  ")]
    assert told == [
        "  after 4 s: finding jupyterlab<5,>=4.4",
        "  after 16 s: finding numpy",
        "  after 20 s: downloading jupyterlab-4.6.6-py3-none-any.whl (12.4 MB)",
        "  after 28 s: unpacking the packages",
    ]


def test_an_environment_of_the_caller_does_not_get_into_ours(clone: Clone) -> None:
    clone.python()
    clone.run("lab", VIRTUAL_ENV="/somewhere/else", PYTHONPATH="/somewhere/else")
    venv = clone.root / ".venv"
    assert f"in {venv}, {venv}/bin/python" in clone.log.read_text().splitlines()


def test_what_python_has_compiled_is_kept_whatever_the_caller_sets(clone: Clone) -> None:
    clone.python()
    clone.run("lab", PYTHONDONTWRITEBYTECODE="1")
    assert "compiled modules are kept" in clone.log.read_text().splitlines()


def test_arguments_and_exit_status_pass_through_unchanged(clone: Clone) -> None:
    clone.python()
    done = clone.run("test", "--", "-k", "two words", "", "*", FAKE_STATUS="7")
    assert done.returncode == 7
    assert done.stdout.splitlines() == ["<test>", "<-->", "<-k>", "<two words>", "<>", "<*>"]


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_list_of_packages_updates_the_environment_in_place(clone: Clone, changed: str) -> None:
    clone.python()
    clone.run("lab")
    kept = clone.root / ".venv" / "something-of-the-learner"
    kept.touch()
    with (clone.root / changed).open("a") as file:
        file.write("\n# changed\n")
    again = clone.run("lab")
    assert again.returncode == 0 and "has changed" in again.stderr
    assert len(clone.installs()) == 2 and kept.exists()
    assert clone.run("lab").stderr == ""


def test_it_works_through_links_and_from_any_folder(clone: Clone) -> None:
    clone.python()
    inner = clone.folder / "links" / "inner"
    inner.mkdir(parents=True)
    (inner / "absolute").symlink_to(clone.root / "workshop")
    (inner.parent / "relative").symlink_to(Path("inner") / "absolute")
    done = clone.run("doctor", program=inner.parent / "relative", cwd=inner)
    assert done.stdout == "<doctor>\n", done.stderr
    assert (clone.root / ".venv").is_dir()
    (clone.bin / "workshop").symlink_to(clone.root / "workshop")
    by_path = subprocess.run(
        ["sh", "-c", "workshop progress"], env=clone.environment(), cwd="/", capture_output=True, text=True, check=True
    )
    assert by_path.stdout == "<progress>\n"
    for shell in ("sh workshop", "sh ./workshop", "unset CDPATH; cd .. && sh a*/workshop"):
        command = ["sh", "-c", f"{shell} progress"]
        there = subprocess.run(
            command, env=clone.environment(), cwd=clone.root, capture_output=True, text=True, check=False
        )
        assert there.stdout == "<progress>\n", f"{shell}: {there.stderr}"


def test_an_interrupted_installation_starts_from_scratch(clone: Clone) -> None:
    clone.python()
    hold = clone.folder / "hold"
    process = clone.start("lab", FAKE_HOLD=str(hold))
    eventually(hold.exists, "the installation did not begin")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    half = clone.root / ".venv" / "half-installed"
    half.touch()
    again = clone.run("lab")
    assert again.stdout == "<lab>\n", again.stderr
    assert not half.exists()


def test_a_second_start_waits_for_the_first(clone: Clone) -> None:
    clone.python()
    hold = clone.folder / "hold"
    first = clone.start("lab", FAKE_HOLD=str(hold))
    eventually(hold.exists, "the installation did not begin")
    second = clone.start("doctor")
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()
    hold.unlink()
    assert first.communicate(timeout=20)[0] == "<lab>\n"
    assert second.communicate(timeout=20)[0] == "<doctor>\n"
    assert len(clone.installs()) == 1


def test_a_moved_clone_gets_a_new_environment(clone: Clone) -> None:
    clone.python()
    clone.run("lab")
    moved = clone.folder / "elsewhere"
    clone.root.rename(moved)
    clone.root = moved
    stale = moved / ".venv" / "stale"
    stale.touch()
    assert clone.run("lab").stdout == "<lab>\n"
    assert not stale.exists()
    assert clone.installs()[-1].endswith(f"-e {moved}")


def test_a_vanished_python_gets_a_new_environment(clone: Clone) -> None:
    clone.python()
    clone.run("lab")
    (clone.root / ".venv" / "bin" / "python").unlink()
    assert clone.run("lab").stdout == "<lab>\n"
    assert len(clone.installs()) == 2


def test_no_python(clone: Clone) -> None:
    done = clone.run("lab")
    assert done.returncode == 1 and done.stdout == ""
    assert "Python 3.11 or newer is needed, and none was found" in done.stderr
    assert "environment.yml" in done.stderr


def test_old_python(clone: Clone) -> None:
    clone.python()
    done = clone.run("lab", FAKE_VERSION="3.9")
    assert done.returncode == 1 and "python3 is Python 3.9" in done.stderr
    assert not (clone.root / ".venv").exists()


@pytest.mark.parametrize("version", ["3.11", "3.14", "3.20", "4.0"])
def test_new_enough_python(clone: Clone, version: str) -> None:
    clone.python("python")
    assert clone.run("lab", FAKE_VERSION=version).stdout == "<lab>\n"


def test_ranges_instead_of_pins_for_a_python_that_the_pins_were_not_made_for(clone: Clone) -> None:
    clone.python()
    clone.run("lab", FAKE_VERSION="3.15")
    assert clone.installs() and "constraints" not in clone.installs()[0]


def test_ranges_instead_of_pins_on_request(clone: Clone) -> None:
    clone.python()
    clone.run("lab", WORKSHOP_CONSTRAINTS="none")
    assert clone.installs() and "constraints" not in clone.installs()[0]


def test_debian_python_without_its_venv_package(clone: Clone) -> None:
    clone.python()
    done = clone.run("lab", FAKE_NO_VENV="1")
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr


def test_the_wished_python_is_never_replaced_by_another(clone: Clone) -> None:
    clone.python()
    done = clone.run("lab", WORKSHOP_PYTHON="/nowhere/python3")
    assert done.returncode == 1 and "/nowhere/python3 does not run" in done.stderr
    special = clone.python("special")
    assert clone.run("lab", WORKSHOP_PYTHON=str(special)).stdout == "<lab>\n"


@pytest.mark.parametrize("way", ["argument", "argument=", "variable"])
def test_no_envoy_here_stops_unless_the_cluster_is_wanted(clone: Clone, way: str) -> None:
    clone.python()
    machine = {"FAKE_PLATFORM": "3", "FAKE_REASON": "no such thing as an Envoy."}
    refused = clone.run("lab", **machine)
    assert refused.returncode == 1 and not clone.installs()
    assert "no such thing as an Envoy." in refused.stderr and "WORKSHOP_ENGINE=cluster" in refused.stderr
    arguments = {"argument": ["--engine", "cluster"], "argument=": ["--engine=cluster"], "variable": []}[way]
    extra = {"WORKSHOP_ENGINE": "cluster"} if way == "variable" else {}
    accepted = clone.run("lab", *arguments, **machine, **extra)
    assert accepted.returncode == 0, accepted.stderr
    assert [("-r " in command, "--no-deps" in command) for command in clone.installs()] == [
        (True, False),
        (False, True),
    ]


def test_an_engine_after_two_dashes_is_not_ours(clone: Clone) -> None:
    clone.python()
    done = clone.run("test", "--", "--engine", "cluster", FAKE_PLATFORM="3", FAKE_REASON="none.")
    assert done.returncode == 1


def test_no_engine_at_all(clone: Clone) -> None:
    clone.python()
    done = clone.run("lab", FAKE_PLATFORM="4", FAKE_REASON="32 bits are not enough.", WORKSHOP_ENGINE="cluster")
    assert done.returncode == 1 and "32 bits are not enough." in done.stderr and not clone.installs()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("NewConnectionError: Temporary failure in name resolution", "HTTPS_PROXY"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError: certificate verify failed", "PIP_CERT"),
        ("ERROR: No matching distribution found for numpy==9", "WORKSHOP_CONSTRAINTS=none"),
    ],
)
def test_a_failed_installation_says_what_to_do_and_is_made_anew(clone: Clone, said: str, remedy: str) -> None:
    clone.python()
    done = clone.run("lab", FAKE_PIP_ERROR=said)
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr and remedy in done.stderr
    assert clone.run("lab").stdout == "<lab>\n"


def test_a_folder_that_cannot_be_written(clone: Clone) -> None:
    clone.python()
    # A file in the way refuses root, too, for whom permissions do not count.
    (clone.folder / "file").touch()
    done = clone.run("lab", WORKSHOP_VENV=str(clone.folder / "file" / "venv"))
    assert done.returncode == 1 and "cannot be written" in done.stderr and "WORKSHOP_VENV" in done.stderr


def test_an_environment_elsewhere(clone: Clone) -> None:
    clone.python()
    assert clone.run("lab", WORKSHOP_VENV="its place").stdout == "<lab>\n"
    assert (clone.folder / "its place" / "bin" / "python").exists()
    assert not (clone.root / ".venv").exists()


def test_a_folder_of_somebody_else_is_never_removed(clone: Clone) -> None:
    clone.python()
    home = clone.folder / "home"
    home.mkdir()
    (home / "thesis.tex").touch()
    done = clone.run("lab", WORKSHOP_VENV=str(home))
    assert done.returncode == 1 and "not made by ./workshop" in done.stderr
    assert (home / "thesis.tex").exists()


def test_an_environment_made_by_hand_is_used_as_it_is(clone: Clone) -> None:
    clone.python()
    by_hand = clone.root / ".venv" / "bin"
    by_hand.mkdir(parents=True)
    shutil.copy(clone.python("other"), by_hand / "python")
    kept = by_hand / "own-tool"
    kept.touch()
    assert clone.run("lab").stdout == "<lab>\n"
    assert kept.exists() and len(clone.installs()) == 1


def test_it_is_a_portable_executable_script() -> None:
    script = ROOT / "workshop"
    assert stat.S_IXUSR & script.stat().st_mode
    for shell in ("dash", "bash"):
        if seen := shutil.which(shell):
            subprocess.run([seen, "-n", script], check=True)
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, script, ROOT / ".ci" / "run", ROOT / ".ci" / "lock"], check=True)


def test_this_machine_passes_the_platform_check() -> None:
    checked = subprocess.run(
        [sys.executable, "-I", ROOT / "labsupport" / "setup" / "platforms.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")
