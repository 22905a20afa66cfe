"""Which local program stands for an image: the course's own, and those that a learner adds."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from labsupport import paths
from labsupport.engine.embedded.pods.mounting import FILES_ROOT
from labsupport.engine.podtemplate import image_name, image_names
from labsupport.errors import UsageError
from labsupport.model.kinds.pods import Container
from labsupport.model.schema.syntax import is_digits

__all__ = ["Played", "Programs", "find_programs"]

VARIABLE = "WORKSHOP_IMAGES"
PROGRAM = "app.py"
PLAYED = "played.toml"
_SOCK_SHOP = ("weaveworksdemos/", "sock-shop")
_STORES = ("mariadb", "memcached", "mongo", "mysql", "postgres", "rabbitmq", "redis")


@dataclass(frozen=True, slots=True)
class Played:
    """An image as a program of this machine plays it.

    Args:
        program: name of the program.
        listens: ports on which it listens unless ``PORT`` says otherwise; None if the manifest is believed.
        configured: whether files say where it listens; with some mounted, the manifest's first port is believed.
        env: variables that the image has built in.
        commands: regular expressions for whole command lines that change nothing here; groups are variables.
        extra: the workshop's extra that has its packages; empty where every installation has them.
    """

    program: str
    listens: tuple[int, ...] | None = None
    configured: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    extra: str = ""

    def ports(self, container: Container, env: Mapping[str, str]) -> tuple[int, ...] | None:
        """The ports of a pod on which the program listens; None if nothing says which.

        Args:
            container: whose first port is believed where nothing else says it.
            env: its environment.
        """
        written = env.get("PORT", "")
        if is_digits(written):
            return (int(written),)
        declared = bool(self.configured and container.volume_mounts and container.ports)
        if self.listens is not None and not declared:
            return self.listens
        return (container.ports[0].container_port,) if container.ports else None

    def environment(self, container: Container, own: Mapping[str, str]) -> dict[str, str]:
        """All variables of a program: what the image has built in, what its command says, and the manifest's own."""
        return {**self.env, **(self.understood(container) or {}), **own}

    def understood(self, container: Container) -> dict[str, str] | None:
        """The variables that a container's command and args stand for; None if they mean something else."""
        if not container.command and not container.args:
            return {}
        line = " ".join([*container.command, *container.args])
        matches = (re.fullmatch(pattern, line) for pattern in self.commands)
        return next((match.groupdict() for match in matches if match), None)


def find_programs(images: Mapping[str, str] | Path | str | None = None) -> Programs:
    """The programs of a lab: the course's own, those in the folders of ``WORKSHOP_IMAGES``, and what a lab adds.

    Args:
        images: names of images and the program that stands for each, or one more folder of programs.

    Raises:
        UsageError: a folder has no program, two programs have one name, or a name of an image leads to none.
    """
    folders = [(VARIABLE, folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    if images is not None and not isinstance(images, Mapping):
        folders.append(("images", str(images)))
    course = paths.images().resolve()
    learners: list[Path] = []
    for origin, written in folders:
        folder = Path(written).expanduser().resolve()
        if not any(folder.glob(f"*/{PROGRAM}")):
            raise UsageError(
                f"{origin}={written!r} holds no program. Name the folder above the one with {PROGRAM}: "
                f"{folder / 'hello' / PROGRAM} would be the image hello."
            )
        if folder not in (course, *learners):
            learners.append(folder)
    programs = Programs(course, tuple(learners), dict(images) if isinstance(images, Mapping) else {})
    programs.check()
    return programs


@dataclass(frozen=True)
class Programs:
    """Programs by the names of images.

    Args:
        course: folder of the course's own.
        learners: folders of the learner's.
        stand_ins: names of images, with or without a tag, and the program that stands for each.
    """

    course: Path
    learners: tuple[Path, ...] = ()
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def decoded(cls, text: str) -> Programs:
        """What ``encoded`` wrote."""
        course, learners, stand_ins = json.loads(text)
        return cls(Path(course), tuple(map(Path, learners)), stand_ins)

    def encoded(self) -> str:
        """As one argument of a process; the first part is the course's folder."""
        return json.dumps([str(self.course), [str(folder) for folder in self.learners], dict(self.stand_ins)])

    def check(self) -> None:
        """See that every name leads to one program.

        Raises:
            UsageError: one leads to none, or to two.
        """
        owners: dict[str, Path] = {}
        for folder in (self.course, *self.learners):
            for name in _names(folder):
                if name in owners:
                    raise UsageError(
                        f"There are two programs for the image {name!r}: {owners[name] / name} and {folder / name}. "
                        "Rename the folder of yours."
                    )
                owners[name] = folder
        for image, name in self.stand_ins.items():
            if name not in owners:
                raise UsageError(
                    f"images={{{image!r}: {name!r}}}: there is no program {name!r}. There are {', '.join(owners)}."
                )

    def known(self) -> list[str]:
        """Names of the images that run here."""
        names = {name for folder in (self.course, *self.learners) for name in _names(folder)}
        return [*sorted(names), *sorted(self.stand_ins)]

    def name(self, image: str) -> str:
        """The program that stands for an image as manifests write it; empty if there is none."""
        played = self.played(image)
        return played.program if played is not None else ""

    def played(self, image: str) -> Played | None:
        """How an image as manifests write it is played here: as this lab says, else as the course does."""
        for written in image_names(image):
            if written in self.stand_ins:
                return Played(self.stand_ins[written])
        name = image_name(image)
        if any((folder / name / PROGRAM).is_file() for folder in self.learners):
            return Played(name)
        for pattern, played in _well_known(self.course):
            if fnmatch.fnmatchcase(name, pattern):
                return played
        return Played(name) if self.path(name).is_file() else None

    def path(self, name: str) -> Path:
        """The file of a program; the course's own place for one that does not exist."""
        places = [folder / name / PROGRAM for folder in (self.course, *self.learners)]
        return next((place for place in places if place.is_file()), places[0])

    def reads_files(self, image: str) -> bool:
        """Whether the program of an image looks for files where volumes are mounted."""
        name = self.name(image)
        return bool(name) and FILES_ROOT in self.path(name).read_text(encoding="utf-8")

    def is_learners(self, name: str) -> bool:
        """Whether a program is the learner's own, of which nobody knows that it runs."""
        return self.path(name).parent.parent in self.learners

    def extra(self, program: str) -> str:
        """The workshop's extra that has the packages of a program of the course; empty where no extra is needed."""
        if self.is_learners(program):
            return ""
        return next((known.extra for _, known in _well_known(self.course) if known.program == program), "")

    def lacks(self, program: str) -> str:
        """The extra that a program needs and this machine has not got; mostly empty."""
        extra = self.extra(program)
        if not extra:
            return ""
        wanted = (self.path(program).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
        names = [line.partition("==")[0] for line in wanted if line and not line.startswith("#")]
        return "" if all(map(_installed, names)) else extra

    def unknown(self, image: str) -> tuple[str, str]:
        """Message and remedy for an image that no program stands for."""
        name = image_name(image) or "NAME"
        if any(mark in image for mark in _SOCK_SHOP):
            return (
                f"there is no image {image!r}: the workshop has no shop so far, and nothing plays Sock Shop's {name}",
                "For traffic without the shop's pages, let another program answer in its place: "
                f"Lab(images={{{image!r}: 'web'}})",
            )
        if name in _STORES:
            return (
                f"there is no image {image!r}: the workshop has no data store",
                "Leave it out, as no program of the workshop asks one; or let something take its connections: "
                f"Lab(images={{{image!r}: 'echo'}})",
            )
        return (
            f"there is no image {image!r}; the embedded mesh runs local programs",
            f"Known images: {', '.join(self.known()) or '(none)'}, and those of Istio's samples. "
            f"A program of your own: write FOLDER/{name}/{PROGRAM} and open the lab with {VARIABLE}=FOLDER in the "
            f"environment. A known one in its place: Lab(images={{{image!r}: 'web'}})",
        )


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


@cache
def _well_known(course: Path) -> tuple[tuple[str, Played], ...]:
    """The images of the course's table: a pattern of names, and who plays them."""
    table = course / PLAYED
    entries: list[dict[str, Any]] = tomllib.loads(table.read_text("utf-8"))["image"] if table.is_file() else []
    return tuple(
        (
            pattern,
            Played(
                entry["program"],
                tuple(entry["listens"]),
                entry.get("configured", False),
                entry.get("env", {}),
                tuple(entry.get("commands", ())),
                entry.get("extra", ""),
            ),
        )
        for entry in entries
        for pattern in entry["names"]
    )


def _names(folder: Path) -> list[str]:
    return sorted(program.parent.name for program in folder.glob(f"*/{PROGRAM}"))
