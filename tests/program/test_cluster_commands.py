"""``workshop cluster``: which programs it calls, what it does not do twice, and what it says when a step fails."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_cluster
import pytest
from answering_api_server import ApiServer
from click.testing import CliRunner, Result
from fake_cluster import DOCKER_INFO, GIB, World

from labsupport.cli import workshop
from labsupport.errors import EngineError, UsageError
from labsupport.setup.cluster import cache, checks, containers, images, kind, remedies, versions
from labsupport.setup.cluster.addons import chosen
from labsupport.setup.finding import Finding

NAME = "istio-traffic-workshop"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workshop, ["cluster", *arguments])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A machine with stand-ins for all programs, a repository with two images, and no cluster."""
    made = fake_cluster.install(tmp_path)
    repository = tmp_path / "repository"
    (repository / "manifests").mkdir(parents=True)
    for image in ("client", "web"):
        (repository / "images" / image).mkdir(parents=True)
        (repository / "images" / image / "app.py").write_text("print('hello')\n")
    (repository / "images" / "Dockerfile").write_text("FROM python:3.12-slim\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("WORKSHOP_ROOT", str(repository))
    monkeypatch.setenv("WORKSHOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for name in ("WORKSHOP_CONTEXT", "WORKSHOP_REGISTRY", "WORKSHOP_IMAGE_TAG", "DOCKER_HOST", "WORKSHOP_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    # The client reads the variable when it is imported, which another test may have caused.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(checks, "PORTS", {port: "a test" for port in _free_ports(3)})
    yield made


@pytest.fixture
def api(world: World) -> Iterator[ApiServer]:
    server = ApiServer(world)
    yield server
    server.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


# --- up ---------------------------------------------------------------------------------------------------------------


def test_up_makes_everything_from_nothing(world: World, api: ApiServer):
    done = run("up")
    assert done.exit_code == 0, done.output
    (created,) = world.calls("kind", "create")
    assert created[created.index("--name") + 1] == NAME
    node = world.read()["config"]["nodes"][0]
    assert node["image"] == versions.NODE_IMAGE
    assert {entry["listenAddress"] for entry in node["extraPortMappings"]} == {"127.0.0.1"}
    assert [entry["containerPort"] for entry in node["extraPortMappings"]] == list(checks.PORTS)
    assert all(entry["containerPort"] == entry["hostPort"] for entry in node["extraPortMappings"])
    assert world.read()["config"]["networking"]["apiServerAddress"] == "127.0.0.1"
    (installed,) = world.calls("istioctl", "install")
    assert installed[installed.index("--context") + 1] == f"kind-{NAME}"
    assert world.read()["istio"]["mesh"]["accessLogEncoding"] == "JSON"
    wanted = [images.reference("client"), images.reference("web")]
    assert world.read()["built"] == wanted and wanted[0].startswith(f"docker.io/{NAME}/client:")
    assert set(wanted) <= set(world.read()["held"])
    assert "workshop lab --engine cluster" in done.output


def test_what_is_done_is_not_done_again(world: World, api: ApiServer):
    assert run("up").exit_code == 0
    world.forget_calls()
    done = run("up")
    assert done.exit_code == 0, done.output
    changing = [("kind", "create"), ("kind", "load"), ("docker", "build"), ("istioctl", "install"), ("kind", "export")]
    assert [call for words in changing for call in world.calls(*words)] == []


def test_a_changed_program_is_built_and_loaded_again(world: World, api: ApiServer, tmp_path: Path):
    assert run("up").exit_code == 0
    world.forget_calls()
    (tmp_path / "repository" / "images" / "web" / "app.py").write_text("print('goodbye')\n")
    assert run("up").exit_code == 0
    (build,) = world.calls("docker", "build")
    assert build[3].partition(":")[0] == f"docker.io/{NAME}/web"
    assert build[build.index("--build-arg") + 1] == "IMAGE=web" and build[-1] == str(tmp_path / "repository" / "images")


def test_what_all_images_share_builds_all_of_them_again(world: World, api: ApiServer, tmp_path: Path):
    assert run("up").exit_code == 0
    world.forget_calls()
    (tmp_path / "repository" / "images" / "service.py").write_text("print('hello')\n")
    assert run("up").exit_code == 0
    assert len(world.calls("docker", "build")) == 2


@pytest.mark.parametrize(
    ("remedy_of", "text", "remedy"),
    [
        (remedies.of_kind, "Bind for 127.0.0.1:31080 failed: port is already allocated", "--no-ports"),
        (
            remedies.of_kind,
            "failed to pull image: toomanyrequests: You have reached your pull rate limit",
            "docker login",
        ),
        (remedies.of_kind, "failed to create fsnotify watcher: too many open files", "max_user_instances"),
        (remedies.of_kind, "no space left on device", "docker system prune"),
        (remedies.of_kind, "something new", "Run it again"),
        (remedies.of_istioctl, "Pod istio-system/istiod-1 ImagePullBackOff", "--istio-hub"),
        (remedies.of_istioctl, "Deployment/istiod timed out waiting for the condition", "five minutes"),
        (remedies.of_images, "ERROR: toomanyrequests: too many", "docker login"),
        (remedies.of_images, "NewConnectionError: Temporary failure in name resolution", "--image-archives"),
        (remedies.of_images, "dial tcp 1.2.3.4:443: connect: connection refused", "--image-archives"),
        (remedies.of_images, "denied: requested access to the resource is denied", "docker login"),
        (remedies.of_images, "http: server gave HTTP response to HTTPS client", "insecure registries"),
        (remedies.of_images, "something new", "--archive DIR"),
    ],
)
def test_what_a_program_wrote_leads_to_a_remedy(remedy_of: Callable[[str], str], text: str, remedy: str):
    assert remedy in remedy_of(text)


@pytest.mark.parametrize(
    ("failing", "done_again"),
    [("kind_create", 1), ("istioctl_install", 0), ("docker_build", 0), ("docker_save", 0), ("kind_load", 0)],
)
def test_after_a_failure_the_next_run_goes_on_there(world: World, api: ApiServer, failing: str, done_again: int):
    world.fail(**{failing: "no luck: too many open files"})
    done = run("up")
    assert done.exit_code == 2 and "no luck" in done.output and "Traceback" not in done.output
    log = cache.log_file(NAME)
    assert str(log) in done.output and "no luck" in log.read_text()
    assert ("max_user_instances=512" in done.output.partition("ended with")[2]) == (failing == "kind_create")
    world.fail()
    world.forget_calls()
    assert run("up").exit_code == 0
    assert len(world.calls("kind", "create")) == done_again


def test_a_cluster_that_was_only_half_made_is_made_anew(world: World, api: ApiServer):
    assert run("up").exit_code == 0
    cache.Record(NAME).update(making=True)
    world.forget_calls()
    done = run("up")
    assert done.exit_code == 0 and "making it anew" in done.output
    assert len(world.calls("kind", "delete")) == 1 and len(world.calls("kind", "create")) == 1
    # The new node holds nothing of the old one, whatever was noted about that.
    assert len(world.calls("docker", "build")) == 2


def test_a_cluster_that_was_stopped_is_started(world: World, api: ApiServer):
    assert run("up").exit_code == 0
    world.change(stopped=[f"{NAME}-control-plane"])
    assert run("status").exit_code == 1
    assert run("up").exit_code == 0
    assert world.calls("docker", "start") == [["docker", "start", f"{NAME}-control-plane"]]


def test_a_node_that_stays_unready_is_waited_for_and_kept(
    world: World, api: ApiServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("labsupport.setup.cluster.up._ANSWER_S", 0.5)
    monkeypatch.setattr("labsupport.setup.cluster.up._POLL_S", 0.05)
    api.node = {"conditions": [{"type": "Ready", "status": "False"}]}
    done = run("up")
    assert done.exit_code == 2 and "the node is not ready" in done.output and "network plugin" in done.output
    api.node = {}
    assert run("up").exit_code == 0
    assert len(world.calls("kind", "create")) == 1


def test_a_lost_context_is_written_again(world: World, api: ApiServer, tmp_path: Path):
    assert run("up").exit_code == 0
    (tmp_path / "kubeconfig").unlink()
    done = run("up")
    assert done.exit_code == 0 and "is the current context" in done.output
    assert json.loads((tmp_path / "kubeconfig").read_text())["current-context"] == f"kind-{NAME}"


def test_options_reach_kind_and_istio(world: World, api: ApiServer, tmp_path: Path):
    extra = tmp_path / "kind.yaml"
    extra.write_text("networking: {disableDefaultCNI: true}\nnodes: [{labels: {a: b}}, {role: worker}]\n")
    operator = tmp_path / "operator.yaml"
    operator.write_text("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n")
    options = ["--kind-config", str(extra), "--node-image", "node:1", "--no-ports", "--listen", "127.0.0.2"]
    done = run("up", *options, "--istio-hub", "hub", "--istio-tag", "1.31.0", "--istio-config", str(operator))
    assert done.exit_code == 0, done.output
    config = world.read()["config"]
    assert config["networking"] == {"apiServerAddress": "127.0.0.2", "disableDefaultCNI": True}
    assert config["nodes"] == [{"role": "control-plane", "image": "node:1", "labels": {"a": "b"}}, {"role": "worker"}]
    (installed,) = world.calls("istioctl", "install")
    assert installed[-2:] == ["--filename", str(operator)]
    assert world.read()["istio"]["tag"] == "1.31.0"
    world.forget_calls()
    assert run("up", "--istio-tag", "1.31.1").exit_code == 0
    assert len(world.calls("istioctl", "install")) == 1, "another tag is another Istio"


def test_archives_are_loaded_once_and_spare_building(world: World, api: ApiServer, tmp_path: Path):
    folder = tmp_path / "archives"
    folder.mkdir()
    fake_cluster.archive(
        folder / "course.tar", images.reference("web"), images.reference("client").removeprefix("docker.io/")
    )
    fake_cluster.archive(folder / "pilot.tar", "istio/pilot:1.31.1")
    done = run("up", "--image-archives", str(folder))
    assert done.exit_code == 0, done.output
    assert len(world.calls("kind", "load")) == 2 and world.calls("docker", "build") == []
    world.forget_calls()
    assert run("up", "--image-archives", str(folder)).exit_code == 0
    assert run("up").exit_code == 0
    assert world.calls("kind", "load") + world.calls("docker", "build") == []


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--kind-config", None, "cannot be read"),
        ("--kind-config", "- a\n", "no configuration of kind"),
        ("--istio-config", None, "there is no file"),
        ("--image-archives", None, "there is no file"),
        ("--image-archives", "not a tar", "no archive of images. Make one"),
    ],
)
def test_a_file_that_will_not_do_is_refused_before_anything_is_made(
    world: World, api: ApiServer, tmp_path: Path, option: str, content: str | None, words: str
):
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content)
    done = run("up", option, str(file))
    assert done.exit_code == 2 and words in done.output and "Traceback" not in done.output
    assert world.calls("kind", "create") == []


def test_images_of_a_registry_are_left_to_the_pods(world: World, api: ApiServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORKSHOP_REGISTRY", "registry.example.com:5000/team")
    done = run("up")
    assert done.exit_code == 0 and "registry.example.com:5000/team" in done.output
    assert world.calls("docker", "build") == []


def test_a_name_that_kind_would_not_take(world: World):
    done = run("up", "--name", "My Cluster")
    assert done.exit_code == 2 and "lower-case" in done.output
    assert world.calls("kind", "create") == []


def test_podman_is_taken_when_docker_does_not_answer(world: World, api: ApiServer):
    world.fail(docker_info="Cannot connect to the Docker daemon")
    done = run("up")
    assert done.exit_code == 0 and "Podman 5.4.0" in done.output
    recorded = [json.loads(line) for line in world.calls_file.read_text().splitlines()]
    of_kind = [
        call["environment"].get("KIND_EXPERIMENTAL_PROVIDER") for call in recorded if call["arguments"][0] == "kind"
    ]
    assert set(of_kind[1:]) == {"podman"}, "all but the question for kind's version"
    assert world.calls("podman", "save")[0][2:4] == ["--format", "docker-archive"]


def test_another_kind_brings_its_own_node_image(world: World, api: ApiServer):
    world.change(kind_version="0.30.0")
    assert run("up").exit_code == 0
    assert "image" not in world.read()["config"]["nodes"][0]


# --- status, down -----------------------------------------------------------------------------------------------------


def test_status_tells_what_is_there_and_what_is_next(world: World, api: ApiServer):
    done = run("status")
    assert done.exit_code == 0 and f"there is no kind cluster {NAME}" in done.output and "cluster up" in done.output
    assert run("up").exit_code == 0
    api.namespaces["workshop-ada"] = {"app.kubernetes.io/managed-by": NAME}
    done = run("status")
    assert done.exit_code == 0, done.output
    for words in ("Kubernetes: 1.36.4", "Istio: 1.31.1", "labs: workshop-ada", f"kind-{NAME} is the one"):
        assert words in done.output
    world.change(held=[images.reference("web")])
    done = run("status")
    assert done.exit_code == 1 and f"not in the cluster: {images.reference('client')}" in done.output
    world.change(istio=None)
    assert "has no Istio" in run("status").output


def test_down_removes_the_named_cluster_and_no_other(world: World, api: ApiServer):
    assert run("up").exit_code == 0
    world.change(clusters=[NAME, "somebody-elses"])
    done = run("down")
    assert done.exit_code == 0 and "was removed" in done.output
    assert world.read()["clusters"] == ["somebody-elses"]
    assert not cache.Record(NAME).file.exists()
    world.forget_calls()
    assert "There is no kind cluster" in run("down").output
    assert world.calls("kind", "delete") == []


def test_a_cluster_that_cannot_be_removed(world: World, api: ApiServer):
    assert run("up").exit_code == 0
    world.fail(kind_delete="failed to delete nodes")
    done = run("down")
    assert done.exit_code == 2 and "Restart Docker" in done.output


# --- add-ons ----------------------------------------------------------------------------------------------------------


def test_addons_bring_along_what_they_need():
    assert chosen("Kiali") == ("prometheus", "kiali")
    assert chosen("all") == ("prometheus", "kiali", "grafana", "jaeger")
    assert chosen("") == ()
    with pytest.raises(UsageError, match="no add-on zipkin"):
        chosen("zipkin,jaeger")


def test_addons_are_applied_from_a_folder_and_traces_are_switched_on(world: World, api: ApiServer, tmp_path: Path):
    for name in ("jaeger", "prometheus"):
        documents = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "istio-system"}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}},
        ]
        (tmp_path / f"{name}.yaml").write_text("\n---\n".join(json.dumps(tree) for tree in documents) + "\n---\n")
    done = run("up", "--addons", "jaeger,prometheus", "--addon-manifests", str(tmp_path))
    assert done.exit_code == 0, done.output
    base = "/namespaces/istio-system"
    assert {f"/apis/apps/v1{base}/deployments/jaeger", f"/api/v1{base}/configmaps/prometheus"} <= api.applied.keys()
    tracing = api.applied[f"/apis/telemetry.istio.io/v1{base}/telemetries/workshop-tracing"]["spec"]["tracing"][0]
    assert tracing["providers"] == [{"name": "jaeger"}]
    assert world.read()["istio"]["mesh"]["extensionProviders"][0]["name"] == "jaeger"
    assert "istioctl dashboard jaeger" in done.output
    api.applied.pop(f"/apis/telemetry.istio.io/v1{base}/telemetries/workshop-tracing")
    assert run("up", "--addons", "jaeger,prometheus").exit_code == 0, "nothing is left to download or apply"
    assert not [path for path in api.applied if "telemetries" in path]
    done = run("up", "--addons", "grafana", "--addon-manifests", str(tmp_path))
    assert done.exit_code == 2 and "grafana.yaml" in done.output


# --- what is looked at first ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "usermod -aG docker"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "systemctl start docker"),
    ],
)
def test_a_docker_that_cannot_be_used(world: World, monkeypatch: pytest.MonkeyPatch, text: str, words: str):
    monkeypatch.setattr(containers.sys, "platform", "linux")
    world.fail(docker_info=text)
    done = run("up", "--provider", "docker")
    assert done.exit_code == 2 and words in done.output


def test_what_docker_says_of_its_engine_is_shown_as_text(world: World):
    world.change(docker_info={"ServerErrors": ["Cannot connect to it"], "ClientInfo": {"Debug": False}})
    with pytest.raises(EngineError, match="Cannot connect to it") as raised:
        containers.find("docker")
    assert "ClientInfo" not in str(raised.value)


def test_no_container_engine_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="Neither Docker nor Podman is installed"):
        containers.find()
    with pytest.raises(UsageError, match="no container engine"):
        containers.find("lxd")


@pytest.mark.parametrize(
    ("info", "status", "words"),
    [
        ({}, 0, "ok"),
        ({"MemTotal": 3 * GIB}, 0, "without add-ons"),
        ({"MemTotal": 1 * GIB}, 1, "Give Docker 4 GiB"),
        ({"CgroupVersion": "1"}, 1, versions.NODE_IMAGE_CGROUP_V1),
        ({"CgroupVersion": "1", "SecurityOptions": ["name=rootless"]}, 1, "kind does not support"),
    ],
)
def test_the_check_tells_whether_a_cluster_can_be_made(world: World, info: dict[str, object], status: int, words: str):
    world.change(docker_info={**DOCKER_INFO, **info})
    done = run("up", "--check")
    assert done.exit_code == status and words in done.output, done.output
    assert world.calls("kind", "create") == []


def test_nothing_is_made_where_the_check_finds_an_error(world: World, api: ApiServer):
    world.change(docker_info={**DOCKER_INFO, "MemTotal": GIB})
    done = run("up")
    assert done.exit_code == 2 and "needs 2" in done.output and world.calls("kind", "create") == []


def test_a_port_that_is_taken_is_named(world: World, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(checks, "PORTS", {0: "a free one", taken: "http of the ingress gateway"})
        done = run("up", "--check")
        assert done.exit_code == 1 and f"{taken} (http of the ingress gateway)" in done.output
        assert f"lsof -i :{taken})" in done.output
        assert run("up", "--check", "--no-ports").exit_code == 0


def test_controllers_that_a_rootless_podman_lacks():
    engine = containers.Containers("podman", "5", rootless=True, cgroup="2", controllers=("memory", "pids"))
    (finding,) = checks.control_groups(engine, None)
    assert finding.level == "error" and "has not been given cpu" in finding.detail and "Delegate=yes" in finding.remedy


@pytest.mark.parametrize(
    ("instances", "watches", "level"), [(512, 524288, "ok"), (128, 8192, "warning"), (16, 1, "error")]
)
def test_the_limits_of_inotify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instances: int, watches: int, level: str
):
    monkeypatch.setattr(checks.sys, "platform", "linux")
    (tmp_path / "max_user_instances").write_text(f"{instances}\n")
    (tmp_path / "max_user_watches").write_text(f"{watches}\n")
    (finding,) = checks.inotify(tmp_path)
    assert isinstance(finding, Finding) and finding.level == level
    assert ("sysctl fs.inotify.max_user_instances=512" in finding.remedy) == (level != "ok")


# --- images -----------------------------------------------------------------------------------------------------------


def test_images_are_pushed_and_learners_told_what_to_set(world: World):
    done = run("images", "--push", "registry.example.com/team/", "--tag", "v1")
    assert done.exit_code == 0, done.output
    assert [call[2] for call in world.calls("docker", "push")] == [
        "registry.example.com/team/client:v1",
        "registry.example.com/team/web:v1",
    ]
    assert "export WORKSHOP_REGISTRY=registry.example.com/team WORKSHOP_IMAGE_TAG=v1" in done.output


def test_an_image_that_another_builder_keeps_is_noticed(world: World):
    world.change(elsewhere=True)
    done = run("images")
    assert done.exit_code == 2 and "docker buildx use default" in done.output


def test_several_platforms_are_built_by_a_builder_of_our_own(world: World):
    done = run("images", "--push", "localhost:5000", "--platform", "linux/amd64, linux/arm64")
    assert done.exit_code == 0, done.output
    assert world.calls("docker", "buildx", "create")
    (first, _) = world.calls("docker", "buildx", "build")
    assert first[first.index("--platform") + 1] == "linux/amd64,linux/arm64" and "--push" in first
    assert first[first.index("--tag") + 1].startswith("localhost:5000/client:")
    assert "WORKSHOP_REGISTRY=localhost:5000 " in done.output
    world.forget_calls()
    assert run("images", "--push", "localhost:5000", "--platform", "linux/amd64,linux/arm64").exit_code == 0
    assert world.calls("docker", "buildx", "create") == []


def test_podman_pushes_a_manifest_of_several_platforms(world: World):
    options = [
        "--provider",
        "podman",
        "--push",
        "localhost:5000",
        "--platform",
        "linux/amd64,linux/arm64",
        "--tag",
        "1",
    ]
    assert run("images", *options).exit_code == 0
    assert "--manifest" in world.calls("podman", "build")[0]
    pushed = world.calls("podman", "manifest", "push")
    assert pushed[0][3:] == ["--all", "localhost:5000/client:1", "docker://localhost:5000/client:1"]


def test_images_are_saved_for_machines_without_a_network(world: World, tmp_path: Path):
    folder = tmp_path / "new" / "folder"
    done = run("images", "--archive", str(folder), "--tag", "1")
    assert done.exit_code == 0 and f"--image-archives {folder}" in done.output
    assert images.archived_names(folder / "web.tar") == [f"docker.io/{NAME}/web:1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--platform", "linux/amd64"], "need --push"),
        (["--platform", "amd64", "--push", "localhost:5000"], "is no platform"),
        (["--push", "team"], "with its host"),
        (["--platform", "linux/amd64", "--push", "localhost:5000", "--archive", "x"], "--archive or --platform"),
    ],
)
def test_options_that_do_not_go_together(world: World, options: list[str], words: str):
    done = run("images", *options)
    assert done.exit_code == 2 and words in done.output and world.calls("docker", "build") == []


@pytest.mark.parametrize(
    ("failing", "text", "words"),
    [
        ("docker_push", "denied: requested access to the resource is denied", "docker login"),
        ("docker_buildx", "unknown command: docker buildx", "no buildx"),
    ],
)
def test_a_push_that_fails_says_what_to_do(world: World, failing: str, text: str, words: str):
    world.fail(**{failing: text})
    platform = ["--platform", "linux/amd64,linux/arm64"] if failing == "docker_buildx" else []
    done = run("images", "--push", "localhost:5000", *platform)
    assert done.exit_code == 2 and words in done.output


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "docker.io/library/web:latest"),
        ("a/web:1", "docker.io/a/web:1"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("registry.example.com/a/web:1", "registry.example.com/a/web:1"),
        ("localhost/web:1", "localhost/web:1"),
    ],
)
def test_names_are_as_nodes_hold_them(name: str, full: str):
    assert images.full_name(name) == full


def test_nodes_are_put_over_each_other_by_position():
    ours = kind.configuration(node_image=None, listen="127.0.0.1", ports=[31080])
    merged = kind.configuration(
        node_image=None, listen="127.0.0.1", ports=[31080], over={"nodes": [{"extraPortMappings": []}]}
    )
    assert ours["nodes"][0]["extraPortMappings"][0]["hostPort"] == 31080
    assert merged["nodes"] == [{"role": "control-plane", "extraPortMappings": []}]
