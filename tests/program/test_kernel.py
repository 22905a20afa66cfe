"""A kernel as ``workshop lab`` starts it: what it loads, and what it says without a first cell."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from socket_kernels import SocketKernelManager

from labsupport.cli import lab
from labsupport.errors import StorageError
from labsupport.setup.jupyter import make_folders, own_folders

ROOT = Path(__file__).resolve().parents[2]
RULE = "%%manifest\nkind: VirtualService\n"


class Kernel:
    """A running kernel of the course."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str, *, interrupt_at: str = "") -> list[dict[str, Any]]:
        """Run a cell, interrupt it once it prints something if that is wished; returns its outputs."""
        outputs: list[dict[str, Any]] = []

        def hook(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("stream", "error", "execute_result", "display_data"):
                outputs.append(message["content"])
            if interrupt_at and interrupt_at in message["content"].get("text", ""):
                self.manager.interrupt_kernel()

        self.client.execute_interactive(code, timeout=120, output_hook=hook)
        return outputs

    def error(self, code: str, **options: str) -> str:
        """What is shown of the error that a cell ends with."""
        *_, last = self.run(code, **options)
        return "\n".join(last["traceback"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that cannot be written, with start-up files of a learner's own."""
    home = tmp_path_factory.mktemp("home")
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-mine.py").write_text("mine = 'from IPython'")
    (home / "startup.py").write_text("mine = 'from Python'")
    return home


@pytest.fixture(scope="module")
def kernel(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    root = tmp_path_factory.mktemp("root")
    for folder in ("jupyter", "manifests"):
        (root / folder).symlink_to(ROOT / folder)
    make_folders(root)
    base = {**os.environ, "HOME": str(home), "PYTHONSTARTUP": str(home / "startup.py"), "IPYTHONDIR": str(home)}
    environment = lab.environment(root, "token", None, base)
    home.chmod(0o500)
    manager = SocketKernelManager(kernel_name="python3")
    manager.start_kernel(env=environment, cwd=str(root), stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        home.chmod(0o700)


def test_nothing_of_the_learners_own_runs_in_it(kernel: Kernel, home: Path):
    (shown,) = kernel.run("'mine' in globals()")
    assert shown["data"]["text/plain"] == "False"
    assert sorted(path.name for path in home.iterdir()) == [".ipython", "startup.py"]
    assert sorted(path.name for path in (home / ".ipython" / "profile_default").iterdir()) == ["startup"]


def test_a_manifest_before_the_first_cell_asks_for_the_first_cell(kernel: Kernel):
    assert kernel.error(RULE) == "UsageError: No lab is open. Run the cell with 'lab = Lab()' first."


@pytest.mark.parametrize("code", ["lab.status()", "exercise('02.1')", "def f():\n    return Lab()\n\n\nf()"])
def test_what_the_first_cell_makes_is_asked_for_in_one_line(kernel: Kernel, code: str):
    shown = kernel.error(code)
    assert shown.startswith("NameError: name '") and "Run the first code cell" in shown and "\n" not in shown


def test_a_name_of_a_cell_above_is_asked_for_in_one_line_while_no_lab_is_open(kernel: Kernel):
    assert "run the cells above first" in kernel.error("before")
    assert "\n" not in kernel.error("before")
    kernel.run("lab = None")
    assert "run the cells above" not in kernel.error("before")
    kernel.run("del lab")


def test_a_name_that_a_library_misses_is_shown_with_where_it_is_missing(kernel: Kernel):
    shown = kernel.error("exec(compile('def f(): return lab', 'library.py', 'exec'), space := {})\nspace['f']()")
    assert "library.py" in shown and "Run the first code cell" not in shown


def test_an_interrupt_is_one_line_that_names_its_place(kernel: Kernel):
    # One statement: between two of them IPython itself is at work, and no line of the cell.
    code = "import threading\n\nprint('here', flush=True) or threading.Event().wait(60)"
    shown = kernel.error(code, interrupt_at="here")
    assert shown.startswith("KeyboardInterrupt: stopped in line 3 of this cell") and "\n" not in shown


def test_an_interrupt_between_two_statements_is_one_line_as_well(kernel: Kernel):
    # The next statement is not begun: the signal comes while IPython is about to run it.
    code = """def stop(*args, **options):
    del shell.run_code
    raise KeyboardInterrupt
shell = get_ipython(); shell.run_code = stop
1 + 1"""
    shown = kernel.error(code)
    assert shown.startswith("KeyboardInterrupt: stopped in") and "\n" not in shown
    assert kernel.run("1 + 1")[0]["data"]["text/plain"] == "2"


def test_folders_of_jupyter_that_are_named_on_purpose_are_kept_but_not_that_of_ipython():
    chosen = own_folders(ROOT, {"JUPYTER_DATA_DIR": "/mine", "IPYTHONDIR": "/mine"})
    assert chosen["JUPYTER_DATA_DIR"] == "/mine"
    assert Path(chosen["IPYTHONDIR"]).is_relative_to(ROOT)
    assert Path(chosen["JUPYTER_RUNTIME_DIR"]).is_relative_to(ROOT)


def test_folders_that_cannot_be_made_are_told_in_words(tmp_path: Path):
    (tmp_path / ".workshop").write_text("a file")
    with pytest.raises(StorageError, match="notebooks could not be saved either"):
        make_folders(tmp_path)
    assert stat.S_ISREG((tmp_path / ".workshop").stat().st_mode)
