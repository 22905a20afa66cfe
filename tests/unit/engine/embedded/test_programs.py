"""Which program stands for an image: the course's own, a learner's folder, a stand-in, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labsupport.engine.embedded.pods.demands import refusals
from labsupport.engine.embedded.pods.programs import Played, Programs, find_programs
from labsupport.errors import UsageError
from labsupport.model import Deployment, parse
from labsupport.model.kinds.pods import Container, ContainerPort
from labsupport.model.reading.documents import of_data


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "course" / "manifests").mkdir(parents=True)
    program(tmp_path / "course" / "images", "web")
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path / "course"))
    monkeypatch.delenv("WORKSHOP_IMAGES", raising=False)
    return tmp_path / "course" / "images"


def program(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "app.py").write_text("def create_app(env): ...\n")
    return folder


def test_folders_of_the_environment_add_programs(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [program(tmp_path / "mine", "hello"), program(tmp_path / "theirs", "predict")]
    monkeypatch.setenv("WORKSHOP_IMAGES", os.pathsep.join(map(str, folders)))
    programs = find_programs()
    assert programs.known() == ["hello", "predict", "web"]
    assert programs.name("registry.example:5000/x/hello:v1@sha256:0") == "hello"
    assert programs.path("predict") == tmp_path / "theirs" / "predict" / "app.py"
    assert [programs.is_learners(name) for name in ("hello", "web", "")] == [True, False, False]
    assert Programs.decoded(programs.encoded()) == programs


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("gcr.io/x/y", "web"),
        ("gcr.io/x/y:v3", "web"),
        ("gcr.io/x/y@sha256:12", "web"),
        ("localhost:5000/y:v1@sha256:12", "web"),
        ("localhost:5000/y:v2", ""),
        ("gcr.io/z/y", ""),
        ("gcr.io/z/web:v9", "web"),
        ("", ""),
    ],
)
def test_a_stand_in_answers_for_any_tag_unless_it_names_one(course: Path, image: str, name: str) -> None:
    programs = find_programs({"gcr.io/x/y": "web", "localhost:5000/y:v1": "web"})
    assert programs.name(image) == name


def test_what_leads_to_no_program_is_refused_when_the_lab_opens(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"no program 'wbe'. There are web"):
        find_programs({"gcr.io/x/y": "wbe"})
    with pytest.raises(UsageError, match=r"images='.*nowhere' holds no program"):
        find_programs(tmp_path / "nowhere")
    monkeypatch.setenv("WORKSHOP_IMAGES", str(course / "web"))
    with pytest.raises(UsageError, match=r"WORKSHOP_IMAGES=.* holds no program. Name the folder above"):
        find_programs()
    monkeypatch.setenv("WORKSHOP_IMAGES", str(program(tmp_path / "mine", "web")))
    with pytest.raises(UsageError, match=r"two programs for the image 'web'.*Rename the folder of yours"):
        find_programs()


def test_a_cluster_says_that_it_runs_no_local_programs() -> None:
    from labsupport.engine.cluster import ClusterEngine

    with pytest.raises(UsageError, match="nodes pull images"):
        ClusterEngine(images={"gcr.io/x/y": "web"})


TABLE = """
[[image]]
names = ["sample-v*", "other"]
program = "web"
listens = [5000]
env = { ROLE = "page" }
commands = ['serve \\S+:(?P<PORT>\\d+)', 'sleep \\S+']
"""


def test_an_image_of_the_table_is_played_whatever_its_registry_and_tag(course: Path) -> None:
    (course / "played.toml").write_text(TABLE)
    played = find_programs().played("registry.example/x/sample-v3:1.0@sha256:0")
    assert played is not None
    assert (played.program, played.listens, dict(played.env)) == ("web", (5000,), {"ROLE": "page"})
    assert find_programs().name("docker.io/other") == "web"
    assert find_programs().played("sample") is None


def test_what_the_lab_or_the_learner_says_of_an_image_comes_before_the_table(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (course / "played.toml").write_text(TABLE)
    monkeypatch.setenv("WORKSHOP_IMAGES", str(program(tmp_path / "mine", "other")))
    assert find_programs().played("x/other:1") == Played("other")
    assert find_programs({"x/sample-v1": "other"}).played("x/sample-v1:2") == Played("other")


@pytest.mark.parametrize(
    ("command", "args", "variables"),
    [
        ([], [], {}),
        (["serve"], ["[::]:8080"], {"PORT": "8080"}),
        (["sleep", "infinity"], [], {}),
        (["sleep"], [], None),
        (["serve", "[::]:8080", "--more"], [], None),
    ],
)
def test_a_command_line_is_understood_as_a_whole_or_not_at_all(
    course: Path, command: list[str], args: list[str], variables: dict[str, str] | None
) -> None:
    (course / "played.toml").write_text(TABLE)
    played = find_programs().played("other")
    assert played is not None and played.understood(Container(name="a", command=command, args=args)) == variables


@pytest.mark.parametrize(
    "command",
    [
        ["sleep", "infinity"],
        ["/bin/sh", "-c", "sleep 3650d"],
        ["sh", "-c", "while true; do sleep 3600; done"],
        ["bash", "-c", "trap : TERM; sleep 1d"],
        ["tail", "-f", "/dev/null"],
    ],
    ids=" ".join,
)
def test_a_client_that_is_told_to_wait_waits(command: list[str]) -> None:
    played = find_programs().played("curlimages/curl:8.8.0")
    assert played is not None and played.understood(Container(name="a", command=command)) == {}


@pytest.mark.parametrize(
    ("listens", "declared", "env", "ports"),
    [
        ((5000,), 8080, {}, (5000,)),
        ((5000,), 0, {"PORT": "6000"}, (6000,)),
        ((), 80, {}, ()),
        (None, 8080, {}, (8080,)),
        (None, 8080, {"PORT": "6000"}, (6000,)),
        (None, 0, {"PORT": "http"}, None),
        (None, 5000, {"PORT": "²"}, (5000,)),
        ((5000,), 0, {"PORT": "9" * 20}, (5000,)),
    ],
)
def test_a_program_listens_where_its_image_does_unless_its_variable_says_otherwise(
    listens: tuple[int, ...] | None, declared: int, env: dict[str, str], ports: tuple[int, ...] | None
) -> None:
    container = Container(
        name="a", ports=[ContainerPort.model_validate({"containerPort": declared})] if declared else []
    )
    assert Played("web", listens).ports(container, env) == ports


def test_a_program_whose_packages_are_not_installed_needs_its_extra(course: Path) -> None:
    (course / "played.toml").write_text(
        '[[image]]\nnames = ["web*"]\nprogram = "web"\nlistens = [5000]\nextra = "tiny"\n'
    )
    asked_for = course / "web" / "requirements.txt"
    asked_for.write_text("# Exact.\npytest==8.0.0\n")
    assert find_programs().lacks("web") == ""
    asked_for.write_text("# Exact.\npytest==8.0.0\nno-such-tiny-package==1.0\n")
    programs = find_programs({"gcr.io/x/y": "web"})
    assert programs.lacks("web") == "tiny"
    (refusal,) = refusals(deployment("gcr.io/x/y:1"), programs)
    assert refusal[0] == "spec.template.spec.containers[0].image"
    assert "workshop extra tiny" in refusal[2]


def deployment(image: str) -> Deployment:
    """One that a cluster would take."""
    (made,) = parse(
        of_data(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "y"},
                "spec": {
                    "selector": {"matchLabels": {"app": "y"}},
                    "template": {
                        "metadata": {"labels": {"app": "y"}},
                        "spec": {"containers": [{"name": "y", "image": image}]},
                    },
                },
            }
        )
    )
    assert isinstance(made, Deployment)
    return made
