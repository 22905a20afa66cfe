"""A real JupyterLab under Chromium: the server as ``workshop lab`` starts it, on copies of the notebooks."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import nbformat
import pytest

from labsupport.cli import lab as lab_command
from labsupport.setup import chromium

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "test-results"
CHROMIUM_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium_program() -> Path:
    program = chromium.find()
    if program is None:
        reason = "no Chromium (Debian: apt install chromium), and CHROMIUM names none"
        # A green CI that opened no browser would have tested nothing here.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return program


@pytest.fixture(scope="session")
def javascript_packages() -> Path:
    from javascript import packages

    return packages()


class Server:
    """A running JupyterLab.

    Args:
        url: its address without a path.
        token: access token.
        folder: what its file browser shows; notebooks are in ``notebooks`` below it.
    """

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.url = url
        self.token = token
        self.folder = folder

    def add(self, notebook: Path) -> str:
        """Copy a notebook to the server, so that it is not saved over the original; returns its path there."""
        target = self.folder / "notebooks" / notebook.name
        shutil.copy(notebook, target)
        return str(target.relative_to(self.folder))

    def make(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells; returns its path there."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        target = self.folder / "notebooks" / f"{name}.ipynb"
        nbformat.write(made, target)
        return str(target.relative_to(self.folder))


@pytest.fixture
def jupyterlab(tmp_path: Path) -> Iterator[Server]:
    with _serve(tmp_path, "lab") as server:
        yield server


@pytest.fixture
def notebook7(tmp_path: Path) -> Iterator[Server]:
    if importlib.util.find_spec("notebook") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Notebook 7 (the package notebook) is not installed")
    with _serve(tmp_path, "notebook") as server:
        yield server


@contextlib.contextmanager
def _serve(tmp_path: Path, app: Literal["lab", "notebook"]) -> Iterator[Server]:
    folder = tmp_path / "served"
    (folder / "notebooks").mkdir(parents=True)
    token, port = secrets.token_hex(16), lab_command.free_port("127.0.0.1", 0)
    environment = lab_command.environment(ROOT, token, os.environ.get("WORKSHOP_ENGINE"), os.environ)
    environment |= {
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "WORKSHOP_STATE": str(tmp_path / "progress.json"),
    }
    shutil.copytree(ROOT / "jupyter" / "ipython", tmp_path / "ipython" / "profile_default")
    arguments = lab_command.arguments(folder, "127.0.0.1", port, browser=False, as_root=os.geteuid() == 0)
    if app == "notebook":
        arguments = ["notebook" if part == "lab" else part for part in arguments if not part.startswith("--LabApp")]
    expose = "LabApp" if app == "lab" else "JupyterNotebookApp"
    log = tmp_path / "server.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments, f"--{expose}.expose_app_in_browser=True"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_serving(f"{url}/api/status?token={token}", process, log)
        yield Server(url, token, folder)
    finally:
        # As an orderly end of the server: it shuts its kernels down, and they close their labs.
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_serving(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 90
    while True:
        with contextlib.suppress(OSError), opener.open(url, timeout=5) as answer:
            answer.read()
            return
        assert process.poll() is None, f"JupyterLab ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"JupyterLab does not answer:\n{log.read_text()}"
        time.sleep(0.1)


@pytest.fixture
def page(chromium_program: Path) -> Iterator[JupyterPage]:
    from jupyter_page import JupyterPage
    from playwright.sync_api import sync_playwright

    profile = tempfile.mkdtemp(prefix="workshop-chromium-")
    flags = [*CHROMIUM_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    try:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=chromium_program,
                headless=True,
                args=flags,
                viewport={"width": 1360, "height": 1000},
            )
            yield JupyterPage(context.pages[0] if context.pages else context.new_page())
            context.close()
    finally:
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def keep_picture(request: pytest.FixtureRequest) -> Callable[[JupyterPage, str], None]:
    """Keep a screenshot under test-results, named after the test."""

    def keep(page: JupyterPage, name: str) -> None:
        RESULTS.mkdir(exist_ok=True)
        page.page.screenshot(path=RESULTS / f"{request.node.name}-{name}.png")

    return keep
