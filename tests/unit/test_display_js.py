"""The live pictures' JavaScript as files; what it does is tested below tests/browser."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "labsupport" / "display" / "static").glob("*.js"))
NODE = shutil.which("node")


@pytest.fixture
def node():
    if NODE is None:
        if os.environ.get("CI"):
            pytest.fail("node is missing, and CI must run the tests of the pictures' JavaScript")
        pytest.skip("needs node")
    return NODE


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_modules_that_load_nothing_from_elsewhere(node, script):
    text = script.read_text(encoding="utf-8")
    run(node, "--input-type=module", "--check", input=text)
    assert "import " not in "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("//", "*")))
    assert "https://" not in text
