"""Where a program finds the files of its pod's volumes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from labsupport.engine.embedded.pods.mounting import inside, mount, write_volumes
from labsupport.engine.podfiles import VolumeFile
from labsupport.model.kinds.volumes import VolumeMount


def mounted(folder: Path, *mounts: tuple[str, str, str]) -> Path:
    """Make a root with mounts: a volume, a path of the container, and a path in the volume."""
    files = {"a.conf": VolumeFile(b"text", 0o444), "deep/b": VolumeFile(b"other", 0o000)}
    write_volumes(folder / "volumes", {"config": files, "empty": {}})
    root = folder / "root"
    written = ({"name": name, "mountPath": path, "subPath": part} for name, path, part in mounts)
    mount(root, folder / "volumes", [VolumeMount.model_validate(each) for each in written])
    return root


def test_a_volume_is_a_folder_and_a_part_of_it_a_file(tmp_path: Path) -> None:
    root = mounted(tmp_path, ("config", "/etc/app/", ""), ("config", "/srv/only.conf", "a.conf"), ("empty", "/tmp", ""))
    assert (root / "etc/app/a.conf").read_text() == (root / "srv/only.conf").read_text() == "text"
    assert (root / "etc/app/deep/b").read_text() == "other"
    assert stat.S_IMODE((root / "etc/app/a.conf").stat().st_mode) == 0o644
    (root / "tmp/x").write_text("mine")
    assert (tmp_path / "volumes/empty/x").read_text() == "mine"


def test_a_mount_may_lie_inside_another_whatever_their_order(tmp_path: Path) -> None:
    root = mounted(tmp_path, ("config", "/opt/x/conf", ""), ("empty", "/opt/x", ""), ("config", "/opt/x/conf/deep", ""))
    assert (root / "opt/x/conf/a.conf").read_text() == (root / "opt/x/conf/deep/a.conf").read_text() == "text"


def test_changed_files_are_written_anew_and_what_was_mounted_as_a_part_stays(tmp_path: Path) -> None:
    before = {"config": {"a": VolumeFile(b"1", 0o644), "b": VolumeFile(b"1", 0o644)}, "empty": {}}
    after = {"config": {"a": VolumeFile(b"2", 0o644), "c/d": VolumeFile(b"3", 0o644)}, "empty": {}}
    volumes, root = tmp_path / "volumes", tmp_path / "root"
    write_volumes(volumes, before)
    parts = [("config", "/all", ""), ("config", "/part", "a"), ("empty", "/own", "mine")]
    written = ({"name": name, "mountPath": path, "subPath": part} for name, path, part in parts)
    mount(root, volumes, [VolumeMount.model_validate(each) for each in written], following=["config"])
    (root / "own/kept").write_text("x")
    write_volumes(volumes, after, former=before)
    assert {file.name for file in (root / "all").iterdir()} == {"a", "c"}
    assert [(root / path).read_text() for path in ("all/a", "all/c/d", "part")] == ["2", "3", "1"]
    assert (volumes / "empty/mine/kept").exists()


@pytest.mark.parametrize("path", ["/../../x", "/a/../../../x", "//x", "x"])
def test_no_path_of_a_container_leads_out_of_its_root(tmp_path: Path, path: str) -> None:
    root = mounted(tmp_path, ("config", path, ""))
    assert (root / "x/a.conf").read_text() == "text" and not (tmp_path / "x").exists()


@pytest.mark.parametrize("path", ["/", "//", "/a/..", "."])
def test_the_root_itself_is_known(path: str) -> None:
    assert inside(path) == ""
