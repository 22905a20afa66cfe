"""What a query answers, as a record that a notebook shows as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from labsupport import words
from labsupport.arguments import checked
from labsupport.errors import NotFoundError
from labsupport.metrics.operators import Element
from labsupport.metrics.series import NAME, Labels, braced

__all__ = ["Answer", "number"]


def number(value: float) -> str:
    """A value as Prometheus writes it, with six digits at most behind the point.

    Args:
        value: any value.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{round(value, 6):.15g}" if abs(value) >= 1e-4 or not value else f"{value:.6g}"


@checked
@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query at one moment.

    Args:
        query: what was asked.
        elements: of the instant vector; of a number, one without labels.
        scalar: whether it is a number and no vector.
        source: who answered.
        note: what else is worth knowing.
    """

    query: str
    elements: tuple[Element, ...]
    scalar: bool = False
    source: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[Element]:
        return iter(self.elements)

    @property
    def value(self) -> float:
        """The only value that there is.

        Raises:
            NotFoundError: there is none, or several.
        """
        if len(self.elements) != 1:
            found = words.plural(len(self.elements), "element")
            raise NotFoundError(f"The answer to {self.query.strip()} has {found}, and so no single value.")
        return self.elements[0].value

    def by(self, label: str) -> dict[str, float]:
        """Values by one label.

        Args:
            label: its name.

        Raises:
            NotFoundError: two elements have the same value of this label.
        """
        found: dict[str, float] = {}
        for element in self.elements:
            name = dict(element.labels).get(label, "")
            if name in found:
                raise NotFoundError(f"Several elements have {label}={name!r}. Sum them: sum by ({label}) (...).")
            found[name] = element.value
        return found

    @property
    def common(self) -> Labels:
        """The labels that all elements have, with the same value."""
        shared = set(self.elements[0].labels) if self.elements else set()
        return tuple(sorted(shared.intersection(*(element.labels for element in self.elements))))

    def columns(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Heads and rows of a table: a column for each label that tells elements apart, and the values."""
        common = set(self.common) if len(self.elements) > 1 else set()
        names = sorted({pair[0] for element in self.elements for pair in element.labels if pair not in common})
        rows = []
        for element in self.elements:
            pairs = dict(element.labels)
            rows.append((*(pairs.get(name, "") for name in names), number(element.value)))
        return (*("metric" if name == NAME else name for name in names), "value"), tuple(rows)

    @words.shown
    def __repr__(self) -> str:
        if not self.elements:
            lines = ["no element: no series fits, or none with samples at that time"]
        else:
            heads = [braced(element.labels) for element in self.elements]
            wide = max(map(len, heads))
            lines = [
                f"{head:<{wide}}  {number(element.value)}" for head, element in zip(heads, self.elements, strict=True)
            ]
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])
