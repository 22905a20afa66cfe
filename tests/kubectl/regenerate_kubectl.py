"""Records what kubectl prints on a real cluster: ``python tests/kubectl/regenerate_kubectl.py [SCENE ...]``.

The current context leads to a Kubernetes with Istio whose nodes have the course's images; WORKSHOP_IMAGE_TAG says their
tag. ``.ci/cluster`` brings one up. The kubectl is that of this environment.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from kubectl_alike import RECORDED, Player, recorded
from kubectl_scenes import all_scenes
from kubectl_spaces import on_cluster


def main(names: list[str]) -> None:
    """Record scenes anew.

    Args:
        names: of the scenes; none for all.
    """
    kept = recorded() if names else {}
    program = str(Path(sys.executable).with_name("kubectl"))
    with tempfile.TemporaryDirectory() as folder:
        for name in names or all_scenes():
            with on_cluster(program, Path(folder)) as (kubectl, namespace):
                kept[name] = list(Player(kubectl, namespace).play(name))
    RECORDED.write_text("".join(f"{said.line()}\n" for name in all_scenes() for said in kept[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
