"""Results of pure functions, kept while their inputs are the very same objects.

Model objects, pods and what is derived from them never change, so that identity stands for equality. The results of
one apply are thereby found again in the next, and what a change does not concern is not made again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

__all__ = ["MEMO", "Memo"]

T = TypeVar("T")

_VARIANTS = 32


class Memo:
    """A bounded store of results.

    Args:
        limit: how many are kept; the least recently used go first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._results: OrderedDict[Hashable, tuple[tuple[object, ...], object]] = OrderedDict()
        self._known: dict[Hashable, list[object]] = {}
        self.made = 0

    def get(self, kind: str, inputs: tuple[object, ...], values: Hashable, make: Callable[[], T]) -> T:
        """Return the result for these inputs, made now if it is not known.

        Args:
            kind: names the function.
            inputs: objects that count by identity; they are kept alive with the result.
            values: inputs that count by value.
            make: makes the result; it must not be changed by anyone.

        Returns:
            The result.
        """
        key = (kind, tuple(map(id, inputs)), values)
        known = self._results.get(key)
        if known is not None:
            self._results.move_to_end(key)
            return cast("T", known[1])
        result = make()
        self.made += 1
        self._results[key] = (inputs, result)
        if len(self._results) > self._limit:
            self._results.popitem(last=False)
        return result

    def intern(self, key: Hashable, value: T) -> T:
        """Return the equal object that was seen before under a key, so that equal results are one object."""
        variants = self._known.setdefault(key, [])
        for position, known in enumerate(variants):
            if known == value:
                if position:
                    variants.insert(0, variants.pop(position))
                return known
        variants.insert(0, value)
        del variants[_VARIANTS:]
        if len(self._known) > self._limit:
            self._known.pop(next(iter(self._known)))
        return value


MEMO = Memo(limit=16_384)
"""The store of this process."""
