from __future__ import annotations

from pathlib import Path

import pytest

from labsupport import paths
from labsupport.errors import NotFoundError


def test_the_repository_is_found_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSHOP_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert (paths.root() / "labsupport" / "paths.py").exists()
    assert paths.manifests() == paths.root() / "manifests"


def test_the_environment_names_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifests").mkdir()
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    assert paths.root() == tmp_path.resolve()
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(NotFoundError, match="WORKSHOP_ROOT"):
        paths.root()


def test_the_working_folder_comes_before_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.resolve("apps/web") == paths.manifests() / "apps" / "web"
    own = tmp_path / "apps" / "web"
    own.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert paths.resolve("apps/web") == own.resolve()
    assert paths.resolve(own) == own.resolve()


def test_manifests_of_a_learners_copy_come_before_those_of_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "manifests" / "apps" / "web"
    own.mkdir(parents=True)
    monkeypatch.setenv("WORKSHOP_WORK", str(tmp_path))
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert paths.work() == tmp_path.resolve()
    assert paths.resolve("apps/web") == paths.resolve("manifests/apps/web") == own.resolve()
    assert paths.resolve("apps/client") == paths.manifests() / "apps" / "client"
    assert paths.display_name(own) == "apps/web"
    assert paths.manifests() == paths.root() / "manifests", "exercises are judged by those of the course"
    monkeypatch.delenv("WORKSHOP_WORK")
    assert paths.work() == paths.root() / "work"
    assert paths.resolve("apps/web") == paths.manifests() / "apps" / "web"


def test_a_path_from_the_root_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.resolve("manifests/apps/web") == paths.manifests() / "apps" / "web"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("apps/wep", "apps/web"),
        ("destination-rule-web-version.yaml", "02-canary-by-weight/destination-rule-web-versions.yaml"),
        ("02-canary-by-wait", "02-canary-by-weight"),
    ],
)
def test_near_matches_are_listed(wrong: str, near: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        paths.resolve(wrong)
    assert near in str(caught.value)


def test_a_path_like_nothing_says_what_is_accepted() -> None:
    with pytest.raises(NotFoundError, match="a file or a folder, or pass YAML text"):
        paths.resolve("/qqqqqqqq/zzzzzzzzzzzz")


def test_names_are_relative_to_what_a_learner_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.display_name(paths.manifests() / "apps" / "web") == "apps/web"
    assert paths.display_name(paths.root() / "README.md") == "README.md"
    monkeypatch.chdir(tmp_path)
    assert paths.display_name(tmp_path / "mine.yaml") == "mine.yaml"
    assert paths.display_name(Path("/elsewhere/mine.yaml")) == "/elsewhere/mine.yaml"


def test_progress_is_kept_in_the_repository_or_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSHOP_STATE", raising=False)
    assert paths.state_file() == paths.root() / ".workshop" / "progress.json"
    monkeypatch.setenv("WORKSHOP_STATE", "/somewhere/else.json")
    assert paths.state_file() == Path("/somewhere/else.json")


def test_who_shares_a_course_with_others_has_copy_and_progress_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORKSHOP_STATE", "WORKSHOP_WORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    # Root may write everywhere, so that permissions alone would not do here.
    monkeypatch.setattr(paths.os, "access", lambda *_: False)
    assert paths.work() == tmp_path / "istio-workshop"
    assert paths.state_file() == tmp_path / "istio-workshop" / ".workshop" / "progress.json"
    monkeypatch.setenv("WORKSHOP_WORK", str(tmp_path / "else"))
    assert paths.state(paths.root()) == tmp_path / "else" / ".workshop"
