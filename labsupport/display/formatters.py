"""How IPython shows our records: registered by name, so that showing nothing imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from labsupport.display.drawing.card import Card

__all__ = ["HTML", "MARKDOWN", "card", "install"]

# (module, class) of a record -> (module, function) that makes a text of it. Modules below us keep records free of HTML.
HTML: dict[tuple[str, str], tuple[str, str]] = {
    ("labsupport.observe.config.view", "ConfigView"): ("html.config_html", "config_html"),
    ("labsupport.observe.confirm", "Explained"): ("html.explain_html", "explained_html"),
    ("labsupport.explain.explanation", "Explanation"): ("html.explain_html", "explanation_html"),
    ("labsupport.records", "ApplyResult"): ("html.changes", "apply_html"),
    ("labsupport.records", "Leftovers"): ("html.changes", "leftovers_html"),
    ("labsupport.records", "Response"): ("pictures.observed", "response_html"),
    ("labsupport.errors", "ManifestError"): ("html.changes", "manifest_error_html"),
    ("labsupport.course.exercise", "Exercise"): ("html.outcomes", "exercise_html"),
    ("labsupport.course.exercise", "Hint"): ("html.outcomes", "hint_html"),
    ("labsupport.course.incidents.debrief", "Debrief"): ("html.incidents", "debrief_html"),
    ("labsupport.course.incidents.incident", "Incident"): ("html.incidents", "incident_html"),
    ("labsupport.course.summary", "CourseMap"): ("html.course_map", "course_map_html"),
    ("labsupport.course.summary", "Summary"): ("html.outcomes", "progress_html"),
    ("labsupport.course.questions", "Compared"): ("html.outcomes", "prediction_html"),
    ("labsupport.course.predictions", "Predictions"): ("html.gallery", "predictions_html"),
    ("labsupport.course.shopping", "Visits"): ("html.pages", "visits_html"),
    ("labsupport.traffic.observations", "Observations"): ("pictures.observed", "observations_html"),
    ("labsupport.check.result", "CheckOutcome"): ("html.outcomes", "check_html"),
    ("labsupport.traffic.share", "Share"): ("pictures.observed", "share_html"),
    ("labsupport.lab.lab", "Lab"): ("html.mesh_html", "lab_html"),
    ("labsupport.metrics.answers", "Answer"): ("html.mesh_html", "answer_html"),
    ("labsupport.observe.tables", "AccessLog"): ("html.mesh_html", "access_log_html"),
    ("labsupport.observe.tables", "LabStatus"): ("html.mesh_html", "status_html"),
    ("labsupport.observe.tables", "Pods"): ("html.mesh_html", "pods_html"),
}

MARKDOWN: dict[tuple[str, str], tuple[str, str]] = {
    ("labsupport.course.exercise", "Solution"): ("html.outcomes", "solution_markdown"),
    ("labsupport.lab.objects", "Objects"): ("html.mesh_html", "objects_markdown"),
}
_FORMS = {"text/html": HTML, "text/markdown": MARKDOWN}


def _lazy(module: str, function: str) -> Callable[[Any], str]:
    def render(record: Any) -> str:
        made: str = getattr(importlib.import_module(f"labsupport.display.{module}"), function)(record)
        return made

    return render


def card(record: object) -> Card | None:
    """What a notebook shows of a record at the end of a cell; None if that is its text alone.

    Args:
        record: any object.
    """
    for kind in type(record).__mro__:
        for form, records in _FORMS.items():
            if maker := records.get((kind.__module__, kind.__name__)):
                return Card(repr(record), {form: _lazy(*maker)(record)})
    return None


def _live(traffic: Any) -> None:
    from labsupport.display.live.live import live_of

    live_of(traffic)._ipython_display_()


def _question(asked: Any) -> None:
    from labsupport.display.live.asked import show_question

    show_question(asked)


def _journey(journey: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.journey_picture import journey_figure

    return {**journey_figure(journey)._repr_mimebundle_(), "text/plain": repr(journey)}


def _graph(graph: Any) -> None:
    from IPython.display import publish_display_data

    if graph.live:
        from labsupport.display.live.live_graph import live_graph_of

        live_graph_of(graph)._ipython_display_()
        return
    from labsupport.display.pictures.graph_picture import graph_figure

    counted = graph.now()
    bundle = graph_figure(counted, what=graph.what)._repr_mimebundle_()
    publish_display_data({**bundle, "text/plain": graph.text(counted)})  # type: ignore[no-untyped-call]


def _pushed(pushed: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.push_picture import push_figure

    return push_figure(pushed)._repr_mimebundle_()


def _pools(pools: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.pool_picture import pools_figure

    return pools_figure(pools)._repr_mimebundle_()


def _rules(taken: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.rules_picture import rules_figure

    return rules_figure(taken)._repr_mimebundle_()


def _gain(looks: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.gain_picture import gain_figure

    return gain_figure(looks)._repr_mimebundle_()


def _alarms(alarms: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.gain_picture import alarms_figure

    return alarms_figure(alarms)._repr_mimebundle_()


def _traces(traces: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.trace_picture import traces_figure

    return traces_figure(traces)._repr_mimebundle_()


def _release(release: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.release_picture import release_figure

    return release_figure(release)._repr_mimebundle_()


def _replays(replays: Any, **kwargs: Any) -> Any:
    from labsupport.display.pictures.release_picture import replays_figure

    return replays_figure(replays)._repr_mimebundle_()


# Records that come in more forms than HTML.
BUNDLES: dict[tuple[str, str], Callable[..., Any]] = {
    ("labsupport.anytime", "FalseAlarms"): _alarms,
    ("labsupport.course.delivery", "Release"): _release,
    ("labsupport.course.predictions", "Looks"): _gain,
    ("labsupport.course.replays", "Replays"): _replays,
    ("labsupport.observe.journey", "Journey"): _journey,
    ("labsupport.observe.pools", "Pools"): _pools,
    ("labsupport.observe.pushed", "Pushed"): _pushed,
    ("labsupport.observe.taken", "RulesTaken"): _rules,
    ("labsupport.observe.traces", "Traces"): _traces,
}
# Records that may be shown as a widget, which remembers where it was shown.
DISPLAYS: dict[tuple[str, str], Callable[[Any], None]] = {
    ("labsupport.course.questions", "Asked"): _question,
    ("labsupport.traffic.background", "BackgroundTraffic"): _live,
    ("labsupport.observe.graph", "ServiceGraph"): _graph,
}


def install(ip: Any = None) -> None:
    """Teach IPython to show the workshop's records as pictures and tables; may be called more than once.

    Args:
        ip: the IPython shell; by default the one that is running, and nothing happens without one.
    """
    if ip is None:
        try:
            from IPython import get_ipython
        except ImportError:
            return
        ip = get_ipython()
    if ip is None:
        return
    for form, records in _FORMS.items():
        formatter = ip.display_formatter.formatters[form]
        for (owner, name), (module, function) in records.items():
            formatter.for_type_by_name(owner, name, _lazy(module, function))
    for (owner, name), bundle in BUNDLES.items():
        ip.display_formatter.mimebundle_formatter.for_type_by_name(owner, name, bundle)
    for (owner, name), show in DISPLAYS.items():
        ip.display_formatter.ipython_display_formatter.for_type_by_name(owner, name, show)
