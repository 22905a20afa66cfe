"""What the picture of some traffic asks of its lab: the expected shares, and the weights of a rule to turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.errors import LabError
from labsupport.explain import Explanation
from labsupport.explain.ejectable import ejectable
from labsupport.explain.expected_shares import expected_shares, explanation_of
from labsupport.model.analysis.mirroring import mirroring
from labsupport.model.schema.base import Resource
from labsupport.records import AccessRecord, ApplyResult, Pod, Ref, TrafficSpec
from labsupport.traffic.weights import RuleName, Split, find_split, patch_for

__all__ = ["MeshState", "Steering"]

# Changes that are made past the lab, with kubectl for instance, are noticed after this many seconds.
_STALE_S = 15.0


@dataclass(frozen=True, slots=True)
class MeshState:
    """What there is in the mesh at one moment.

    Args:
        objects: all objects.
        pods: all pods.
        namespace: the lab's own.
    """

    objects: Sequence[Resource]
    pods: Sequence[Pod]
    namespace: str


class Steering:
    """Reads the rules that concern some traffic, and turns the weights of one; any thread may call.

    Args:
        spec: what is sent.
        look: everything that is in the mesh now.
        patch: changes an object by a JSON merge patch.
        changes: number of changes that the lab has made; another one means that everything is to be read again.
        when_closed: has a function called when the lab is about to close.
        lines: of the proxies' access logs, written from a time on; None where nobody reads them.
    """

    def __init__(
        self,
        spec: TrafficSpec,
        look: Callable[[], MeshState],
        patch: Callable[[Ref, Mapping[str, Any]], ApplyResult],
        changes: Callable[[], int],
        when_closed: Callable[[Callable[[], None]], None],
        lines: Callable[[float], Iterable[AccessRecord]] | None = None,
    ) -> None:
        self.when_closed = when_closed
        self._spec = spec
        self._look, self._patch, self._changes = look, patch, changes
        self._lines = lines
        self._lock = threading.RLock()
        self._seen: tuple[int, float, MeshState] | None = None
        self._explanations: dict[str, Explanation | None] = {}
        self._expected: dict[str, Mapping[str, float] | None] = {}
        self._ejectable: dict[str, Mapping[str, float]] = {}
        self._versions: dict[str, str] = {}

    def expected(self, service: str = "") -> Mapping[str, float] | None:
        """Expected share by version; see ``labsupport.explain.expected_shares``.

        Args:
            service: the versions of this service count; empty: of whoever answers.

        Returns:
            What the rules want; None where none says it, and the last answer when the lab is closed.
        """
        with self._lock:
            try:
                world = self._world()
            except LabError:
                return self._expected.get(service)
            if service not in self._expected:
                explanation = self._explanation(world, service)
                self._expected[service] = expected_shares(
                    explanation, world.objects, world.pods, self._spec, service=service, namespace=world.namespace
                )
            return self._expected[service]

    def copies(self, since_s: float) -> list[tuple[str, str]] | None:
        """Mirror copies that were logged, each as the request's id and the version that received it.

        Args:
            since_s: only copies that ended from this time on, in seconds since the epoch.

        Returns:
            None where no rule copies anything, or the lab is closed.
        """
        try:
            with self._lock:
                world = self._world()
            if self._lines is None or not mirroring(world.objects):
                return None
            # Without the lock: a log is read slowly, and a weight that is turned meanwhile must not wait for it.
            copies = [line for line in self._lines(since_s) if line.mirrored and line.direction == "inbound"]
        except LabError:
            return None
        # The lines of a pod stay when it has gone.
        self._versions |= {pod.name: pod.version for pod in world.pods}
        return [(line.request_id, self._versions.get(line.pod, "")) for line in copies]

    def ejectable(self, service: str = "") -> Mapping[str, float]:
        """Pods that outlier detection may take out; see ``labsupport.explain.ejectable``.

        Args:
            service: as for ``expected``.

        Returns:
            Pod to the share that it is to get, and the last answer when the lab is closed.
        """
        with self._lock:
            try:
                world = self._world()
            except LabError:
                return self._ejectable.get(service, {})
            if service not in self._ejectable:
                self._ejectable[service] = ejectable(self._explanation(world, service))
            return self._ejectable[service]

    def split(self, rule: RuleName) -> Split:
        """The weights of a rule; see ``labsupport.traffic.weights``.

        Args:
            rule: the name of the rule.

        Raises:
            NotFoundError: there is no such VirtualService.
            UsageError: it does not split.
        """
        with self._lock:
            world = self._world()
            return find_split(world.objects, rule, namespace=world.namespace)

    def turn(self, rule: RuleName, weights: Sequence[int]) -> ApplyResult:
        """Give a rule new weights.

        Args:
            rule: as for ``split``.
            weights: parts of 100 in the order of its destinations.

        Returns:
            What changed; it is in force.

        Raises:
            LabError: it was refused, or not in force in time; the message says why.
        """
        with self._lock:
            # What another person or cell has changed since must not be overwritten by the patch.
            world = self._world(fresh=True)
            split = find_split(world.objects, rule, namespace=world.namespace)
            named = (split.ref.kind, split.ref.name, split.ref.namespace or world.namespace)
            resource = next(
                listed
                for listed in world.objects
                if (listed.kind, listed.name, listed.namespace or world.namespace) == named
            )
            patch = patch_for(resource, split, weights)
        return self._patch(split.ref, patch)

    def _explanation(self, world: MeshState, service: str) -> Explanation | None:
        """Why the traffic goes where it goes: made once for all that is told of it."""
        if service not in self._explanations:
            self._explanations[service] = explanation_of(
                world.objects, world.pods, self._spec, service=service, namespace=world.namespace
            )
        return self._explanations[service]

    def _world(self, *, fresh: bool = False) -> MeshState:
        changes, now = self._changes(), time.monotonic()
        if fresh or self._seen is None or self._seen[0] != changes or now - self._seen[1] > _STALE_S:
            world = self._look()
            self._seen = (changes, now, world)
            self._explanations.clear()
            self._expected.clear()
            self._ejectable.clear()
        return self._seen[2]
