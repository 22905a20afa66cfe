"""What every image must have: a Dockerfile without tricks, exact requirements, a program that can be loaded by path."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from image_app import IMAGES, environment, runnable, start, stop

from labsupport.engine import additions

NAMES = sorted(path.parent.name for path in IMAGES.glob("*/app.py"))
MANIFESTS = IMAGES.parent / "manifests" / "apps"
# Those that are imported by another name.
PACKAGES = {"cv2": "opencv-python-headless"}
# Other images may have demands of their own (a model, a picture); these are the course's HTTP services.
COMMON_ENV = {"POD_NAME", "POD_NAMESPACE", "SERVICE_NAME", "SERVICE_VERSION", "PORT"}


def instructions(path: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_there_are_images() -> None:
    assert {"bookinfo", "client", "echo", "web"} <= set(NAMES)


def test_one_dockerfile_runs_any_program_as_a_user_without_rights() -> None:
    path = IMAGES / "Dockerfile"
    assert list(IMAGES.rglob("Dockerfile")) == [path]
    steps = instructions(path)
    kinds = [kind for kind, _ in steps]
    values = dict(steps)
    assert steps[:2] == [("FROM", "python:3.12-slim"), ("ARG", "IMAGE")]
    assert kinds.count("FROM") == 1
    assert int(values["USER"]) > 0
    assert kinds.index("USER") > kinds.index("RUN")
    assert json.loads(values["CMD"]) == ["python", "app.py"]
    assert [value for kind, value in steps if kind == "COPY"] == [
        "${IMAGE}/requirements.txt ./",
        "service*.py ${IMAGE}/*.py ./",
    ]
    assert not re.search(r"curl|wget|apt|http|platform|--extra-index|ADD", path.read_text())


@pytest.mark.parametrize("name", runnable(NAMES))
def test_requirements_are_exact_and_are_what_was_tested(name: str) -> None:
    lines = (IMAGES / name / "requirements.txt").read_text().splitlines()
    wanted = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert wanted
    for package, version in wanted.items():
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)+", version), f"{package} is not pinned"
        installed = importlib.metadata.version(package)
        # The environment may have a newer release inside the range of pyproject.toml, never another major one.
        assert installed.split(".")[0] == version.split(".")[0], f"{package}: {version} pinned, {installed} installed"


@pytest.mark.parametrize("name", NAMES)
def test_everything_imported_is_required(name: str) -> None:
    required = {
        line.split("==")[0]
        for line in (IMAGES / name / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    own = {path.stem for path in (*(IMAGES / name).glob("*.py"), *IMAGES.glob("*.py"))}
    waiting, files = list((IMAGES / name).glob("*.py")), set[Path]()
    imported: set[str] = set()
    while waiting:
        file = waiting.pop()
        files.add(file)
        modules = re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", file.read_text(), flags=re.MULTILINE)
        imported.update(modules)
        # What all images share is part of those that import it.
        shared = {IMAGES / f"{module}.py" for module in modules if module.startswith("service")}
        waiting += [module for module in shared - files if module.is_file()]
    packages = {PACKAGES.get(module, module) for module in imported - own - set(sys.stdlib_module_names)}
    assert packages <= required
    assert "labsupport" not in imported


@pytest.mark.parametrize("name", NAMES)
def test_an_image_has_a_page_of_its_own(name: str) -> None:
    assert (IMAGES / name / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("name", runnable(NAMES))
def test_a_program_runs_from_the_flat_folder_of_a_container(name: str, tmp_path: Path) -> None:
    for path in (*IMAGES.glob("service*.py"), *(IMAGES / name).glob("*.py")):
        shutil.copy(path, tmp_path)
    load = "import app; getattr(app, 'create_app', None) or app.create_server"
    done = subprocess.run(
        [sys.executable, "-c", load], cwd=tmp_path, env=environment(1, {}), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_modules_of_images_have_names_of_their_own() -> None:
    names = [path.stem for path in (*IMAGES.glob("*/*.py"), *IMAGES.glob("*.py")) if path.name != "app.py"]
    assert len(names) == len(set(names))


def test_all_images_load_by_path_into_one_process_several_times() -> None:
    names = [parameter.values[0] for parameter in runnable(NAMES) if not parameter.marks]
    program = f"""
import importlib.util, sys
from pathlib import Path
for turn in range(2):
    for path in [Path({str(IMAGES)!r}) / name / "app.py" for name in {names!r}]:
        spec = importlib.util.spec_from_file_location(f"image_{{path.parent.name}}_{{turn}}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        env = {{"ROLE": "reviews"}} if path.parent.name == "bookinfo" else {{}}
        create = getattr(module, "create_app", None) or module.create_server
        assert create(env) is not create(env)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment(1, {}), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*/*.yaml")), ids=lambda path: path.name)
def test_a_manifest_is_named_after_its_object(path: Path) -> None:
    documents = [document for document in yaml.safe_load_all(path.read_text()) if document]
    first = documents[0]
    assert re.fullmatch(rf"{first['kind'].lower()}-{first['metadata']['name']}(-[a-z0-9-]+)?\.yaml", path.name)


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*/deployment-*.yaml")), ids=lambda path: path.name)
def test_a_pod_template_has_what_exact_counts_and_the_records_need(path: Path) -> None:
    deployment = yaml.safe_load(path.read_text())
    additions.add(deployment)
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app"] and labels["version"]
    assert labels["sidecar.istio.io/inject"] in ("true", "false")
    if labels["sidecar.istio.io/inject"] == "true":
        assert yaml.safe_load(template["metadata"]["annotations"]["proxy.istio.io/config"]) == additions.PROXY_CONFIG
    (container,) = template["spec"]["containers"]
    assert container["image"] in NAMES
    assert {entry["name"] for entry in container["env"]} >= COMMON_ENV
    probe = container["readinessProbe"]
    if container["image"] == "echo":
        assert probe["tcpSocket"]["port"]
    else:
        assert probe["httpGet"]["path"] == "/healthz"
    assert container["resources"]["requests"]
    port = next(entry["value"] for entry in container["env"] if entry["name"] == "PORT")
    assert int(port) == container["ports"][0]["containerPort"]


TABLE = tomllib.loads((IMAGES / "played.toml").read_text(encoding="utf-8"))["image"]


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry["names"][0])
def test_an_entry_of_the_table_names_a_program_and_only_what_is_known(entry: dict[str, Any]) -> None:
    assert entry.keys() <= {"names", "program", "listens", "configured", "env", "extra", "commands"}
    assert entry["program"] in NAMES
    assert all(re.compile(pattern) for pattern in entry.get("commands", ()))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_where_the_course_s_own_programs_listen(name: str) -> None:
    text = (IMAGES / name / "app.py").read_text(encoding="utf-8")
    (port,) = re.findall(r'serve\(create_app, port=(\d+)|"PORT", "(\d+)"', text)
    own = [entry["listens"] for entry in TABLE if name in entry["names"]]
    assert own == [[int("".join(port))]]


def test_the_program_that_the_readme_writes_runs_as_it_stands(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (IMAGES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for shared in IMAGES.glob("service*.py"):
        shutil.copy(shared, tmp_path)
    (tmp_path / "app.py").write_text(program, encoding="utf-8")
    app = start(str(tmp_path), GREETING="good morning")
    try:
        app.wait_for("/healthz", lambda reply: reply.status_code == 200)
        assert app.get("/name").json()["greeting"] == "good morning"
    finally:
        stop([app])
