"""Send requests through an engine: a batch that is waited for, or traffic in the background."""

from __future__ import annotations

import time
from contextlib import suppress

from labsupport import progressbar
from labsupport.engine.protocol import Engine
from labsupport.errors import LabError
from labsupport.records import Response, TrafficSpec
from labsupport.traffic.choice import chosen_per
from labsupport.traffic.observations import Observations
from labsupport.traffic.spec import check_spec

__all__ = ["send"]


def send(engine: Engine, spec: TrafficSpec) -> Observations:
    """Send requests and wait for all responses, with a progress bar where somebody watches.

    Args:
        engine: where to send.
        spec: what to send; needs ``count`` or ``duration_s``.

    Returns:
        One response per request, in order of completion; a request that failed is one of them.

    Raises:
        UsageError: if the description makes no sense.
        EngineError: if the engine itself cannot send.
    """
    spec = check_spec(spec)
    seen: list[Response] = []
    total, unit = (spec.count, "request") if spec.count is not None else (spec.duration_s or 0.0, "s")
    begun = time.monotonic()
    sending = engine.send(spec)
    try:
        with progressbar.bar(total, label=f"sending to {spec.url}", unit=unit) as reached:
            for response in sending:
                seen.append(response)
                reached(len(seen) if spec.count is not None else time.monotonic() - begun)
    except BaseException:
        # An interrupted cell must not leave requests running behind the learner's back.
        with suppress(LabError):
            sending.stop()
        raise
    return Observations(seen, per=chosen_per(engine, spec))
