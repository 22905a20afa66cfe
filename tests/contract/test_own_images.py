"""Programs that a learner brings: they run as any other, and one that cannot be loaded changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from contract_mesh import SERVICE, SUBSETS, URL, Mesh, deployment, eventually, weights

from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.errors import ManifestError

pytestmark = pytest.mark.embedded
README = Path(__file__).parents[2] / "images" / "README.md"


def page_program() -> str:
    """The program that the page on images shows, as a learner would copy it."""
    shown = re.search(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert shown is not None
    assert len(shown[1].splitlines()) <= 20
    return shown[1]


def write(folder: Path, text: str, name: str = "hello") -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "app.py").write_text(text)
    return folder


def test_the_program_of_the_page_runs_from_a_folder_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_IMAGES", str(write(tmp_path, page_program())))
    with EmbeddedEngine(images={"gcr.io/shop/hello-canary": "hello"}) as engine:
        mesh = Mesh(engine)
        own = deployment("web-safe", "safe", image="hello")
        canary = deployment("web-risk", "risk", image="gcr.io/shop/hello-canary:v2")
        mesh.apply(SERVICE, SUBSETS, own + canary, "apps/client", weights(safe=0, risk=100))
        assert mesh.versions(URL, 20) == {"risk": 20}
        assert {pod.image for pod in engine.pods() if pod.workload.startswith("web-")} == {"hello"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def create_app(env)\n    pass\n", r"hello/app\.py:1: SyntaxError"),
        ("import os\nimport no_such_module\n", r"hello/app\.py:2: ModuleNotFoundError: No module named"),
        ("\n\nLIMIT = int('many')\n", r"hello/app\.py:3: ValueError"),
        ("raise SystemExit(0)\n", r"hello/app\.py:1: SystemExit"),
        ("def make_app(env):\n    pass\n", r"hello/app\.py:1: it has no create_app\(env\)"),
    ],
)
def test_a_program_that_cannot_be_loaded_changes_nothing(tmp_path: Path, text: str, words: str) -> None:
    with EmbeddedEngine(images=write(tmp_path, text)) as engine:
        mesh = Mesh(engine)
        with pytest.raises(ManifestError, match=words):
            mesh.apply(SERVICE + deployment("web-safe", "safe", image="hello"))
        assert engine.get("Service") == []
        assert [pod.workload for pod in engine.pods()] == ["istio-ingressgateway"]
        write(tmp_path, page_program())
        mesh.apply(SERVICE + deployment("web-safe", "safe", image="hello"))
        eventually(lambda: all(pod.ready for pod in engine.pods()), engine.pods)


READER = """
import os
from pathlib import Path

from starlette.requests import Request
from starlette.routing import Route

from service import Service


def create_app(env):
    service = Service(env, name="reader")
    root = Path(env.get("FILES_ROOT", "/"))

    async def files(request: Request):
        app = [f"etc/app/{file.name}" for file in (root / "etc/app").iterdir()]
        names = (*app, "etc/keys/tls.key", "etc/only", "tmp/mine")
        (root / "tmp/mine").write_text(env["POD_NAME"])
        return service.json({name: (root / name).read_text() for name in names})

    return service.app([Route("/", files)])
"""
FILES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data: {greeting: hello, other: only}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {tls.key: secret}
"""
VOLUMES = """      volumes:
      - {name: texts, configMap: {name: texts}}
      - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
      - {name: tmp, emptyDir: {}}
"""
MOUNTS = (
    "volumeMounts: [{name: texts, mountPath: /etc/app}, {name: keys, mountPath: /etc/keys, readOnly: true}, "
    "{name: texts, mountPath: /etc/only, subPath: other}, {name: tmp, mountPath: /tmp}], "
)


def test_a_program_reads_the_files_of_its_pods_volumes_which_follow_their_objects(tmp_path: Path) -> None:
    with EmbeddedEngine(images=write(tmp_path, READER, "reader")) as engine:
        mesh = Mesh(engine)
        text = deployment("web-safe", "safe", image="reader").replace("env: [],", MOUNTS) + VOLUMES
        with pytest.raises(ManifestError, match="ConfigMap/texts does not exist"):
            mesh.apply(SERVICE, "apps/client", text)
        mesh.apply(SERVICE, FILES, "apps/client", text)
        (pod,) = [pod.name for pod in engine.pods() if pod.workload == "web-safe"]
        greeting = {"etc/app/greeting": "hello", "etc/app/other": "only"}
        expected = {**greeting, "etc/keys/tls.key": "secret", "etc/only": "only", "tmp/mine": pod}

        def seen() -> dict[str, str]:
            (response,) = mesh.send(URL, 1, keep_body=True)
            return {name: value for name, value in json.loads(response.body).items() if "/" in name}

        assert seen() == expected
        mesh.apply(FILES.replace("hello", "changed").replace("other: only", "other: anew, more: new"))
        # What is mounted by subPath stays, as on a cluster.
        changed = {"etc/app/greeting": "changed", "etc/app/other": "anew", "etc/app/more": "new"}
        assert seen() == {**expected, **changed}
        mesh.apply(FILES.replace("secret}", "renewed}"))
        assert seen() == {**expected, "etc/keys/tls.key": "renewed"}
