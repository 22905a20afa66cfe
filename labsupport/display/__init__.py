"""Pictures of the mesh: live while traffic runs, static where they are to stay, and HTML for every record.

Takes records and knows no engine. ``install`` registers everything with IPython; the functions here are for a picture
with more to say than the default one::

    watch(lab)
    watch(traffic, service="reviews", expected={"v1": 90, "v2": 10})
    show(observations, expected={"v1": 90, "v2": 10})
    compare(before, after)
    show(lab.journey(response)).save("journey.svg")
    show(lab.graph(observations)).save("graph.svg")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, overload

from labsupport.arguments import a_kind, checked
from labsupport.display.formatters import card, install
from labsupport.errors import UsageError
from labsupport.records import Ref, Response

if TYPE_CHECKING:
    from labsupport.anytime import FalseAlarms
    from labsupport.check.result import CheckOutcome
    from labsupport.course.delivery import Release
    from labsupport.course.exercise import Exercise, Hint, Solution
    from labsupport.course.predictions import Looks, Predictions
    from labsupport.course.replays import Replays
    from labsupport.course.shopping import Visits
    from labsupport.course.summary import Summary
    from labsupport.display.drawing.card import Card
    from labsupport.display.drawing.figure import Figure
    from labsupport.display.live.live import LiveTraffic
    from labsupport.display.live.live_graph import LiveGraph
    from labsupport.display.live.live_pools import LivePools
    from labsupport.display.live.live_status import LiveStatus
    from labsupport.errors import ManifestError
    from labsupport.explain import Explanation
    from labsupport.lab.lab import Lab
    from labsupport.lab.objects import Objects
    from labsupport.observe.config.view import ConfigView
    from labsupport.observe.confirm import Explained
    from labsupport.observe.graph import ServiceGraph
    from labsupport.observe.journey import Journey
    from labsupport.observe.pools import Pools
    from labsupport.observe.pushed import Pushed
    from labsupport.observe.tables import AccessLog, LabStatus, Pods
    from labsupport.observe.taken import RulesTaken
    from labsupport.observe.traces import Traces
    from labsupport.records import ApplyResult, Leftovers
    from labsupport.traffic.background import BackgroundTraffic
    from labsupport.traffic.observations import Observations
    from labsupport.traffic.share import By, Share

__all__ = ["compare", "install", "show", "watch"]


@overload
def watch(of: Lab) -> LiveStatus: ...
@overload
def watch(of: ServiceGraph) -> LiveGraph: ...
@overload
def watch(of: Pools) -> LivePools: ...
@overload
def watch(
    of: BackgroundTraffic,
    *,
    service: str | None = None,
    expected: Mapping[str, float] | Callable[[], Mapping[str, float] | None] | None = None,
    rule: str | Ref | None = None,
    pods: bool | None = None,
) -> LiveTraffic: ...
@checked
def watch(
    of: BackgroundTraffic | Lab | ServiceGraph | Pools,
    *,
    service: str | None = None,
    expected: Mapping[str, float] | Callable[[], Mapping[str, float] | None] | None = None,
    rule: str | Ref | None = None,
    pods: bool | None = None,
) -> LiveTraffic | LiveStatus | LiveGraph | LivePools:
    """A live picture: of background traffic, with a button and a slider for the rate; of a lab, or of its graph.

    Args:
        of: what ``lab.traffic(...)`` returned (it need not run yet), the lab itself (pods, proxies, rules with when
            each came into force, the last error), ``lab.graph()`` while traffic runs, or ``lab.pools(...)``. The
            options are for traffic.
        service: count the versions of this service on the way of the requests; by default, of whoever answers.
        expected: weights by version to compare with, or a function that returns the present ones; by default, what the
            rules in force want of this traffic.
        rule: show sliders for the weights of this rule: a VirtualService such as ``"vs/web"``, or one of
            its rules as ``"vs/web[1]"``. Moving one patches the VirtualService.
        pods: show below what each pod receives in the course of time, and how long that takes; None leaves a picture
            of this traffic as it is.

    Returns:
        A widget to put at the end of a cell. ``snapshot()`` makes a static figure of it; ``freeze()`` leaves it as it
        is then, as does the end of the lab; ``close()`` takes it away.

    Raises:
        NotFoundError: there is no such VirtualService.
        UsageError: it has no rule with several destinations, or there is nothing to watch.
    """
    from labsupport.lab.lab import Lab
    from labsupport.observe.graph import ServiceGraph
    from labsupport.observe.pools import Pools
    from labsupport.traffic.background import BackgroundTraffic

    if isinstance(of, BackgroundTraffic):
        from labsupport.display.live.live import live_of

        return live_of(of, service=service, expected=expected, rule=rule, pods=pods)
    if not isinstance(of, Lab | ServiceGraph | Pools):
        raise UsageError(
            f"watch() shows what changes by itself, and not {a_kind(type(of))}. Give it a lab, its lab.traffic(...), "
            "its lab.graph() or its lab.pools(...)."
        )
    if (service, expected, rule, pods) != (None, None, None, None):
        raise UsageError(
            "service=, expected=, rule= and pods= are for the picture of traffic: watch(lab.traffic(...))."
        )
    if isinstance(of, Lab):
        from labsupport.display.live.live_status import LiveStatus

        return LiveStatus(of)
    if isinstance(of, Pools):
        from labsupport.display.live.live_pools import LivePools

        return LivePools(of)
    if not of.live:
        raise UsageError("No traffic runs whose calls this graph counts. Show it as it is: show(lab.graph()).")
    from labsupport.display.live.live_graph import live_graph_of

    return live_graph_of(of)


@overload
def show(
    record: Observations
    | Share
    | Journey
    | ServiceGraph
    | BackgroundTraffic
    | Explained
    | Explanation
    | Pools
    | Pushed
    | RulesTaken
    | Traces
    | Looks
    | FalseAlarms
    | Release
    | Replays
    | Iterable[Response]
    | Response,
    *,
    expected: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    title: str = "",
) -> Figure: ...
@overload
def show(
    record: Lab
    | Pods
    | LabStatus
    | AccessLog
    | Objects
    | ConfigView
    | ApplyResult
    | Leftovers
    | CheckOutcome
    | Exercise
    | Hint
    | Solution
    | Summary
    | Predictions
    | Visits
    | ManifestError,
) -> Card: ...
@checked
def show(
    record: object,
    *,
    expected: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    title: str = "",
) -> Figure | Card:
    """A record in the middle of a cell, and in an exported notebook: as a figure where there is one, else as its card.

    Args:
        record: for a figure what ``lab.send(...)`` returned or a share of it, ``lab.journey(...)``, ``lab.graph()``,
            ``lab.traffic(...)``, ``lab.rules(...)``, ``lab.pools(...)``, ``lab.pushed()``, ``lab.traces(...)`` or
            ``lab.explain(...)``, what ``predictions(...).gain()``, ``false_alarms(...)``, ``release(...)`` or
            ``replays(...)`` returned; for a card the lab, its pods, status, objects, access log, configuration or
            changes, predictions, pages, a check, or an exercise.
            The options are for observations and shares.
        expected: relative weights by key.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        title: what to call it.

    Returns:
        The figure, whose ``save(path)`` writes it as SVG; or what a notebook shows of the record.

    Raises:
        UsageError: there is nothing to see of it.
    """
    from labsupport.anytime import FalseAlarms
    from labsupport.course.delivery import Release
    from labsupport.course.predictions import Looks
    from labsupport.course.replays import Replays
    from labsupport.explain import Explanation
    from labsupport.observe.confirm import Explained
    from labsupport.observe.graph import ServiceGraph
    from labsupport.observe.journey import Journey
    from labsupport.observe.pools import Pools
    from labsupport.observe.pushed import Pushed
    from labsupport.observe.taken import RulesTaken
    from labsupport.observe.traces import Traces
    from labsupport.traffic.background import BackgroundTraffic
    from labsupport.traffic.observations import Observations
    from labsupport.traffic.share import Share

    others = (
        *(Journey, ServiceGraph, BackgroundTraffic, Explained, Explanation, Pools, Pushed, RulesTaken),
        *(Traces, Looks, FalseAlarms, Release, Replays),
    )
    shares = isinstance(record, Observations | Share | Response)
    known = None if shares or isinstance(record, others) else card(record)
    if not isinstance(record, others) and known is None:
        from labsupport.display.pictures.observed import share_figure

        try:
            seen = record if isinstance(record, Share) else Observations._from_given(record, "record")
        except UsageError:
            raise UsageError(
                f"show() has no picture of {a_kind(type(record))}. Give it what a lab returns, such as lab.send(...), "
                "lab.pods() or lab.journey(...)."
            ) from None
        return share_figure(seen, expected=expected, by=by, service=service, title=title or "Shares")
    if (expected, by, service, title) != (None, "version", None, ""):
        raise UsageError("expected=, by=, service= and title= are for observations and shares: show(lab.send(...)).")
    if known is not None:
        return known
    if isinstance(record, Journey):
        from labsupport.display.pictures.journey_picture import journey_figure

        return journey_figure(record)
    if isinstance(record, ServiceGraph):
        from labsupport.display.pictures.graph_picture import graph_figure

        counted = record.now()
        return graph_figure(counted, what=record.what)
    if isinstance(record, BackgroundTraffic):
        from labsupport.display.live.live import live_of

        return live_of(record).snapshot()
    if isinstance(record, Looks | FalseAlarms):
        from labsupport.display.pictures.gain_picture import alarms_figure, gain_figure

        return gain_figure(record) if isinstance(record, Looks) else alarms_figure(record)
    if isinstance(record, Release | Replays):
        from labsupport.display.pictures.release_picture import release_figure, replays_figure

        return release_figure(record) if isinstance(record, Release) else replays_figure(record)
    from labsupport.display.pictures.explain_picture import way_figure

    if isinstance(record, Pools):
        from labsupport.display.pictures.pool_picture import pools_figure

        return pools_figure(record)
    if isinstance(record, Pushed):
        from labsupport.display.pictures.push_picture import push_figure

        return push_figure(record)
    if isinstance(record, RulesTaken):
        from labsupport.display.pictures.rules_picture import rules_figure

        return rules_figure(record)
    if isinstance(record, Traces):
        from labsupport.display.pictures.trace_picture import traces_figure

        return traces_figure(record)
    explanation = record.explanation if isinstance(record, Explained) else record
    assert isinstance(explanation, Explanation)
    return way_figure(explanation)


@checked
def compare(
    before: Observations,
    after: Observations,
    *,
    expected: Mapping[str, float] | None = None,
    expected_before: Mapping[str, float] | None = None,
    by: By = "version",
    service: str | None = None,
    labels: tuple[str, str] = ("before", "after"),
    title: str = "Before and after",
) -> Figure:
    """Two observations beside each other: shares with intervals, errors and latency; by pod, where each user is, too.

    Args:
        before: the first observations.
        after: the second ones.
        expected: relative weights by key that hold for ``after``.
        expected_before: the same for ``before``.
        by: what to divide by, as for ``Observations.share``.
        service: count the version or pod of this service.
        labels: what the two are called.
        title: title of the figure.

    Returns:
        The figure.
    """
    from labsupport.display.pictures.observed import compare_figure

    return compare_figure(
        before,
        after,
        expected=expected,
        expected_before=expected_before,
        by=by,
        service=service,
        labels=labels,
        title=title,
    )
