"""Reads lines of Istio's access log in its two default formats (``meshConfig.accessLogEncoding``: TEXT and JSON).

They lack what the embedded mesh writes besides: microseconds, and the number of a try. What of that can be inferred
from all the lines of a request is inferred.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from labsupport.engine.accesslog import Line, Owners, field_text
from labsupport.engine.cluster.api.connect import FIELD_MANAGER
from labsupport.records import AccessRecord, Direction, is_traced_id, untraced_id

__all__ = ["LoggedBy", "parse", "with_tries"]

# ``EnvoyTextLogFormat`` of Istio; what stands in quotes may hold spaces, and a route's name comes last.
_TEXT = re.compile(
    r'\[(?P<start_time>[^\]]+)\] "(?P<method>\S+) (?P<path>.*?) (?P<protocol>\S+)" (?P<response_code>\d+) '
    r"(?P<response_flags>\S+) (?P<response_code_details>\S+) (?P<connection_termination_details>.*?) "
    r'"(?P<failure>[^"]*)" (?P<bytes_received>\d+) (?P<bytes_sent>\d+) (?P<duration>\d+|-) (?P<service_time>\S+) '
    r'"(?P<forwarded>[^"]*)" "(?P<user_agent>.*?)" "(?P<request_id>[^"]*)" "(?P<authority>[^"]*)" '
    r'"(?P<upstream_host>[^"]*)" (?P<upstream_cluster>\S+) (?P<upstream_local>\S+) (?P<downstream_local_address>\S+) '
    r"(?P<downstream_remote>\S+) (?P<requested_server_name>\S+) (?P<route_name>.*)"
)
# A second of slack below a millisecond for each of two clocks that cut off.
_SLACK_S = 0.002
_SHADOW = re.compile(r"-shadow(?=:\d+\Z|\Z)")


@dataclass(frozen=True, slots=True)
class LoggedBy:
    """The proxy that wrote a line.

    Args:
        pod: its pod.
        ip: the pod's address.
        gateway: whether it is a gateway.
    """

    pod: str
    ip: str
    gateway: bool


def parse(text: str, proxy: LoggedBy, number_of: Callable[[str], int], owners: Owners) -> Line | None:
    """Read one line of a proxy's log.

    Args:
        text: the line.
        proxy: who wrote it.
        number_of: the number in ``owners`` of the pod that has an address; 0 for an unknown address.
        owners: pods by number.

    Returns:
        The line; None if it is none of Envoy's, or tells of nothing that anybody sent.
    """
    raw = _fields(text)
    if raw is None:
        return None
    try:
        time_s = datetime.fromisoformat(str(raw["start_time"])).timestamp()
        status, duration = int(raw["response_code"] or 0), str(raw["duration"] or 0)
    except (ValueError, KeyError, TypeError):
        return None
    method, cluster = field_text(raw.get("method")), field_text(raw.get("upstream_cluster"))
    # A connection that is not HTTP: its server name stands for the authority.
    bare = not method and not field_text(raw.get("protocol"))
    if raw.get("user_agent") == FIELD_MANAGER:
        # The kernel itself, telling a load client what to send; nothing of the traffic.
        return None
    upstream = number_of(_host(raw.get("upstream_host")))
    direction = _direction(proxy, cluster, _host(raw.get("downstream_local_address")))
    authority = field_text(raw.get("requested_server_name" if bare else "authority"))
    record = AccessRecord(
        request_id=untraced_id(field_text(raw.get("request_id"))),
        time_s=time_s,
        pod=proxy.pod,
        direction=direction,
        method=method,
        authority=_SHADOW.sub("", authority) if direction == "inbound" else authority,
        path=field_text(raw.get("path")),
        status=status,
        flags=field_text(raw.get("response_flags")),
        details=field_text(raw.get("connection_termination_details" if bare else "response_code_details")),
        route=field_text(raw.get("route_name")),
        cluster=cluster,
        upstream_pod=proxy.pod if direction == "inbound" and upstream else owners.get(upstream, ("", False))[0],
        duration_s=int(duration) / 1000 if duration.isdigit() else 0.0,
        # Istio before 1.27 marks what a mirror rule copied.
        mirrored=direction == "inbound" and bool(_SHADOW.search(authority)),
        protocol="TCP" if bare else field_text(raw.get("protocol")),
        sampled=is_traced_id(field_text(raw.get("request_id"))),
    )
    return Line(record, upstream, 0)


def _fields(text: str) -> Mapping[str, Any] | None:
    if text.startswith("{"):
        try:
            raw = json.loads(text)
        except ValueError:
            return None
        return raw if isinstance(raw, dict) and "response_code" in raw else None
    match = _TEXT.fullmatch(text.rstrip("\n"))
    return match.groupdict() if match is not None else None


def _host(address: Any) -> str:
    return field_text(address).rpartition(":")[0].strip("[]")


def _direction(proxy: LoggedBy, cluster: str, met: str) -> Direction:
    if proxy.gateway:
        return "gateway"
    if cluster.startswith("inbound|") or cluster == "InboundPassthroughCluster":
        return "inbound"
    # A request that no cluster was chosen for came in, if it was addressed to this very pod.
    return "inbound" if met == proxy.ip and not cluster else "outbound"


def with_tries(lines: Iterable[Line], owners: Owners) -> list[Line]:
    """The lines with the numbers of tries that they do not tell.

    A caller's line names the pod that answered its last try. Servers' lines of the same request that failed before
    that one, while the caller was waiting, are its earlier tries.
    """
    counted: list[Line] = []
    by_request: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        # Connections have no number, and are not tried again.
        if line.record.request_id:
            by_request[line.record.request_id].append(line)
        else:
            counted.append(line)
    for request in by_request.values():
        callers = [line for line in request if line.record.direction != "inbound"]
        arrivals = [line for line in request if line.record.direction == "inbound"]
        # Most requests have as many arrivals as calls that reached somebody: nothing was tried again.
        if len(arrivals) <= len([line for line in callers if owners.get(line.upstream, ("", False))[1]]):
            counted += request
        else:
            counted += _numbered(callers, arrivals, owners)
    return counted


def _numbered(callers: Sequence[Line], arrivals: Sequence[Line], owners: Owners) -> list[Line]:
    free = sorted((line for line in arrivals if not line.record.mirrored), key=lambda line: line.record.time_s)
    made = [line for line in arrivals if line.record.mirrored]
    for caller in sorted(callers, key=lambda line: line.record.time_s):
        pod = owners.get(caller.upstream, ("", False))[0]
        during = [line for line in free if _within(line.record, caller.record)]
        last = next((line for line in reversed(during) if line.record.pod == pod), None)
        if last is None:
            made.append(caller)
            continue
        # A rule that names a subset sends every try there.
        bound = bool(caller.record.cluster.split("|")[2:3] not in ([], [""]))
        earlier = [
            line
            for line in during
            if line is not last
            and line.record.time_s <= last.record.time_s
            and (line.record.status >= 400 or line.record.status == 0)
            and (not bound or _workload(line.record.pod) == _workload(pod))
        ]
        for number, line in enumerate([*earlier, last], start=1):
            free.remove(line)
            made.append(replace(line, record=replace(line.record, attempt=number)))
        made.append(replace(caller, tries=len(earlier) + 1))
    return [*made, *free]


def _within(arrival: AccessRecord, call: AccessRecord) -> bool:
    end_s = call.time_s + call.duration_s
    return call.time_s - _SLACK_S <= arrival.time_s <= end_s + _SLACK_S


def _workload(pod: str) -> str:
    return pod.rsplit("-", 2)[0]
