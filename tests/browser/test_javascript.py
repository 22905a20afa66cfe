"""The parts of our JavaScript that need no browser: tests by node's own runner, and the linter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "js"


def unable(reason: str) -> NoReturn:
    """A green CI that linted nothing would say nothing; elsewhere, what is missing is skipped."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def program(name: str) -> str:
    found = shutil.which(name)
    return found if found is not None else unable(f"no {name}, which tests and lints the pictures' JavaScript")


def run(*command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT, env=environment
    )


@pytest.fixture(scope="module")
def eslint() -> Path:
    """The linter in the version of the lock file, installed into ``node_modules`` beside it if it is not there."""
    npm = program("npm")
    wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["devDependencies"]["eslint"]
    manifest = FOLDER / "node_modules" / "eslint" / "package.json"
    if not manifest.is_file() or json.loads(manifest.read_text(encoding="utf-8"))["version"] != wanted:
        done = run(npm, "ci", "--prefix", FOLDER, "--ignore-scripts", "--no-audit", "--no-fund", timeout_s=300)
        if done.returncode != 0:
            unable(f"npm could not install the linter:\n{done.stderr[-2000:]}")
    return FOLDER / "node_modules" / "eslint" / "bin" / "eslint.js"


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
