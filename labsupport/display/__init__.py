"""Pictures of the mesh: live while traffic runs, static where they are to stay, and HTML for every record.

Takes records and knows no engine. ``install`` registers everything with IPython; the functions here are for a picture
with more to say than the default one::

    watch(traffic, service="reviews", wanted={"v1": 90, "v2": 10})
    show(observations, wanted={"v1": 90, "v2": 10})
    compare(before, after)
    journey(lab.access_log(response), pods=lab.pods())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from labsupport.display.formatters import install

if TYPE_CHECKING:
    from labsupport.background import BackgroundTraffic
    from labsupport.display.figure import Figure
    from labsupport.display.live import LiveTraffic, Wanted
    from labsupport.engine.base import AccessRecord, Pod
    from labsupport.observation import Observations
    from labsupport.share import By, Share

__all__ = ["compare", "install", "journey", "show", "watch"]


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
