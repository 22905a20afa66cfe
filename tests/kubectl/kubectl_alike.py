"""Plays scenes of commands, and makes what they print comparable."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kubectl_program import MANIFESTS, Kubectl, Lines
from kubectl_scenes import all_scenes

from labsupport.engine.cluster.objects.images import Images

# What differs on the embedded mesh, and why.
DIFFERENCES = (
    # There are no nodes.
    (r"(?<=ADDRESS )\S+(?= <none> <none>$)", "NODE"),
    # It tells what it cannot do, but for what a field that changes no traffic asks for.
    (r"^Warning: no effect on the embedded mesh: .*\n", ""),
    # Rules tell when they are in force; on a cluster workshop wait and lab.status find it out.
    (
        r'^status:\n  conditions:\n  - last.*\n    message: .* up to date.\n    status: "True"\n    type: Reconciled\n',
        "",
    ),
    (r"^Status:\n  Conditions:\n    Last.*\n    Message: .* up to date.\n    Status: True\n    Type: Reconciled\n", ""),
    (r'    \},\n    "status": \{\n +"conditions": \[\n +\{\n(?:.*\n){4} +\}\n +\]\n    \}\n', "    }\n"),
    # Only crashes are events.
    (r"^Events:.*\n(?:  .*\n)*", ""),
    # The texts of Kubernetes and Istio are theirs.
    (r"^DESCRIPTION:\n(?:    .*\n)*", ""),
    # Nothing redirects a pod's traffic with iptables.
    (r"istio-init \(init\), ", ""),
)

RECORDED = Path(__file__).with_name("cluster.jsonl")

# What differs between two clusters as well: in this order, a pattern and what stands for it.
_OWN = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UID"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\b(\d+\.\d+\.\d+\.\d+)\b", "ADDRESS"),
    (r"-[0-9a-z]{8,10}-[0-9a-z]{5}\b", "-HASH-POD"),
    (r"(?<=-hash[:=])\s*[0-9a-z]{8,10}\b|(?<=-hash\": \")[0-9a-z]{8,10}\b", "HASH"),
    (r"\b(web-safe|web-risk|client|hello)-[0-9a-z]{8,10}\b", r"\1-HASH"),
    (r"(resourceVersion\"?|Resource Version): +\"?\d+\"?", r"\1: VERSION"),
    (r"\b(web|client)-[0-9a-z]{5}(?= )", r"\1-SLICE"),
    (r"\b3[0-2]\d{3}/TCP|(?<=nodePort\": )\d+|(?<=nodePort: )\d+", "NODEPORT"),
    (r"/tmp/\S+", "FILE"),
    (r"(?m)(?<= )(?:\d+[dhms]){1,2}$|(?<= )(?:\d+[dhms]){1,2}(?=  )|(?<= )(?:\d+[dhms]){1,2}(?= ago)", "AGE"),
    # Columns are as wide as what stands in them.
    (r"(?m)(?<=\S)[ \t]+|[ \t]+$", " "),
    (r"(?m) $", ""),
)
# How far a rollout has come is told as often as somebody looks.
_PASSING = re.compile(r"Waiting for |Warning: version difference")


@dataclass(frozen=True)
class Said:
    """What a command has printed, made comparable.

    Args:
        scene: its name.
        command: as it stands in the scene.
        code: with which it ended; None for one that was ended.
        out, err: lines.
    """

    scene: str
    command: str
    code: int | None
    out: tuple[str, ...]
    err: tuple[str, ...] = ()

    def alike(self) -> str:
        """What has to be the same on every engine."""
        # Which pods are still there when it looks is a question of time; that it ends well is none.
        out = () if "--for=delete" in self.command else self.out
        text = "".join(f"{line}\n" for line in (*out, "", *self.err, "", f"exit status {self.code}"))
        for pattern, instead in DIFFERENCES:
            text = re.sub(f"(?m){pattern}", instead, text)
        return text

    def line(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))


def recorded() -> dict[str, list[Said]]:
    """What a cluster has printed, by scene."""
    kept: dict[str, list[Said]] = {name: [] for name in all_scenes()}
    for line in RECORDED.read_text().splitlines():
        fields = json.loads(line)
        fields |= {name: tuple(fields[name]) for name in ("out", "err")}
        kept[fields["scene"]].append(Said(**fields))
    return kept


class Player:
    """Plays scenes in a namespace.

    Args:
        kubectl: whose kubeconfig leads there.
        namespace: its name.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._images = Images()
        self._namespace = namespace
        # What a manifest of the course says in short, as a cluster has to read it.
        folder = Path(shutil.copytree(MANIFESTS, kubectl.home / "manifests", dirs_exist_ok=True))
        for path in folder.rglob("*.yaml"):
            path.write_text(self._in_full(path.read_text()))
        self._kubectl = replace(kubectl, folder=folder)

    def play(self, scene: str) -> Iterator[Said]:
        """Run the commands of a scene one after the other.

        Args:
            scene: its name.
        """
        with ExitStack() as left_running:
            awaited: list[tuple[str, Lines, str]] = []
            for command in all_scenes()[scene]:
                typed, _, marks = command.partition(" & ")
                if marks:
                    first, _, last = marks.partition(", ")
                    lines = left_running.enter_context(self._kubectl.running(*self._words(typed)))
                    lines.until(first)
                    awaited.append((command, lines, last))
                else:
                    yield self._said(scene, command)
            for command, lines, last in awaited:
                lines.until(last)
                yield Said(scene, command, None, self._comparable("".join(lines.seen)))

    def _words(self, typed: str) -> list[str]:
        image = self._images.full("web")
        return shlex.split(typed.replace("{namespace}", self._namespace).replace("{image}", image))

    def _said(self, scene: str, command: str) -> Said:
        typed, _, files = command.partition(" < ")
        words = self._words(typed)
        variables = {}
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        done = self._kubectl.run(*words, text=self._manifests(files.split()), **variables)
        return Said(scene, command, done.returncode, self._comparable(done.stdout), self._comparable(done.stderr))

    def _manifests(self, names: list[str]) -> str:
        folder = self._kubectl.folder
        paths = (path for name in names for path in (sorted((folder / name).glob("*.yaml")) or [folder / name]))
        return "---\n".join(path.read_text() for path in paths)

    def _in_full(self, text: str) -> str:
        text = re.sub(r"(?m)^( +image: )(\S+)$", lambda match: match[1] + self._images.full(match[2]), text)
        # A node port belongs to the whole cluster, where somebody else may have it.
        return re.sub(r"(?m)^ +nodePort: \d+\n", "", text)

    def _comparable(self, text: str) -> tuple[str, ...]:
        for name in self._images.known:
            text = text.replace(self._images.full(name), name)
        text = re.sub(rf"\b({re.escape(self._namespace)}|default)\b", "NAMESPACE", text)
        for pattern, instead in _OWN:
            text = re.sub(pattern, instead, text)
        return tuple(line for line in text.splitlines() if line and not _PASSING.match(line))
