"""Resource versions and watches: what has changed between two looks at the mesh."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from labsupport.controlplane.desired import Key
from labsupport.engine.embedded.api.answers import Refused, not_found
from labsupport.engine.embedded.api.kinds import ApiKind, kind_of
from labsupport.engine.embedded.api.view import View
from labsupport.records import JsonObject

__all__ = ["Change", "Versions"]

# Pods get ready and end without telling anybody, so a watch looks; it is made anew no sooner than this.
LOOK_S = 0.1
_KEPT = 5000
_FIRST = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object.

    Args:
        version: its resource version.
        kind: ``ADDED``, ``MODIFIED`` or ``DELETED``.
        key: of the object.
        content: the object; of one that is gone, as it was last.
    """

    version: int
    kind: str
    key: Key
    content: JsonObject


class Versions:
    """Numbers every state of every object that was seen.

    Args:
        view: shows the mesh.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = asyncio.Lock()
        self._looked = 0.0
        self._known: dict[Key, tuple[JsonObject, JsonObject]] = {}
        self._changes: deque[Change] = deque(maxlen=_KEPT)
        self.version = _FIRST
        self._first = _FIRST

    async def look(self, *, at_most_s: float = 0.0) -> dict[Key, JsonObject]:
        """All objects of now, each with its resource version.

        Args:
            at_most_s: how old what was seen last may be.
        """
        async with self._lock:
            if time.monotonic() - self._looked > at_most_s:
                self._take(await self._view.contents())
                self._looked = time.monotonic()
            return {key: shown for key, (_, shown) in self._known.items()}

    async def one(self, entry: ApiKind, namespace: str, name: str) -> JsonObject:
        """An object of now.

        Args:
            entry: its kind.
            namespace: where it is; empty for a kind without one.
            name: its name.

        Raises:
            Refused: there is none.
        """
        content = (await self.look()).get((entry.kind, namespace, name))
        if content is None:
            raise not_found(entry, name)
        return content

    def _take(self, contents: dict[Key, JsonObject]) -> None:
        for key in [key for key in self._known if key not in contents]:
            _, shown = self._known.pop(key)
            self._note("DELETED", key, shown)
        for key, content in contents.items():
            known = self._known.get(key)
            if known is not None and known[0]["metadata"]["uid"] != content["metadata"]["uid"]:
                self._note("DELETED", key, known[1])
                known = None
            if known is None:
                self._known[key] = (content, self._note("ADDED", key, content, generation=1))
            elif known[0] is not content and known[0] != content:
                generation = known[1]["metadata"].get("generation", 1)
                generation += known[0].get("spec") != content.get("spec")
                self._known[key] = (content, self._note("MODIFIED", key, content, generation=generation))

    def _note(self, kind: str, key: Key, content: JsonObject, *, generation: int = 0) -> JsonObject:
        self.version += 1
        metadata = {**content["metadata"], "resourceVersion": str(self.version)}
        shown = {**content, "metadata": metadata}
        if generation and kind_of(key[0]).counted:
            metadata["generation"] = generation
            if key[0] in ("Deployment", "ReplicaSet"):
                shown["status"] = {"observedGeneration": generation, **content.get("status", {})}
        self._changes.append(Change(self.version, kind, key, shown))
        return shown

    async def watch(self, since: int, wanted: Callable[[Key], bool]) -> AsyncIterator[Change | None]:
        """Changes after a version, for as long as somebody asks; None where a look brought nothing.

        Args:
            since: the version that the watcher knows.
            wanted: which objects it asks for.

        Raises:
            Refused: the version is older than what is kept.
        """
        while True:
            await self.look(at_most_s=LOOK_S)
            oldest = self._changes[0].version if len(self._changes) == _KEPT else self._first
            if since < oldest - 1:
                raise Refused(410, f"too old resource version: {since} ({oldest})")
            now = self.version
            for change in [change for change in self._changes if change.version > since]:
                if wanted(change.key):
                    yield change
            since = now
            yield None
            await asyncio.sleep(LOOK_S)
