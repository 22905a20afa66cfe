"""The command line: what it prints, its exit status, and what it starts."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner, Result
from tornado.ioloop import IOLoop

from labsupport import cli, paths
from labsupport.cli import address, lab, testing, workshop
from labsupport.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route:
    - destination: {host: web}
"""
BAD = GOOD.replace("- destination: {host: web}", "- destination: {host: web}\n      weight: -1")


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(workshop, list(arguments), input=text)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own, so that no test touches the progress of who runs it."""
    root = tmp_path / "repository"
    for folder in ("manifests", "images", "tests/unit", "tests/browser", "tests/new-suite", "notebooks"):
        (root / folder).mkdir(parents=True)
    for suite in ("unit", "browser", "new-suite"):
        (root / "tests" / suite / "test_it.py").touch()
    monkeypatch.setenv("WORKSHOP_ROOT", str(root))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("WORKSHOP_STATE", "WORKSHOP_WORK"):
        monkeypatch.delenv(name, raising=False)
    return root


def test_help_names_every_command_and_imports_none_of_them():
    code = (
        "import sys\n"
        "from labsupport.cli import workshop\n"
        "workshop(['--help'], standalone_mode=False)\n"
        "heavy = {'grpc', 'pandas', 'scipy', 'matplotlib', 'kubernetes', 'yaml', 'psutil'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("cluster", "convert", "doctor", "lab", "progress", "reset", "test", "translate", "validate"):
        assert f"  {command} " in done.stdout
        assert run(command, "--help").exit_code == 0


def test_an_unknown_command():
    done = run("labb")
    assert done.exit_code == 2 and "labb" in done.output


def test_an_error_of_ours_is_a_message_without_a_traceback(own_state: Path):
    done = run("lab")
    assert done.exit_code == 2
    assert "there is no notebooks/00-start-here.ipynb" in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(("given", "kept"), [("/somewhere/else", None), (sys.prefix, sys.prefix)])
def test_an_environment_that_is_not_the_programs_own_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str | None
):
    monkeypatch.setenv("VIRTUAL_ENV", given)
    monkeypatch.setattr(cli, "workshop", lambda **_: None)
    cli.main()
    assert os.environ.get("VIRTUAL_ENV") == kept


# --- lab ------------------------------------------------------------------------------------------------------------


def test_the_port_that_is_asked_for_is_taken_or_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {taken} of 127.0.0.1 is in use"):
            lab.free_port("127.0.0.1", taken)
    assert lab.free_port("127.0.0.1", taken) == taken


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(lab, "DEFAULT_PORT", taken)
        assert taken < lab.free_port("127.0.0.1", None) < taken + 50


def test_an_address_of_another_machine():
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1"):
        lab.free_port("192.0.2.1", 8888)


def test_root_must_be_allowed_only_when_it_is_root():
    assert "--allow-root" in lab.arguments(ROOT, "127.0.0.1", 1, browser=True, as_root=True)
    plain = lab.arguments(ROOT, "127.0.0.1", 1, browser=True, as_root=False)
    assert not {"--allow-root", "--no-browser"} & set(plain)
    assert "--no-browser" in lab.arguments(ROOT, "127.0.0.1", 1, browser=False, as_root=False)


def test_the_token_is_no_argument_and_the_settings_of_others_do_not_count():
    environment = lab.environment(ROOT, "secret", "cluster", {"JUPYTER_CONFIG_PATH": "/else", "PATH": "/bin"})
    assert environment["JUPYTER_TOKEN"] == "secret"
    assert environment["JUPYTER_CONFIG_PATH"] == f"{ROOT / 'jupyter'}{os.pathsep}/else"
    assert environment["JUPYTER_CONFIG_DIR"].startswith(str(ROOT))
    assert (environment["WORKSHOP_ENGINE"], environment["PATH"]) == ("cluster", "/bin")
    assert not [word for word in lab.arguments(ROOT, "::1", 1, browser=True, as_root=True) if "secret" in word]
    assert "WORKSHOP_ENGINE" not in lab.environment(ROOT, "secret", None, {})
    assert environment["WORKSHOP_KUBECONFIG"] == str(ROOT / ".workshop" / "kubeconfig")
    assert lab.environment(ROOT, "secret", None, {"JUPYTER_CONFIG_DIR": "/mine"})["JUPYTER_CONFIG_DIR"] == "/mine"


def test_terminals_of_jupyterlab_find_the_embedded_mesh_and_its_kernels_do_not():
    from jupyter_server.serverapp import ServerApp

    server = ServerApp()
    server.parse_command_line(lab.terminals(ROOT, None, {"SHELL": "/bin/zsh", "PATH": "/bin"}))
    place = f"KUBECONFIG={ROOT / '.workshop' / 'kubeconfig'}{os.pathsep}{ROOT / 'jupyter' / 'no-lab.kubeconfig'}"
    assert shlex.split(server.terminado_settings["shell_command"]) == [
        "env",
        place,
        f"PATH={Path(sys.executable).parent}{os.pathsep}/bin",
        "/bin/zsh",
    ]
    assert lab.terminals(ROOT, "cluster", {}) == lab.terminals(ROOT, None, {"WORKSHOP_ENGINE": "cluster"}) == []
    assert "KUBECONFIG" not in lab.environment(ROOT, "secret", None, {})


@pytest.mark.parametrize("in_place", [False, True])
def test_the_notebooks_are_opened_in_a_copy_unless_the_course_is_to_be_changed(
    own_state: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
):
    class Started(Exception):
        """Instead of a server."""

    def start(program: str, command: list[str], environment: dict[str, str]) -> None:
        raise Started(command, environment, Path.cwd())

    monkeypatch.chdir(own_state)
    monkeypatch.setattr(os, "execve", start)
    first = own_state / "notebooks" / "00-start-here.ipynb"
    first.write_text('{"cells": []}')
    done = run("lab", "--port", "0", *(["--in-place"] if in_place else []))
    assert isinstance(done.exception, Started)
    command, environment, folder = done.exception.args
    served = own_state if in_place else own_state / "work"
    assert folder == served and f"--ServerApp.root_dir={served}" in command
    assert environment.get("WORKSHOP_WORK") == (None if in_place else str(served))
    assert (served / "notebooks" / first.name).exists() and (own_state / "work").exists() != in_place


def test_a_server_that_somebody_else_asks_for_is_started_with_the_settings_of_the_course(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
):
    started: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.chdir(own_state)
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    monkeypatch.setattr(os, "execve", lambda *given: started.append(given))
    (own_state / "notebooks" / "00-start-here.ipynb").write_text('{"cells": []}')
    assert run("lab", "--", "sh", "--ServerApp.base_url=/user/ann/", "--port=1").exit_code == 0
    [(program, command, environment)] = started
    assert program == shutil.which("sh") and command[:3] == ["sh", "--ServerApp.base_url=/user/ann/", "--port=1"]
    assert f"--ServerApp.root_dir={own_state / 'work'}" in command
    assert environment["WORKSHOP_WORK"] == str(own_state / "work")
    # Who asked for it says what opens it.
    assert "JUPYTER_TOKEN" not in environment
    # A hub's server takes no notice of LabApp.default_url; a teacher may have named another page.
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/notebooks/00-start-here.ipynb"
    monkeypatch.setenv("JUPYTERHUB_DEFAULT_URL", "/lab/tree/notebooks/02-canary-by-weight.ipynb")
    run("lab", "--", "sh")
    assert started.pop()[2]["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/notebooks/02-canary-by-weight.ipynb"
    for refused, why in (("--port 0 -- sh", "options of that command"), ("-- no-such-program", "no-such-program")):
        done = run("lab", *refused.split())
        assert done.exit_code == 2 and why in done.output and len(started) == 1


@pytest.mark.parametrize("shared", [False, True])
def test_nobody_else_reads_what_a_learner_has_answered(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(paths, "_is_own", lambda course: not shared)
    monkeypatch.chdir(own_state)
    monkeypatch.setattr(os, "execve", lambda *_: None)
    (own_state / "notebooks" / "00-start-here.ipynb").write_text('{"cells": []}')
    run("lab", "--port", "0")
    work = tmp_path / "istio-workshop" if shared else own_state / "work"
    for folder in (work, work / ".workshop" if shared else own_state / ".workshop"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (own_state / ".workshop").exists() != shared


def test_what_has_changed_in_the_course_is_told(own_state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "execve", lambda *_: None)
    monkeypatch.chdir(own_state)
    for name in ("00-start-here", "01-lesson"):
        (own_state / "notebooks" / f"{name}.ipynb").write_text("1")
    assert "has changed" not in run("lab", "--port", "0").output
    (own_state / "work" / "notebooks" / "01-lesson.ipynb").write_text("mine")
    for name in ("00-start-here", "01-lesson"):
        (own_state / "notebooks" / f"{name}.ipynb").write_text("2")
    told = run("lab", "--port", "0").output
    assert "new in your copy: notebooks/00-start-here.ipynb" in told
    assert "notebooks/01-lesson.ipynb has changed in the course; yours stays" in told
    assert "workshop reset --notebooks" in told


def test_the_address_is_told_with_who_else_gets_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    address.tell("127.0.0.1", 8888, "secret")
    told = capsys.readouterr().err
    assert "open at http://127.0.0.1:8888/lab/tree/notebooks/00-start-here.ipynb?token=secret" in told
    assert "ssh -N" not in told and "Anyone" not in told
    address.tell("0.0.0.0", 8888, "secret")
    assert "Anyone who reaches 0.0.0.0" in capsys.readouterr().err
    monkeypatch.setenv("SSH_CONNECTION", "x")
    address.tell("::1", 8889, "secret")
    told = capsys.readouterr().err
    assert "http://[::1]:8889/" in told and "ssh -N -L 8889" in told


@pytest.mark.parametrize(("given", "told"), [("secret", ["told ('127.0.0.1', 8888, 'secret')"]), ("", [])])
def test_an_address_is_told_after_the_server_has_begun_to_listen_by_who_gave_its_token(
    given: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", given)
    loop = IOLoop(make_current=False)
    done: list[str] = []
    monkeypatch.setattr(address, "tell", lambda *place: done.append(f"told {place}"))
    identity = SimpleNamespace(token="secret")
    server = SimpleNamespace(io_loop=loop, ip="127.0.0.1", port=8888, identity_provider=identity)
    address._load_jupyter_server_extension(server)
    # As a server of Jupyter does it, after its extensions are loaded.
    loop.add_callback(done.append, "listens")
    loop.add_callback(lambda: loop.add_callback(lambda: loop.add_callback(loop.stop)))
    loop.start()
    loop.close()
    assert done == ["listens", *told]


def test_a_server_tells_its_address_when_it_listens(own_state: Path, tmp_path: Path):
    (own_state / "notebooks" / "00-start-here.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4}')
    (own_state / "jupyter").symlink_to(ROOT / "jupyter")
    command = [sys.executable, "-P", "-m", "labsupport.cli", "lab", "--no-browser", "--port", "0"]
    environment = {**os.environ, "HOME": "/nonexistent", "JUPYTER_TOKEN": "secret"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        environment.pop(name, None)
    server = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = []
        for line in server.stderr:
            said.append(line)
            if line.startswith("JupyterLab is open at "):
                break
        url = said[-1].split()[-1]
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
            assert answer.status == 200
        assert "Traceback" not in "".join(said)
    finally:
        server.terminate()
        server.communicate(timeout=60)


# --- test -----------------------------------------------------------------------------------------------------------


def test_all_suites_run_with_new_ones_before_the_browser(own_state: Path):
    arguments = testing.pytest_arguments(own_state, [], fast=False)
    assert arguments[-3:] == [str(own_state / "tests" / name) for name in ("unit", "new-suite", "browser")]
    assert "--nbval-lax" in arguments


def test_the_notebooks_follow_their_rules(own_state: Path):
    (own_state / "tests" / "notebooks").mkdir()
    (own_state / "tests" / "notebooks" / "test_rules.py").touch()
    places = testing.pytest_arguments(own_state, [], fast=False)
    at = places.index(str(own_state / "tests" / "notebooks"))
    assert places[at + 1] == str(own_state / "notebooks")


def test_a_cluster_runs_what_has_a_mesh_and_the_notebooks(own_state: Path):
    for suite in ("contract", "cluster", "notebooks"):
        (own_state / "tests" / suite).mkdir()
        (own_state / "tests" / suite / "test_it.py").touch()
    arguments = testing.pytest_arguments(own_state, [], fast=False, engine="cluster")
    tests = own_state / "tests"
    wanted = [tests / "contract", tests / "notebooks", own_state / "notebooks", tests / "cluster"]
    assert arguments[-4:] == [str(place) for place in wanted]
    assert "--nbval-lax" in arguments


def test_without_a_cluster_its_tests_say_so_once(own_state: Path):
    nowhere = {**os.environ, "KUBECONFIG": str(own_state / "none"), "KUBERNETES_SERVICE_HOST": ""}
    command = [sys.executable, "-P", "-m", "labsupport.cli", "test", "--engine", "cluster"]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("workshop: no cluster is known here")
    assert "workshop cluster up" in done.stderr and "Traceback" not in done.stderr


def test_fast_leaves_out_what_takes_long(own_state: Path):
    arguments = testing.pytest_arguments(own_state, [], fast=True)
    assert str(own_state / "tests" / "browser") not in arguments and "--nbval-lax" not in arguments
    assert arguments[arguments.index("-m") + 1] == "not slow and not browser"


def test_files_replace_the_suites_and_options_stay(own_state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(own_state / "tests")
    arguments = testing.pytest_arguments(own_state, ["-x", "unit/test_it.py::test_a"], fast=False)
    assert arguments[-2:] == ["-x", str(own_state / "tests" / "unit" / "test_it.py::test_a")]
    assert "--nbval-lax" not in arguments
    notebook = own_state / "notebooks" / "00-a.ipynb"
    notebook.touch()
    assert "--nbval-lax" in testing.pytest_arguments(own_state, [str(notebook)], fast=False)


def test_the_test_command_ends_as_pytest_does(tmp_path: Path):
    failing = tmp_path / "test_failing.py"
    failing.write_text(
        "import os\n\ndef test_engine():\n    assert os.environ['WORKSHOP_ENGINE'] == 'cluster'\n"
        "    assert os.environ['WORKSHOP_NAMESPACE'].endswith('-test')\n\n"
        "def test_arithmetic():\n    assert 1 + 1 == 3\n"
    )
    environment = {**os.environ, "WORKSHOP_ROOT": str(ROOT)}
    command = [sys.executable, "-P", "-m", "labsupport.cli", "test", "--engine", "cluster"]
    command += [str(failing), "--", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "1 failed, 1 passed" in done.stdout) == (1, True), done.stdout + done.stderr


# --- progress and reset ---------------------------------------------------------------------------------------------


def test_progress_lists_exercises_and_reset_forgets_them(own_state: Path):
    shutil.copytree(ROOT / "manifests", own_state / "manifests", dirs_exist_ok=True)
    paths.state_file().parent.mkdir()
    paths.state_file().write_text('{"format": 1, "exercises": {"02.1": {"state": "PASSED", "checks": 1, "hints": 0}}}')
    assert "✓ 02.1" in run("progress").output
    for command in ("progress", "course"):
        assert re.search(r"02 Canary by weight +✓·", run(command).output)
    told = json.loads(run("progress", "--json").output)
    assert told["passed"] == 1 and {"02.1"} == {done["number"] for done in told["exercises"] if done["checks"]}
    settings = own_state / ".workshop" / "jupyter"
    settings.mkdir()
    refused = run("reset", text="n\n")
    assert refused.exit_code == 2 and "nothing was removed" in refused.output and settings.exists()
    assert run("reset").exit_code == 2 and settings.exists(), "without an answer nothing may be removed"
    done = run("reset", "--yes")
    assert done.exit_code == 0 and "removed" in done.output
    assert not (own_state / ".workshop").exists()
    assert "✓" not in run("progress").output
    assert "Nothing to remove" in run("reset").output


def test_reset_removes_a_progress_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    elsewhere = tmp_path / "mine.json"
    elsewhere.write_text("{}")
    monkeypatch.setenv("WORKSHOP_STATE", str(elsewhere))
    assert run("reset", "--yes").exit_code == 0
    assert not elsewhere.exists()


def test_reset_begins_the_notebooks_afresh_and_keeps_what_was_there(own_state: Path):
    for lesson in ("01", "02"):
        (own_state / "notebooks" / f"{lesson}-lesson.ipynb").write_text("given")
        (own_state / "work" / "notebooks").mkdir(parents=True, exist_ok=True)
        (own_state / "work" / "notebooks" / f"{lesson}-lesson.ipynb").write_text("mine")
    (own_state / "notebooks" / "03-lesson.ipynb").write_text("given")
    assert "afresh: notebooks/03-lesson.ipynb" in run("reset", "--notebooks", "03").output, "what was not there, too"
    done = run("reset", "--notebooks", "02")
    assert done.exit_code == 0 and "afresh: notebooks/02-lesson.ipynb" in done.output and "is kept in" in done.output
    (kept,) = (own_state / "work" / "kept").glob("*/notebooks/02-lesson.ipynb")
    assert kept.read_text() == "mine"
    assert (own_state / "work" / "notebooks" / "01-lesson.ipynb").read_text() == "mine"
    assert "01-lesson" in run("reset", "--notebooks").output
    assert "Nothing to do" in run("reset", "--notebooks").output
    assert run("reset", "--notebooks", "07").exit_code == 2


def dead_lab(parent: Path) -> Path:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder = parent / "istio-workshop-dead"
    folder.mkdir()
    (folder / "lab.json").write_text(json.dumps({"kernel": ended.pid}))
    return folder


def test_what_killed_labs_left_is_told_by_the_doctor_and_removed_by_reset(tmp_path: Path):
    folder = dead_lab(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        from labsupport.engine.embedded.processes import rundir

        rundir.record(folder, rundir.CHILDREN, child.pid)
        from labsupport.setup.doctor import machine

        (finding,) = machine.leftovers("embedded")
        assert finding.level == "warning" and str(folder) in finding.detail
        assert child.poll() is None, "the doctor only looks"
        done = run("reset", "--yes")
        assert str(folder) in done.output and not folder.exists()
        assert child.wait(timeout=60) != 0
    finally:
        child.kill()
        child.wait()


# --- translate and validate -----------------------------------------------------------------------------------------


def test_validate_reports_file_and_line(tmp_path: Path):
    file = tmp_path / "rules.yaml"
    file.write_text(GOOD + "---\n" + BAD.replace("name: web", "name: other"))
    done = run("validate", "-f", str(file))
    assert done.exit_code == 3
    assert "VirtualService/web (default): accepted" in done.output
    assert "rules.yaml:10: VirtualService/other (default): rejected" in done.output
    assert "error, line 18: " in done.output and "1 accepted, 1 rejected" in done.output


def test_validate_prints_json_lines_as_the_tools_of_istio_do(tmp_path: Path):
    done = run("validate", "--output", "json", "-f", "-", text=GOOD)
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.output.splitlines()] == [
        {"kind": "VirtualService", "namespace": "default", "name": "web", "errors": [], "warnings": []}
    ]
    (line,) = run("validate", "--output", "json", "-f", "-", text=BAD).output.splitlines()
    assert [error.partition(":")[0] for error in json.loads(line)["errors"]] == ["webhook"]


def test_analyze_adds_notes_about_objects_that_do_not_fit_together(tmp_path: Path):
    file = tmp_path / "rules.yaml"
    crd = "apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: x}\n"
    file.write_text(GOOD + "---\n" + BAD.replace("name: web", "name: other") + "---\n" + crd)
    assert "IST0101" not in run("validate", "-f", str(file)).output
    told = run("validate", "--analyze", "-f", str(file))
    assert told.exit_code == 3
    assert f"error: IST0101 {file}:8, VirtualService/web, spec.http[0].route[0].destination.host" in told.output
    lines = run("validate", "--analyze", "--output", "json", "-f", str(file)).output.splitlines()
    assert [json.loads(line).get("code") for line in lines][-1] == "IST0101"
    file.write_text(GOOD)
    assert run("validate", "--analyze", "-f", str(file)).exit_code == 0, "a note blocks nothing"


def test_convert_prints_httproutes_and_tells_what_is_lost(tmp_path: Path):
    rule = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [web]\n"
    fault = "fault: {abort: {httpStatus: 500}}, "
    text = rule + f"  http:\n  - {{{fault}route: [{{destination: {{host: web, port: {{number: 80}}}}}}]}}\n"
    done = run("convert", "-f", "-", text=text)
    assert done.exit_code == 0
    (route,) = yaml.safe_load_all(done.stdout)
    assert (route["kind"], route["spec"]["rules"]) == ("HTTPRoute", [{"backendRefs": [{"name": "web", "port": 80}]}])
    assert "VirtualService/web: spec.http[0].fault: an HTTPRoute injects no faults" in done.stderr
    done = run("convert", "-f", str(ROOT / "manifests" / "apps" / "client"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no VirtualService in it" in done.stderr


@pytest.mark.parametrize("command", [["validate"], ["translate", "--proxy", "sidecar:web.default"]])
@pytest.mark.parametrize("text", ["a: [", "- a"])
def test_what_is_no_manifest_is_an_error_without_a_traceback(command: list[str], text: str):
    done = run(*command, "-f", "-", text=text)
    assert done.exit_code == 2
    assert done.output.startswith("workshop: ") and "Traceback" not in done.output


@pytest.mark.parametrize("text", ["", "# only a comment"])
def test_people_are_told_of_a_file_without_any_object(tmp_path: Path, text: str):
    (tmp_path / "empty.yaml").write_text(text)
    done = run("validate", "-f", str(tmp_path))
    assert done.exit_code == 2 and f"{tmp_path / 'empty.yaml'}: there is no object" in done.output
    (tmp_path / "good.yaml").write_text(GOOD)
    done = run("validate", "-f", str(tmp_path))
    assert done.exit_code == 0 and f"{tmp_path / 'empty.yaml'}: there is no object" in done.output
    lines = run("validate", "--output", "json", "-f", str(tmp_path)).output.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["web"]


def test_an_object_that_only_a_cluster_judges_is_said_to_be_known(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: [X]}\n"
    file.write_text(GOOD + "---\n" + policy)
    done = run("validate", "-f", str(file))
    assert done.exit_code == 0
    assert "AuthorizationPolicy/p (default): known, not judged: the API server and istiod" in done.output
    assert "1 accepted, 0 rejected; 1 not judged" in done.output
    first, second = map(json.loads, run("validate", "--output", "json", "-f", str(file)).output.splitlines())
    assert "note" not in first and second["note"].startswith("known, not judged")
    assert second["errors"] == second["warnings"] == []
    file.write_text(policy.replace("AuthorizationPolicy", "AuthorisationPolicy"))
    done = run("validate", "-f", str(file))
    assert done.exit_code == 3 and "Did you mean AuthorizationPolicy?" in done.output


def test_people_are_told_what_a_misspelt_kind_may_mean(tmp_path: Path):
    file = tmp_path / "rules.yaml"
    file.write_text(
        GOOD.replace("VirtualService", "VirtualServce")
        + "---\n"
        + GOOD.replace("networking.istio.io/v1", "networking.istio/v1")
        + "---\napiVersion: v1\nkind: Servic\nmetadata: {name: x}\n"
    )
    done = run("validate", "-f", str(file))
    assert done.exit_code == 3 and "Did you mean VirtualService?" in done.output
    assert "Write apiVersion: networking.istio.io/v1." in done.output and "Did you mean Service?" in done.output


def test_validate_judges_every_kind_that_the_lab_knows(tmp_path: Path):
    file = tmp_path / "all.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: WEB}\nspec: {ports: [{port: 80}]}\n"
        "---\nmetadata: {name: x}\n"
        "---\napiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: old}\n"
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: door}\n"
        "---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: thing}\n"
    )
    done = run("validate", "-f", str(file))
    assert done.exit_code == 3
    for told in (
        "all.yaml:1: Service/WEB (default): rejected\n  error, line 3: metadata.name: 'WEB' is not a valid name",
        "all.yaml:6: an object without kind: rejected",
        "error, line 8: apiVersion: there is no Deployment in apiVersion 'extensions/v1beta1'. Write apiVersion: apps",
        "Ingress/door (default): not judged: it lets requests for a host in. Write a Gateway and a VirtualService.",
        "Thing/thing (default): not judged: the lab does not know this kind",
        "0 accepted, 3 rejected; 2 not judged",
    ):
        assert told in done.output


def test_validate_says_what_old_spellings_are_called_today(tmp_path: Path):
    file = tmp_path / "old.yaml"
    file.write_text(GOOD.replace("networking.istio.io/v1", "networking.istio.io/v1alpha3"))
    done = run("validate", "-f", str(file))
    assert done.exit_code == 0 and "note, line 1: apiVersion: networking.istio.io/v1alpha3 is an old" in done.output
    assert "OLD" not in run("validate", "--analyze", "-f", str(file)).output, "said once"


def test_a_problem_of_a_file_does_not_speak_of_changes(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("a: [")
    told = run("validate", "-f", str(tmp_path)).output
    assert "2 problems, so no object was judged" in told and "changed" not in told


def test_translate_takes_labels_and_mesh_configuration(tmp_path: Path):
    config = tmp_path / "mesh.yaml"
    config.write_text("connectTimeout: 3s\n")
    web = str(ROOT / "manifests" / "apps" / "web")
    options = ["--labels", "tier=gold", "--mesh-config", str(config), "--inject", "none"]
    done = run("translate", "-f", web, "--proxy", "sidecar:client.default", *options)
    assert done.exit_code == 0, done.output
    xds = json.loads(done.stdout)
    assert xds["info"]["proxy"]["labels"] == {"tier": "gold"} and xds["info"]["proxy"]["made_up"]
    (cluster,) = [cluster for cluster in xds["clusters"] if cluster["name"].startswith("outbound|8080||web.")]
    assert cluster["connect_timeout"] == "3s"


def test_translate_passes_over_what_plays_no_part_and_reads_folders_below(tmp_path: Path):
    (tmp_path / "below").mkdir()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    (tmp_path / "below" / "service.json").write_text(json.dumps(service))
    (tmp_path / "job.yaml").write_text("apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\n")
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {zork: 1}\n")
    done = run("translate", "-f", str(tmp_path), "--proxy", "sidecar:p.default")
    assert done.exit_code == 0, done.output
    xds = json.loads(done.stdout)
    assert "outbound|80||a.default.svc.cluster.local" in [cluster["name"] for cluster in xds["clusters"]]
    assert ["Job" in line for line in xds["info"]["ignored"]] == [True]


@pytest.mark.parametrize("command", [["validate"], ["translate", "--proxy", "sidecar:web.default"]])
def test_a_file_that_is_not_there(command: list[str], tmp_path: Path):
    done = run(*command, "-f", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2 and "none.yaml" in done.output


def test_translate_prints_what_envoy_gets():
    files = [argument for name in ("web", "client") for argument in ("-f", str(ROOT / "manifests" / "apps" / name))]
    done = run("translate", *files, "-f", "-", "--proxy", "sidecar:client.default", text=GOOD)
    assert done.exit_code == 0, done.output
    xds = json.loads(done.output)
    assert "outbound|8080||web.default.svc.cluster.local" in [cluster["name"] for cluster in xds["clusters"]]
    assert {"clusters", "listeners", "routes", "endpoints", "info"} == xds.keys()


@pytest.mark.parametrize("proxy", ["client.default", "router:client.default", "sidecar:client"])
def test_translate_for_a_proxy_that_is_not_named_properly(proxy: str):
    done = run("translate", "-f", str(ROOT / "manifests" / "apps" / "client"), "--proxy", proxy)
    assert done.exit_code == 2 and "Traceback" not in done.output


def test_a_reader_that_stops_reading_is_no_error():
    command = [
        sys.executable,
        "-P",
        "-m",
        "labsupport.cli",
        "translate",
        "-f",
        str(ROOT / "manifests" / "apps" / "web"),
    ]
    process = subprocess.Popen(
        [*command, "--proxy", "sidecar:web-safe.default"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.wait(timeout=60)
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
