"""The Canaries that a lab keeps: no proxy knows them; ``release`` plays them as Flagger does on a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from labsupport.engine.patching import patched
from labsupport.errors import NotFoundError
from labsupport.model.kinds.canary import Canary
from labsupport.model.schema.base import Resource
from labsupport.records import ApplyResult, ObjectChange, Ref
from labsupport.words import place

__all__ = ["Canaries"]


class Canaries:
    """By name; they have no namespace but that of the lab."""

    def __init__(self) -> None:
        self._kept: dict[str, Canary] = {}

    def keep(self, resources: Iterable[Resource]) -> tuple[ObjectChange, ...]:
        """Keep the Canaries among some objects, and say what that changed.

        Args:
            resources: objects of any kind.
        """
        changes = []
        for canary in resources:
            if not isinstance(canary, Canary):
                continue
            before = self._kept.get(canary.name)
            self._kept[canary.name] = canary
            source = place(canary.origin.file, canary.origin.line)
            ref = Ref(canary.kind, canary.name)
            if before is None:
                changes.append(ObjectChange(ref, "created", source=source))
            else:
                changes.append(ObjectChange(ref, "unchanged" if before.raw == canary.raw else "changed", source=source))
        return tuple(changes)

    def patch(self, ref: Ref, patch: Mapping[str, Any], *, timeout_s: float) -> ApplyResult:
        """Change one by a JSON merge patch, as an engine changes its objects.

        Args:
            ref: which one.
            patch: the fields to change.
            timeout_s: how long to wait; nothing has to be waited for.

        Raises:
            ManifestError: the result is not valid, or another object.
            NotFoundError: there is no such one.
        """
        (canary,) = self.get(ref.name)
        return ApplyResult(self.keep(patched(canary, patch, namespace="")), started_s=time.time())

    def named(self, refs: Iterable[Ref], *, missing_ok: bool) -> tuple[Ref, ...]:
        """The Canaries among some references.

        Args:
            refs: references to objects of any kind.
            missing_ok: leave out those that there are not.

        Raises:
            NotFoundError: there is no such one.
        """
        named = [ref for ref in refs if ref.kind == "Canary" and not (missing_ok and ref.name not in self._kept)]
        return tuple(Ref("Canary", self.get(ref.name)[0].name) for ref in named)

    def remove(self, refs: Iterable[Ref]) -> tuple[ObjectChange, ...]:
        """Forget some.

        Args:
            refs: references as ``named`` returns them.
        """
        return tuple(ObjectChange(ref, "deleted") for ref in refs if self._kept.pop(ref.name, None) is not None)

    def get(self, name: str | None = None) -> tuple[Canary, ...]:
        """All, or the one of a name.

        Raises:
            NotFoundError: there is none of that name.
        """
        if name is None:
            return tuple(self._kept.values())
        if name not in self._kept:
            names = ", ".join(self._kept) or "none"
            raise NotFoundError(f"There is no Canary/{name}. Objects of this kind: {names}.")
        return (self._kept[name],)

    def forget(self) -> None:
        """Keep none."""
        self._kept.clear()
