"""Who reaches the front, how kubectl finds it, and what it costs."""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64decode
from pathlib import Path

import psutil
import pytest
from kubectl_program import Kubectl

from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.errors import EngineLostError
from labsupport.lab.lab import Lab


def _config(lab: Lab) -> tuple[str, str, str]:
    """Address, certificate of the authority, and token."""
    config = json.loads(lab.kubeconfig().read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    return cluster["server"], authority, config["users"][0]["user"]["token"]


def _status(address: str, authority: str, token: str) -> int:
    asked = urllib.request.Request(f"{address}/api/v1/namespaces", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, context=ssl.create_default_context(cadata=authority), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_nobody_gets_in_without_the_token(opened: Lab, kubectl: Kubectl):
    address, authority, token = _config(opened)
    assert _status(address, authority, token) == 200
    assert [_status(address, authority, wrong) for wrong in ("", "x", token[:-1], f"{token}x")] == [401] * 4
    said = kubectl.refused("--token=wrong", "get", "pods")
    assert "Unauthorized" in said or "must be logged in" in said


def test_a_client_that_trusts_others_sees_another_server(opened: Lab):
    address, _, token = _config(opened)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(urllib.request.Request(address, headers={"Authorization": token}), timeout=20)


def test_other_users_read_nothing_and_other_machines_reach_nothing(opened: Lab):
    kubeconfig = opened.kubeconfig()
    assert stat.S_IMODE(kubeconfig.parent.stat().st_mode) == 0o700
    for name in ("kubeconfig", "front.crt", "front.key"):
        assert stat.S_IMODE((kubeconfig.parent / name).stat().st_mode) == 0o600
    port = int(_config(opened)[0].rpartition(":")[2])
    listening = [entry.laddr.ip for entry in psutil.net_connections("tcp") if entry.laddr and entry.laddr.port == port]
    assert set(listening) == {"127.0.0.1"}


def test_every_lab_has_a_front_of_its_own_that_ends_with_it(program: str, tmp_path: Path):
    # In a process of its own, as a process has one lab.
    script = (
        "from labsupport import Lab\n"
        "lab = Lab('embedded')\n"
        "print(lab.kubeconfig(), lab.kubeconfig().read_text().replace(chr(10), ''), sep='\\n', flush=True)\n"
        "input()\n"
        "left = lab.close()\n"
        "print(left.remaining)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True)
    with process:
        assert process.stdout is not None and process.stdin is not None
        path = Path(process.stdout.readline().strip())
        config = json.loads(process.stdout.readline())
        kubectl = Kubectl(program, path, tmp_path)
        assert kubectl("get", "ns", "default", "-o", "name") == "namespace/default\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "()\n"
    assert not path.exists()
    port = int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    assert not [entry for entry in psutil.net_connections("tcp") if entry.laddr and entry.laddr.port == port]


def test_a_terminal_finds_the_lab_that_is_open():
    script = "from labsupport import Lab; lab = Lab('embedded'); print(lab.kubeconfig(), flush=True); input()"
    # Labs that others have open on this machine lie elsewhere; and names of sockets have to be short.
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=-1, stdout=-1, text=True, env=environment
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            path = process.stdout.readline()
            told = subprocess.run(
                [sys.executable, "-m", "labsupport.cli", "kubeconfig"],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                env=environment,
            )
            process.stdin.write("\n")
    assert told.stdout == path != ""


def test_terminals_of_jupyterlab_have_a_link_to_it(tmp_path: Path, program: str):
    link = tmp_path / "state" / "kubeconfig"
    script = "from labsupport import Lab; lab = Lab('embedded'); print(lab.kubeconfig(), flush=True); input()"
    environment = {**os.environ, "WORKSHOP_KUBECONFIG": str(link)}
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True, env=environment) as process:
        assert process.stdout is not None and process.stdin is not None
        path = process.stdout.readline().strip()
        deadline = time.monotonic() + 60
        while not link.is_symlink() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert str(link.readlink()) == path
        without = Path(__file__).parents[2] / "jupyter" / "no-lab.kubeconfig"
        terminal = Kubectl(program, Path(f"{link}{os.pathsep}{without}"), tmp_path)
        assert terminal("get", "ns", "default", "-o", "name") == "namespace/default\n"
        process.stdin.write("\n")
    assert terminal.refused("get", "pods").count("no lab is open") == 1


def test_opening_the_front_costs_little_and_a_closed_engine_opens_none():
    engine = EmbeddedEngine()
    supervisor = psutil.Process(engine._process.pid)
    before = supervisor.memory_full_info().uss
    spent = sum(supervisor.cpu_times()[:2])
    engine.kubeconfig()
    assert supervisor.memory_full_info().uss - before < 20 << 20
    # Time of this process alone: what else the machine does is not counted.
    assert sum(supervisor.cpu_times()[:2]) - spent < 0.2
    assert engine.close().remaining == ()
    with pytest.raises(EngineLostError, match="closed"):
        engine.kubeconfig()


# What k9s asks for before it shows anything, beside discovery and the pods themselves.
ASKED_BY_K9S = (
    ("/version", "gitVersion"),
    ("/apis/metrics.k8s.io/v1beta1", "APIResourceList"),
    ("/apis/metrics.k8s.io/v1beta1/pods", "PodMetricsList"),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "CustomResourceDefinitionList"),
    ("/api/v1/nodes", "NodeList"),
    ("/api/v1/namespaces?limit=500", "NamespaceList"),
    ("/api/v1/pods?limit=500&resourceVersion=0", "PodList"),
    ("/api/v1/pods?watch=true&timeoutSeconds=1&allowWatchBookmarks=true", "ADDED"),
    ("/api/v1/nodes?watch=true&timeoutSeconds=1", ""),
)


@pytest.mark.parametrize(("path", "told"), ASKED_BY_K9S)
def test_what_k9s_asks_for_at_its_start_is_answered(kubectl: Kubectl, path: str, told: str):
    assert told in kubectl("get", "--raw", path)


def test_whoever_has_the_token_may_do_what_the_mesh_can(kubectl: Kubectl):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"resource": "pods", "verb": "watch"}},
    }
    place = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = json.loads(kubectl("create", "--raw", place, "-f", "-", text=json.dumps(review)))
    assert answer["status"]["allowed"] is True
