"""Stand-ins for docker, podman, kind and istioctl that record how they are called.

They are real executables on PATH, run as the real ones are; what they pretend to have done is kept in a file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__)
NAMES = ("docker", "podman", "kind", "istioctl")
GIB = 1024**3
DOCKER_INFO = {"ServerVersion": "29.0.1", "MemTotal": 8 * GIB, "CgroupVersion": "2", "OperatingSystem": "Debian"}
PODMAN_INFO = {
    "host": {
        "memTotal": 8 * GIB,
        "cgroupVersion": "v2",
        "cgroupControllers": ["cpu", "memory", "pids"],
        "security": {"rootless": True},
    },
    "version": {"Version": "5.4.0"},
}
VERSIONS = {"kind": "0.33.0", "istioctl": "1.31.1"}


class World:
    """What the stand-ins pretend, in a file that they share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "world.json"
        self.calls_file = folder / "calls.jsonl"

    def read(self) -> dict[str, Any]:
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def change(self, **values: Any) -> None:
        self.file.write_text(json.dumps({**self.read(), **values}))

    def fail(self, **texts: str) -> None:
        """Let calls fail with a text: ``kind_create`` is every call of kind whose first word is ``create``."""
        self.change(fail=texts)

    def calls(self, *words: str) -> list[list[str]]:
        """The calls so far that begin with these words."""
        if not self.calls_file.exists():
            return []
        recorded = [json.loads(line)["arguments"] for line in self.calls_file.read_text().splitlines()]
        return [call for call in recorded if call[: len(words)] == list(words)]

    def forget_calls(self) -> None:
        self.calls_file.unlink(missing_ok=True)


def install(folder: Path, *names: str) -> World:
    """Put stand-ins into ``folder/bin``."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in names or NAMES:
        file = programs / name
        file.write_text(
            f"#!{sys.executable} -S\nimport sys\nsys.path[:0] = [{str(PROGRAM.parent)!r}]\n"
            f"import fake_cluster\nfake_cluster.main({name!r}, {str(folder)!r})\n"
        )
        file.chmod(0o755)
    return World(folder)


def archive(file: Path, *tags: str) -> None:
    """Write an archive that says what ``docker save`` says about its images."""
    import io
    import tarfile  # only here, for the stand-ins are started often

    text = json.dumps([{"Config": "x", "RepoTags": list(tags), "Layers": []}]).encode()
    with tarfile.open(file, "w") as archive_:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(text)
        archive_.addfile(member, io.BytesIO(text))


# --- the programs -----------------------------------------------------------------------------------------------------


def main(name: str, folder: str) -> None:
    world = World(Path(folder))
    arguments = sys.argv[1:]
    variables = ("KIND_EXPERIMENTAL_PROVIDER", "BUILDX_NO_DEFAULT_ATTESTATIONS")
    noted = {key: os.environ[key] for key in variables if key in os.environ}
    with world.calls_file.open("a") as calls:
        calls.write(json.dumps({"arguments": [name, *arguments], "environment": noted}) + "\n")
    failures = world.read().get("fail", {})
    text = failures.get(f"{name}_{arguments[0]}")
    if text is not None:
        print(text, file=sys.stderr)
        sys.exit(1)
    sys.exit({"docker": _engine, "podman": _engine, "kind": _kind, "istioctl": _istioctl}[name](name, world, arguments))


def _after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def _engine(name: str, world: World, arguments: list[str]) -> int:
    state = world.read()
    match arguments[0]:
        case "info":
            told = state.get(f"{name}_info", DOCKER_INFO if name == "docker" else PODMAN_INFO)
            print(json.dumps(told))
        case "container":
            running = arguments[-1] not in state.get("stopped", [])
            print(str(running).lower() if "Running" in arguments[-2] else state["cluster_id"])
        case "start":
            world.change(stopped=[node for node in state["stopped"] if node != arguments[1]])
        case "exec":
            print("\n".join(state.get("held", [])))
        case "image":
            return 0 if arguments[-1] in state.get("built", []) and not state.get("elsewhere") else 1
        case "build" if "--tag" in arguments:
            world.change(built=[*state.get("built", []), _after(arguments, "--tag")])
        case "save":
            missing = [tag for tag in arguments[arguments.index("--output") + 2 :] if tag not in state.get("built", [])]
            if missing:
                print(f"No such image: {missing}", file=sys.stderr)
                return 1
            file = Path(_after(arguments, "--output"))
            archive(file, *arguments[arguments.index("--output") + 2 :])
        case "buildx" if arguments[1] == "inspect":
            return 0 if state.get("builder") else 1
        case "buildx" if arguments[1] == "create":
            world.change(builder=True)
    return 0


def _kind(name: str, world: World, arguments: list[str]) -> int:
    state = world.read()
    match arguments[:2]:
        case ["version", "-q"]:
            print(state.get("kind_version", VERSIONS["kind"]))
        case ["get", "clusters"]:
            print("\n".join(state.get("clusters", [])))
        case ["get", "nodes"]:
            of = _after(arguments, "--name")
            print(f"{of}-control-plane" if of in state.get("clusters", []) else "No kind nodes found")
        case ["create", "cluster"]:
            of = _after(arguments, "--name")
            number = int(state.get("number", 0)) + 1
            config = json.loads(Path(_after(arguments, "--config")).read_text())
            made = [*state.get("clusters", []), of]
            world.change(clusters=made, config=config, number=number, cluster_id=f"id{number}", held=["pause"])
            _kubeconfig(world, of)
        case ["export", "kubeconfig"]:
            _kubeconfig(world, _after(arguments, "--name"))
        case ["load", "image-archive"]:
            import tarfile

            with tarfile.open(arguments[2]) as archive_:
                stream = archive_.extractfile("manifest.json")
                assert stream is not None
                tags = json.load(stream)[0]["RepoTags"]
            # As containerd names them.
            full = [tag if "." in tag.partition("/")[0] else f"docker.io/{tag}" for tag in tags]
            world.change(held=[*state.get("held", []), *full])
        case ["delete", "cluster"]:
            of = _after(arguments, "--name")
            world.change(
                clusters=[cluster for cluster in state.get("clusters", []) if cluster != of], istio=None, held=[]
            )
    return 0


def _kubeconfig(world: World, cluster: str) -> None:
    name = f"kind-{cluster}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": world.read()["server"]}}],
        "users": [{"name": name, "user": {"token": "secret"}}],
    }
    Path(os.environ["KUBECONFIG"]).write_text(json.dumps(content))


def _istioctl(name: str, world: World, arguments: list[str]) -> int:
    if arguments[0] == "version":
        version = world.read().get("istioctl_version", VERSIONS["istioctl"])
        print(json.dumps({"clientVersion": {"version": version}}))
    elif arguments[0] == "install":
        files = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--filename"]
        spec = json.loads(Path(files[0]).read_text())["spec"]
        world.change(istio={"tag": spec.get("tag", "1.31.1"), "mesh": spec["meshConfig"]})
    return 0
