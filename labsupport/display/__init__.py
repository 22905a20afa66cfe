"""Pictures of the mesh: live while traffic runs, static where they are to stay, and HTML for every record.

Takes records and knows no engine. ``install`` registers everything with IPython; the functions here are for a picture
with more to say than the default one::

    watch(traffic, service="reviews", wanted={"v1": 90, "v2": 10})
    show(observations, wanted={"v1": 90, "v2": 10})
    compare(before, after)
    show(lab.journey(response)).save("journey.svg")
    show(lab.graph(observations)).save("graph.svg")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labsupport.display.formatters import install

if TYPE_CHECKING:
    from labsupport.background import BackgroundTraffic
    from labsupport.display.figure import Figure
    from labsupport.display.live import LiveTraffic, Wanted
    from labsupport.display.live_status import LiveStatus, Overseen
    from labsupport.graph_view import ServiceGraph
    from labsupport.journey import Journey
    from labsupport.observation import Observations
    from labsupport.share import By, Share

__all__ = ["compare", "install", "overview", "show", "watch"]


def watch(
    traffic: BackgroundTraffic,
    *,
    service: str | None = None,
    wanted: Wanted = None,
    weights: str | None = None,
) -> LiveTraffic:
    """The live picture of background traffic, with a start and stop button and a slider for the rate.

    Args:
        traffic: what ``lab.traffic(...)`` returned; it need not run yet.
        service: count the versions of this service on the way of the requests; by default, of whoever answers.
        wanted: weights by version to compare with, or a function that returns the present ones; by default, what the
            rules in force want of this traffic.
        weights: show sliders for the weights of this rule: the name of a VirtualService such as ``"web"``, or one of
            its rules as ``"web[1]"``. Moving one patches the VirtualService.

    Returns:
        A widget to put at the end of a cell. ``snapshot()`` makes a static figure of it.

    Raises:
        NotFoundError: there is no such VirtualService.
        UsageError: it has no rule with several destinations.
    """
    from labsupport.display.live import live_of

    return live_of(traffic, service=service, wanted=wanted, weights=weights)


def show(
    record: Observations | Share | Journey | ServiceGraph,
    *,
    wanted: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    **options: Any,
) -> Figure:
    """A figure that stays in an exported notebook: shares with exact intervals, a journey, or the service graph.

    Args:
        record: what ``lab.send(...)`` returned or a share of it, ``lab.journey(...)`` or ``lab.graph()``; the options
            are for shares.
        wanted: relative weights by key.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        **options: ``title``.

    Returns:
        The figure; ``save(path)`` writes it as SVG.
    """
    from labsupport.graph_view import ServiceGraph
    from labsupport.journey import Journey

    if isinstance(record, Journey):
        from labsupport.display.journey_picture import journey_figure

        return journey_figure(record)
    if isinstance(record, ServiceGraph):
        from labsupport.display.graph_picture import graph_figure

        counted = record.now()
        return graph_figure(counted, what=record.what)
    from labsupport.display.observed import share_figure

    return share_figure(record, wanted=wanted, by=by, service=service, **options)


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


def overview(lab: Overseen) -> LiveStatus:
    """The overview of a lab, live: pods, proxies, rules with when each came into force, the last error.

    Args:
        lab: what to look at.

    Returns:
        A widget to put at the end of a cell; ``close()`` ends it, and so does the end of the lab.
    """
    from labsupport.display.live_status import LiveStatus

    return LiveStatus(lab)
