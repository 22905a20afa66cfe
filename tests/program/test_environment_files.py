"""The lists of packages agree with each other: pyproject.toml, constraints.txt, environment.yml, CI."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from labsupport.setup import requirements
from labsupport.setup.cluster.versions import OLDEST_KIND

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = {canonicalize_name(Requirement(text).name): Requirement(text) for text in PROJECT["dependencies"]}
# conda-forge's names that are not PyPI's; a program that is not on PyPI, and what only a Binder needs.
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
CONDA_ONLY = {
    "kubernetes-kind": SpecifierSet(f">={'.'.join(map(str, OLDEST_KIND))},<1"),
    "jupyter-server-proxy": SpecifierSet(">=4.5,<5"),
}


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def conda() -> tuple[dict[str, SpecifierSet], list[str]]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    named = [Requirement(re.sub(r"(?<![=<>!~])=(?!=)", "==", text)) for text in entries if isinstance(text, str)]
    (pip,) = (entry["pip"] for entry in entries if isinstance(entry, dict))
    return {requirement.name: requirement.specifier for requirement in named}, pip


def test_every_dependency_is_pinned_within_its_range():
    pinned = pins()
    for requirement in requirements.declared(PROJECT, ["dev"]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt: run .ci/lock"
        assert version in requirement.specifier, f"{requirement} is pinned to {version}: run .ci/lock"


def test_what_a_pinned_package_needs_is_pinned_too():
    # rich came with a linter, in whichever version was the newest that day.
    pinned = pins()
    open_, seen = (
        [(requirement.name, requirement.extras) for requirement in requirements.declared(PROJECT, ["dev"])],
        {},
    )
    while open_:
        name, extras = open_.pop()
        key = canonicalize_name(name)
        if seen.get(key, set()) >= {"", *extras}:
            continue
        seen[key] = seen.get(key, set()) | {"", *extras}
        assert key in pinned, f"{name} is not in constraints.txt: run .ci/lock"
        with suppress(importlib.metadata.PackageNotFoundError):
            needs = map(Requirement, importlib.metadata.requires(name) or ())
            open_ += [
                (need.name, need.extras)
                for need in needs
                if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            ]
    assert len(seen) > 50


def test_no_pin_wants_a_later_release_of_the_oldest_python():
    # Debian 12 has 3.11.2; a package that wants 3.11.5 stopped the first start there.
    looked_at = 0
    for name, version in pins().items():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if Version(metadata["Version"]) == version:
            looked_at += 1
            assert "3.11.0" in SpecifierSet(metadata["Requires-Python"] or ""), f"{name} {version}"
    assert looked_at > 20


def test_conda_gets_the_same_ranges():
    named, pip = conda()
    assert pip == ["-e ."], "everything else must come with the package itself"
    assert Version("3.12") in SpecifierSet(PROJECT["requires-python"])
    assert named.pop("python") == SpecifierSet("==3.12") and named.pop("pip") == SpecifierSet("")
    for name, specifier in CONDA_ONLY.items():
        assert named.pop(name) == specifier
    for name, specifier in named.items():
        assert specifier == DEPENDENCIES[CONDA_NAMES.get(name, name)].specifier, name


def test_binder_starts_its_server_with_the_settings_of_the_course(tmp_path: Path):
    # repo2docker takes the files of a folder binder, where there is one, and none of those beside it.
    assert not [name for name in ("binder", ".binder") if (ROOT / name).exists()]
    workshop = tmp_path / "workshop"
    workshop.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    workshop.chmod(0o700)
    given = ["jupyterhub-singleuser", "--ServerApp.base_url=/user/a b/"]
    done = subprocess.run(
        [ROOT / "start", *given], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["lab", "--", *given]
    assert PROJECT["scripts"]["workshop"] == "labsupport.cli:main"


def test_every_dependency_has_a_lower_and_an_upper_bound_or_a_reason():
    unbounded = {"packaging"}  # versions by year, no breaking ones
    for name, requirement in DEPENDENCIES.items():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert ">=" in operators, name
        assert "<" in operators or name in unbounded, name


def test_the_tested_pythons_are_those_of_the_script_and_of_ci():
    script = re.search(r"^tested_pythons='(.*)'$", (ROOT / "workshop").read_text(), flags=re.MULTILINE)
    assert script is not None
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    in_ci = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert set(in_ci) <= set(script.group(1).split())
    oldest = script.group(1).split()[0]
    assert PROJECT["requires-python"] == f">={oldest}" and oldest in in_ci


def test_jupyterlab_gets_the_settings_of_the_course():
    settings = json.loads((ROOT / "jupyter/labconfig/default_setting_overrides.json").read_text(encoding="utf-8"))
    assert settings["@jupyterlab/apputils-extension:kernels-settings"]["commsOverSubshells"] == "disabled"
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    # Messages name lines of a cell.
    assert settings["@jupyterlab/notebook-extension:tracker"]["codeCellConfig"]["lineNumbers"] is True


def test_what_is_missing_or_too_old_is_found(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = ["pytest>=1", "click<1", "no-such-package", '
        "\"gone; python_version<'3'\"]\n"
        '[project.optional-dependencies]\nmore = ["x[most]"]\nmost = ["not-there-either"]\n'
    )
    assert [str(r) for r in requirements.unsatisfied(tmp_path)] == ["click<1", "no-such-package"]
    assert [r.name for r in requirements.unsatisfied(tmp_path, extras=["more"])][-1] == "not-there-either"


def test_no_pyproject(tmp_path: Path):
    with pytest.raises(LookupError, match=r"no pyproject\.toml"):
        requirements.unsatisfied(tmp_path)
