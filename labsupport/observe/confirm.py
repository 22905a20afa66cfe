"""Hold an explanation against what happens: the request is sent once, and the access log says where it went."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labsupport import words
from labsupport.engine.protocol import Engine
from labsupport.errors import NotFoundError
from labsupport.explain import Explanation, explain
from labsupport.explain.outcomes import nobody_listens
from labsupport.observe.policed import broken, policed
from labsupport.observe.tables import AccessLog
from labsupport.records import AccessRecord, Pod, Response, TrafficSpec
from labsupport.traffic.sending import send
from labsupport.urls import parse_url

__all__ = ["Explained", "compare", "explained"]

# Of Envoy's response code details, with the text or the number of the operating system (Linux, macOS).
_REFUSED = re.compile(r"delayed_connect_error:_?(Connection_refused|111|61)\b")

# How a server that speaks TLS 1.x ends a connection of somebody who does not: the beginning of a record of kind alert.
_ALERT = "\x15\x03"


@dataclass(frozen=True, slots=True, repr=False)
class Explained:
    """Why a request goes where it goes, and whether it did.

    Args:
        explanation: from the manifests alone.
        response: what the client saw of the same request; None if it was not sent.
        access_log: what the proxies wrote about it.
        agrees: whether it went as explained; None if it was not sent, or if what happened does not tell.
        findings: how it went, or why it was not sent, one sentence each.
    """

    explanation: Explanation
    response: Response | None = None
    access_log: AccessLog = AccessLog()  # noqa: RUF009 - an empty tuple cannot be shared by mistake
    agrees: bool | None = None
    findings: tuple[str, ...] = ()

    @words.shown
    def __repr__(self) -> str:
        return "\n".join([repr(self.explanation), *self.findings])


def explained(engine: Engine, spec: TrafficSpec, *, certificate: bool = False, confirm: bool = True) -> Explained:
    """Say why a request goes where it goes, and send it once to see whether it does.

    Args:
        engine: the mesh.
        spec: the request.
        certificate: whether its client shows a certificate.
        confirm: send it, where the source can send.

    Raises:
        NotFoundError: there is no such source.
    """
    pods, source = engine.pods(), spec.source
    caller = next((pod for pod in pods if source in (pod.name, pod.workload)), None)
    if caller is None and source != "outside":
        known = ", ".join(dict.fromkeys(pod.workload or pod.name for pod in pods)) or "none"
        raise NotFoundError(f"There is no Deployment or pod {source!r}. Write 'outside' or one of: {known}.")
    why = explain(
        [*engine.built_in(), *engine.get("*", namespace="*")],
        pods,
        url=spec.url,
        headers=spec.headers,
        method=spec.method,
        source=caller if caller is not None else "outside",
        namespace=engine.namespace,
        captured=engine.captures_all_traffic,
        default_export_to=engine.default_export_to,
        certificate=certificate,
    )
    if not confirm:
        return Explained(why)
    if caller is not None and caller.image.split("/")[-1].split(":")[0] != "client":
        note = f"Not sent: {source} runs no load client. Send a request that makes it call, and see lab.access_log()."
        return Explained(why, findings=(note,))
    (response,) = send(engine, spec)
    seen = compare(why, response, engine.access_records(request_ids=[response.request_id]))
    restless = _restless(pods, engine.pods()) if seen.agrees is False else ""
    # Explained was what there was before the request.
    return replace(seen, agrees=None, findings=(restless,)) if restless else seen


def _restless(before: Sequence[Pod], after: Sequence[Pod]) -> str:
    """Which pods have ended, come or become ready between an explanation and what it is held against."""
    states = [{pod.name: (pod.ready, pod.restarts) for pod in pods} for pods in (before, after)]
    changed = [name for name in {**states[0], **states[1]} if states[0].get(name) != states[1].get(name)]
    if not changed:
        return ""
    return f"Sent once to confirm, which does not tell: meanwhile {words.join(changed)} ended, came or became ready."


def compare(explanation: Explanation, response: Response, log: Sequence[AccessRecord]) -> Explained:
    """Compare an explanation with one request.

    Args:
        explanation: what was to be expected.
        response: the same request as its client saw it.
        log: all access-log lines of the request.
    """
    own = [
        record
        for record in log
        if record.pod == explanation.proxy and record.direction in ("outbound", "gateway") and not record.mirrored
    ]
    # The same proxy may have sent more requests with this id later on: the first line is about the one in question.
    agrees, seen = _by_proxy(explanation, own[0]) if own else _by_client(explanation, response)
    doubt, met = _nobody_listened(explanation, log)
    if met:
        agrees, seen = doubt, met
    told = {outcome.location for outcome in explanation.outcomes if outcome.kind == "redirect"}
    location = response.headers.get("location", "")
    if agrees and location and told and 300 <= response.status < 400:
        agrees, seen = location in told, f"{seen}, Location {location}"
    took = words.duration(response.duration_s)
    verdict = {
        True: "as explained",
        False: "NOT as explained; a rule may have changed meanwhile, or this is a fault of ours",
        None: "that does not tell whether the explanation holds",
    }[agrees]
    return Explained(
        explanation, response, AccessLog(log), agrees, (f"Sent once to confirm ({took}): {seen}: {verdict}.",)
    )


def _by_connection(explanation: Explanation, response: Response) -> tuple[bool | None, str]:
    """Of a connection no proxy writes a line with the request's id; only the client tells how it went."""
    could = {pod for outcome in explanation.outcomes for pod in outcome.pods}
    if response.body.startswith("HTTP/1.1 400"):
        # A server that is reached says so, too, of what is no request to it.
        refused = any(outcome.status == 400 for outcome in explanation.outcomes)
        reached = could or any(destination.refusing for destination in explanation.destinations)
        return refused or (None if reached else False), "what answered speaks HTTP, and said 400"
    alerted = response.body.startswith(_ALERT)
    if response.outcome == "connection" or alerted:
        # A server that does not speak what the client does closes it, too.
        closed = ("no_cluster", "no_endpoints", "refused", "connection", "unknown_destination")
        closes = any(outcome.kind in closed for outcome in explanation.outcomes)
        answer = "with an alert of TLS" if alerted else "without an answer"
        return (True if closes else None), f"the connection was closed {answer}"
    pods = [hop.pod for hop in response.path[:1] if hop.pod]
    if pods:
        return pods[0] in could, f"{pods[0]} answered"
    who = f"version {response.path[0].version}" if response.path else "the other end"
    return bool(could), f"{who} answered"


def _by_proxy(explanation: Explanation, record: AccessRecord) -> tuple[bool | None, str]:
    if record.cluster == "PassthroughCluster":
        passed = any(outcome.kind == "unknown_destination" for outcome in explanation.outcomes)
        return passed, f"{record.pod} passed it on to the address that the caller looked up, status {record.status}"
    flags = f" {record.flags}" if record.flags else ""
    if reason := policed(explanation, record):
        return True, f"{record.pod} answered {record.status}{flags} itself, because {reason}"
    if reason := _refused(explanation, record):
        return True, f"{record.pod} wrote {record.status}{flags}: {reason}"
    if broken(record):
        to = f" to {record.upstream_pod}" if record.upstream_pod else ""
        return None, f"{record.pod} wrote {record.status}{flags}: the connection{to} broke"
    if record.upstream_pod and record.cluster:
        seen = f"{record.pod} sent it to {record.upstream_pod} through cluster {record.cluster}, status {record.status}"
        agrees = any(
            destination.cluster == record.cluster
            and record.upstream_pod in destination.pods
            and record.upstream_pod not in destination.refusing
            for destination in explanation.destinations
        )
        return agrees, seen
    seen = f"{record.pod} answered {record.status}{flags} itself"
    return any(_same(outcome.status, outcome.flags, record) for outcome in explanation.outcomes), seen


def _nobody_listened(explanation: Explanation, log: Sequence[AccessRecord]) -> tuple[bool | None, str]:
    """Where nobody listens that nobody knew of, as a proxy was told by the machine that it called.

    On a cluster nothing but this says where a program listens: ``containerPort`` is a note of who wrote it.
    """
    for destination in explanation.destinations:
        for record in log:
            # The pod's own proxy knows its port, that of the caller the pod.
            inbound = record.direction == "inbound"
            pod = record.pod if inbound else record.upstream_pod if record.cluster == destination.cluster else ""
            known = pod not in destination.pods or pod in destination.refusing
            if known or not _REFUSED.search(record.details):
                continue
            port = record.cluster.split("|")[1] if inbound else destination.doubtful.get(pod, "")
            place = f"port {port}" if port else f"the port behind port {destination.port}"
            seen = f"{record.pod} wrote {record.status} {record.flags}: nobody listens on {place} of {pod}"
            return (True, seen) if pod in destination.doubtful else (None, f"{seen}, which no manifest tells")
    return None, ""


def _refused(explanation: Explanation, record: AccessRecord) -> str:
    """Where nobody listens, if this is what a request met: its proxy says so, or that of the pod has answered."""
    refused = "UF" in record.flags.split(",")
    for destination in explanation.destinations:
        met = destination.cluster == record.cluster and (refused or record.upstream_pod in destination.refusing)
        if met and destination.refusing and record.status == 503:
            return nobody_listens(destination.refusing)
    return ""


def _same(status: int, flags: str, record: AccessRecord) -> bool:
    # Envoy joins several flags; a delay (DI) or retries (URX) may come with the one that decided.
    return status == record.status and (not flags or flags in record.flags.split(","))


def _passed_on(explanation: Explanation) -> bool:
    """Whether the proxy passes a connection on, and reads no requests."""
    target, chosen = parse_url(explanation.url), explanation.chosen
    if target.raw:
        return True
    if chosen is not None:
        return chosen.kind in ("tcp", "tls") or chosen.object.startswith(("TCPRoute/", "TLSRoute/"))
    if explanation.proxy_kind != "sidecar":
        return False
    # What follows a route table has the name of a route.
    return target.secure or (bool(explanation.destinations) and not explanation.route)


def _by_client(explanation: Explanation, response: Response) -> tuple[bool | None, str]:
    if response.outcome == "timeout":
        return None, "the client gave up before there was an answer"
    if _passed_on(explanation):
        return _by_connection(explanation, response)
    kinds = {outcome.kind for outcome in explanation.outcomes}
    if response.outcome in ("connection", "unknown_destination"):
        wanted = response.outcome in kinds or (
            response.outcome == "connection" and bool(kinds & {"no_endpoints", "refused"})
        )
        met = "a refused or closed connection" if response.outcome == "connection" else "an unknown host"
        return wanted, f"the client met {met}"
    if response.path:
        pod = response.path[0].pod
        return any(pod in outcome.pods for outcome in explanation.outcomes), f"{pod} answered {response.status}"
    agrees = any(outcome.status == response.status for outcome in explanation.outcomes if outcome.status)
    return agrees, f"the client saw {response.outcome} {response.status or ''}".rstrip()
