"""An extra is installed by a real pip, from wheels that the test makes, into a folder of its own."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from labsupport import ensure_extra
from labsupport.cli import workshop
from labsupport.errors import EngineError, UsageError

PROJECT = """
[project]
name = "course"
dependencies = ["pytest"]
[project.optional-dependencies]
tiny = ["no-such-tiny-package>=1,<3"]
"""


def wheel(folder: Path, version: str) -> None:
    """A package of one module."""
    name = f"no_such_tiny_package-{version}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as file:
        file.writestr("no_such_tiny_package.py", f"version = {version!r}\n")
        about = f"Metadata-Version: 2.1\nName: no-such-tiny-package\nVersion: {version}\n"
        file.writestr(f"{name}.dist-info/METADATA", about)
        file.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{name}.dist-info/RECORD", "")


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text("no-such-tiny-package==1.0\n")
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "packages"))
    monkeypatch.delenv("WORKSHOP_CONSTRAINTS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return tmp_path


def installed(course: Path) -> list[str]:
    return [file.name for file in (course / "packages").glob("*.dist-info")]


def test_what_is_missing_is_installed_in_the_version_that_was_tested_and_at_once_there(course: Path) -> None:
    wheel(course, "1.0")
    wheel(course, "2.0")
    ensure_extra("tiny")
    assert installed(course) == ["no_such_tiny_package-1.0.dist-info"]
    import no_such_tiny_package  # type: ignore[import-not-found]

    assert no_such_tiny_package.version == "1.0"
    del sys.modules["no_such_tiny_package"]
    # What is there is left alone: without a single wheel, pip could install nothing.
    for file in course.glob("*.whl"):
        file.unlink()
    done = CliRunner().invoke(workshop, ["extra", "tiny"])
    assert (done.exit_code, done.output) == (0, "The extra tiny is installed.\n")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"WORKSHOP_CONSTRAINTS": "none"},
            "ERROR: Could not find a version that satisfies the requirement no-such-tiny",
        ),
        ({"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, "the package index does not answer"),
    ],
)
def test_why_it_cannot_be_installed_is_told_with_what_to_do(
    course: Path, settings: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError) as failure:
        ensure_extra("tiny")
    told = str(failure.value)
    assert f"the packages of the extra 'tiny' could not be installed: {reason}" in told
    assert "workshop extra tiny" in told and "All else of the course works without." in told


def test_an_extra_that_does_not_exist_is_told_with_those_that_do(course: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no extra 'predictt'. There are: tiny\."):
        ensure_extra("predictt")
