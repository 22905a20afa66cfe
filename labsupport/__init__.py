"""Hands-on Istio traffic management: the library behind the workshop's notebooks.

A notebook needs little of it::

    from labsupport import Lab, check, watch

    lab = Lab()
    lab.apply("apps/web")
    check.share(lab.send("nodeport:web/", count=300), {"safe": 2, "risk": 1}, per="connection")

Names are imported when they are first used, so that ``import labsupport`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labsupport import check
    from labsupport.anytime import Gain, false_alarms, sample_ratio
    from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, TOO_LITTLE_DATA, CheckOutcome
    from labsupport.course.catalogue import exercise
    from labsupport.course.delivery import Release, release
    from labsupport.course.exercise import Exercise
    from labsupport.course.incidents.incident import Incident
    from labsupport.course.predictions import Predictions, predictions
    from labsupport.course.replays import Replays, replays
    from labsupport.course.scenes import Scene, iou, mask_of, scene
    from labsupport.course.shopping import buy, visit
    from labsupport.course.summary import progress
    from labsupport.display import compare, show, watch
    from labsupport.engine.protocol import Engine
    from labsupport.errors import (
        CheckFailed,
        ConfigRejectedError,
        EngineError,
        EngineLostError,
        EnvoyMissingError,
        LabError,
        ManifestError,
        NotFoundError,
        Problem,
        StorageError,
        TrafficError,
        UsageError,
        WaitTimeoutError,
    )
    from labsupport.explain import Explanation
    from labsupport.lab.lab import Lab
    from labsupport.lab.objects import Objects
    from labsupport.metrics.answers import Answer
    from labsupport.metrics.watching import Metrics
    from labsupport.observe.config.view import ConfigView
    from labsupport.observe.confirm import Explained
    from labsupport.observe.graph import ServiceGraph
    from labsupport.observe.journey import Journey
    from labsupport.observe.tables import AccessLog, LabStatus, Pods
    from labsupport.observe.traces import Traces
    from labsupport.records import (
        AccessRecord,
        ApplyResult,
        EnvoyConfig,
        Hop,
        Leftovers,
        Pod,
        Ref,
        Response,
        RuleStatus,
        Sample,
        Span,
        TrafficSpec,
    )
    from labsupport.setup.extras import ensure_extra
    from labsupport.traffic.background import BackgroundTraffic
    from labsupport.traffic.held import HeldRequests
    from labsupport.traffic.observations import Observations
    from labsupport.traffic.share import Share
    from labsupport.traffic.tls import Tls

__all__ = [
    "FAILED",
    "NOT_ATTEMPTED",
    "PASSED",
    "TOO_LITTLE_DATA",
    "AccessLog",
    "AccessRecord",
    "Answer",
    "ApplyResult",
    "BackgroundTraffic",
    "CheckFailed",
    "CheckOutcome",
    "ConfigRejectedError",
    "ConfigView",
    "Engine",
    "EngineError",
    "EngineLostError",
    "EnvoyConfig",
    "EnvoyMissingError",
    "Exercise",
    "Explained",
    "Explanation",
    "Gain",
    "HeldRequests",
    "Hop",
    "Incident",
    "Journey",
    "Lab",
    "LabError",
    "LabStatus",
    "Leftovers",
    "ManifestError",
    "Metrics",
    "NotFoundError",
    "Objects",
    "Observations",
    "Pod",
    "Pods",
    "Predictions",
    "Problem",
    "Ref",
    "Release",
    "Replays",
    "Response",
    "RuleStatus",
    "Sample",
    "Scene",
    "ServiceGraph",
    "Share",
    "Span",
    "StorageError",
    "Tls",
    "Traces",
    "TrafficError",
    "TrafficSpec",
    "UsageError",
    "WaitTimeoutError",
    "buy",
    "check",
    "compare",
    "ensure_extra",
    "exercise",
    "false_alarms",
    "iou",
    "mask_of",
    "predictions",
    "progress",
    "release",
    "replays",
    "sample_ratio",
    "scene",
    "show",
    "visit",
    "watch",
]

_HOMES = {
    "labsupport.anytime": ("Gain", "false_alarms", "sample_ratio"),
    "labsupport.traffic.background": ("BackgroundTraffic",),
    "labsupport.observe.config.view": ("ConfigView",),
    "labsupport.observe.confirm": ("Explained",),
    "labsupport.display": ("compare", "show", "watch"),
    "labsupport.observe.graph": ("ServiceGraph",),
    "labsupport.observe.journey": ("Journey",),
    "labsupport.engine.protocol": ("Engine",),
    "labsupport.records": (
        *("AccessRecord", "ApplyResult", "EnvoyConfig", "Hop", "Leftovers", "Pod", "Ref", "Response"),
        *("RuleStatus", "Sample", "Span", "TrafficSpec"),
    ),
    "labsupport.errors": (
        *("CheckFailed", "ConfigRejectedError", "EngineError", "EngineLostError", "EnvoyMissingError", "LabError"),
        *("ManifestError", "NotFoundError", "Problem", "StorageError", "TrafficError", "UsageError"),
        "WaitTimeoutError",
    ),
    "labsupport.course.catalogue": ("exercise",),
    "labsupport.course.delivery": ("Release", "release"),
    "labsupport.course.exercise": ("Exercise",),
    "labsupport.course.incidents.incident": ("Incident",),
    "labsupport.course.predictions": ("Predictions", "predictions"),
    "labsupport.course.replays": ("Replays", "replays"),
    "labsupport.course.scenes": ("Scene", "iou", "mask_of", "scene"),
    "labsupport.course.shopping": ("buy", "visit"),
    "labsupport.course.summary": ("progress",),
    "labsupport.explain": ("Explanation",),
    "labsupport.lab.lab": ("Lab",),
    "labsupport.setup.extras": ("ensure_extra",),
    "labsupport.lab.objects": ("Objects",),
    "labsupport.metrics.answers": ("Answer",),
    "labsupport.metrics.watching": ("Metrics",),
    "labsupport.traffic.held": ("HeldRequests",),
    "labsupport.traffic.observations": ("Observations",),
    "labsupport.check.result": ("FAILED", "NOT_ATTEMPTED", "PASSED", "TOO_LITTLE_DATA", "CheckOutcome"),
    "labsupport.traffic.share": ("Share",),
    "labsupport.traffic.tls": ("Tls",),
    "labsupport.observe.traces": ("Traces",),
    "labsupport.observe.tables": ("AccessLog", "LabStatus", "Pods"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "check":
        return importlib.import_module("labsupport.check")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("istio-traffic-workshop")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'labsupport' has no attribute {name!r}")
    if name == "Lab":
        _install_in_notebook()
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext labsupport``: make the magics and the pictures known; asking for ``Lab`` does so too.

    Kernels that ``workshop lab`` starts load it by themselves, so that a cell that is run before the first one is
    answered in words that help.

    Args:
        shell: the IPython shell.
    """
    from labsupport import display
    from labsupport.course import stops

    shell.register_magic_function(_manifest, magic_kind="cell", magic_name="manifest")
    shell.register_magic_function(_promql, magic_kind="cell", magic_name="promql")
    display.install(shell)
    stops.install(shell, {"lab", *__all__})


def _manifest(line: str, cell: str) -> Any:
    """Apply the YAML of the cell; with the number of an exercise, as an answer to it."""
    # Each kernel starts with this: what it takes is imported by who uses it.
    return importlib.import_module("labsupport.course.magic").manifest(line, cell)


def _promql(line: str, cell: str) -> Any:
    """Ask the query of the cell, in PromQL."""
    return importlib.import_module("labsupport.course.magic").promql(line, cell)


def _install_in_notebook() -> None:
    """Make the kernel know the magics and the pictures of our records; nothing outside IPython."""
    # IPython is never imported for this: a script or a test that does not run in it has no use for it.
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive is not None else None
    if shell is not None:
        load_ipython_extension(shell)
