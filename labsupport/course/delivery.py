"""Progressive delivery: a Canary of the lab is played on the mesh, as Flagger plays it on a cluster.

Flagger's names: ``web`` is the Deployment whose new version is released, ``web-primary`` the one that serves, and the
Services ``web-canary`` and ``web-primary`` lead to them. The VirtualService ``web`` divides the calls of the host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labsupport import progressbar, words
from labsupport.arguments import checked, whole
from labsupport.course.canary_analysis import Analysis, End, Look, Met
from labsupport.course.needs import check_lab
from labsupport.errors import NotFoundError
from labsupport.model.kinds.canary import Canary
from labsupport.model.kinds.index import placed
from labsupport.model.writing.written import written
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.model.schema.base import Resource
    from labsupport.records import Response

__all__ = ["Release", "as_met", "release", "rule_for"]

_MOST = 10_000
_USERS_RATE = 800
_PORTION = 200


@dataclass(frozen=True, slots=True, repr=False)
class Release:
    """What became of a new version, so far or in the end.

    Args:
        canary: name of the Canary.
        end: promoted, rolled back or paused; None while it is under way.
        looks: one for each interval.
        events: what Flagger would log.
        seen: all responses, of both versions.
        hurt: requests that failed or were too slow, and that the old version did not answer.
        old: name of the Deployment of the old version.
    """

    canary: str
    end: End | None
    looks: tuple[Look, ...]
    events: tuple[str, ...]
    seen: Observations = field(repr=False)
    hurt: int
    old: str = ""

    @property
    def returned(self) -> int:
        """How many users met the old version again after the new one, while the release was under way."""
        new, returned = set[str](), set[str]()
        for response in sorted(self.seen, key=lambda response: response.started_s):
            if response.path and response.path[0].service != self.old:
                new.add(response.user)
            elif response.user in new:
                returned.add(response.user)
        return len(returned)

    @words.shown
    def __repr__(self) -> str:
        after = f"after {words.plural(len(self.looks), 'interval')}"
        told = f"{self.canary}: {self.end or 'under way'} {after}, {words.plural(self.hurt, 'request')} hurt"
        return "\n".join((told, *self.events))


@checked
def release(
    lab: Lab, name: str = "web", *, per_minute: int = 1_000, users: int = 0, source: str = "client", path: str = "/"
) -> Release:
    """Release a new version as a Canary of the lab says: in steps, and back again if a check fails too often.

    An interval is counted in requests and not in seconds. While the cell runs, a picture of it grows.

    Args:
        lab: where the Canary, its Deployments and its Services are.
        name: of the Canary.
        per_minute: how many requests make a minute.
        users: deal the requests of each interval to so many users, each with cookies of its own; 0 for none.
        source: the Deployment that sends.
        path: what it asks for.

    Returns:
        What became of it. The mesh is as Flagger leaves it: all calls go to ``<name>-primary``, with the new version if
        it was promoted, and the new version's own Deployment has no pods. A release that paused stays at its weight.

    Raises:
        NotFoundError: there is no such Canary, or what it names is not there.
        UsageError: an argument is out of its range, or an interval holds too many requests.
    """
    check_lab('release(lab, "web")', lab)
    whole("per_minute", per_minute, 1, _MOST)
    whole("users", users, 0, _MOST)
    (canary,) = lab.get("Canary", name)
    assert isinstance(canary, Canary)
    target = canary.spec.target_ref.name
    deployment, primary = _deployment(lab, target), f"{target}-primary"
    _deployment(lab, primary)
    canary, template = placed(canary, deployment.namespace), written(deployment)["spec"]["template"]
    if not any(pod.workload == target for pod in lab.pods()):
        lab.scale(target, 1)
    analysis, seen, hurt = Analysis(canary, per_minute=per_minute), Observations(), 0
    url = f"http://{canary.spec.host}:{canary.spec.service.port}{path}"

    def so_far() -> Release:
        return Release(name, analysis.end, tuple(analysis.looks), tuple(analysis.events), seen, hurt, primary)

    with progressbar.growing() as grown:
        with _sending(lab, url, source, users) as send:
            while analysis.end is None:
                grown(so_far)
                lab.apply(rule_for(canary, analysis.weight, template))
                interval = send(analysis.requests)
                seen += interval
                # Pods are asked now: those of a version that is gone have no Deployment any more.
                workloads = {pod.name: pod.workload for pod in lab.pods()}
                answers = [(_answered_by(response, workloads), as_met(response)) for response in interval]
                hurt += analysis.hurt(answer for who, answer in answers if who != primary)
                analysis.look([answer for who, answer in answers if who == target])
        if analysis.end == "promoted":
            _promote(lab, target, template)
        if analysis.end != "paused":
            lab.apply(rule_for(canary, 0, template))
            lab.scale(target, 0)
        grown(so_far, last=True)
    return so_far()


@contextmanager
def _sending(lab: Lab, url: str, source: str, users: int) -> Iterator[Callable[[int], Observations]]:
    """What sends the requests of an interval; users keep their cookies from one interval to the next."""
    if not users:
        # A sidecar chooses for each request, so that connections may be kept.
        yield lambda count: lab.send(url, source=source, count=count, reuse_connections=True)
        return
    with lab.traffic(url, source=source, users=users, rate=_USERS_RATE) as traffic:

        def collected(count: int) -> Observations:
            # Traffic keeps its last responses only.
            portions = (min(_PORTION, count - begun) for begun in range(0, count, _PORTION))
            return sum(map(traffic.collect, portions), Observations())

        yield collected


def _answered_by(response: Response, workloads: Mapping[str, str]) -> str:
    """The Deployment that answered; that of ``web`` is no other one's whose name begins alike."""
    return workloads.get(response.path[0].pod, "") if response.path else ""


def as_met(response: Response) -> Met:
    """A response as Flagger's metrics count it: an error is a status from 500 on, or none at all."""
    return Met(response.status >= 500 or (not response.status and response.outcome != "ok"), response.duration_s)


def rule_for(canary: Canary, weight: int, template: Mapping[str, Any]) -> dict[str, Any]:
    """The VirtualService that Flagger writes.

    Args:
        canary: what is asked for.
        weight: of the new version, in per cent.
        template: its pod template, from which the value of the cookie is made, if there is one.
    """
    spec = canary.spec
    new = {"destination": {"host": f"{spec.target_ref.name}-canary"}, "weight": weight}
    old = {"destination": {"host": f"{spec.target_ref.name}-primary"}, "weight": 100 - weight}
    rules: list[dict[str, Any]] = [{"route": [old, new]}]
    affinity = spec.analysis.session_affinity
    if affinity is not None and weight:
        value = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        cookie = f"{affinity.cookie_name}={value}; Max-Age={affinity.max_age}"
        kept = {"headers": {"cookie": {"regex": f".*{affinity.cookie_name}={value}.*"}}}
        rules = [
            {"match": [kept], "route": [{**old, "weight": 0}, {**new, "weight": 100}]},
            {"route": [old, {**new, "headers": {"response": {"add": {"Set-Cookie": cookie}}}}]},
        ]
    hosts = spec.service.hosts or [spec.host]
    named = {"hosts": hosts, **({"gateways": spec.service.gateways} if spec.service.gateways else {})}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": spec.host},
        "spec": {**named, "http": rules},
    }


def _deployment(lab: Lab, name: str) -> Resource:
    """A Deployment.

    Raises:
        NotFoundError: there is no such one.
    """
    try:
        return lab.get("Deployment", name)[0]
    except NotFoundError as error:
        raise NotFoundError(f"{error} A Canary needs what it releases, and NAME-primary beside it.") from None


def _promote(lab: Lab, target: str, template: Mapping[str, Any]) -> None:
    """Give the Deployment that serves the new version's pod template, under its own label ``app``."""
    (primary,) = lab.get("Deployment", f"{target}-primary")
    wanted = written(primary)
    own = wanted["spec"]["template"]["metadata"]["labels"]
    labels = {**template["metadata"]["labels"], "app": own["app"]}
    wanted["spec"]["template"] = {**template, "metadata": {**template["metadata"], "labels": labels}}
    lab.apply(wanted)
