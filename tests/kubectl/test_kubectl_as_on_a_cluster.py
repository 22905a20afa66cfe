"""What kubectl prints here is what it has printed on a real cluster, but for what is listed, with the reason.

With ``--engine cluster`` the cluster itself is compared with what was recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl_alike import Player, recorded
from kubectl_program import Kubectl
from kubectl_scenes import OWN_WORDS, SCENES, all_scenes
from kubectl_spaces import on_cluster

from labsupport.lab.lab import Lab


@pytest.fixture
def player(request: pytest.FixtureRequest, program: str, tmp_path: Path) -> Iterator[Player]:
    if request.config.getoption("--engine") == "cluster":
        with on_cluster(program, tmp_path) as (kubectl, namespace):
            yield Player(kubectl, namespace)
    else:
        opened: Lab = request.getfixturevalue("lab")
        yield Player(Kubectl(program, opened.kubeconfig(), tmp_path), "default")


@pytest.mark.parametrize("scene", all_scenes())
def test_a_scene_goes_as_on_a_cluster(player: Player, request: pytest.FixtureRequest, scene: str):
    if not recorded()[scene]:
        # Nobody needs a cluster to try what a lesson says; CI has what a cluster says to it.
        assert [said.command for said in player.play(scene) if said.code] == []
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not recorded: regenerate_kubectl.py {scene}")
    wanted_of = recorded()[scene]
    known = sorted(said.command for said in wanted_of)
    assert known == sorted(all_scenes()[scene]), "regenerate_kubectl.py records what is new"
    embedded = request.config.getoption("--engine") == "embedded"
    differing = []
    for said, wanted in zip(player.play(scene), wanted_of, strict=True):
        own = embedded and said.command in OWN_WORDS
        # A line of the list that no longer differs is to go.
        if (said.alike() == wanted.alike()) == own or said.code != wanted.code:
            differing.append(f"{said.command}\n--- a cluster\n{wanted.alike()}--- here\n{said.alike()}")
    assert not differing, "\n".join(differing)


def test_there_are_enough_of_them():
    commands = {command for scene in SCENES.values() for command in scene}
    assert len(commands.difference(OWN_WORDS)) >= 60 > 20 > len(OWN_WORDS)
