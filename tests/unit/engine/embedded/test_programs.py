"""Which program stands for an image: the course's own, a learner's folder, a stand-in, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labsupport.engine.embedded.pods.programs import Programs, find_programs
from labsupport.errors import UsageError


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
