"""Pictures of the mesh: live while traffic runs, static where they are to stay, and HTML for every record.

Takes records and knows no engine. ``install`` registers everything with IPython; the functions here are for a picture
with more to say than the default one::

    watch(traffic, service="reviews", wanted={"v1": 90, "v2": 10})
    show(observations, wanted={"v1": 90, "v2": 10})
    compare(before, after)
    journey(lab.access_log(response), pods=lab.pods())
    graph(lab.access_log(since_s=then), pods=lab.pods(), rules=lab.get("all"), span_s=now - then)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from labsupport.display.formatters import install

if TYPE_CHECKING:
    from labsupport.background import BackgroundTraffic
    from labsupport.display.figure import Figure
    from labsupport.display.live import LiveTraffic, Wanted
    from labsupport.display.live_graph import LiveGraph, Mesh
    from labsupport.engine.base import AccessRecord, Pod
    from labsupport.model.base import Resource
    from labsupport.observation import Observations
    from labsupport.share import By, Share

__all__ = ["compare", "graph", "install", "journey", "show", "watch", "watch_mesh"]


def watch(traffic: BackgroundTraffic, *, service: str | None = None, wanted: Wanted = None) -> LiveTraffic:
    """The live picture of background traffic, with a start and stop button and a slider for the rate.

    Args:
        traffic: what ``lab.traffic(...)`` returned; it need not run yet.
        service: count the versions of this service on the way of the requests; by default, of whoever answers.
        wanted: weights by version to compare with, or a function that returns the present ones.

    Returns:
        A widget to put at the end of a cell. ``snapshot()`` makes a static figure of it.
    """
    from labsupport.display.live import live_of

    return live_of(traffic, service=service, wanted=wanted)


def show(
    observations: Observations | Share,
    *,
    wanted: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    **options: Any,
) -> Figure:
    """Shares with exact intervals beside the wanted ones, as a figure that stays in an exported notebook.

    Args:
        observations: what ``lab.send(...)`` returned, or a share of it.
        wanted: relative weights by key.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        **options: ``title``.

    Returns:
        The figure; ``save(path)`` writes it as SVG.
    """
    from labsupport.display.observed import share_figure

    return share_figure(observations, wanted=wanted, by=by, service=service, **options)


def compare(before: Observations, after: Observations, **options: Any) -> Figure:
    """Two observations beside each other: shares with intervals, errors and latency.

    Args:
        before: the first observations.
        after: the second ones.
        **options: ``wanted`` and ``wanted_before`` (weights), ``by``, ``service``, ``labels`` and ``title``.

    Returns:
        The figure.
    """
    from labsupport.display.observed import compare_figure

    return compare_figure(before, after, **options)


def journey(records: Iterable[AccessRecord], *, pods: Iterable[Pod] = (), request_id: str | None = None) -> Figure:
    """One request over all hops: who called whom, tries, injected delays, mirror copies, response flags in words.

    Args:
        records: access-log lines of all proxies, such as ``lab.access_log(seen)``; of several requests, the first.
        pods: pods, for the names of services and versions.
        request_id: which request, if not the first.

    Returns:
        The figure, with a table of all hops.
    """
    from labsupport.display.journey_picture import journey_figure

    return journey_figure(records, pods=pods, request_id=request_id)


def graph(
    records: Iterable[AccessRecord],
    *,
    pods: Iterable[Pod] = (),
    rules: Iterable[Resource] = (),
    span_s: float = 10.0,
) -> Figure:
    """The service graph: services with their versions, calls with rate, errors and latency, rules in force as badges.

    Args:
        records: access-log lines of all proxies, of the last ``span_s`` seconds.
        pods: all pods, so that services without traffic and pods without a sidecar are shown, too.
        rules: objects in force, such as ``lab.get("all")``.
        span_s: length of the time that the lines are from, in seconds.

    Returns:
        The figure, with a table of all calls.
    """
    from labsupport.display.badges import badges_of
    from labsupport.display.graph_picture import graph_figure

    return graph_figure(records, pods=pods, badges=badges_of(rules), span_s=span_s)


def watch_mesh(mesh: Mesh, *, span_s: float = 10.0) -> LiveGraph:
    """The service graph, live: a call selected by click or keyboard shows its numbers.

    Args:
        mesh: a lab.
        span_s: the numbers are those of the last so many seconds.

    Returns:
        A widget to put at the end of a cell. ``snapshot()`` makes a static figure of it.
    """
    from labsupport.display.live_graph import LiveGraph

    return LiveGraph(mesh, span_s=span_s)
