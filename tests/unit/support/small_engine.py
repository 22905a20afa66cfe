"""A small engine in memory: enough of the protocol to try the lab without a mesh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

from labsupport.errors import NotFoundError
from labsupport.model.schema.base import Resource
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    EnvoyConfig,
    Hop,
    Leftovers,
    ObjectChange,
    Pod,
    ProxyChange,
    Ref,
    Response,
    RuleStatus,
    Sample,
    Span,
    TrafficSpec,
)


class SmallSending:
    def __init__(self, spec: TrafficSpec) -> None:
        self.spec, self.rate, self._stopped = spec, spec.rate, threading.Event()

    def __iter__(self) -> Iterator[Response]:
        index = 0
        while self.spec.count is None or index < self.spec.count:
            if self.spec.rate is not None and self._stopped.wait(1 / self.spec.rate):
                return
            hop = Hop("web", "safe" if index % 3 else "risk", f"web-{index % 3}")
            yield Response(index, time.time(), 0.001, "ok", 200, f"id-{index}", (hop,))
            index += 1

    def set_rate(self, rate: float) -> None:
        self.rate = rate

    def taken(self) -> Set[int]:
        return frozenset()

    def release(self) -> None:
        pass

    def stop(self) -> None:
        self._stopped.set()


class SmallEngine:
    name = "small"
    namespace = "default"
    captures_all_traffic = True
    counts_tries = True
    default_export_to: Sequence[str] = ()

    def __init__(self, *, pods: Sequence[Pod] = ()) -> None:
        self.objects: dict[tuple[str, str], Resource] = {}
        self.closed = 0
        self.specs: list[TrafficSpec] = []
        self.patches: list[tuple[Ref, Mapping[str, Any]]] = []
        self.refusal: Exception | None = None
        self.configs: dict[str, EnvoyConfig] = {}
        self.busy = 0
        self.most_busy = 0
        self._pods = list(pods)

    def _result(self, changes: Iterable[ObjectChange]) -> ApplyResult:
        return ApplyResult(tuple(changes), (ProxyChange("client-1", 0.004, ("RDS",)),), 0.004, time.time())

    def apply(self, objects: Sequence[Resource], *, timeout_s: float = 60.0) -> ApplyResult:
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        time.sleep(0)
        try:
            if self.refusal is not None:
                raise self.refusal
            changes = []
            for resource in objects:
                key = (resource.kind, resource.name)
                before = self.objects.get(key)
                same = before is not None and before.raw == resource.raw
                action: Literal["created", "changed", "unchanged"] = (
                    "created" if before is None else "unchanged" if same else "changed"
                )
                self.objects[key] = resource
                changes.append(ObjectChange(Ref(*key, self.namespace), action, source=resource.origin.file))
            return self._result(changes)
        finally:
            self.busy -= 1

    def delete(self, refs: Iterable[Ref], *, timeout_s: float = 60.0) -> ApplyResult:
        listed = list(refs)
        for ref in listed:
            if (ref.kind, ref.name) not in self.objects:
                raise NotFoundError(f"there is no {ref}")
        for ref in listed:
            del self.objects[ref.kind, ref.name]
        return self._result(ObjectChange(ref, "deleted") for ref in listed)

    def patch(self, ref: Ref, patch: Mapping[str, Any], *, timeout_s: float = 60.0) -> ApplyResult:
        self.patches.append((ref, patch))
        return self._result([ObjectChange(ref, "changed")])

    def scale(self, ref: Ref, replicas: int, *, timeout_s: float = 60.0) -> ApplyResult:
        return self.patch(ref, {"spec": {"replicas": replicas}}, timeout_s=timeout_s)

    def get(self, kind: str, name: str | None = None, *, namespace: str = "") -> list[Resource]:
        return [
            resource
            for (known, own), resource in self.objects.items()
            if kind in (known, "*")
            and name in (None, own)
            and (namespace == "*" or (resource.namespace or self.namespace) == (namespace or self.namespace))
        ]

    def built_in(self) -> list[Resource]:
        return []

    def dashboards(self) -> tuple[str, ...]:
        return ()

    def start_prometheus(self, url: Callable[[], str], every_s: float) -> bool:
        return False

    def prometheus(self, query: str, *, since_s: float = 0.0) -> None:
        return None

    def pods(self) -> list[Pod]:
        return list(self._pods)

    def rules(self) -> list[RuleStatus]:
        return [
            RuleStatus(Ref(*key), time.time(), 0.004, ("client-1",)) for key in self.objects if key[0] != "Deployment"
        ]

    def send(self, spec: TrafficSpec) -> SmallSending:
        self.specs.append(spec)
        return SmallSending(spec)

    def access_records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        return [
            AccessRecord(name, 1.0, "client-1", "outbound", "GET", "web:8080", "/name", 200)
            for name in request_ids or ()
        ]

    def spans(self, *, request_ids: Iterable[str], timeout_s: float = 5.0) -> list[Span]:
        return [
            Span(
                "t1",
                "s1",
                "",
                "web.default.svc.cluster.local:8080/*",
                "client",
                "client-1",
                "client.default",
                1.0,
                0.1,
                name,
            )
            for name in request_ids
        ]

    def spans_elsewhere(self) -> str:
        return ""

    def proxy_config(self, pod: str) -> EnvoyConfig:
        return self.configs[pod]

    def metrics(self) -> list[Sample]:
        return []

    def logs(self, pod: str, *, container: Literal["app", "proxy"] = "app", lines: int = 200) -> str:
        return f"{container} of {pod}\nready"

    def urls(self) -> Mapping[str, str]:
        return {"gateway": "http://127.0.0.1:1234"}

    def kubeconfig(self) -> Path:
        return Path("/nowhere/kubeconfig")

    def when_changed(self, hear: Callable[[str, ApplyResult, Sequence[Resource]], None]) -> None:
        self.hear = hear

    def reset(self) -> Leftovers:
        removed = tuple(Ref(*key) for key in self.objects)
        self.objects.clear()
        return Leftovers(removed)

    def close(self) -> Leftovers:
        self.closed += 1
        return self.reset()
