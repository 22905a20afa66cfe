"""What a seed stands for: the same incident on every machine."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from string import Template

from labsupport.course.incidents.kinds import Kind, every, normal

__all__ = ["Drawn", "Fault", "draw"]

_READERS = ("amira", "elif", "jonas", "mei", "nadia", "ravi", "sofia", "tomasz")
_STARS, _VERSIONS = ("v2", "v3"), ("v1", "v2", "v3")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with all that was drawn for it.

    Args:
        kind: what sort of fault.
        values: name to what stands for it in manifests and texts.
    """

    kind: Kind
    values: Mapping[str, str]

    def text(self, template: str) -> str:
        """A manifest or a sentence with what was drawn.

        Args:
            template: as it is written.
        """
        return Template(template).substitute(self.values)

    def manifests(self, part: str) -> dict[str, str]:
        """The manifests of a part by name, in order.

        Args:
            part: ``broken``, ``repair`` or ``short-cuts``.
        """
        return {name: self.text(template) for name, template in self.kind.templates(part).items()}

    def as_normal(self) -> list[str]:
        """The manifests of the normal state for what the fault touches."""
        state = normal()
        return [self.text(state[ref]) for ref in self.kind.touches if ref in state]

    def too_much(self) -> list[str]:
        """What the fault added to the normal state, as ``Kind/name``."""
        state = normal()
        return [ref for ref in self.kind.touches if ref not in state]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a seed stands for.

    Args:
        seed: the number.
        values: name to what was drawn of the normal state.
        faults: none, one, or several that touch different objects.
    """

    seed: int
    values: Mapping[str, str]
    faults: tuple[Fault, ...]

    def state(self) -> list[str]:
        """The manifests of the normal state that are drawn."""
        return [Template(text).substitute(self.values) for text in normal().values() if "$" in text]


def draw(seed: int, faults: int) -> Drawn:
    """Draw an incident; nothing but these numbers decides, and of the normal state the seed alone.

    Args:
        seed: any number.
        faults: how many things are wrong, from 0 to 2.
    """
    lot = random.Random(f"incident {seed}")
    usual = lot.choice(_STARS)
    special = lot.choice([version for version in _VERSIONS if version != usual])
    mirror = next(version for version in _STARS if version != usual)
    values = {"USER": lot.choice(_READERS), "USUAL": usual, "SPECIAL": special, "MIRROR": mirror}
    apart = [chosen for chosen in combinations(every().values(), faults) if _apart(chosen)]
    return Drawn(seed, values, tuple(_fault(kind, values, lot) for kind in lot.choice(apart)))


def _apart(kinds: tuple[Kind, ...]) -> bool:
    """Whether no object is touched twice, so that each can be repaired by itself."""
    touched = [ref for kind in kinds for ref in kind.touches]
    return len(touched) == len({*touched})


def _fault(kind: Kind, values: Mapping[str, str], lot: random.Random) -> Fault:
    drawn = {name: Template(lot.choice(choices)).substitute(values) for name, choices in kind.draw.items()}
    return Fault(kind, {**values, **drawn})
