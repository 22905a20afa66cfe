"""What was seen of a number of requests: an immutable sequence of responses that can be grouped and counted."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast, overload, runtime_checkable

from labsupport import words
from labsupport.arguments import Taking, checked, shown
from labsupport.errors import UsageError
from labsupport.records import Response
from labsupport.traffic.share import NONE, Attribute, By, Choice, Share, divide, hop_of, value_of
from labsupport.traffic.window import Window

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Observations", "OneOrMore", "texts"]

OneOrMore = str | int | Collection[str | int]
"""The values that a filter lets through."""

_COLUMNS = (
    *("index", "time", "duration_s", "outcome", "status", "service", "version", "pod", "path"),
    *("user", "connection", "request_id", "error"),
)
_batches = itertools.count()


@runtime_checkable
class _Observed(Protocol):
    """Something that keeps observations, as traffic in the background does."""

    @property
    def observations(self) -> Observations: ...


@checked
class Observations(Sequence[Response], Taking):
    """An immutable sequence of responses, in the order in which they completed.

    Verbs that take observations take any responses for them: a list, one response, or ``lab.traffic(...)``.

    Args:
        responses: what the client saw; one batch, whose connections are numbered together.
        window: what there was besides, if these are only the last ones.
        per: what was chosen at a time on their way: ``request`` where a proxy decides, else ``connection``.

    Raises:
        UsageError: there is something else than a response among them.
    """

    def __init__(
        self, responses: Iterable[Response] | Response = (), *, window: Window | None = None, per: Choice = "request"
    ) -> None:
        self._responses = (responses,) if isinstance(responses, Response) else tuple(responses)
        for response in self._responses:
            if not isinstance(response, Response):
                raise UsageError(f"{shown('responses', response)}: give responses, such as those of lab.send(...).")
        self._window, self._per = window, per
        # Connections are numbered per batch of requests, so that a response keeps the batch it came with.
        self._batch: tuple[int, ...] = (next(_batches),) * len(self._responses)

    @classmethod
    def _from_given(cls, given: object, name: str) -> Observations:
        """Observations of what a learner gave in their place: responses, one response, or traffic.

        Args:
            given: what was given.
            name: of the argument.

        Raises:
            UsageError: it is none of these.
        """
        if isinstance(given, Observations):
            return given
        if isinstance(given, _Observed):
            return given.observations
        several = isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)
        parts: tuple[object, ...] = tuple(cast(Iterable[object], given)) if several else (given,)
        batches = [part for part in parts if isinstance(part, Observations)]
        if batches and len(batches) == len(parts):
            return functools.reduce(operator.add, batches)
        responses = [part for part in parts if isinstance(part, Response)]
        if len(responses) < len(parts):
            raise UsageError(f"{shown(name, given)}: give responses, such as what lab.send(...) returned.")
        return cls(responses)

    @classmethod
    def _of(
        cls, responses: Iterable[Response], batch: Iterable[int], per: Choice, window: Window | None = None
    ) -> Observations:
        made = cls.__new__(cls)
        made._responses, made._batch, made._window, made._per = tuple(responses), tuple(batch), window, per
        return made

    @property
    def per(self) -> Choice:
        """What was chosen at a time on the way of these requests, as far as the lab knows it."""
        return self._per

    @property
    def window(self) -> Window | None:
        """What there was besides, if these come from the last responses of longer traffic; None if nothing is left out.

        What is filtered is still from a window; a slice says itself what it leaves out.
        """
        return self._window

    def __len__(self) -> int:
        return len(self._responses)

    def __iter__(self) -> Iterator[Response]:
        return iter(self._responses)

    @overload
    def __getitem__(self, index: int) -> Response: ...
    @overload
    def __getitem__(self, index: slice) -> Observations: ...
    def __getitem__(self, index: int | slice) -> Response | Observations:
        if isinstance(index, slice):
            return self._of(self._responses[index], self._batch[index], self._per)
        return self._responses[index]

    def __add__(self, other: Observations) -> Observations:
        if not isinstance(other, Observations):
            return NotImplemented
        mine, its = (seen._window or Window(len(seen), len(seen)) for seen in (self, other))
        window = mine + its if self._window or other._window else None
        # Where some were chosen by connections, counting all requests would promise too much.
        per = self._per if self._per != "request" else other._per
        return self._of(self._responses + other._responses, self._batch + other._batch, per, window)

    def __eq__(self, other: object) -> bool:
        return self._responses == other._responses if isinstance(other, Observations) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.request_ids)

    # --- choosing -----------------------------------------------------------------------------------------------

    def filter(
        self,
        predicate: Callable[[Response], bool] | None = None,
        *,
        version: OneOrMore | None = None,
        pod: OneOrMore | None = None,
        service: str | None = None,
        status: OneOrMore | None = None,
        outcome: OneOrMore | None = None,
        user: OneOrMore | None = None,
    ) -> Observations:
        """The responses for which everything given holds.

        Args:
            predicate: a function of a response.
            version: version (or several) of the service that answered, or of ``service``.
            pod: pod (or several) that answered, or that of ``service``.
            service: only requests that reached this service; ``version`` and ``pod`` are then about it.
            status: HTTP status (or several).
            outcome: outcome (or several).
            user: user (or several).

        Returns:
            Observations in the same order; possibly none.
        """
        given: dict[Attribute, OneOrMore | None] = {
            "version": version,
            "pod": pod,
            "status": status,
            "outcome": outcome,
            "user": user,
        }
        allowed = {name: texts(value) for name, value in given.items() if value is not None}

        def holds(response: Response) -> bool:
            if service is not None and hop_of(response, service) is None:
                return False
            if any(value_of(response, name, service) not in values for name, values in allowed.items()):
                return False
            return predicate is None or bool(predicate(response))

        chosen = self._take([index for index, response in enumerate(self._responses) if holds(response)])
        if chosen._window is not None and (outcome is not None or status is not None):
            # Who chooses by how requests ended has decided about errors, those outside the window, too.
            window = replace(chosen._window, failed={})
            chosen = self._of(chosen._responses, chosen._batch, self._per, window)
        return chosen

    def independent_choices(self, *, per: Choice = "request") -> Observations:
        """One response for each independent choice of a destination; their number is the n of a test.

        With a sidecar or a gateway, Envoy chooses for each request. Without one, the destination is chosen when a
        connection is opened, and all requests on it go the same way, as with kube-proxy. With sticky sessions the
        choice is made per user.

        Args:
            per: ``request``, ``connection`` or ``user``.

        Returns:
            The first response of each connection or user; requests without a connection (or user) are kept, because
            nothing ties them to another one.

        Raises:
            UsageError: if ``per`` is something else.
        """
        if per == "request":
            return self
        if per not in ("connection", "user"):
            raise UsageError(f"per={per!r}: choices are counted per 'request', 'connection' or 'user'")
        return self._take([places[0] for places in self._together(per)])

    @property
    def connections(self) -> tuple[Observations, ...]:
        """The responses of each connection, in the order of the first ones; one without a connection is alone."""
        return tuple(self._take(places) for places in self._together("connection"))

    def _together(self, per: Choice) -> Iterable[list[int]]:
        """Places of the responses of each connection or user; who has none is alone."""
        places: dict[object, list[int]] = {}
        for place, response in enumerate(self._responses):
            key: object
            if per == "connection":
                key = (self._batch[place], response.connection) if response.connection >= 0 else place
            else:
                key = response.user or place
            places.setdefault(key, []).append(place)
        return places.values()

    @property
    def errors(self) -> Observations:
        """The responses whose outcome is not ``ok``."""
        return self.filter(lambda response: response.outcome != "ok")

    # --- counting -----------------------------------------------------------------------------------------------

    def share(self, by: By = "version", *, service: str | None = None) -> Share:
        """How the responses are divided.

        Every response is counted exactly once, so that shares add up to 1 and a request that failed is not silently
        left out: where a response has no such value (it failed before it reached the service, or the path is
        unknown), it counts under ``none``. Restrict with ``filter(service=...)`` first to leave those out.

        Args:
            by: ``version``, ``pod`` or ``service`` (of the application that answered the client), ``status``
                (``"200"``; the outcome's name without one), ``outcome``, ``user``, or a function of a response.
            service: count the version or pod of this service, anywhere on the path; its first hop if a request
                visited it more than once.

        Returns:
            Counts and shares, by key in natural order.

        Raises:
            UsageError: if ``by`` is unknown.
        """
        share = divide(self._responses, by, service)
        chosen = self.independent_choices(per=self._per)
        if len(chosen) == len(self):
            return share
        return replace(share, per=self._per, choices=divide(chosen._responses, by, service).counts)

    def count(
        self,
        predicate: Callable[[Response], bool] | None = None,
        *,
        version: OneOrMore | None = None,
        pod: OneOrMore | None = None,
        service: str | None = None,
        status: OneOrMore | None = None,
        outcome: OneOrMore | None = None,
        user: OneOrMore | None = None,
    ) -> int:
        """Number of responses for which everything given holds; arguments as for ``filter``."""
        return len(
            self.filter(predicate, version=version, pod=pod, service=service, status=status, outcome=outcome, user=user)
        )

    @property
    def outcomes(self) -> Share:
        """How the responses are divided by outcome."""
        return self.share("outcome")

    @property
    def request_ids(self) -> tuple[str, ...]:
        """The x-request-id of each request, for finding it in the access logs."""
        return tuple(response.request_id for response in self._responses)

    # --- time ---------------------------------------------------------------------------------------------------

    @cached_property
    def _durations(self) -> tuple[float, ...]:
        return tuple(sorted(response.duration_s for response in self._responses))

    def quantile(self, q: float) -> float:
        """Smallest duration that at least the share ``q`` of the requests did not exceed.

        Requests that failed are part of it, with the time until they did. The value is one that occurred; nothing
        is interpolated.

        Args:
            q: from 0 to 1, such as 0.99.

        Returns:
            Seconds; NaN without responses.

        Raises:
            UsageError: if ``q`` is not between 0 and 1.
        """
        if not 0 <= q <= 1:
            raise UsageError(f"q={q!r}: a quantile lies between 0 and 1, such as 0.99")
        if not self._durations:
            return math.nan
        return self._durations[max(0, math.ceil(q * len(self._durations) - 1e-9) - 1)]

    @property
    def p50_s(self) -> float:
        """Median duration in seconds."""
        return self.quantile(0.5)

    @property
    def p90_s(self) -> float:
        """Duration that 90 % of the requests did not exceed, in seconds."""
        return self.quantile(0.9)

    @property
    def p95_s(self) -> float:
        """Duration that 95 % of the requests did not exceed, in seconds."""
        return self.quantile(0.95)

    @property
    def p99_s(self) -> float:
        """Duration that 99 % of the requests did not exceed, in seconds."""
        return self.quantile(0.99)

    @property
    def max_s(self) -> float:
        """Longest duration in seconds."""
        return self.quantile(1)

    @property
    def started_s(self) -> float:
        """When the first request was sent, in seconds since the epoch; NaN without responses."""
        return min((response.started_s for response in self._responses), default=math.nan)

    @property
    def duration_s(self) -> float:
        """From the first request's start to the last one's end, in seconds; 0 without responses."""
        if not self._responses:
            return 0.0
        return max(response.started_s + response.duration_s for response in self._responses) - self.started_s

    @property
    def rate(self) -> float:
        """Requests per second over ``duration_s``; 0 without responses."""
        return len(self) / self.duration_s if self.duration_s > 0 else 0.0

    # --- handing on ---------------------------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """A pandas table with one row per response, in the order of completion.

        Returns:
            Columns ``index``, ``time`` (UTC), ``duration_s``, ``outcome``, ``status``, ``service``, ``version`` and
            ``pod`` (of the application that answered), ``path`` (all of them), ``user``, ``connection``,
            ``request_id`` and ``error``.
        """
        import pandas as pd

        rows = [
            {
                "index": response.index,
                "time": datetime.fromtimestamp(response.started_s, UTC),
                "duration_s": response.duration_s,
                "outcome": response.outcome,
                "status": response.status,
                "service": response.path[0].service if response.path else "",
                "version": response.path[0].version if response.path else "",
                "pod": response.path[0].pod if response.path else "",
                "path": " > ".join(str(hop) for hop in response.path),
                "user": response.user,
                "connection": response.connection,
                "request_id": response.request_id,
                "error": response.error,
            }
            for response in self._responses
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    @words.shown
    def __repr__(self) -> str:
        if not self._responses:
            return "no responses" + (f" among {self._window}" if self._window else "")
        outcomes = self.outcomes
        rate = f" ({words.rate(self.rate)})" if len(self) > 1 and self.rate else ""
        spread = "all ok" if outcomes.counts == {"ok": len(self)} else _outcome_text(self)
        lines = [f"{words.plural(len(self), 'response')} in {words.duration(self.duration_s)}{rate}: {spread}"]
        if self._window is not None:
            lines.append(f"from {self._window} responses" + _left_out(self._window))
        share = self.share()
        if set(share.counts) != {NONE}:
            lines.append(repr(share))
        times = [
            f"{name} {words.duration(self.quantile(q))}" for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        ]
        lines.append(f"duration {', '.join(times)}, longest {words.duration(self.max_s)}")
        return "\n".join(lines)

    def _take(self, indices: Sequence[int]) -> Observations:
        if len(indices) == len(self._responses):
            return self
        return self._of(
            (self._responses[i] for i in indices), (self._batch[i] for i in indices), self._per, self._window
        )


def request_ids(of: Observations | Response | Iterable[Response | str] | str) -> tuple[str, ...]:
    """The x-request-ids that are meant.

    Args:
        of: responses, or ids, or one of them.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(of, str):
        return (of,)
    if isinstance(of, Observations | Response) or not isinstance(of, Iterable):
        return Observations._from_given(of, "of").request_ids
    parts = tuple(of)
    ids = [part for part in parts if isinstance(part, str)]
    return tuple(ids) if ids and len(ids) == len(parts) else Observations._from_given(parts, "of").request_ids


def texts(value: OneOrMore) -> set[str]:
    """The values that a filter lets through, as texts."""
    return {str(value)} if isinstance(value, (str, int)) else {str(item) for item in value}


def _left_out(window: Window) -> str:
    return f"; {window.errors:,} of those before failed" if window.errors else ""


def _outcome_text(responses: Observations) -> str:
    """Outcomes in words, errors by status: ``980 ok, 20 http_error (503: 20)``."""
    parts = []
    for outcome, count in responses.outcomes.counts.items():
        statuses = responses.filter(outcome=outcome).share("status").counts
        named = words.join((f"{status}: {number:,}" for status, number in statuses.items()), "and")
        parts.append(f"{count:,} {outcome}" + (f" ({named})" if outcome == "http_error" else ""))
    return ", ".join(parts)
