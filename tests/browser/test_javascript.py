"""The parts of our JavaScript that need no browser: tests by node's own runner, and the linter."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from javascript import unable

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "js"


def program(name: str) -> str:
    return shutil.which(name) or unable(f"no {name}, which tests and lints the pictures' JavaScript")


def run(*command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT, env=environment
    )


@pytest.fixture(scope="module")
def eslint(javascript_packages: Path) -> Path:
    return javascript_packages / "eslint" / "bin" / "eslint.js"


def lint(eslint: Path, *what: str | Path) -> subprocess.CompletedProcess[str]:
    return run(program("node"), eslint, "--config", FOLDER / "eslint.config.mjs", "--max-warnings", "0", *what)


def test_the_javascript_tests_pass():
    files = sorted(FOLDER.glob("*.test.mjs"))
    assert files
    done = run(program("node"), "--test", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_finds_nothing(eslint: Path):
    done = lint(eslint, "labsupport/display/static", "tests/browser/js")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("const a = 1;", "no-unused-vars"),
        ("export const a = b;", "no-undef"),
        ("export const a = (x) => x == 1;", "eqeqeq"),
        ('import x from "https://elsewhere.example/x.js";\nexport const a = x;', "no-restricted-imports"),
        ('export const a = () => import("./x.mjs");', "no-restricted-syntax"),
    ],
)
def test_the_linter_finds_what_it_is_there_for(eslint: Path, code: str, rule: str):
    node = program("node")
    command = [node, eslint, "--config", FOLDER / "eslint.config.mjs", "--stdin", "--stdin-filename", "x.mjs"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 1, done.stdout + done.stderr
    assert rule in done.stdout
