"""What a rule says that the other notation cannot, or says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Loss", "Losses", "NoCounterpartError"]


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that is lost, or not the same.

    Args:
        object: what it is about, as ``Kind/name``.
        path: field path in it.
        text: what happens to it, in sentences.
        file, line: where it was written; empty and 0 if that is not known.
    """

    object: str
    path: str
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else ""
        return f"{place}{self.object}: {self.path}: {self.text}"


class NoCounterpartError(Exception):
    """A part of a rule that cannot be left out without another meaning of the rest.

    Args:
        path: field path below the rule.
        text: why.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path
        self.text = text


@dataclass(slots=True)
class Losses:
    """Collects what is lost, by the path below a place.

    Args:
        at: the place, such as ``spec.http[0]``.
    """

    at: str = "spec"
    found: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, path: str, text: str) -> None:
        """Note that something differs, and is there all the same."""
        self.found.append((f"{self.at}.{path}" if path else self.at, text))

    @contextmanager
    def below(self, part: str) -> Iterator[None]:
        """Let paths begin at a part of the present place."""
        before, self.at = self.at, f"{self.at}.{part}"
        try:
            yield
        finally:
            self.at = before
