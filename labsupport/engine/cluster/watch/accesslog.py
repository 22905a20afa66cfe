"""The access logs of a namespace's proxies, read from the logs of their containers as they grow.

Envoy writes a line when a request is over, and in Istio flushes its log once a second; the kubelet keeps what a
container prints until its file is full. So a reader asks each pod for what is new, and remembers what it has read. What
nobody has read when the kubelet begins a new file (at 10 MiB as a rule, some 18,000 requests of one proxy) is lost, as
it is for ``kubectl logs``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from labsupport.engine.accesslog import KEPT, Line, ProxyLog, unwritten, with_mirrors
from labsupport.engine.additions import PROXY
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.watch.entrances import PROBE
from labsupport.engine.cluster.watch.logformat import LoggedBy, parse, with_tries
from labsupport.engine.cluster.watch.pods import has_proxy, is_gateway
from labsupport.records import AccessRecord, untraced_id

__all__ = ["ClusterAccessLog"]

# pilot-agent starts Envoy with --file-flush-interval-msec 1000.
_FLUSH_S = 1.2
# A request without any line after two flushes passed no proxy.
_APPEARS_S = 2.5
_POLL_S = 0.15
_PODS_S = 2.0
# Times in Istio's log are cut off to milliseconds, beginning and duration alike.
_COARSE_S = 0.002
_AT_ONCE = 8
# Clocks of nodes may differ a little from this machine's.
_SKEW_S = 2.0


@dataclass
class _Log(ProxyLog):
    """One proxy's log at the API server, and how far it was read.

    Args:
        proxy: who writes it.
        stamp: the kubelet's time of the last line that was read.
        equal: how many lines with this time were read.
    """

    proxy: LoggedBy
    stamp: str = ""
    equal: int = 0

    def unread(self, text: str) -> Iterator[str]:
        """Lines that were not read yet, of a piece of the log that begins at the second of the last line or before."""
        skip = self.equal
        for line in text.splitlines():
            stamp, _, rest = line.partition(" ")
            # Words of the kubelet itself, such as "unable to retrieve container logs", come without a time.
            if not stamp[:1].isdigit() or stamp < self.stamp:
                continue
            if stamp == self.stamp:
                if skip > 0:
                    skip -= 1
                    continue
                self.equal += 1
            else:
                self.stamp, self.equal, skip = stamp, 1, 0
            yield rest


class ClusterAccessLog:
    """Reads the access logs of one namespace; any thread may.

    Args:
        connection: the cluster.
        namespace: where the pods are.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._lock = threading.Lock()
        self._since_s = time.time() - _SKEW_S
        self._logs: dict[str, _Log] = {}
        self._living: list[str] = []
        self._looked = 0.0
        # Pods that are gone are still named by lines, and addresses are given again: a pod's number is its own.
        self._numbers: dict[str, int] = {}
        self._by_ip: dict[str, int] = {}
        self._owners: dict[int, tuple[str, bool]] = {}
        self._asked: dict[str, float] = {}

    def forget(self) -> None:
        """Forget everything read, and leave out what was written before, after a reset."""
        with self._lock:
            self._since_s = time.time()
            self._asked.clear()
            for log in self._logs.values():
                log.lines, log.by_request = [], {}

    def records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        """Access records in order of time; see ``Engine.access_records``."""
        wanted = None if request_ids is None else set(map(untraced_id, request_ids))
        began = time.monotonic()
        while True:
            with self._lock:
                self._advance()
                lines = with_tries(self._select(wanted, since_s), self._owners)
                owners = dict(self._owners)
                settled = wanted is None or self._settled(wanted)
            if wanted is None:
                break
            absent, lacking = unwritten(lines, wanted, owners)
            waited = time.monotonic() - began
            # Copies and failed tries are in nobody's account; they come with the next flush.
            if (not lacking and not absent and settled) or waited > timeout_s:
                break
            if not lacking and settled and waited > min(_APPEARS_S, timeout_s):
                break
            time.sleep(_POLL_S)
        return with_mirrors(lines, owners)

    def has_authority(self, authority: str, pods: Sequence[str], *, timeout_s: float = 3.0) -> bool:
        """Whether a request for an authority was logged by one of some pods just now."""
        deadline = time.monotonic() + timeout_s
        while True:
            for pod in pods:
                if f'"{authority}"' in self._text(pod, {"tailLines": "200"}):
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)

    # --- reading -----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Read what is new in every log; the lock is held."""
        if time.monotonic() - self._looked > _PODS_S:
            self._look()
        if not self._living:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(self._living)), thread_name_prefix="accesslog") as pool:
            texts = dict(zip(self._living, pool.map(self._new_text, self._living), strict=True))
        new = [(self._logs[name], list(self._logs[name].unread(text))) for name, text in texts.items()]
        parsed = [(log, self._parsed(log, unread)) for log, unread in new]
        strangers = any(not line.upstream and "|" in line.record.cluster for _, lines in parsed for line in lines)
        if strangers and time.monotonic() - self._looked > _POLL_S:
            # An upstream that is not known belongs to a pod that has come since, or to nobody.
            self._look()
            parsed = [(log, self._parsed(log, unread)) for log, unread in new]
        for log, lines in parsed:
            log.add(lines)

    def _parsed(self, log: _Log, texts: Iterable[str]) -> list[Line]:
        lines = (parse(text, log.proxy, lambda ip: self._by_ip.get(ip, 0), self._owners) for text in texts)
        return [line for line in lines if line is not None and self._counts(line.record)]

    def _counts(self, record: AccessRecord) -> bool:
        return record.time_s + record.duration_s >= self._since_s and not record.authority.startswith(PROBE)

    def _look(self) -> None:
        items = self._connection.get(f"/api/v1/namespaces/{self._namespace}/pods")["items"]
        self._living = []
        for pod in items:
            name, ip = pod["metadata"]["name"], (pod.get("status") or {}).get("podIP")
            if not ip:
                continue
            number = self._numbers.setdefault(name, len(self._numbers) + 1)
            if not pod["metadata"].get("deletionTimestamp"):
                self._by_ip[ip] = number
            else:
                self._by_ip.setdefault(ip, number)
            self._owners[number] = (name, has_proxy(pod) and not is_gateway(pod))
            if has_proxy(pod):
                self._living.append(name)
                self._logs.setdefault(name, _Log(LoggedBy(name, ip, is_gateway(pod))))
        self._looked = time.monotonic()

    def _new_text(self, pod: str) -> str:
        log = self._logs[pod]
        # The API knows whole seconds; what is read twice is left out by the kubelet's times.
        since = datetime.fromisoformat(log.stamp).timestamp() if log.stamp else self._since_s
        return self._text(pod, {"sinceTime": _rfc3339(since)})

    def _text(self, pod: str, query: Mapping[str, str]) -> str:
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        try:
            asked = {"container": PROXY, "timestamps": "true", **query}
            return self._connection.request("GET", path, query=asked).text
        except ApiError as error:
            # A pod that is gone, or whose Envoy has not started yet, has no log.
            if error.missing or error.status == 400:
                return ""
            raise

    def _select(self, wanted: set[str] | None, since_s: float | None) -> list[Line]:
        if wanted is None:
            lines: Iterable[Line] = (line for log in self._logs.values() for line in log.lines)
        else:
            lines = (line for log in self._logs.values() for line in log.of(wanted))
        return [
            line
            for line in lines
            if since_s is None or line.record.time_s + line.record.duration_s >= since_s - _COARSE_S
        ]  # fmt: skip

    def _settled(self, wanted: Iterable[str]) -> bool:
        """Whether a flush of every log has passed since each request was first asked for."""
        now = time.monotonic()
        for request in wanted:
            self._asked.setdefault(request, now)
        oldest = max((self._asked[request] for request in wanted), default=0.0)
        while len(self._asked) > KEPT:
            del self._asked[next(iter(self._asked))]
        return now - oldest >= _FLUSH_S


def _rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
