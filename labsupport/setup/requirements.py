"""Whether the packages that pyproject.toml asks for are installed, in versions that it allows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import NotFoundError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["declared", "unsatisfied"]


def declared(project: Mapping[str, Any], extras: Iterable[str] = ()) -> list[Requirement]:
    """The requirements that apply on this machine.

    Args:
        project: the table ``project`` of pyproject.toml.
        extras: optional groups to add; a group may include others of the same project.
    """
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in project["dependencies"]]
    groups, seen = list(extras), set()
    while groups:
        group = groups.pop()
        if group in seen:
            continue
        seen.add(group)
        for text in project["optional-dependencies"][group]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                groups += requirement.extras
            else:
                wanted.append(requirement)
    return [requirement for requirement in wanted if requirement.marker is None or requirement.marker.evaluate()]


def unsatisfied(root: Path, *, extras: Sequence[str] = ()) -> list[Requirement]:
    """What is missing, or installed in another version than pyproject.toml allows.

    Args:
        root: the repository, whose pyproject.toml may be newer than the installation.
        extras: optional groups to look at too.

    Raises:
        NotFoundError: there is no pyproject.toml.
    """
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except FileNotFoundError:
        raise NotFoundError(f"there is no pyproject.toml in {root}. Is the clone complete? Try: git status") from None
    return [requirement for requirement in declared(project, extras) if not _satisfied(requirement)]


def _satisfied(requirement: Requirement) -> bool:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
