"""What asks the proxies from a terminal: ``workshop wait``, ``workshop dump``, and istioctl where there is one.

istioctl is that of ISTIOCTL or of PATH; without one, its tests are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kubectl_program import MANIFESTS, Kubectl

from labsupport.lab.lab import Lab

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SPLIT = "02-canary-by-weight/virtual-service-web-50-50.yaml"


@pytest.fixture
def run(web: Lab, tmp_path: Path) -> Run:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(web.kubeconfig())}
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def workshop(run: Run) -> Run:
    return lambda *words: run(sys.executable, "-m", "labsupport.cli", *words)


@pytest.fixture
def istioctl(run: Run) -> Run:
    program = os.environ.get("ISTIOCTL") or shutil.which("istioctl")
    if program is None:
        pytest.skip("there is no istioctl: put one on PATH, or name it in ISTIOCTL")
    return lambda *words: run(program, *words)


def test_wait_ends_when_every_proxy_has_the_rule(kubectl: Kubectl, workshop: Run):
    kubectl("apply", "-f", SPLIT)
    done = workshop("wait", "vs/web")
    assert done.stdout == "VirtualService/web is in force: 1/1 proxies up to date.\n"


def test_wait_says_what_is_not_there_and_what_it_is_not_for(workshop: Run):
    assert '"nix" not found' in workshop("wait", "vs/nix").stderr
    assert "kubectl rollout status" in workshop("wait", "deploy/client").stderr
    assert "belong to --engine cluster" in workshop("wait", "vs/web", "--namespace", "a").stderr


def test_a_dump_is_what_the_envoy_holds(web: Lab, kubectl: Kubectl, workshop: Run, tmp_path: Path):
    kubectl("apply", "-f", SPLIT)
    assert workshop("wait", "vs/web").returncode == 0
    config, clusters = (tmp_path / path for path in workshop("dump", "client").stdout.splitlines())
    assert config.name.startswith("client-") and "weighted_clusters" in config.read_text()
    names = {entry["name"] for entry in json.loads(clusters.read_text())["cluster_statuses"]}
    assert "outbound|8080|safe|web.default.svc.cluster.local" in names
    written = {Path(path).name.removesuffix(".json") for path in workshop("dump").stdout.splitlines()[::2]}
    assert written == {pod.name for pod in web.pods() if pod.injected or pod.workload == "istio-ingressgateway"}
    assert "no pod web-safe with a proxy" in workshop("dump", "web-safe").stderr
    assert "cannot be written" in workshop("dump", "client", "-o", str(config / "below")).stderr


def test_only_a_sidecars_admin_interface_is_reached(web: Lab, kubectl: Kubectl):
    client, plain = (next(pod.name for pod in web.pods() if pod.workload == name) for name in ("client", "web-risk"))
    place = "/api/v1/namespaces/default/pods"
    assert "outbound|8080||web" in kubectl("get", "--raw", f"{place}/{client}:15000/proxy/clusters")
    assert "only the admin interface" in kubectl.refused("get", "--raw", f"{place}/{client}:80/proxy/")
    assert "only the admin interface" in kubectl.refused("get", "--raw", f"{place}/{plain}:15000/proxy/clusters")
    assert "not found" in kubectl.refused("get", "--raw", f"{place}/nix:15000/proxy/clusters")
    # What changes something is asked for with POST.
    assert "405" in kubectl.refused("get", "--raw", f"{place}/{client}:15000/proxy/quitquitquit")


# What istioctl proxy-config is asked for, and a line of what it says (runs of blanks as one).
SHOWN = (
    (
        "routes",
        "8080 web.default.svc.cluster.local:8080 web.default.svc.cluster.local., web + 2 more... /* web.default",
    ),
    ("clusters", "web.default.svc.cluster.local 8080 safe outbound EDS web.default"),
    ("listeners", "ALL HTTP"),
    ("all", "cluster/outbound|8080|safe|web.default.svc.cluster.local"),
    ("bootstrap", '"cluster": "client.default"'),
    ("secret", "No active or warming secrets found."),
)


def test_istioctl_reads_a_dump(kubectl: Kubectl, workshop: Run, istioctl: Run):
    kubectl("apply", "-f", SPLIT)
    assert workshop("wait", "vs/web").returncode == 0
    config, clusters = workshop("dump", "client").stdout.splitlines()
    for what, line in SHOWN:
        said = istioctl("proxy-config", what, "-f", config)
        assert line in " ".join(said.stdout.split()), f"{what}: {said.stdout}{said.stderr}"
    assert "HEALTHY OK outbound|8080|safe|web" in " ".join(istioctl("pc", "endpoints", "-f", clusters).stdout.split())


def test_istioctl_analyzes_the_mesh(web: Lab, kubectl: Kubectl, istioctl: Run):
    kubectl("apply", "-f", SPLIT)
    assert "No validation issues found" in istioctl("analyze").stderr
    web.delete("dr/web")
    said = istioctl("analyze")
    assert 'IST0101] (VirtualService default/web) Referenced host+subset in destinationrule not found: "web+safe"' in (
        said.stdout
    )
    file = str(MANIFESTS / SPLIT)
    assert "IST0101" in istioctl("analyze", "--use-kube=false", file).stdout
