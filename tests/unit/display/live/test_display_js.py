"""The live pictures' JavaScript as files; what it does is tested below tests/browser."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from labsupport.display.live.scripts import script

ROOT = Path(__file__).parents[4]
SCRIPTS = sorted((ROOT / "labsupport" / "display" / "static").glob("*.mjs"))
ENTRIES = ("live.mjs", "question.mjs")
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


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_widget_loads_is_one_valid_module_that_loads_nothing_from_elsewhere(node, entry):
    text = script(entry)
    run(node, "--input-type=module", "--check", input=text)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("//", "*", "/*")))
    assert "import " not in code
    assert "import(" not in code
    assert "://" not in code.replace("http://www.w3.org/2000/svg", "")


def test_a_widget_loads_a_file_once_and_every_file_is_loaded():
    texts = [script(entry) for entry in ENTRIES]
    assert SCRIPTS
    for path in SCRIPTS:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert {text.count(first) for text in texts} <= {0, 1}, path.name
        assert any(first in text for text in texts), path.name
